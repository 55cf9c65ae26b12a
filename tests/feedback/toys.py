"""Made-up sounds: a toy that the packaged student takes for a cry, and the nursery's cries."""

from functools import cache
from pathlib import Path

import numpy as np
import soundfile

from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.detector.clip_folder import ClipLabel, set_label
from crydistill.feedback.replay import Replay, packaged_replay
from crydistill.student.packaged import packaged_student
from crydistill.student.runtime import TfliteStudent
from crydistill.synthesis.nursery import Infant, cry_times, crying
from crydistill.tflite.interpreters import Kernels

_SILENCE = 0.001


@cache
def student() -> TfliteStudent:
    return TfliteStudent.load(packaged_student(), Kernels.OPTIMIZED)


@cache
def replay() -> Replay:
    found = packaged_replay(student().manifest.tflite.sha256)
    assert found is not None, "make the packaged replay anew (docs/adapt.md)"
    return found


def toy(seed: int, *, seconds: float = 12.0, gain: float = 1.0) -> Samples:
    """A squeaking toy; seeds differ in its rhythm, and a little in its pitch."""
    rng = np.random.default_rng(seed)
    sound = rng.normal(0, _SILENCE, int(seconds * SAMPLE_RATE))
    at = 3.0
    while at < seconds - 3.0:
        squeak = gain * _squeak(0.6, 350 * rng.uniform(0.99, 1.01))
        start = int(at * SAMPLE_RATE)
        sound[start : start + len(squeak)] += squeak
        at += 0.6 + rng.uniform(0.45, 0.55)
    return sound.astype(np.float32)


@cache
def cries() -> tuple[Samples, ...]:
    """Four infants of the synthetic nursery, crying for ten seconds each."""
    return tuple(_crying(np.random.default_rng(seed)) for seed in range(4))


def _crying(rng: np.random.Generator) -> Samples:
    infant = Infant.drawn(rng)
    sound = 0.3 * crying(rng, 10.0, infant, cry_times(rng, 10.0, infant))
    return np.asarray(sound + rng.normal(0, _SILENCE, len(sound)), dtype=np.float32)


def put(folder: Path, name: str, samples: Samples, label: ClipLabel | None = None) -> Path:
    """A clip in a folder, as `listen` keeps it, and what was said of it."""
    folder.mkdir(parents=True, exist_ok=True)
    soundfile.write(folder / name, samples, SAMPLE_RATE, subtype="PCM_16")
    if label is not None:
        set_label(folder, name, label)
    return folder / name


def _squeak(seconds: float, hertz: float) -> Samples:
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    swell = np.sin(np.pi * time / seconds)
    pitch = hertz * (1 + 0.3 * swell) * (1 + 0.02 * np.sin(2 * np.pi * 3 * time))
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    harmonics = sum(np.sin(number * phase) / number**0.8 for number in range(1, 9))
    return np.asarray(0.12 * harmonics * np.sqrt(np.maximum(swell, 0)), dtype=np.float32)
