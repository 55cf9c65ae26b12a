"""The directive `c-header`: what a header of the C library declares, with its comments.

The headers are regular: a comment about the file, then declarations, each after the comment that
is about it, if any.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

_ROOT = Path(__file__).parents[2]
_ONLY_FOR_COMPILERS = re.compile(
    r"#ifdef __cplusplus\n.*?#endif\n|#ifndef (\w+_H)\n#define \1\n|#include [^\n]*\n"
    r"|^CRYDISTILL_MUST_CHECK\n",
    re.DOTALL | re.MULTILINE,
)
_ABOUT = re.compile(r"/\*(.*?)\*/\n", re.DOTALL)
_DECLARATION = re.compile(
    r"(?:/\*(?P<comment>(?:(?!\*/).)*)\*/\n)?"
    r"(?P<source>#if.*?\n#endif|#define [^\n]*"
    r"|(?P<signature>[a-z][^;{]*)(?P<body>\{[^}]*\})?;(?:[ \t]*/\*.*?\*/)?)",
    re.DOTALL,
)
_FIELD = re.compile(r"([a-z_]\w*(?:, \w+)*): ")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("c-header", CHeader)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class CHeader(SphinxDirective):
    """`.. c-header:: firmware/src/crydistill.h`, inside of `eval-rst`."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        path = _ROOT / self.arguments[0]
        self.env.note_dependency(str(path))
        about, declarations = read_header(path.read_text(encoding="utf-8"))
        text = [*_restructured(about), ""]
        for found in declarations:
            text += ["", f".. c:{found.kind}:: {found.name}", ""]
            text += [f"   {line}" for line in _restructured(found.comment)]
            if not found.name.endswith(")"):  # then the name is all of the declaration
                text += ["", "   .. code-block:: c", ""]
                text += [f"      {line}" for line in found.source.split("\n")]
        return self.parse_text_to_nodes("\n".join(text))


@dataclass
class Declaration:
    """What a header declares.

    kind : the C domain's directive: function, struct, enum, enumerator, type, var, macro
    name : the directive's argument: a function or type with its whole signature, or a name
    source : as it stands in the header, without the comment
    comment : without its marks
    """

    kind: str
    name: str
    source: str
    comment: str


def read_header(text: str) -> tuple[str, list[Declaration]]:
    """The comment about the file, and its declarations in their order."""
    text = _ONLY_FOR_COMPILERS.sub("", text).rstrip().removesuffix("#endif")
    about = _ABOUT.match(text)
    assert about, "a header begins with a comment about the file"
    return _unmarked(about[1]), [
        _declaration(match) for match in _DECLARATION.finditer(text, about.end())
    ]


def _declaration(match: re.Match[str]) -> Declaration:
    source, comment = match["source"], _unmarked(match["comment"] or "")
    macro = re.match(r"(?:#if[^\n]*\n)?#define (\w+)", source)
    if macro:
        return Declaration("macro", macro[1], source, comment)
    signature = " ".join((match["signature"] or source.split("\n")[1].rstrip(";")).split())
    keyword, _, rest = signature.partition(" ")
    if keyword == "typedef":
        name = rest if rest.endswith(")") else rest.split()[-1]
        return Declaration("type", name, source, comment)
    if match["body"]:
        if not rest:
            constant = re.search(r"\w+", match["body"])
            return Declaration("enumerator", constant[0] if constant else "", source, comment)
        return Declaration(keyword, rest, source, comment)
    if keyword == "extern":
        return Declaration("var", rest, source, comment)
    return Declaration("function", signature, source, comment)


def _unmarked(comment: str) -> str:
    return "\n".join(re.sub(r"^ ?\* ?", "", line) for line in comment.strip().split("\n"))


def _restructured(comment: str) -> list[str]:
    """A comment as reStructuredText: lists of fields, code that is indented, paragraphs."""
    done: list[str] = []
    in_list = in_code = False
    for line in comment.split("\n"):
        starts_field = _FIELD.match(line)
        is_code = not in_list and (line.startswith("    ") or (in_code and not line))
        if is_code and not in_code:
            done += ["", "::", ""]
        in_code = is_code
        if starts_field:
            done += [] if in_list else [""]
            done.append(_escaped(f"- ``{starts_field[1]}``: {line[starts_field.end() :]}"))
        elif in_list and line:
            done.append(_escaped(f"  {line.strip()}"))
        else:
            done.append(line if in_code else _escaped(line))
        in_list = bool(starts_field) or (in_list and bool(line))
    return done


def _escaped(line: str) -> str:
    """Single backticks are code; a star is a star."""
    line = re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", line)
    parts = line.split("``")
    parts[::2] = [part.replace("*", r"\*") for part in parts[::2]]
    return "``".join(parts)
