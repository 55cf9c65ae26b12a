"""The C detector against its golden vectors and against the Python detector."""

import struct

import numpy as np
import pytest
from tests.detector.golden_vote import GOLDEN, parse
from tests.firmware.programs import Program, words_of

from crydistill.detector.vote import Vote, VoteSettings


def voted(program: Program, lines: list[str]) -> list[str]:
    return program.run("vote", "".join(f"{line}\n" for line in lines).encode()).decode().split("\n")


def bits_of(score: np.float32) -> str:
    (bits,) = struct.unpack("<I", struct.pack("<f", score))
    return f"{bits:08x}"


def golden_lines() -> tuple[list[str], list[str]]:
    given, expected = [], []
    for case in parse(GOLDEN.read_text(encoding="ascii")):
        given.append(f"settings {case.threshold_bits:08x} {case.n} {case.m} {case.hold_ms}")
        expected.append("ready")
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
        expected.append("ready")
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
    assert {"on", "off", "-"} == {line.split()[0] for line in expected} - {"ready"}
    assert voted(program, given) == [*expected, ""]


def test_under_emulation(emulated: Program) -> None:
    given, expected = golden_lines()
    assert voted(emulated, given) == [*expected, ""]


@pytest.mark.parametrize(
    "settings",
    [
        "3f000000 0 9 0",
        "3f000000 5 4 0",
        "3f000000 5 65 0",
        "3f000000 5 9 86400001",
        "bf000000 5 9 0",
        "7f800000 5 9 0",
        "7fc00000 5 9 0",
    ],
    ids=["n of 0", "n > m", "m > 64", "hold > a day", "negative", "infinite", "NaN"],
)
def test_settings_out_of_range_are_refused(program: Program, settings: str) -> None:
    assert voted(program, [f"settings {settings}"]) == ["refused", ""]
    good = "settings 3f000000 64 64 86400000"
    assert voted(program, [good]) == ["ready", ""]
