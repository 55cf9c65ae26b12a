"""SpecAugment: mask stretches of time and frequency, so that the student relies on no single cue.

Park et al. 2019, "SpecAugment", with one mask in time and one in frequency.
"""

import numpy as np
import numpy.typing as npt

Patches = npt.NDArray[np.float32]
"""Log-mel patches `[n, 96, 64]`."""


def masked(
    patches: Patches, widest_frames: int, widest_bands: int, rng: np.random.Generator
) -> Patches:
    """Overwrite a random stretch of frames and one of bands in each patch with the patch's mean.

    Parameters
    ----------
    widest_frames, widest_bands : widths are drawn uniformly from 0 to these

    Returns
    -------
    `patches` themselves where both widths are 0, else masked copies.
    """
    if widest_frames == widest_bands == 0:
        return patches
    count, frames, bands = patches.shape
    hidden = (
        _stretches(count, frames, widest_frames, rng)[:, :, None]
        | _stretches(count, bands, widest_bands, rng)[:, None, :]
    )
    return np.where(hidden, patches.mean(axis=(1, 2), keepdims=True), patches)


def _stretches(
    count: int, length: int, widest: int, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """One stretch of at most `widest` in each of `count` rows, `[count, length]`."""
    width = rng.integers(0, widest + 1, count)
    start = rng.integers(0, length - width + 1)
    place = np.arange(length)
    return np.asarray((place >= start[:, None]) & (place < (start + width)[:, None]))
