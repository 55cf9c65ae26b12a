"""Tables of what `benchmarks/corpora_scale.py` measured."""

from pathlib import Path

from crydistill.json_file import read_json
from crydistill.metrics.records import Record, commit_text, markdown_table, number_text

_COLUMNS = {
    "seconds": "seconds",
    "processor_seconds": "of them on a processor",
    "own_gb": "most memory of its own, GB",
}


def read_scale(path: Path) -> Record:
    """Read such a record.

    Raises
    ------
    ConfigError
        if there is none.
    """
    return read_json(path, "measure it with benchmarks/corpora_scale.py")


def scale_table(record: Record) -> str:
    """Tabulate what was done, how long it took and how much memory it had."""
    rows = [
        [row["what"], *(number_text(row[key], "{:,.1f}") for key in _COLUMNS)]
        for row in record["rows"]
    ]
    table = markdown_table(["", *_COLUMNS.values()], rows)
    return f"{table}\n\n{record['machine']}; commit {commit_text(record)}."
