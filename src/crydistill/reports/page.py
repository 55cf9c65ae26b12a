"""Shared parts of the HTML pages: templates, style and escaping."""

import html
from importlib.resources import files
from pathlib import Path
from string import Template

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


def _read(name: str) -> str:
    return files("crydistill.reports").joinpath(name).read_text(encoding="utf-8")
