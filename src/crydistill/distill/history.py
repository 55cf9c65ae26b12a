"""The training log `history.csv`: one row per epoch."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from crydistill import atomic


def best_epoch(history: Sequence[dict[str, float]], metric: str) -> int | None:
    """Index of the history row with the best validated `metric`.

    Ties go to the lower validation loss, then to the earlier epoch: on a small validation set many
    epochs reach an AUC of 1.
    """
    key = f"val_{metric}"
    rows = [number for number, row in enumerate(history) if key in row]
    if not rows:
        return None

    def badness(number: int) -> tuple[float, float]:
        value, loss = history[number][key], history[number].get("val_loss", math.inf)
        return (math.inf if math.isnan(value) else value if metric == "loss" else -value), loss

    return min(rows, key=badness)


def read_history(path: str | Path) -> list[dict[str, float]]:
    """Read a `history.csv`; epochs without validation lack the validation columns."""
    with Path(path).open(newline="", encoding="utf-8") as file:
        return [
            {name: float(value) for name, value in row.items() if value}
            for row in csv.DictReader(file)
        ]


def write_history(path: str | Path, history: Sequence[dict[str, float]]) -> None:
    """Write one CSV row per epoch, atomically."""
    columns = list(dict.fromkeys(name for row in history for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "epoch": int(row["epoch"])} for row in history)
    atomic.write_text(path, text.getvalue())
