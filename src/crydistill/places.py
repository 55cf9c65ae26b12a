"""Remove absolute paths of the build machine from a run's records.

A run's records contain the paths of corpora, weights and stores from its config. A relative path
reveals only the project's layout; an absolute one also reveals user and machine, so what is passed
on keeps only its last component: `/home/somebody/audio` becomes `audio`.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

_KNOWLEDGE_GRAPH_ID = re.compile(r"/[a-z]/[a-z0-9_]+")
"""AudioSet's class ids (MIDs), such as /m/0463cq4, look like paths."""

_PATH = re.compile(r"(?:/|[A-Za-z]:[\\/]|\\\\)[^\n]*|~[\w.-]*[\\/][^\n]*")


def without_absolute_paths(value: Any) -> Any:
    """Return a JSON-like value with every absolute path reduced to its last component."""
    if isinstance(value, dict):
        return {name: without_absolute_paths(part) for name, part in value.items()}
    if isinstance(value, list):
        return [without_absolute_paths(part) for part in value]
    return _last_part(value) if _is_absolute_path(value) else value


def absolute_paths(value: Any, at: str = "") -> Iterator[str]:
    """Names of the fields that contain absolute paths, such as `data.train.0.path`."""
    parts: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        parts = list(value.items())
    elif isinstance(value, list):
        parts = list(enumerate(value))
    elif _is_absolute_path(value):
        yield at
    for name, part in parts:
        yield from absolute_paths(part, f"{at}.{name}" if at else str(name))


def _is_absolute_path(value: Any) -> bool:
    return (
        isinstance(value, str)
        and _PATH.fullmatch(value) is not None
        and _KNOWLEDGE_GRAPH_ID.fullmatch(value) is None
    )


def _last_part(path: str) -> str:
    kind = PureWindowsPath if "\\" in path else PurePosixPath
    return kind(path).name or "."
