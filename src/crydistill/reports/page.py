"""What the pages of a run share: their style, and how text from data enters them."""

import html
from importlib.resources import files
from string import Template

PRIVATE = (
    '<p class="private">Private: made from recordings of which nothing may be published, this page '
    "included.</p>"
)


def fill(template: str, **parts: str) -> str:
    """Fill a template of this package, with the shared style at its `$style`."""
    return Template(_read(template)).substitute(parts, style=_read("page.css"))


def escaped(value: str) -> str:
    """Return text from data as it may stand in a page."""
    return html.escape(value)


def cell(value: str) -> str:
    """Escape a cell and set the interval of "0.981 [0.972, 0.989]" apart."""
    number, bracket, interval = escaped(value).partition(" [")
    return f'{number} <span class="interval">[{interval}</span>' if bracket else number


def _read(name: str) -> str:
    return files("crydistill.reports").joinpath(name).read_text(encoding="utf-8")
