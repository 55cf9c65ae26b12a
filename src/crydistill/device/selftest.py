"""Generate the golden vectors of the device's self-test as C: patch, logits, memory and alerts.

The audio is synthesised, not stored, in integer arithmetic only, so that its C implementation in
`firmware/selftest/crydistill_selftest.c` gives the same samples on every machine.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from crydistill import atomic
from crydistill.audio.mel import SAMPLE_RATE
from crydistill.audio.windows import WINDOW_HOP_SAMPLES, WINDOW_HOP_SECONDS, WINDOW_SAMPLES
from crydistill.detector.vote import Event, EventKind, Vote, VoteSettings
from crydistill.device.c_text import DO_NOT_EDIT, array, include_guard, struct
from crydistill.device.export import settings_in_c
from crydistill.device.selftest_vectors import Pcm, make_golden
from crydistill.student.manifest import StudentManifest
from crydistill.tflite.interpreters import Int8, LiteRt, Network

GOLDEN_WINDOWS = 12
_GAP_AFTER = 6
"""Windows that a student with memory hears before the gap."""

_GAP_SAMPLES = SAMPLE_RATE
_PIECE = 160
"""Samples that the C code pushes at once; the gap is between two pieces."""

_WORD = 1 << 32
_BURST = 8_000


@dataclass(frozen=True)
class SelfTest:
    """A student's results for the self-test's audio.

    gap : number of windows that a gap follows; 0, without memory: there is none
    probe : window whose patch, logits and memories are stored: that with the highest score, or of a
        student with memory that before which most is remembered, so that forgetting it shows
    patch : int8, `[96, 64]`
    logits : int8, `[outputs]`
    memories : of a student with memory, before and after that window, int8 `[1, windows, size]`
    settings : detector settings, with the threshold in the middle of the widest gap between scores
    events : alerts
    """

    gap: int
    probe: int
    patch: Int8
    logits: Int8
    memories: tuple[Int8, Int8] | None
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
    network = LiteRt(tflite)
    gap = 0 if network.memory is None else _GAP_AFTER
    parts = [make_golden(pcm, tflite, manifest, network) for pcm in _parts(gap)]
    heard = np.concatenate([part.scores for part in parts])
    settings = VoteSettings(
        threshold=_in_widest_gap(heard), n=1, m=2, hold_seconds=WINDOW_HOP_SECONDS
    )
    # The windows that were lost in the gap do not vote.
    scores = np.insert(heard, gap, np.full(GOLDEN_WINDOWS - len(heard), np.nan))
    vote = Vote.of(settings)
    events = tuple(event for score in scores if (event := vote.push(float(score))) is not None)
    last = parts[-1]
    memories = _memories(network, last.patches)
    remembered = [int(np.abs(memory.astype(int) - memories[0]).sum()) for memory in memories[:-1]]
    probe = int(np.argmax(remembered if memories else last.scores))
    return SelfTest(
        gap,
        GOLDEN_WINDOWS - len(last.scores) + probe,
        last.patches[probe],
        last.logits[probe],
        (memories[probe], memories[probe + 1]) if memories else None,
        settings,
        events,
    )


def _parts(gap: int) -> list[Pcm]:
    """The audio as far as the gap, and from it on."""
    if gap == 0:
        return [babble(_end_of(GOLDEN_WINDOWS))]
    heard = -(-_end_of(gap) // _PIECE) * _PIECE
    windows_until_heard_again = (heard + _GAP_SAMPLES) // WINDOW_HOP_SAMPLES
    pcm = babble(heard + _end_of(GOLDEN_WINDOWS - windows_until_heard_again))
    return [pcm[:heard], pcm[heard:]]


def _end_of(windows: int) -> int:
    """Samples after which so many windows have been heard."""
    return WINDOW_SAMPLES + (windows - 1) * WINDOW_HOP_SAMPLES


def _memories(network: Network, patches: Int8) -> list[Int8]:
    """Memory before each of these patches and after the last; empty without memory."""
    network.reset()
    memories = [network.memory]
    for patch in patches:
        network.run(patch[None])
        memories.append(network.memory)
    return [memory for memory in memories if memory is not None]


def _in_widest_gap(scores: npt.NDArray[np.float32]) -> float:
    ordered = np.sort(scores.astype(np.float64))
    gap = int(np.argmax(np.diff(ordered)))
    return float(np.float32((ordered[gap] + ordered[gap + 1]) / 2))


def write_selftest(
    tflite: bytes, manifest: StudentManifest, directory: str | Path
) -> tuple[Path, ...]:
    """Write a student's golden vectors as `crydistill_golden.h` and `.c`; return the two.

    Raises
    ------
    ModelError
        if the student fails `inspect_tflite`.
    """
    texts = {
        "crydistill_golden.h": selftest_header(),
        "crydistill_golden.c": selftest_source(
            make_selftest(tflite, manifest), manifest.tflite.sha256
        ),
    }
    for name, text in texts.items():
        atomic.write_text(Path(directory) / name, text)
    return tuple(Path(directory) / name for name in texts)


def selftest_header() -> str:
    """Return `crydistill_golden.h`."""
    return include_guard(
        "CRYDISTILL_GOLDEN_H",
        f"/* {DO_NOT_EDIT} */\n"
        '#include "crydistill_selftest.h"\n\n'
        "extern const struct crydistill_golden crydistill_golden_vectors;\n",
    )


def selftest_source(selftest: SelfTest, sha256: str) -> str:
    """Return `crydistill_golden.c`."""
    kinds = {EventKind.ON: "CRYDISTILL_ON", EventKind.OFF: "CRYDISTILL_OFF"}
    events = "".join(
        f"    {{{event.window}, {kinds[event.kind]}, {event.onset}}},\n"
        for event in selftest.events
    )
    before, after = selftest.memories or (None, None)
    arrays = {
        "patch": selftest.patch,
        "logits": selftest.logits,
        "memory": before,
        "next_memory": after,
    }
    present = {name: values for name, values in arrays.items() if values is not None}
    fields = {
        "windows": GOLDEN_WINDOWS,
        **({"gap": selftest.gap} if selftest.gap else {}),
        "probe": selftest.probe,
        **{name: name for name in present},
        "settings": settings_in_c(selftest.settings),
        "events": "events",
        "event_count": len(selftest.events),
    }
    return (
        f"/* Student of sha256 {sha256}.\n * {DO_NOT_EDIT} */\n"
        '#include "crydistill_golden.h"\n'
        + "".join(f"\n{array('int8_t', name, values)}" for name, values in present.items())
        + f"\nstatic const struct crydistill_golden_event events[] = {{\n{events}}};\n"
        f"\nconst struct crydistill_golden crydistill_golden_vectors = {struct(fields)};\n"
    )
