"""Write the detector's golden vectors: `python -m tests.detector.golden_vote`.

Their format is in docs/detector.md; the events come from the reference implementation beside this
file.
"""

import math
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.detector.reference_vote import as_float32, reference_vote

GOLDEN = Path(__file__).parent / "golden" / "vote.txt"

_HEADER = """\
# Golden vectors of the detector; format and meaning: docs/detector.md.
# Written by tests/detector/golden_vote.py; do not edit.
"""

_NAN_BITS = (0x7FC00000, 0xFFC00000, 0x7F800001, 0x7FFFFFFF)


@dataclass(frozen=True)
class Case:
    """Settings, score bits, and per window the event and its onset."""

    name: str
    threshold_bits: int
    n: int
    m: int
    hold_ms: int
    score_bits: tuple[int, ...]
    events: tuple[tuple[str, int], ...]


def float_of(bits: int) -> float:
    return float(struct.unpack("<f", struct.pack("<I", bits))[0])


def bits_of(value: float) -> int:
    return int(struct.unpack("<I", struct.pack("<f", value))[0])


def cases() -> Iterator[Case]:
    """All cases, the same on every run."""
    yield _marks("five-of-nine", "....x.x.x.x.x..........................x", 5, 9, 10_000)
    yield _marks("four-of-nine-is-not-enough", "x.x.x.x......x.x.x.x.....", 5, 9, 10_000)
    yield _marks("raised-before-m-windows-are-known", "xxxxx....", 5, 9, 960)
    yield _marks("streak", "xx.xxx.xxxx......xxx...", 3, 3, 1_440)
    yield _marks("one-of-one-no-hold", "x.xx..x.", 1, 1, 0)
    yield _marks("hold-shorter-than-m-on-wins", "x........x.x.......x...........", 1, 9, 0)
    yield _marks("restart-at-once-on-old-votes", "x.x......xx..........", 2, 9, 480)
    yield _marks("a-late-vote-renews-the-hold", "xxxxx....x....x....x.........", 5, 9, 2_400)
    yield _marks("hold-is-rounded-up", "xxx.....", 3, 3, 481)
    yield _marks("hold-of-whole-windows", "xxx.....", 3, 3, 960)
    yield _marks("still-on-at-the-end", "......xxxxxxxxx", 5, 9, 10_000)
    yield _marks("nothing", "." * 12, 5, 9, 10_000)
    yield _marks("sixty-four-windows", "x" * 31 + "." * 31 + "xx" + "." * 70, 32, 64, 480)
    yield _comparison("at-the-threshold", 0.3)
    yield _comparison("threshold-zero", 0.0)
    yield _comparison("threshold-above-one", 1.25)
    for seed in range(6):
        yield _random(seed)


def render() -> str:
    """The whole file."""
    lines = [_HEADER]
    for case in cases():
        lines.append(f"case {case.name}")
        lines.append(f"settings {case.threshold_bits:08x} {case.n} {case.m} {case.hold_ms}")
        lines.append(f"windows {len(case.score_bits)}")
        for bits, (event, onset) in zip(case.score_bits, case.events, strict=True):
            lines.append(f"{bits:08x} {event} {onset}")
        lines.append("")
    return "\n".join(lines)


def parse(text: str) -> list[Case]:
    """Read a golden file back."""
    lines = iter(line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    found = []
    for line in lines:
        keyword, name = line.split()
        assert keyword == "case"
        _, threshold, n, m, hold_ms = next(lines).split()
        _, count = next(lines).split()
        rows = [next(lines).split() for _ in range(int(count))]
        found.append(
            Case(
                name,
                int(threshold, 16),
                int(n),
                int(m),
                int(hold_ms),
                tuple(int(row[0], 16) for row in rows),
                tuple((row[1], int(row[2])) for row in rows),
            )
        )
    return found


def _case(
    name: str, threshold_bits: int, n: int, m: int, hold_ms: int, score_bits: list[int]
) -> Case:
    scores = [float_of(bits) for bits in score_bits]
    steps = reference_vote(scores, float_of(threshold_bits), n, m, hold_ms)
    events = tuple((step.event, step.onset) for step in steps)
    return Case(name, threshold_bits, n, m, hold_ms, tuple(score_bits), events)


def _marks(name: str, marks: str, n: int, m: int, hold_ms: int) -> Case:
    """A case written as text: x is a score that votes, a dot one that does not."""
    score = {"x": bits_of(0.75), ".": bits_of(0.25)}
    return _case(name, bits_of(0.5), n, m, hold_ms, [score[mark] for mark in marks])


def _comparison(name: str, threshold: float) -> Case:
    """Scores just below, at and just above the threshold, infinities, NaNs, both zeros."""
    at = bits_of(threshold)
    below = at - 1 if at else 0x80000001  # next to zero: the smallest negative number
    awkward = [at, below, at + 1, bits_of(math.inf), bits_of(-math.inf)]
    awkward += [*_NAN_BITS, bits_of(0.0), bits_of(-0.0), at, bits_of(as_float32(1.9))]
    return _case(name, at, 1, 1, 0, awkward)


def _random(seed: int) -> Case:
    """A random walk between quiet and crying, with random settings."""
    generator = random.Random(seed)
    m = generator.randint(2, 20)
    n = generator.randint(1, m)
    threshold = as_float32(generator.uniform(0.05, 0.6))
    hold_ms = generator.choice([0, 500, 1_000, 2_000, 5_000])
    level, score_bits = 0.2, []
    for _ in range(100):
        level = min(1.2, max(0.0, level + generator.gauss(0, 0.15)))
        score = as_float32(level) if generator.random() > 0.03 else threshold
        score_bits.append(bits_of(score))
    return _case(f"random-{seed}", bits_of(threshold), n, m, hold_ms, score_bits)


if __name__ == "__main__":
    GOLDEN.write_text(render(), encoding="ascii")
