"""Golden audio, patch, logits and alerts: what the device's self-test compares with.

The audio is made, not stored: by integers only, so that the C twin in
`firmware/selftest/crydistill_selftest.c` makes the same samples on every machine.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crydistill.audio.mel import log_mel
from crydistill.audio.windows import WINDOW_HOP_SECONDS, WINDOW_SAMPLES, windows
from crydistill.detector.vote import Event, EventKind, Vote, VoteSettings
from crydistill.device.c_tables import PCM_FULL_SCALE
from crydistill.device.c_text import DO_NOT_EDIT, array, float32, include_guard, struct
from crydistill.quantize.check import inspect_tflite
from crydistill.quantize.interpreters import Int8, LiteRt, dequantize, quantize
from crydistill.student.activation import activate
from crydistill.student.manifest import StudentManifest

GOLDEN_WINDOWS = 12
_HOP_SAMPLES = 7_680
_GOLDEN_SAMPLES = WINDOW_SAMPLES + (GOLDEN_WINDOWS - 1) * _HOP_SAMPLES

_WORD = 1 << 32
_BURST = 8_000


@dataclass(frozen=True)
class Golden:
    """What a student makes of the golden audio.

    probe : the window whose patch and logits are kept: the one with the highest score
    patch : int8, `[96, 64]`
    logits : int8, `[outputs]`
    settings : of the detector, its threshold in the middle of the widest gap between scores
    events : the alerts
    """

    probe: int
    patch: Int8
    logits: Int8
    settings: VoteSettings
    events: tuple[Event, ...]


def babble(samples: int) -> npt.NDArray[np.int16]:
    """The first samples of the golden audio: bursts of a gliding, bright tone between hiss."""
    return np.fromiter(_babble(samples), dtype=np.int16, count=samples)


def _babble(samples: int) -> Iterator[int]:
    noise, phase, step, glide = 1, 0, 0, 0

    def next_noise() -> int:
        nonlocal noise
        noise = (noise * 1_664_525 + 1_013_904_223) % _WORD
        return noise

    for sample in range(samples):
        if sample % _BURST == 0:
            silent = (sample + 1) // _BURST % 3 == 2
            step = 0 if silent else (1 << 26) + (next_noise() >> 5)
            glide = next_noise() >> 19
        step += glide if step else 0
        phase = (phase + step) % _WORD
        tone = (phase >> 18) - (1 << 13)
        hiss = (next_noise() >> 23) - (1 << 8)
        yield (tone if step else 0) + hiss


def make_golden(tflite: bytes, manifest: StudentManifest) -> Golden:
    """Run the golden audio through a student as Python does."""
    facts = inspect_tflite(tflite, name=manifest.name)
    source, result = facts.input, facts.output
    audio = babble(_GOLDEN_SAMPLES).astype(np.float32) / np.float32(PCM_FULL_SCALE)
    patches = quantize(windows(log_mel(audio)), source.scale, source.zero_point)
    logits = LiteRt(tflite).run(patches)
    values = dequantize(logits, result.scale, result.zero_point)
    scores = activate(values, manifest.activation)[:, list(manifest.cry_outputs)].sum(axis=1)
    settings = VoteSettings(
        threshold=_in_widest_gap(scores), n=1, m=2, hold_seconds=WINDOW_HOP_SECONDS
    )
    vote = Vote.of(settings)
    events = [vote.push(float(score)) for score in scores]
    probe = int(np.argmax(scores))
    return Golden(
        probe, patches[probe], logits[probe], settings, tuple(e for e in events if e is not None)
    )


def _in_widest_gap(scores: npt.NDArray[np.float32]) -> float:
    ordered = np.sort(scores.astype(np.float64))
    gap = int(np.argmax(np.diff(ordered)))
    return float(np.float32((ordered[gap] + ordered[gap + 1]) / 2))


def golden_header() -> str:
    """Return `crydistill_golden.h`."""
    return include_guard(
        "CRYDISTILL_GOLDEN_H",
        f"/* {DO_NOT_EDIT} */\n"
        '#include "crydistill_selftest.h"\n\n'
        "extern const struct crydistill_golden crydistill_golden;\n",
    )


def golden_source(golden: Golden, sha256: str) -> str:
    """Return `crydistill_golden.c`."""
    kinds = {EventKind.ON: "CRYDISTILL_ON", EventKind.OFF: "CRYDISTILL_OFF"}
    events = "".join(
        f"    {{{event.window}, {kinds[event.kind]}, {event.onset}}},\n" for event in golden.events
    )
    settings = golden.settings
    fields = {
        "windows": GOLDEN_WINDOWS,
        "probe": golden.probe,
        "patch": "patch",
        "logits": "logits",
        "settings": {
            "threshold": float32(settings.threshold),
            "n": settings.n,
            "m": settings.m,
            "hold_ms": round(settings.hold_seconds * 1000),
        },
        "events": "events",
        "event_count": len(golden.events),
    }
    return (
        f"/* Student of sha256 {sha256}.\n * {DO_NOT_EDIT} */\n"
        '#include "crydistill_golden.h"\n'
        f"\n{array('int8_t', 'patch', golden.patch)}"
        f"\n{array('int8_t', 'logits', golden.logits)}"
        f"\nstatic const struct crydistill_golden_event events[] = {{\n{events}}};\n"
        f"\nconst struct crydistill_golden crydistill_golden = {struct(fields)};\n"
    )
