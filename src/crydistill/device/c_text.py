"""Format values as C99 source text, deterministically."""

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

LINE_LENGTH = 100

DO_NOT_EDIT = "Written by `crydistill export c`; do not edit."


def float32(value: float) -> str:
    """Return a float literal that C parses to exactly this float32."""
    text = f"{np.float32(value):.9g}"
    return f"{text if any(mark in text for mark in '.e') else text + '.0'}f"


def array(kind: str, name: str, values: npt.NDArray[Any], *, storage: str = "static const") -> str:
    """Return the definition of a one-dimensional constant array of `values`, in C order."""
    flat = values.ravel()
    literals = [float32(v) if flat.dtype.kind == "f" else str(v) for v in flat.tolist()]
    return f"{storage} {kind} {name}[{len(literals)}] = {{\n{_wrapped(literals)}\n}};\n"


def struct(fields: Mapping[str, Any], indent: str = "    ") -> str:
    """Return a designated initialiser; a mapping in it is a nested struct, a tuple an array."""
    lines = []
    for name, value in fields.items():
        if isinstance(value, Mapping):
            text = struct(value, indent + "    ")
        elif isinstance(value, tuple):
            text = f"{{{', '.join(map(str, value))}}}"
        else:
            text = value
        lines.append(f"{indent}.{name} = {text},\n")
    return f"{{\n{''.join(lines)}{indent[4:]}}}"


def include_guard(name: str, body: str) -> str:
    """Wrap a header's body in an include guard."""
    return f"#ifndef {name}\n#define {name}\n\n{body}\n#endif\n"


def _wrapped(literals: Iterable[str]) -> str:
    return textwrap.fill(
        ", ".join(literals) + ",",
        LINE_LENGTH,
        initial_indent="    ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
