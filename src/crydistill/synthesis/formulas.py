"""Synthesise unlabelled training sounds: random tones, glides, chords, bursts and noise.

Public recordings contain much speech but few of the horns, sirens, songs and animals that share a
cry's harmonic structure. The teacher can score any sound, so synthetic ones give the student
targets where recordings are missing (distillation on synthetic inputs: Nayak et al. 2019,
"Zero-shot knowledge distillation in deep networks").
"""

import csv
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from crydistill import atomic
from crydistill.audio.encoding import write_sound
from crydistill.audio.variation import Variation, vary
from crydistill.processes import in_processes
from crydistill.progress import Progress, silent
from crydistill.seeds import generator
from crydistill.synthesis.nursery.synthesis import (
    Floats,
    coloured_noise,
    control_points,
    fix_length,
    harmonic_count,
    harmonics,
    interpolated,
    noise_hertz,
    normalized,
    piecewise_linear,
    resonances,
    sample_count,
    shaped_noise,
    smooth_noise,
)
from crydistill.synthesis.scenes import scene_sound
from crydistill.synthesis.soundalikes import soundalike
from crydistill.synthesis.voices import voice_sound

FORMULAS_VERSION = 1
"""Incremented with every audible change."""

SECONDS = 6.0
"""Length of a clip."""

Kind = Literal["sounds", "voices", "scenes", "soundalikes"]
"""Any sound (`formula_sound`); or voices (`voice_sound`), scenes (`scene_sound`) or what students
mistake for cries (`soundalike`), these augmented with rooms, microphones and so on."""

_LOWEST_HZ, _HIGHEST_HZ = 70.0, 3000.0

_SOUNDALIKES_VARIATION = Variation(room=0.7, recorder=0.2)
"""At home one hears them in a room; without one, the teacher hardly knows laughter from ducks."""

_CLIPS_PER_PROCESS = 64
"""Starting a process takes as long as making this many clips."""


def formula_sound(rng: np.random.Generator, seconds: float = SECONDS) -> Floats:
    """Synthesise one to three random sources over faint noise; 16 kHz, peak at most 1."""
    track = np.zeros(sample_count(seconds))
    for _ in range(int(rng.integers(1, 4))):
        source = _noise_source if rng.random() < 0.2 else _tonal_source
        level = 10 ** (rng.uniform(-12, 0) / 20)
        track += level * fix_length(normalized(source(rng, seconds)), len(track))
    track /= np.abs(track).max()
    noise = coloured_noise(rng, len(track), float(rng.uniform(0, 6)))
    track += 10 ** (rng.uniform(-60, -20) / 20) * noise
    return track / max(1.0, float(np.abs(track).max()))


def write_formulas(
    directory: str | Path,
    *,
    clips: int,
    seed: int,
    kind: Kind = "sounds",
    progress: Progress = silent,
) -> Path:
    """Write the clips that are missing, then the manifest; return the manifest's path.

    A clip depends only on the seed and its number. Clips are unlabelled: the student learns the
    teacher's scores for them. Large numbers of clips are made in several processes.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    source = "formulas" if kind == "sounds" else kind
    names = [_clip_name(seed, number) for number in range(clips)]
    missing = [n for n, name in enumerate(names) if not (directory / f"{name}.wav").is_file()]
    with progress("formulas", len(missing), "clips") as advance:
        for _ in in_processes(
            partial(_write_clip, directory, seed, kind), missing, least=_CLIPS_PER_PROCESS
        ):
            advance(1)
    rows = [("path", "label", "group", "source", "licence", "licence_class")]
    rows += [
        (f"{name}.wav", "unlabelled", f"{kind}-{name}", source, "MIT", "open") for name in names
    ]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    manifest = directory / "clips.csv"
    atomic.write_text(manifest, text.getvalue())
    return manifest


def _clip_name(seed: int, number: int) -> str:
    return f"v{FORMULAS_VERSION}-{seed}-{number}"


def _write_clip(directory: Path, seed: int, kind: Kind, number: int) -> None:
    samples = _MAKERS[kind](generator(seed, "formulas", str(number)))
    write_sound(directory / f"{_clip_name(seed, number)}.wav", samples)


def _augmented_voice(rng: np.random.Generator) -> Floats:
    return _augmented(voice_sound(rng, SECONDS), rng, Variation())


def _augmented_scene(rng: np.random.Generator) -> Floats:
    return _augmented(scene_sound(rng, SECONDS, formula_sound), rng, Variation())


def _augmented_soundalike(rng: np.random.Generator) -> Floats:
    return _augmented(soundalike(rng, SECONDS), rng, _SOUNDALIKES_VARIATION)


def _augmented(sound: Floats, rng: np.random.Generator, options: Variation) -> Floats:
    return np.asarray(vary((0.9 * sound).astype(np.float32), (), options, rng), np.float64)


_MAKERS: dict[Kind, Callable[[np.random.Generator], Floats]] = {
    "sounds": formula_sound,
    "voices": _augmented_voice,
    "scenes": _augmented_scene,
    "soundalikes": _augmented_soundalike,
}


def _tonal_source(rng: np.random.Generator, seconds: float) -> Floats:
    """Harmonics with a random pitch contour, maybe with random formants or as a chord."""
    count = control_points(seconds)
    pitch = _pitch(rng, count)
    loud = _loudness(rng, count)
    chord = [1.0]
    if rng.random() < 0.25:
        chord += [2 ** (step / 12) for step in rng.choice([3, 4, 5, 7, 9, 12], 2, replace=False)]
    return sum((_harmonic_sound(rng, ratio * pitch, loud) for ratio in chord), np.zeros(1))


def _harmonic_sound(rng: np.random.Generator, pitch: Floats, loud: Floats) -> Floats:
    number = np.arange(1, min(40, harmonic_count(pitch)) + 1)
    amplitudes = loud[:, None] * number ** (-rng.uniform(3, 18) / 6.02)
    if rng.random() < 0.2:
        amplitudes = amplitudes * (number % 2)
    if rng.random() < 0.5:
        formants = np.sort(np.exp(rng.uniform(np.log(300), np.log(6000), 4)))
        moving = formants * 2 ** (0.2 * smooth_noise(rng, len(pitch), 1.5))[:, None]
        amplitudes = amplitudes * resonances(pitch[:, None] * number, moving, np.full(4, 200.0))
    return harmonics(pitch, amplitudes)


def _pitch(rng: np.random.Generator, count: int) -> Floats:
    """Pitch contour in hertz: steady, gliding, wandering, oscillating or stepped; with vibrato."""
    base = np.exp(rng.uniform(np.log(_LOWEST_HZ), np.log(_HIGHEST_HZ)))
    time = np.arange(count) * (SECONDS / count)
    course = int(rng.integers(5))
    octaves = np.zeros(count)
    if course == 1:
        corners = int(rng.integers(2, 9))
        octaves = piecewise_linear(np.linspace(0, 1, corners), rng.normal(0, 0.4, corners), count)
    elif course == 2:
        octaves = rng.uniform(0.05, 0.5) * smooth_noise(rng, count, float(rng.uniform(0.5, 5)))
    elif course == 3:
        octaves = rng.uniform(0.1, 0.6) * np.sin(2 * np.pi * rng.uniform(0.15, 4) * time)
    elif course == 4:
        notes = rng.integers(-7, 8, int(rng.integers(3, 20))) / 12
        octaves = notes[(np.arange(count) * len(notes)) // count]
    if rng.random() < 0.4:
        octaves = octaves + rng.uniform(0.005, 0.06) * np.sin(2 * np.pi * rng.uniform(4, 9) * time)
    return np.asarray(np.clip(base * 2**octaves, _LOWEST_HZ / 2, 2 * _HIGHEST_HZ))


def _loudness(rng: np.random.Generator, count: int) -> Floats:
    """Amplitude envelope, 0 to 1: steady, wandering, or bursts with attack and decay."""
    kind = int(rng.integers(3))
    if kind == 0:
        return np.ones(count)
    if kind == 1:
        return np.asarray(10 ** (0.3 * smooth_noise(rng, count, float(rng.uniform(0.5, 4)))))
    period = max(8, int(count / SECONDS / rng.uniform(0.3, 8)))
    phase = (np.arange(count) % period) / period
    attack, share = rng.uniform(0.02, 0.4), rng.uniform(0.2, 1)
    rise = np.minimum(phase / attack, 1)
    fall = np.exp(-rng.uniform(0, 6) * np.maximum(phase - attack, 0))
    return np.asarray(rise * fall * (phase < max(share, attack)))


def _noise_source(rng: np.random.Generator, seconds: float) -> Floats:
    """Band-pass noise with a random amplitude envelope."""
    count = control_points(seconds)
    centre = np.exp(rng.uniform(np.log(150), np.log(6000)))
    octaves = np.log2(np.maximum(noise_hertz(), 30) / centre)
    band = np.exp(-0.5 * (octaves / rng.uniform(0.15, 1.5)) ** 2)
    noise = shaped_noise(rng, np.tile(band, (count, 1)))
    return noise * interpolated(_loudness(rng, count))
