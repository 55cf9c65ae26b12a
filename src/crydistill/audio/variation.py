"""Random data augmentation of training clips: speed, room, noise, microphone, level.

Student and teacher get the same augmented samples, so the teacher's scores are valid targets
whatever is done to the sound (Beyer et al. 2022, "Knowledge distillation: a good teacher is patient
and consistent").
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
from crydistill.audio.recorders import through_recorder
from crydistill.audio.rooms import draw_room, impulse_response, in_room
from crydistill.audio.windows import WINDOW_HOP_SAMPLES, WINDOW_SAMPLES

TELEPHONE_HZ = 4000.0
"""Bandwidth of recordings made at 8 kHz, as many home recordings of cries are."""

_MICROPHONE_HZ = (60.0, 150.0, 400.0, 1000.0, 2500.0, 5000.0, 7800.0)
"""Frequencies at which a random microphone response is drawn."""

_MAX_GAIN_DB = 30.0
"""More gain would turn the quantisation noise of a silent recording into loud noise."""


@dataclass(frozen=True)
class Variation:
    """Probability (0 to 1) and range of each augmentation.

    speed, speeds : change of speed; range of factors, log-uniform
    room : reverberation of a random room, see `crydistill.audio.rooms.draw_room`
    noise, snr_db : another recording mixed in; range of signal-to-noise ratios (active levels)
    microphone, microphone_db : random microphone response; its spread in dB
    recorder : a modelled microphone, telephone or baby monitor, see `crydistill.audio.recorders`
    band_limit, band_limits_hz : low-pass filter; range of cut-offs, half of the time exactly 4 kHz
    level, active_dbfs : random active level; its range, the loudest ones clip
    bits, bit_depths : coarse quantisation; fewest and most bits
    """

    speed: float = 0.4
    speeds: tuple[float, float] = (0.8, 1.25)
    room: float = 0.4
    noise: float = 0.5
    snr_db: tuple[float, float] = (-5.0, 30.0)
    microphone: float = 0.5
    microphone_db: float = 6.0
    recorder: float = 0.0
    band_limit: float = 0.3
    band_limits_hz: tuple[float, float] = (3000.0, 7500.0)
    level: float = 0.8
    active_dbfs: tuple[float, float] = (-55.0, -3.0)
    bits: float = 0.15
    bit_depths: tuple[int, int] = (8, 12)


def vary(
    samples: Samples, noises: Sequence[Samples], options: Variation, rng: np.random.Generator
) -> Samples:
    """Augment a clip, including a random shift of up to one window hop.

    Parameters
    ----------
    samples : float32 `[n]` at 16 kHz
    noises : recordings without a cry to draw noise from; if empty, no noise is added

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
    # Without a recorder nothing is drawn for it, so that former variations stay as they were.
    if options.recorder and chance(options.recorder):
        sound = through_recorder(sound, rng)
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
    """Drop up to one hop at the start; pad a sound too short for that at random to one window."""
    spare = len(samples) - WINDOW_SAMPLES
    if spare > 0:
        return samples[int(rng.integers(min(spare, WINDOW_HOP_SAMPLES) + 1)) :]
    before = int(rng.integers(-spare + 1))
    return np.pad(samples, (before, -spare - before))
