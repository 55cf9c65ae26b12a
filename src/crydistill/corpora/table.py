"""Read user-written CSV files, with line-numbered errors."""

import csv
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from crydistill.errors import CorpusError


def read_rows(path: Path, required: Collection[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Read a CSV file with a header row by row: line number and cells of each.

    Raises
    ------
    CorpusError
        naming the file and the line, if it is no UTF-8 CSV, lacks a required column, or a row has
        more or fewer cells than the header; if two columns have one name.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            columns = reader.fieldnames or []
            if not columns:
                raise CorpusError(
                    f"{path}: empty; its first line names the columns, "
                    f"at least {', '.join(required)}"
                )
            for column in columns:
                if column and columns.count(column) > 1:
                    raise CorpusError(f"{path}:1: two columns are named '{column}'; rename one")
            for column in required:
                if column not in columns:
                    raise CorpusError(f"{path}:1: {_lacking(column, columns)}")
            for row in reader:
                if None in row or None in row.values():
                    raise CorpusError(
                        f"{path}:{reader.line_num}: the row has more or fewer cells than the header"
                    )
                yield reader.line_num, row
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}: not UTF-8 text; save it as CSV in UTF-8") from error
    except csv.Error as error:
        raise CorpusError(f"{path}: not a readable CSV file ({error})") from error


def _lacking(column: str, columns: Sequence[str]) -> str:
    """Why a header lacks a column: spreadsheets of some languages write other separators."""
    if len(columns) == 1:
        for separator, name in {";": "semicolons", "\t": "tabs", "|": "bars"}.items():
            if separator in columns[0]:
                return f"the cells are separated by {name}; separate them by commas"
    return f"no column '{column}'; the columns are {', '.join(map(repr, columns))}"
