"""Read and write result records as JSON, and format their numbers for tables.

Numbers in a record have six significant digits; undefined ones (NaN, infinity) are null.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crydistill import atomic
from crydistill.metrics.intervals import NOTHING, Estimate

Record = Mapping[str, Any]

DIGITS = 6
"""Significant digits of a number in a record."""


def plain(value: float) -> float | None:
    """Round a number for a record; None if it is not finite."""
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None


def plain_estimate(estimate: Estimate) -> dict[str, float | None]:
    """Round a number and its interval for a record."""
    return {name: plain(value) for name, value in vars(estimate).items()}


def write_record(path: str | Path, record: Record) -> None:
    """Write a record as indented JSON."""
    atomic.write_text(path, json.dumps(record, indent=1) + "\n")


def number_text(value: float | None, form: str) -> str:
    """Format a number of a record; `form` is a `str.format` template, such as "{:.2f}"."""
    return NOTHING if value is None else form.format(value)


def estimate_text(estimate: Record, form: str = "{:.3f}") -> str:
    """Format a number of a record with its interval, like `Estimate.text`."""
    parts = (estimate[name] for name in ("value", "low", "high"))
    return Estimate(*(math.nan if part is None else part for part in parts)).text(form)


def commit_text(provenance: Record) -> str:
    """Abbreviated git commit of a record's provenance."""
    commit: str = provenance.get("git_commit") or "unknown"
    return commit[:10] + ("-dirty" if commit.endswith("-dirty") else "")


def markdown_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], text_columns: int = 1
) -> str:
    """Format a Markdown table; the first `text_columns` hold text, the others numbers."""
    rules = ["---" if number < text_columns else "---:" for number in range(len(columns))]
    return "\n".join(_row(cells) for cells in (columns, rules, *rows))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
