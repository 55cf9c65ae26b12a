"""Which code a benchmark measured, as a hash of what it does.

Comments, docstrings and the layout of the text do not count, so that a record becomes stale when
the measured code changes and not otherwise. Contents are compared and no dates of commits, which a
shallow clone lacks.
"""

import ast
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]

_WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_C_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)


def fingerprint(patterns: Sequence[str], root: Path = ROOT) -> str:
    """Hash the files that glob patterns relative to `root` name.

    Raises
    ------
    FileNotFoundError
        if a pattern names none, as after a move.
    """
    digest = hashlib.sha256()
    for path in _files(patterns, root):
        digest.update(f"{path.relative_to(root).as_posix()}\n{essence(path)}\n".encode())
    return digest.hexdigest()


def _files(patterns: Sequence[str], root: Path) -> list[Path]:
    found: set[Path] = set()
    for pattern in patterns:
        matches = [path for path in root.glob(pattern) if path.is_file()]
        if not matches:
            raise FileNotFoundError(f"{pattern}: names no file; correct it in the benchmark")
        found.update(matches)
    return sorted(found)


def essence(path: Path) -> str:
    """What of a file affects a measurement, as text."""
    if path.suffix == ".py":
        return _structure(ast.parse(path.read_text(encoding="utf-8")))
    if path.suffix in (".c", ".h"):
        return " ".join(_C_COMMENT.sub(" ", path.read_text(encoding="utf-8")).split())
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _structure(node: object) -> str:
    """A syntax tree as text that is the same in every Python: fields left empty are left out."""
    if isinstance(node, ast.AST):
        fields = [(name, value) for name, value in ast.iter_fields(node) if name != "ctx"]
        if isinstance(node, _WITH_DOCSTRING) and ast.get_docstring(node, clean=False) is not None:
            fields = [(n, value[1:] if n == "body" else value) for n, value in fields]
        inner = ",".join(f"{n}={_structure(v)}" for n, v in fields if v is not None and v != [])
        return f"{type(node).__name__}({inner})"
    if isinstance(node, list):
        return f"[{','.join(map(_structure, node))}]"
    return repr(node)
