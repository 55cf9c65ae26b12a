"""Shared parts of the HTML pages: templates, style, escaping, tables."""

import html
import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from crydistill.run_directory import LISTEN_PAGE
from crydistill.style_sheet import style_sheet

PRIVATE = (
    '<p class="private">Private: made from recordings from which nothing may be published, '
    "including this page.</p>"
)


def fill(template: str, **parts: str) -> str:
    """Fill a template of this package; `$style` gets the shared style sheet."""
    return Template(_read(template)).substitute(parts, style=style_sheet())


def link_to_listen(path: str | Path) -> str:
    """A line with a link to the web page that lies beside a page; empty if there is none."""
    if not (Path(path).parent / LISTEN_PAGE).is_file():
        return ""
    return f'<p class="facts"><a href="{LISTEN_PAGE}">Listen with this student</a></p>'


def escaped(value: str) -> str:
    """Escape text from data for a page."""
    return html.escape(value)


def cell(value: str) -> str:
    """Escape a cell and mark up the interval in "0.981 [0.972, 0.989]"."""
    number, bracket, interval = escaped(value).partition(" [")
    return f'{number} <span class="interval">[{interval}</span>' if bracket else number


def answers(sentences: Sequence[str]) -> str:
    """What a page says first, from sentences of HTML."""
    return f'<ul class="answers">{"".join(f"<li>{each}</li>" for each in sentences)}</ul>'


def heading_row(cells: Sequence[str], *, words: int = 1) -> str:
    """A row of a table's columns; the first names the rows below it, `words` of them hold words."""
    columns = "".join(
        f'<th scope="col"{_kind(number, words)}>{escaped(cell)}</th>'
        for number, cell in enumerate(cells[1:], start=1)
    )
    return f'<tr class="section"><th scope="row">{escaped(cells[0])}</th>{columns}</tr>'


def row(columns: Sequence[str], cells: Sequence[str], *, words: int = 1) -> str:
    """A row of a table; each cell knows its column, for screens with no room for columns.

    Parameters
    ----------
    columns, cells : the first of each is the row's title
    words : number of leading columns that hold words
    """
    parts = [f'<th scope="row">{cell(cells[0])}</th>']
    for number, (column, value) in enumerate(zip(columns[1:], cells[1:], strict=True), start=1):
        parts.append(f'<td{_kind(number, words)} data-of="{escaped(column)}">{cell(value)}</td>')
    return f"<tr>{''.join(parts)}</tr>"


def _kind(column: int, words: int) -> str:
    return ' class="text"' if column < words else ""


def table(rows: Sequence[str]) -> str:
    """A table of figures, from `heading_row` and `row`."""
    return f'<div class="scroll"><table class="figures">{"".join(rows)}</table></div>'


def provenance(made: Mapping[str, Any]) -> str:
    """What made the figures; nothing if nothing is known."""
    if not made:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escaped(key)}</th><td class="text">{escaped(value)}</td></tr>'
        for key, value in _flat(made)
    )
    return f'<h2>Provenance</h2><table class="pairs"><tbody>{rows}</tbody></table>'


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Rows of a nested mapping: dotted key, value as text."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, str):
            yield f"{prefix}{key}", value
        else:
            yield f"{prefix}{key}", json.dumps(value, default=str, ensure_ascii=False)


def _read(name: str) -> str:
    return files("crydistill.reports").joinpath(name).read_text(encoding="utf-8")
