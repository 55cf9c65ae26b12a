"""Variations of training clips: the same sound at another speed, place, level and microphone.

Student and teacher hear the same varied samples, so the teacher's scores stay true whatever is
done to the sound (Beyer et al. 2022, "Knowledge distillation: a good teacher is patient and
consistent").
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crydistill.audio.augment import (
    active_level,
    add_noise,
    band_limit,
    change_speed,
    clipped,
    gain,
    reduce_bits,
    through_microphone,
)
from crydistill.audio.mel import Samples
from crydistill.audio.rooms import draw_room, impulse_response, in_room
from crydistill.audio.windows import WINDOW_HOP_SAMPLES, WINDOW_SAMPLES

TELEPHONE_HZ = 4000.0
"""Upper edge of recordings made at 8 kHz, as many home recordings of cries are."""

_MICROPHONE_HZ = (60.0, 150.0, 400.0, 1000.0, 2500.0, 5000.0, 7800.0)
"""Where a random microphone's response has its corners."""


_MAX_GAIN_DB = 30.0
"""Raising a silent recording further would make a loud noise of its last bits."""


@dataclass(frozen=True)
class Variation:
    """How likely each change is, 0 to 1, and how far it goes.

    speed, speeds : played faster or slower; smallest and largest factor, evenly in its logarithm
    room : played in a room of a home, see `crydistill.audio.rooms.draw_room`
    noise, snr_db : another recording mixed in; smallest and largest ratio of active levels
    microphone, microphone_db : coloured by a random microphone; spread of its response
    band_limit, band_limits_hz : nothing above a frequency; half of the time exactly 4 kHz
    level, active_dbfs : brought to a random active level; the loudest clip
    bits, bit_depths : a poor converter; fewest and most bits
    """

    speed: float = 0.4
    speeds: tuple[float, float] = (0.8, 1.25)
    room: float = 0.4
    noise: float = 0.5
    snr_db: tuple[float, float] = (-5.0, 30.0)
    microphone: float = 0.5
    microphone_db: float = 6.0
    band_limit: float = 0.3
    band_limits_hz: tuple[float, float] = (3000.0, 7500.0)
    level: float = 0.8
    active_dbfs: tuple[float, float] = (-55.0, -3.0)
    bits: float = 0.15
    bit_depths: tuple[int, int] = (8, 12)


def vary(
    samples: Samples, noises: Sequence[Samples], options: Variation, rng: np.random.Generator
) -> Samples:
    """Vary a clip; it begins somewhere else within a window's hop, so windows fall anew.

    Parameters
    ----------
    samples : float32 `[n]` at 16 kHz
    noises : recordings without a cry; none leaves noise out

    Returns
    -------
    float32 at 16 kHz in [-1, 1], at least one window long.
    """

    def chance(probability: float) -> bool:
        return bool(rng.random() < probability)

    def between(ends: tuple[float, float]) -> float:
        return float(rng.uniform(*ends))

    sound = samples
    if chance(options.speed):
        slowest, fastest = np.log(options.speeds)
        sound = change_speed(sound, float(np.exp(between((slowest, fastest)))))
    sound = _shifted(sound, rng)
    if chance(options.room):
        sound = in_room(sound, impulse_response(draw_room(rng), rng))
    if chance(options.noise) and noises:
        noise = noises[int(rng.integers(len(noises)))]
        sound = add_noise(sound, noise, between(options.snr_db), rng)
    if chance(options.microphone):
        response = rng.normal(0, options.microphone_db / 2, len(_MICROPHONE_HZ))
        sound = through_microphone(sound, _MICROPHONE_HZ, response)
    if chance(options.band_limit):
        limit = TELEPHONE_HZ if chance(0.5) else between(options.band_limits_hz)
        sound = band_limit(sound, limit)
    if chance(options.level):
        raised = between(options.active_dbfs) - active_level(sound)
        sound = gain(sound, min(raised, _MAX_GAIN_DB))
    if chance(options.bits):
        fewest, most = options.bit_depths
        sound = reduce_bits(sound, int(rng.integers(fewest, most + 1)))
    return clipped(sound)


def _shifted(samples: Samples, rng: np.random.Generator) -> Samples:
    """Begin up to one hop later; a sound too short for that begins after a random pause."""
    spare = len(samples) - WINDOW_SAMPLES
    if spare > 0:
        return samples[int(rng.integers(min(spare, WINDOW_HOP_SAMPLES) + 1)) :]
    before = int(rng.integers(-spare + 1))
    return np.pad(samples, (before, -spare - before))
