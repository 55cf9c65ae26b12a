"""Text of others, such as a file's name, in a line for a terminal."""

from pathlib import Path
from unicodedata import category

_CONTROL = frozenset({"Cc", "Zl", "Zp"})
"""Unicode's categories of what moves a terminal's cursor: control characters, ends of lines."""


def printable(text: str | Path) -> str:
    """Escape control characters, and bytes that are not UTF-8.

    Examples
    --------
    >>> from crydistill.printable import printable
    >>> print(printable("two\\nlines.wav"))
    two\\nlines.wav
    """
    shown = str(text).encode("utf-8", "backslashreplace").decode()
    return "".join(
        letter.encode("unicode_escape").decode() if category(letter) in _CONTROL else letter
        for letter in shown
    )
