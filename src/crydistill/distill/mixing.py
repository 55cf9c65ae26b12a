"""Mixup: train on convex combinations of two windows and of their targets.

Zhang et al. 2018, "mixup: Beyond empirical risk minimization". Sounds that overlap in a home are
another matter: `crydistill.audio.variation` adds waveforms, and the teacher scores the sum.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def mixed(
    patches: Floats, targets: Floats, alpha: float, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Mix each window of a batch with another one, and their targets in the same proportion.

    Parameters
    ----------
    patches : log-mel `[n, 96, 64]`
    targets : probabilities, `[n, k]`
    alpha : the proportions are drawn from Beta(alpha, alpha): near 0 and 1 where it is small

    Returns
    -------
    `patches` and `targets` themselves where `alpha` is 0, else mixed copies.
    """
    if alpha == 0:
        return patches, targets
    share = rng.beta(alpha, alpha, len(patches)).astype(np.float32)
    partner = rng.permutation(len(patches))
    return _blend(patches, partner, share), _blend(targets, partner, share)


def _blend(values: Floats, partner: npt.NDArray[np.int64], share: Floats) -> Floats:
    share = share.reshape(-1, *[1] * (values.ndim - 1))
    return np.asarray(share * values + (1 - share) * values[partner], dtype=np.float32)
