"""Read label files of long recordings: Audacity label tracks and CSV.

The file's extension gives the format. Anything but `.csv` is an Audacity label track: one label per
line, `start TAB end TAB text`, in seconds; lines that begin with a backslash give frequencies and
are ignored. A `.csv` has the columns `start_s`, `end_s` and `label` in any order; other columns are
ignored.

Source: the Audacity manual, "Importing and Exporting Labels".
"""

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from crydistill.errors import CorpusError

CRY = "cry"
COLUMNS = ("start_s", "end_s", "label")


@dataclass(frozen=True, order=True)
class Span:
    """A labelled stretch of a recording, in seconds from its start; its length may be zero."""

    start: float
    end: float
    label: str = CRY


def read_spans(path: str | Path) -> list[Span]:
    """Read a label file; the spans are in order of time.

    Raises
    ------
    CorpusError
        naming the file and the faulty line.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CorpusError(
            f"{path}: cannot read the label file ({error.strerror}); export one from Audacity or "
            "leave it out"
        ) from error
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}: not UTF-8 text; export the labels again") from error
    rows = _csv_rows(path, text) if _is_csv(path) else _audacity_rows(path, text)
    return sorted(_span(path, line, row) for line, row in rows)


def cry_spans(spans: Iterable[Span]) -> list[Span]:
    """The spans labelled as a cry ("cry", "Crying", "baby cry") or not at all."""
    return [span for span in spans if not span.label or CRY in span.label.lower()]


def episodes_of(spans: Iterable[Span], *, gap: float) -> list[Span]:
    """Join spans with no more than `gap` seconds between them: single cries become episodes."""
    joined: list[Span] = []
    for span in sorted(spans):
        if joined and span.start - joined[-1].end <= gap:
            last = joined[-1]
            joined[-1] = Span(last.start, max(last.end, span.end), last.label)
        else:
            joined.append(span)
    return joined


def _is_csv(path: str | Path) -> bool:
    return Path(path).suffix.lower() == ".csv"


def _audacity_rows(path: Path, text: str) -> Iterator[tuple[int, Sequence[str]]]:
    # Not splitlines, which also splits at characters that a label may contain.
    for line, content in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if not content.strip() or content.startswith("\\"):
            continue
        fields = content.split("\t", 2)
        if len(fields) < 2:
            raise CorpusError(
                f"{path}, line {line}: not a label (start, end and text separated by tabs); "
                "export the label track from Audacity, or give a .csv"
            )
        yield line, (*fields, "")[:3]


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, Sequence[str]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    missing = [name for name in COLUMNS[:2] if name not in (reader.fieldnames or ())]
    if missing:
        raise CorpusError(
            f"{path}, line 1: no column {' or '.join(missing)}; the columns must be "
            f"{', '.join(COLUMNS)}"
        )
    for row in reader:
        yield reader.line_num, [row.get(name) or "" for name in COLUMNS]


def _span(path: Path, line: int, row: Sequence[str]) -> Span:
    start, end = (_seconds(path, line, field) for field in row[:2])
    if end < start:
        raise CorpusError(f"{path}, line {line}: ends ({end:g} s) before it starts ({start:g} s)")
    return Span(start, end, row[2].strip())


def _seconds(path: Path, line: int, field: str) -> float:
    try:
        # Audacity writes decimal commas in some locales.
        value = float(field.strip().replace(",", "."))
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise CorpusError(f"{path}, line {line}: '{field.strip()}' is not a time in seconds (>= 0)")
    return value
