"""Boards and what a student takes of them, as a table in a document.

From the record of a student's costs, `NAME.json`: output of `crydistill profile --json`.
"""

from collections.abc import Sequence
from pathlib import Path

from crydistill.errors import ConfigError
from crydistill.json_file import read_json
from crydistill.metrics.records import Record, markdown_table

_COLUMNS = ("board", "verdict", "ms a window", "of one core", "RAM left, KB", "flash left, KB")


def boards_table(names: Sequence[str], records: Path) -> str:
    """Tabulate boards: `<!-- boards: NAME BOARD BOARD ... -->` of `reports.documents`.

    Parameters
    ----------
    names : the record, then the boards
    records : the folder of records

    Raises
    ------
    ConfigError
        if there is no record, or it lacks a board.
    """
    name, *wanted = names
    path = records / f"{name}.json"
    judged = {
        each["board"]: each for each in read_json(path, "run `crydistill profile --json`")["boards"]
    }
    if unknown := [board for board in wanted if board not in judged]:
        raise ConfigError(f"{path}: no board {unknown[0]}; there are {', '.join(judged)}")
    return markdown_table(_COLUMNS, [_row(judged[board]) for board in wanted], text_columns=2)


def _row(judged: Record) -> list[str]:
    milliseconds, load = judged["window_ms"], judged["load"]
    return [
        judged["board"],
        judged["verdict"],
        f"{milliseconds['low']:.0f} to {milliseconds['high']:.0f}",
        f"{load['low']:.0%} to {load['high']:.0%}",
        f"{judged['ram_left_bytes'] / 1024:,.0f}",
        f"{judged['flash_left_bytes'] / 1024:,.0f}",
    ]
