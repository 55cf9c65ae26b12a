"""Lay out the structs of the C library's headers for wasm32: where each member lies.

Numbers and pointers are little-endian and aligned to their size; a pointer has four bytes. The
headers are read instead of repeated here, and only what they use is understood.

Source: WebAssembly's C ABI, https://github.com/WebAssembly/tool-conventions/blob/main/BasicCABI.md.
"""

import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from crydistill.errors import ConfigError

_FORMATS = {
    "int8_t": "b",
    "uint8_t": "B",
    "bool": "?",
    "uint16_t": "H",
    "int32_t": "i",
    "uint32_t": "I",
    "size_t": "I",
    "float": "f",
}
_POINTER = "I"
_ENUM = "i"

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_STRUCT = re.compile(r"struct (\w+) \{([^{}]*)\};")
_FUNCTION = re.compile(r".*\(\*(\w+)\)\(.*\)", re.DOTALL)
_MEMBERS = re.compile(r"(?:const )?(struct \w+|enum \w+|\w+) (.+)", re.DOTALL)
_MEMBER = re.compile(r"(\*?)(?:const )?(\w+)(?:\[(\d+)\])?")


@dataclass(frozen=True)
class Member:
    """A member of a struct.

    offset : in bytes
    count : of an array, 1 if it is none
    kind : format character of `struct`, or the layout of a nested struct
    pointer : whether it is one
    """

    offset: int
    count: int
    kind: "str | CStruct"
    pointer: bool


@dataclass(frozen=True)
class CStruct:
    """Layout of a struct: members by name, in order, and size and alignment in bytes."""

    name: str
    members: Mapping[str, Member]
    size: int
    alignment: int

    def write(self, into: bytearray, at: int, values: Mapping[str, Any]) -> None:
        """Write members at an address; those without a value keep what is there.

        Parameters
        ----------
        values : numbers, tuples for arrays, mappings for nested structs

        Raises
        ------
        ConfigError
            if a value has no member.
        """
        for name, value in values.items():
            try:
                member = self.members[name]
            except KeyError:
                raise ConfigError(
                    f"struct {self.name}: has no {name}; the C library's headers are of another "
                    "release than this package"
                ) from None
            if isinstance(member.kind, CStruct):
                member.kind.write(into, at + member.offset, value)
            else:
                numbers = value if isinstance(value, tuple) else (value,)
                form = f"<{member.count}{member.kind}"
                struct.pack_into(form, into, at + member.offset, *numbers)


def c_structs(headers: Iterable[str]) -> dict[str, CStruct]:
    """Layouts by name of the structs in headers, given in the order of inclusion.

    Structs with members that a student's image does not have, such as arrays whose size is a
    constant's name, are left out.
    """
    found: dict[str, CStruct] = {}
    for header in headers:
        for name, body in _STRUCT.findall(_COMMENT.sub("", header)):
            layout = _layout(name, body, found)
            if layout is not None:
                found[name] = layout
    return found


def c_enum(header: str, name: str) -> dict[str, int]:
    """Values by name of an enum in a header, all of which follow from their order."""
    (body,) = re.findall(rf"enum {name} \{{([^{{}}]*)\}};", _COMMENT.sub("", header))
    return {word.strip(): value for value, word in enumerate(body.split(","))}


def _layout(name: str, body: str, known: Mapping[str, CStruct]) -> CStruct | None:
    members: dict[str, Member] = {}
    end, alignment = 0, 1
    for declaration in filter(None, map(str.strip, body.split(";"))):
        for member_name, kind, count, pointer in _declared(declaration, known):
            if kind is None:
                return None
            size, aligned = _size(kind)
            offset = _up(end, aligned)
            members[member_name] = Member(offset, count, kind, pointer)
            end, alignment = offset + count * size, max(alignment, aligned)
    return CStruct(name, members, _up(end, alignment), alignment)


_Declared = tuple[str, str | CStruct | None, int, bool]
"""Name, kind (None if it is not understood), count, and whether it is a pointer."""


def _declared(declaration: str, known: Mapping[str, CStruct]) -> Iterable[_Declared]:
    if function := _FUNCTION.fullmatch(declaration):
        return [(function[1], _POINTER, 1, True)]
    declared = _MEMBERS.fullmatch(declaration)
    if declared is None:
        return [("", None, 1, False)]
    kind, names = declared.groups()
    return [_member(kind, text.strip(), known) for text in names.split(",")]


def _member(kind: str, text: str, known: Mapping[str, CStruct]) -> _Declared:
    match = _MEMBER.fullmatch(text)
    if match is None:
        return "", None, 1, False
    star, name, count = match.groups()
    if star:
        return name, _POINTER, int(count or 1), True
    word, _, of = kind.rpartition(" ")
    kinds = {"struct": known.get(of), "enum": _ENUM, "": _FORMATS.get(of)}
    return name, kinds[word], int(count or 1), False


def _size(kind: str | CStruct) -> tuple[int, int]:
    if isinstance(kind, CStruct):
        return kind.size, kind.alignment
    size = struct.calcsize(f"<{kind}")
    return size, size


def _up(address: int, alignment: int) -> int:
    return -(-address // alignment) * alignment
