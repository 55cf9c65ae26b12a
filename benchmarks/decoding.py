"""Decoding recordings to 16 kHz mono, beside libsndfile and soxr alone."""

import tempfile
from pathlib import Path

import numpy as np
import soundfile
import soxr

from benchmarks.material import Material
from benchmarks.records import COMMON, Benchmark, Comparison, Measured
from benchmarks.rounds import in_turn, processor_seconds
from crydistill.audio.files import read_audio
from crydistill.audio.mel import SAMPLE_RATE

SECONDS = 60
FORMATS = (
    ("WAV, 44.1 kHz", "wav", 44_100, 1, "PCM_16", "WAV"),
    ("WAV, 44.1 kHz, stereo", "wav", 44_100, 2, "PCM_16", "WAV"),
    ("FLAC, 44.1 kHz", "flac", 44_100, 1, "PCM_16", "FLAC"),
    ("MP3, 44.1 kHz", "mp3", 44_100, 1, "MPEG_LAYER_III", "MP3"),
    ("Ogg Opus, 48 kHz", "opus", 48_000, 1, "OPUS", "OGG"),
)
CLIP_SECONDS = 5

BENCHMARK = Benchmark(
    "decoding",
    "Decoding",
    "Processor time for noise, to 16 kHz mono. libsndfile and soxr alone misread the files that "
    "`docs/data.md` lists under \"Which recordings are read\"; crydistill looks for these faults, "
    "reads MP3 and FLAC with FFmpeg's libraries, and mixes channels so that they do not cancel.",
    (
        *COMMON, "benchmarks/decoding.py", "src/crydistill/audio/decoding.py",
        "src/crydistill/audio/files.py", "src/crydistill/audio/ffmpeg.py",
        "src/crydistill/audio/plausibility.py", "src/crydistill/audio/ogg_links.py",
        "src/crydistill/audio/file_slice.py",
    ),
)  # fmt: skip


def measure(material: Material) -> Measured:
    comparisons = []
    with tempfile.TemporaryDirectory() as scratch:
        for title, suffix, rate, channels, subtype, kind in FORMATS:
            path = Path(scratch) / f"long.{suffix}"
            seconds = material.size(SECONDS)
            _write(path, (seconds * rate, channels), rate, subtype, kind)
            comparisons.append(_compared(f"{title}, one recording", [path], seconds, material))
        path = Path(scratch) / "clip.opus"
        _write(path, (CLIP_SECONDS * 48_000, 1), 48_000, "OPUS", "OGG")
        clips = [path] * material.size(SECONDS // CLIP_SECONDS)
        title = f"Ogg Opus, 48 kHz, clips of {CLIP_SECONDS} s"
        comparisons.append(_compared(title, clips, CLIP_SECONDS, material))
    return Measured(comparisons)


def _compared(title: str, paths: list[Path], seconds: int, material: Material) -> Comparison:
    measured = in_turn(
        {
            "crydistill": lambda: [read_audio(path) for path in paths],
            "libsndfile and soxr alone": lambda: [plainly(path) for path in paths],
        },
        material.rounds,
        clock=processor_seconds,
    )
    return Comparison(title, "seconds of sound", seconds * len(paths), measured)


def plainly(path: Path) -> np.ndarray:
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return soxr.resample(samples.mean(axis=1), rate, SAMPLE_RATE, quality="HQ")


def _write(path: Path, shape: tuple[int, int], rate: int, subtype: str, kind: str) -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, shape)
    soundfile.write(path, noise, rate, subtype, format=kind)
