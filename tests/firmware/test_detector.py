"""The C detector against its golden vectors and against the Python detector."""

import struct

import numpy as np
import pytest
from tests.detector.golden_vote import GOLDEN, parse
from tests.firmware.programs import Program, words_of

from crydistill.detector.vote import Vote, VoteSettings

READY = "no error"
"""As `crydistill_error_text` says it."""


def voted(program: Program, lines: list[str]) -> list[str]:
    return program.run("vote", "".join(f"{line}\n" for line in lines).encode()).decode().split("\n")


def bits_of(score: np.float32) -> str:
    (bits,) = struct.unpack("<I", struct.pack("<f", score))
    return f"{bits:08x}"


def golden_lines() -> tuple[list[str], list[str]]:
    given, expected = [], []
    for case in parse(GOLDEN.read_text(encoding="ascii")):
        given.append(f"settings {case.threshold_bits:08x} {case.n} {case.m} {case.hold_ms}")
        expected.append(READY)
        given += [f"{bits:08x}" for bits in case.score_bits]
        expected += [f"{event} {onset}" for event, onset in case.events]
    return given, expected


def random_lines(streams: int) -> tuple[list[str], list[str]]:
    """Score streams at and around their thresholds, with the Python detector's events."""
    rng = np.random.default_rng(0)
    given, expected = [], []
    for _ in range(streams):
        m = int(rng.choice([1, 2, 5, 9, 33, 64]))
        settings = VoteSettings(
            threshold=float(rng.choice([0.0, 0.1, 0.3, 1.5])),
            n=int(rng.integers(1, m + 1)),
            m=m,
            hold_seconds=float(rng.choice([0, 0.2, 0.48, 0.481, 1.5, 10])),
        )
        given.append(f"settings {' '.join(words_of(settings))}")
        expected.append(READY)
        levels = [0, 0.1, 0.3, np.nextafter(np.float32(0.3), np.float32(0)), 2, np.nan, np.inf]
        scores = np.repeat(rng.choice(levels, 60), rng.integers(1, 30, 60)).astype(np.float32)
        vote = Vote.of(settings)
        for score in scores:
            event = vote.push(float(score))
            given.append(bits_of(score))
            expected.append("- -1" if event is None else f"{event.kind.value} {event.onset}")
    return given, expected


def test_golden_vectors(program: Program) -> None:
    given, expected = golden_lines()
    assert voted(program, given) == [*expected, ""]


def test_random_streams_equal_python(program: Program) -> None:
    given, expected = random_lines(streams=60)
    assert {"on", "off", "-"} == {line.split()[0] for line in expected if line != READY}
    assert voted(program, given) == [*expected, ""]


def test_under_emulation(emulated: Program) -> None:
    given, expected = golden_lines()
    assert voted(emulated, given) == [*expected, ""]


def test_other_settings_while_running_equal_python(program: Program) -> None:
    """Also longer windows and hold times than before, of which the past must still be known."""
    given, expected, changes = [], [], 0
    rng = np.random.default_rng(1)
    for _ in range(40):
        vote = None
        for score in rng.choice(np.float32([0.0, 0.2, 0.4, 0.6, np.nan]), 400):
            if vote is None or rng.random() < 0.03:
                m = int(rng.choice([1, 3, 9, 64]))
                settings = VoteSettings(
                    threshold=float(rng.choice([0.1, 0.3, 0.5])),
                    n=int(rng.integers(1, min(m, 5) + 1)),
                    m=m,
                    hold_seconds=float(rng.choice([0, 1, 10, 60])),
                )
                given.append(f"{'resettle' if vote else 'settings'} {' '.join(words_of(settings))}")
                expected.append(READY)
                if vote:
                    vote.change(settings)
                    changes += 1
                else:
                    vote = Vote.of(settings)
            event = vote.push(float(score))
            given.append(bits_of(score))
            expected.append("- -1" if event is None else f"{event.kind.value} {event.onset}")
    assert changes > 100
    assert {"on", "off", "-"} <= {line.split()[0] for line in expected}
    assert voted(program, given) == [*expected, ""]


@pytest.mark.parametrize("verb", ["settings", "resettle"])
@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ("3f000000 0 9 0", "n and m"),
        ("3f000000 5 4 0", "n and m"),
        ("3f000000 5 65 0", "n and m"),
        ("3f000000 5 9 86400001", "hold_ms"),
        ("bf000000 5 9 0", "threshold"),
        ("7f800000 5 9 0", "threshold"),
        ("7fc00000 5 9 0", "threshold"),
    ],
    ids=["n of 0", "n > m", "m > 64", "hold > a day", "negative", "infinite", "NaN"],
)
def test_settings_out_of_range_are_named(
    program: Program, settings: str, named: str, verb: str
) -> None:
    good = "settings 3f000000 1 64 86400000"
    ready, refused, event, end = voted(program, [good, f"{verb} {settings}", "3f000000"])
    assert (ready, event, end) == (READY, "on 0", "")
    assert refused.startswith(f"settings: {named}")
