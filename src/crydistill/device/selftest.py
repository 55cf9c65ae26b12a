"""Generate the golden vectors of the device's self-test as C: patch, logits and alerts.

The audio is synthesised, not stored, in integer arithmetic only, so that its C implementation in
`firmware/selftest/crydistill_selftest.c` gives the same samples on every machine.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crydistill.audio.windows import WINDOW_HOP_SAMPLES, WINDOW_HOP_SECONDS, WINDOW_SAMPLES
from crydistill.detector.vote import Event, EventKind, VoteSettings
from crydistill.device.c_text import DO_NOT_EDIT, array, include_guard, struct
from crydistill.device.export import settings_in_c
from crydistill.device.selftest_vectors import Pcm, make_golden
from crydistill.student.manifest import StudentManifest
from crydistill.tflite.interpreters import Int8, LiteRt

GOLDEN_WINDOWS = 12
_GOLDEN_SAMPLES = WINDOW_SAMPLES + (GOLDEN_WINDOWS - 1) * WINDOW_HOP_SAMPLES

_WORD = 1 << 32
_BURST = 8_000


@dataclass(frozen=True)
class SelfTest:
    """A student's results for the self-test's audio.

    probe : window with the highest score, whose patch and logits are stored
    patch : int8, `[96, 64]`
    logits : int8, `[outputs]`
    settings : detector settings, with the threshold in the middle of the widest gap between scores
    events : alerts
    """

    probe: int
    patch: Int8
    logits: Int8
    settings: VoteSettings
    events: tuple[Event, ...]


def babble(samples: int) -> Pcm:
    """First samples of the audio: bursts of a gliding, bright tone, separated by hiss."""
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


def make_selftest(tflite: bytes, manifest: StudentManifest) -> SelfTest:
    """Run the self-test's audio through a student.

    Raises
    ------
    ModelError
        if the student fails `inspect_tflite`.
    """
    golden = make_golden(babble(_GOLDEN_SAMPLES), tflite, manifest, LiteRt(tflite))
    settings = VoteSettings(
        threshold=_in_widest_gap(golden.scores), n=1, m=2, hold_seconds=WINDOW_HOP_SECONDS
    )
    events = (event for event in golden.events(settings) if event is not None)
    probe = int(np.argmax(golden.scores))
    return SelfTest(probe, golden.patches[probe], golden.logits[probe], settings, tuple(events))


def _in_widest_gap(scores: npt.NDArray[np.float32]) -> float:
    ordered = np.sort(scores.astype(np.float64))
    gap = int(np.argmax(np.diff(ordered)))
    return float(np.float32((ordered[gap] + ordered[gap + 1]) / 2))


def selftest_header() -> str:
    """Return `crydistill_golden.h`."""
    return include_guard(
        "CRYDISTILL_GOLDEN_H",
        f"/* {DO_NOT_EDIT} */\n"
        '#include "crydistill_selftest.h"\n\n'
        "extern const struct crydistill_golden crydistill_golden;\n",
    )


def selftest_source(selftest: SelfTest, sha256: str) -> str:
    """Return `crydistill_golden.c`."""
    kinds = {EventKind.ON: "CRYDISTILL_ON", EventKind.OFF: "CRYDISTILL_OFF"}
    events = "".join(
        f"    {{{event.window}, {kinds[event.kind]}, {event.onset}}},\n"
        for event in selftest.events
    )
    fields = {
        "windows": GOLDEN_WINDOWS,
        "probe": selftest.probe,
        "patch": "patch",
        "logits": "logits",
        "settings": settings_in_c(selftest.settings),
        "events": "events",
        "event_count": len(selftest.events),
    }
    return (
        f"/* Student of sha256 {sha256}.\n * {DO_NOT_EDIT} */\n"
        '#include "crydistill_golden.h"\n'
        f"\n{array('int8_t', 'patch', selftest.patch)}"
        f"\n{array('int8_t', 'logits', selftest.logits)}"
        f"\nstatic const struct crydistill_golden_event events[] = {{\n{events}}};\n"
        f"\nconst struct crydistill_golden crydistill_golden = {struct(fields)};\n"
    )
