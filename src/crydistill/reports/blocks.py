"""Replace marked blocks of Markdown documents with generated text.

<!-- KIND: NAME NAME ... -->
... replaced ...
<!-- end -->
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from crydistill import atomic
from crydistill.errors import ConfigError

_NAMES = "[A-Za-z0-9._ -]+?"
_END = "<!-- end -->"

Render = Callable[[Sequence[str]], str]
"""Text of a block, from the names in its first line."""


def replace_blocks(path: str | Path, renders: Mapping[str, Render]) -> bool:
    """Regenerate the blocks of a document; blocks of other kinds are left alone.

    Parameters
    ----------
    renders : by kind of block, as its first line gives it

    Returns
    -------
    Whether the document changed.

    Raises
    ------
    ConfigError
        naming file and line, if a block has no end before the next one begins, or the document is
        not UTF-8.
    """
    text = _text(path)
    first_line = rf"<!-- ({'|'.join(renders)}): ({_NAMES}) -->\n"
    # What is behind a forgotten end belongs to the author, and would be replaced.
    pattern = rf"{first_line}.*?({_END}|(?=<!-- (?:{'|'.join(renders)}): {_NAMES} -->\n)|\Z)"

    def block(match: re.Match[str]) -> str:
        kind, names, end = match.groups()
        if not end:
            line = text.count("\n", 0, match.start()) + 1
            raise ConfigError(
                f"{path}:{line}: the block '{kind}: {names}' has no end; write {_END} below it"
            )
        return f"<!-- {kind}: {names} -->\n{renders[kind](names.split())}\n{_END}"

    updated = re.sub(pattern, block, text, flags=re.DOTALL)
    if updated == text:
        return False
    atomic.write_text(path, updated)
    return True


def _text(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text; name Markdown files") from error
