"""Compute a student's golden vectors: audio, and the output of every stage for it.

    pcm.s16       16 kHz mono, int16, little-endian: synthetic, from the nursery
    patches.i8    the network's int8 input, 96 x 64 values per window
    logits.i8     its int8 output from Google's TFLite Micro interpreter
    votes.txt     scores and the detector's events with every preset (docs/detector.md)
    golden.json   provenance

The audio is rendered from its seed whenever it is checked: the guard lets no other audio pass.
"""

import hashlib
import json
import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from crydistill.audio.mel import SAMPLE_RATE
from crydistill.corpora.clip import Label
from crydistill.detector.settings import vote_settings
from crydistill.detector.vote import VoteSettings
from crydistill.device import selftest_vectors as golden
from crydistill.device.selftest_vectors import Golden, Pcm, log_mel_patches
from crydistill.publish.remade import require_same
from crydistill.student.manifest import StudentManifest
from crydistill.synthesis.nursery.clips import compose, render
from crydistill.synthesis.nursery.corpus import NURSERY_VERSION
from crydistill.tflite.arena import arena_bytes
from crydistill.tflite.interpreters import Float32, TfliteMicro, tflite_micro_version

PCM_NAME = "pcm.s16"
PATCHES_NAME = "patches.i8"
LOGITS_NAME = "logits.i8"
VOTES_NAME = "votes.txt"
ABOUT_NAME = "golden.json"

SEED = 0
CALM = "hum"
CALM_SECONDS = 4
CRY_SECONDS = 8


@cache
def golden_pcm() -> Pcm:
    """Synthetic audio: a hum, then a crying infant; the same on every call."""
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
    return log_mel_patches(golden_pcm())


def allowed_audio() -> frozenset[str]:
    """The sha256 of the audio's bytes, for the guard's allowlist."""
    return frozenset({hashlib.sha256(golden_pcm().astype("<i2").tobytes()).hexdigest()})


def golden_files(tflite: bytes, manifest: StudentManifest) -> dict[str, bytes]:
    """Compute a student's golden vectors; return the files' contents by name.

    Parameters
    ----------
    tflite : the student
    manifest : its `student.json`, with presets

    Raises
    ------
    MissingExtraError
        if tflite-micro is not installed.
    """
    network = TfliteMicro(tflite, arena_bytes(tflite))
    made = golden.make_golden(golden_pcm(), tflite, manifest, network)
    about = {
        "pcm": f"synthetic: nursery {NURSERY_VERSION}, seed {SEED}, {CALM_SECONDS} s of a hum "
        f"and {CRY_SECONDS} s with a cry; int16 little-endian, {SAMPLE_RATE} Hz, mono",
        "patches": "int8 [n, 96, 64]; a device may be a step off in 1 value of 1,000",
        "logits": "int8 [n, outputs] of these patches, bit-exact"
        + (", in turn from an empty memory" if manifest.memory else ""),
        "windows": len(made.patches),
        "outputs": int(made.logits.shape[-1]),
        "tflite_micro": tflite_micro_version(),
    }
    return {
        PCM_NAME: made.pcm.astype("<i2").tobytes(),
        PATCHES_NAME: made.patches.tobytes(),
        LOGITS_NAME: made.logits.tobytes(),
        VOTES_NAME: _votes(made, manifest).encode("ascii"),
        ABOUT_NAME: (json.dumps(about, indent=2) + "\n").encode(),
    }


def check_golden(directory: str | Path, tflite: bytes, manifest: StudentManifest) -> None:
    """Recompute the vectors and compare.

    Raises
    ------
    CheckFailed
        naming the first file that differs.
    ModelError
        if a file is missing.
    """
    made = golden_files(tflite, manifest)
    compared = {name: made[name] for name in (PCM_NAME, PATCHES_NAME, LOGITS_NAME, VOTES_NAME)}
    otherwise = "differs from what the student computes from the golden audio"
    require_same(directory, compared, otherwise)


def _votes(made: Golden, manifest: StudentManifest) -> str:
    lines = ["# Golden vectors of the detector; format and meaning: docs/detector.md."]
    for preset in manifest.presets:
        settings = vote_settings(manifest, preset)
        hold_ms = round(settings.hold_seconds * 1000)
        lines += [
            "",
            f"case {preset.replace(' ', '-')}",
            f"settings {_bits(settings.threshold)} {settings.n} {settings.m} {hold_ms}",
            f"windows {len(made.scores)}",
            *_windows(made, settings),
        ]
    return "\n".join(lines) + "\n"


def _windows(made: Golden, settings: VoteSettings) -> Iterator[str]:
    for score, event in zip(made.scores.tolist(), made.events(settings), strict=True):
        said = "- -1" if event is None else f"{event.kind} {event.onset}"
        yield f"{_bits(score)} {said}"


def _bits(value: float) -> str:
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    return f"{bits:08x}"
