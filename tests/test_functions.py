"""Functions stay short enough to be read at a glance."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "src" / "crydistill"
MOST_LINES = 60


def lines_of(function: ast.FunctionDef) -> int:
    """Lines from the signature to the end, less the docstring."""
    total = (function.end_lineno or 0) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) and first.end_lineno:
        total -= first.end_lineno - first.lineno + 1
    return total


def test_no_function_is_too_long() -> None:
    long = [
        f"{path.relative_to(PACKAGE)}: {node.name} has {lines_of(node)} lines"
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and lines_of(node) > MOST_LINES
    ]
    assert not long
