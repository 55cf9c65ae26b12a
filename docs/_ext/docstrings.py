"""Completes the package's docstrings to what numpydoc reads.

The package names parameters as `name : explanation`, since signatures have the types; numpydoc
would take the explanation for a type. Classes list their fields the same way, without a heading.
"""

import inspect
import re
import typing
from collections.abc import Iterator

import numpy.typing
from docutils import nodes
from pydantic import BaseModel
from sphinx.addnodes import desc_annotation
from sphinx.application import Sphinx
from sphinx.util.inspect import stringify_signature
from sphinx.util.typing import stringify_annotation

from crydistill.errors import CrydistillError

_NAMED = re.compile(r"(\*{0,2}\w+(?:, \*{0,2}\w+)*) : (.*)")
_SECTION = re.compile(r"[A-Z][A-Za-z ]+")
_CODE = re.compile(r"(?<![`:\w])`([^`\n]+(?:\n[^`\n]+)?)`(?!`)")
_NAME = re.compile(r"[A-Za-z_]\w*(\.\w+)*")
_ARRAY = re.compile(r"~?(?:numpy\.)?ndarray\[~?tuple\[[^]]*\], ~?(?:numpy\.)?dtype\[([^]]*)\]\]")
_ARRAY_LIKE = stringify_annotation(numpy.typing.ArrayLike, "smart")
_BEFORE_NUMPYDOC = 400


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", _process, priority=_BEFORE_NUMPYDOC)
    app.connect("autodoc-process-signature", _shorten)
    app.connect("object-description-transform", _shorten_property)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _process(app, what, name, obj, options, lines) -> None:
    lines[:] = completed(lines, of_class=what in ("class", "exception"))


def _shorten(app, what, name, obj, options, signature, returned):
    """Arrays as the source has them, fields without validators, protocols without arguments."""
    if getattr(obj, "_is_protocol", False):
        return "", None
    if inspect.isclass(obj) and issubclass(obj, BaseModel):
        signature = stringify_signature(_fields(obj), unqualified_typehints=True)

    def short(text):
        text = text and text.replace(_ARRAY_LIKE, "~numpy.typing.ArrayLike")
        return text and _ARRAY.sub(r"~numpy.typing.NDArray[\1]", text)

    return short(signature), short(returned)


def _shorten_property(app, domain, objtype, content) -> None:
    """The same for properties, whose types are in no signature."""
    for kind in content.parent[0].findall(desc_annotation):
        if "ndarray[" in (text := kind.astext()):
            kind.clear()
            kind.append(nodes.Text(_ARRAY.sub(r"NDArray[\1]", text)))


def _fields(model: type[BaseModel]) -> inspect.Signature:
    def types() -> None: ...

    types.__annotations__ = {name: field.annotation for name, field in model.model_fields.items()}
    kinds = typing.get_type_hints(types)
    return inspect.Signature(
        [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                annotation=kinds[name],
                default=inspect.Parameter.empty
                if field.is_required()
                else field.get_default(call_default_factory=True),
            )
            for name, field in model.model_fields.items()
        ]
    )


def completed(lines: list[str], *, of_class: bool = False) -> list[str]:
    """Return the lines of a docstring as numpydoc wants them."""
    head, *sections = _sections(lines)
    if of_class and not any(title in ("Parameters", "Attributes") for title, _ in sections):
        head, fields = _without_fields(head)
        sections = [("Attributes", fields), *sections] if fields else sections
    done = [*_marked(head)]
    for title, body in sections:
        done += ["", title, "-" * len(title), *_FORMS.get(title, _marked)(body), ""]
    return done


def _sections(lines: list[str]) -> list:
    """The lines before the first heading, then pairs of heading and lines."""
    found: list = [[]]
    rest = iter(enumerate(lines))
    for number, line in rest:
        ruler = lines[number + 1] if number + 1 < len(lines) else ""
        if _SECTION.fullmatch(line) and len(ruler) >= 3 and set(ruler) == {"-"}:
            next(rest)
            found.append((line, []))
        else:
            (found[-1][1] if len(found) > 1 else found[0]).append(line)
    return found


def _without_fields(head: list[str]) -> tuple[list[str], list[str]]:
    start = next((n for n, line in enumerate(head) if n and _NAMED.fullmatch(line)), len(head))
    end = start
    while end < len(head) and (_NAMED.fullmatch(head[end]) or head[end].startswith(" ")):
        end += 1
    return head[:start] + head[end:], head[start:end]


def _marked(lines: list[str]) -> list[str]:
    """Code in single backticks, unless it is a name that may be linked, in double ones."""

    def mark(match: re.Match[str]) -> str:
        return match[0] if _NAME.fullmatch(match[1]) else f"``{match[1]}``"

    return _CODE.sub(mark, "\n".join(lines)).split("\n")


def _parameters(lines: list[str]) -> list[str]:
    done: list[str] = []
    for line in _marked(lines):
        named = _NAMED.fullmatch(line)
        done += [named[1], f"    {named[2]}"] if named else [line]
    return done


def _returned(lines: list[str]) -> list[str]:
    """One value: what it is up to the semicolon, what else is to be said below."""
    what, _, more = " ".join(line.strip() for line in _marked(lines)).strip().partition("; ")
    return [what, *([f"    {more[:1].upper()}{more[1:]}"] if more else [])]


def _raised(lines: list[str]) -> list[str]:
    modules = {error.__name__: error.__module__ for error in _deliberate(CrydistillError)}

    def link(match: re.Match[str]) -> str:
        place = f"~{modules[match[0]]}." if match[0] in modules else ""
        return f":py:exc:`{place}{match[0]}`"

    return [line if line.startswith(" ") else re.sub(r"\w+", link, line) for line in _marked(lines)]


def _deliberate(error: type[Exception]) -> Iterator[type[Exception]]:
    yield error
    for special in error.__subclasses__():
        yield from _deliberate(special)


_FORMS = {
    "Parameters": _parameters,
    "Attributes": _parameters,
    "Returns": _returned,
    "Yields": _returned,
    "Raises": _raised,
}
