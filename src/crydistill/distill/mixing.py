"""Mixing pairs of windows, so that between two examples the student answers in between.

Zhang et al. 2018, "mixup: Beyond empirical risk minimization". The sums of sounds that a home makes
are another matter: `crydistill.audio.variation` adds waveforms, and the teacher hears the sum.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def mixed(
    patches: Floats, targets: Floats, alpha: float, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Mix each window of a batch with another of it, and what both teach in the same shares.

    Parameters
    ----------
    patches : log-mel `[n, 96, 64]`
    targets : probabilities, `[n, k]`
    alpha : the shares are drawn from Beta(alpha, alpha): near 0 and 1 where it is small

    Returns
    -------
    Patches and targets themselves where `alpha` is 0, else mixed copies.
    """
    if alpha == 0:
        return patches, targets
    share = rng.beta(alpha, alpha, len(patches)).astype(np.float32)
    partner = rng.permutation(len(patches))
    return _blend(patches, partner, share), _blend(targets, partner, share)


def _blend(values: Floats, partner: npt.NDArray[np.int64], share: Floats) -> Floats:
    share = share.reshape(-1, *[1] * (values.ndim - 1))
    return np.asarray(share * values + (1 - share) * values[partner], dtype=np.float32)
