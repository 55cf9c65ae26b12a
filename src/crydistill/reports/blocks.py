"""Replace marked blocks of Markdown documents with generated text.

<!-- KIND: NAME NAME ... -->
... replaced ...
<!-- end -->
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from crydistill import atomic

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
    """
    text = Path(path).read_text(encoding="utf-8")

    def block(match: re.Match[str]) -> str:
        kind, names = match[1], match[2].split()
        return f"<!-- {kind}: {match[2]} -->\n{renders[kind](names)}\n<!-- end -->"

    pattern = rf"<!-- ({'|'.join(renders)}): ([A-Za-z0-9._ -]+?) -->\n.*?<!-- end -->"
    updated = re.sub(pattern, block, text, flags=re.DOTALL)
    if updated == text:
        return False
    atomic.write_text(path, updated)
    return True
