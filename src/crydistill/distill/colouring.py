"""Play log-mel frames at another level, through another microphone and over hiss.

Unlike varied copies (`crydistill.audio.variation`), which are sound that the teacher scores, this
changes frames whose scores are known, at each showing anew: what the teacher heard through a clear
microphone is what the student should hear through a poor one.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crydistill.audio.mel import LOG_OFFSET, MEL_BANDS

Frames = npt.NDArray[np.float32]
"""Log-mel frames `[n, frames, 64]`."""

_BETWEEN_KNOTS = np.array(
    [np.interp(np.arange(MEL_BANDS), np.linspace(0, MEL_BANDS - 1, 7), knot) for knot in np.eye(7)]
)
"""A response is drawn at seven bands, linear in dB between them: `[knots, 64]`."""

_LOUD = 0.95
"""Quantile of a stretch's magnitudes that stands for the level of its sounds."""

_FLICKER = 0.3
"""Standard deviation of the logarithm of hiss from cell to cell, as of noise in a mel band."""


@dataclass(frozen=True)
class Colouring:
    """How much frames may change.

    level_db : a stretch's level changes by up to this, up or down
    response_db : standard deviation of the microphone's response
    hiss : probability that hiss is added
    hiss_db : range of the hiss, relative to the stretch's loud sounds
    """

    level_db: float = 10.0
    response_db: float = 4.0
    hiss: float = 0.5
    hiss_db: tuple[float, float] = (-45.0, -10.0)


def coloured(frames: Frames, options: Colouring, rng: np.random.Generator) -> Frames:
    """Change the colour of some stretches of frames, each in its own way.

    Powers of sound and hiss add up; what the front end's offset has swallowed stays silent.
    """
    count = len(frames)
    magnitudes = np.maximum(np.exp(frames) - np.float32(LOG_OFFSET), 0)
    level = rng.uniform(-options.level_db, options.level_db, (count, 1))
    magnitudes *= _factors(level + _responses(options.response_db, count, rng))
    hissing = rng.random(count) < options.hiss
    if hissing.any():
        magnitudes[hissing] = np.hypot(
            magnitudes[hissing], _hiss(magnitudes[hissing], options, rng)
        )
    return np.asarray(np.log(magnitudes + np.float32(LOG_OFFSET)))


def _hiss(magnitudes: Frames, options: Colouring, rng: np.random.Generator) -> Frames:
    """Hiss to add to the magnitudes of stretches, as many of them."""
    count = len(magnitudes)
    loud = np.quantile(magnitudes[:, ::4], _LOUD, axis=(1, 2), keepdims=True).astype(np.float32)
    relative = rng.uniform(*options.hiss_db, (count, 1))
    colour = _factors(relative + _responses(options.response_db, count, rng))
    flicker = rng.standard_normal(magnitudes.shape, dtype=np.float32)
    return np.asarray(loud * colour * np.exp(_FLICKER * flicker))


def _responses(spread_db: float, count: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Smooth random responses in dB, `[count, 64]`."""
    knots = rng.normal(0, spread_db, (count, len(_BETWEEN_KNOTS)))
    return np.asarray(knots @ _BETWEEN_KNOTS)


def _factors(decibels: npt.NDArray[np.float64]) -> Frames:
    """Factors of magnitudes, `[n, 1, 64]`."""
    return np.asarray(10 ** (decibels / 20), dtype=np.float32)[:, None]
