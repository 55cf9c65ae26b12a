"""Golden vectors of a student: audio, and what every stage of a correct implementation makes of it.

    pcm.s16       16 kHz mono, int16, little-endian: synthetic, from the nursery
    patches.i8    the network's int8 input, 96 x 64 steps a window
    logits.i8     its int8 output by Google's TFLite Micro interpreter
    votes.txt     scores and the detector's events with every preset (docs/detector.md)
    golden.json   what made them

The audio is rendered anew from its seed whenever it has to be vouched for: the guard lets no other
audio pass.
"""

import hashlib
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crydistill.audio.mel import SAMPLE_RATE, log_mel
from crydistill.audio.nursery.clips import compose, render
from crydistill.audio.nursery.corpus import NURSERY_VERSION
from crydistill.audio.windows import windows
from crydistill.corpora.clip import Label
from crydistill.detector.settings import vote_settings
from crydistill.detector.vote import Vote
from crydistill.device.arena import arena_bytes
from crydistill.device.c_tables import PCM_FULL_SCALE
from crydistill.errors import CheckFailed, ModelError
from crydistill.quantize.interpreters import (
    Float32,
    Int8,
    TfliteMicro,
    dequantize,
    quantize,
    tflite_micro_version,
)
from crydistill.student.activation import activate
from crydistill.student.manifest import StudentManifest

PCM_NAME = "pcm.s16"
PATCHES_NAME = "patches.i8"
LOGITS_NAME = "logits.i8"
VOTES_NAME = "votes.txt"
ABOUT_NAME = "golden.json"
FILES = (PCM_NAME, PATCHES_NAME, LOGITS_NAME, VOTES_NAME, ABOUT_NAME)

SEED = 0
CALM = "hum"
CALM_SECONDS = 4
CRY_SECONDS = 8

Pcm = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Golden:
    """The vectors.

    pcm : `[samples]` at 16 kHz
    patches : int8 `[n, 96, 64]`
    logits : int8 `[n, outputs]`
    scores : `[n]`
    votes : text in the format of docs/detector.md
    """

    pcm: Pcm
    patches: Int8
    logits: Int8
    scores: Float32
    votes: str

    def files(self) -> dict[str, bytes]:
        """Content by file name."""
        about = {
            "pcm": f"synthetic: nursery {NURSERY_VERSION}, seed {SEED}, {CALM_SECONDS} s of a hum "
            f"and {CRY_SECONDS} s with a cry; int16 little-endian, {SAMPLE_RATE} Hz, mono",
            "patches": "int8 [n, 96, 64]; a device may be a step off in 1 value of 1,000",
            "logits": "int8 [n, outputs] of these patches, bit-exact",
            "windows": len(self.patches),
            "outputs": int(self.logits.shape[-1]),
            "tflite_micro": tflite_micro_version(),
        }
        return {
            PCM_NAME: self.pcm.astype("<i2").tobytes(),
            PATCHES_NAME: self.patches.tobytes(),
            LOGITS_NAME: self.logits.tobytes(),
            VOTES_NAME: self.votes.encode("ascii"),
            ABOUT_NAME: (json.dumps(about, indent=2) + "\n").encode(),
        }


@cache
def golden_pcm() -> Pcm:
    """The audio: a hum, then an infant that cries; the same on every call."""
    clips = compose(SEED)
    long = [clip for clip in clips if clip.duration >= max(CALM_SECONDS, CRY_SECONDS)]
    calm = next(clip for clip in long if clip.category == CALM)
    cry = next(clip for clip in long if clip.label == Label.CRY)
    parts = ((calm, CALM_SECONDS), (cry, CRY_SECONDS))
    pcm = np.concatenate([render(clip)[: seconds * SAMPLE_RATE] for clip, seconds in parts])
    pcm.flags.writeable = False
    return pcm


def golden_patches() -> Float32:
    """Log-mel patches of the audio, `[n, 96, 64]`."""
    samples = golden_pcm().astype(np.float32) / np.float32(PCM_FULL_SCALE)
    return windows(log_mel(samples))


def allowed_audio() -> frozenset[str]:
    """The sha256 of the audio's bytes, for the guard: it is synthetic."""
    return frozenset({hashlib.sha256(golden_pcm().astype("<i2").tobytes()).hexdigest()})


def make_golden(tflite: bytes, manifest: StudentManifest) -> Golden:
    """Compute a student's golden vectors.

    Parameters
    ----------
    tflite : the student, accepted by `inspect_tflite`
    manifest : its `student.json`, with presets

    Raises
    ------
    MissingExtraError
        if tflite-micro is not installed.
    """
    source, result = manifest.input, manifest.output
    patches = quantize(golden_patches(), source.scale, source.zero_point)
    logits = TfliteMicro(tflite, arena_bytes(tflite)).run(patches)
    probabilities = activate(
        dequantize(logits, result.scale, result.zero_point), manifest.activation
    )
    scores = probabilities[:, list(manifest.cry_outputs)].sum(axis=1)
    return Golden(golden_pcm(), patches, logits, scores, _votes(scores, manifest))


def check_golden(directory: str | Path, tflite: bytes, manifest: StudentManifest) -> None:
    """Compute the vectors again and compare.

    Raises
    ------
    CheckFailed
        naming the first file that differs.
    ModelError
        if a file is missing.
    """
    made = make_golden(tflite, manifest).files()
    for name in (PCM_NAME, PATCHES_NAME, LOGITS_NAME, VOTES_NAME):
        path = Path(directory) / name
        try:
            with path.open("rb") as file:
                found = file.read(len(made[name]) + 1)
        except OSError as error:
            raise ModelError(f"{path}: cannot be read ({error.strerror}); bundle again") from error
        if found != made[name]:
            raise CheckFailed(f"{path}: not what the student makes of the golden audio now")


def _votes(scores: Float32, manifest: StudentManifest) -> str:
    lines = ["# Golden vectors of the detector; format and meaning: docs/detector.md."]
    for preset in manifest.presets:
        settings = vote_settings(manifest, preset)
        vote = Vote.of(settings)
        hold_ms = round(settings.hold_seconds * 1000)
        lines += [
            "",
            f"case {preset.replace(' ', '-')}",
            f"settings {_bits(settings.threshold)} {settings.n} {settings.m} {hold_ms}",
            f"windows {len(scores)}",
            *_events(scores.tolist(), vote),
        ]
    return "\n".join(lines) + "\n"


def _events(scores: list[float], vote: Vote) -> Iterator[str]:
    for score in scores:
        event: Any = vote.push(score)
        yield (
            f"{_bits(score)} - -1"
            if event is None
            else (f"{_bits(score)} {event.kind} {event.onset}")
        )


def _bits(value: float) -> str:
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    return f"{bits:08x}"
