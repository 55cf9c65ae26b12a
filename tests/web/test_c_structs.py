"""Layouts of the library's structs are those of the compiler."""

import subprocess
from pathlib import Path

import pytest
from tests.firmware.programs import FIRMWARE, need

from crydistill.device.c_tables import tables_header
from crydistill.errors import ConfigError
from crydistill.web.c_structs import c_structs
from crydistill.web.image import web_structs

HEADER = """
struct inner { int8_t a; uint32_t b; };
struct outer { /* a ; in a comment */
    bool first;
    float x, y[2];
    const struct inner *there;
    struct inner here;
    int8_t *(*run)(const int8_t *in, int32_t n);
    uint16_t last;
};
struct not_understood { int32_t values[SIZE]; };
"""


def test_members_are_aligned_to_their_size() -> None:
    structs = c_structs([HEADER])
    assert set(structs) == {"inner", "outer"}
    outer = structs["outer"]
    assert {name: member.offset for name, member in outer.members.items()} == {
        "first": 0, "x": 4, "y": 8, "there": 16, "here": 20, "run": 28, "last": 32,
    }  # fmt: skip
    assert (outer.size, outer.alignment) == (36, 4)
    assert {name for name, member in outer.members.items() if member.pointer} == {"there", "run"}


def test_values_are_written_where_they_belong() -> None:
    into = bytearray(40)
    values = {"y": (1.0, -2.0), "here": {"a": -1, "b": 7}, "last": 513}
    c_structs([HEADER])["outer"].write(into, 4, values)
    assert into[12:20] == bytes.fromhex("0000803f000000c0")
    assert into[24:32] == bytes.fromhex("ff00000007000000")
    assert into[36:38] == b"\x01\x02"


def test_a_member_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match="struct inner: has no c"):
        c_structs([HEADER])["inner"].write(bytearray(8), 0, {"c": 1})


def test_layouts_are_those_of_clang(tmp_path: Path) -> None:
    need("clang")
    (tmp_path / "crydistill_tables.h").write_text(tables_header())
    checks = []
    for name, layout in web_structs().items():
        checks.append(f'_Static_assert(sizeof(struct {name}) == {layout.size}, "{name}");')
        checks += [
            f'_Static_assert(offsetof(struct {name}, {member}) == {found.offset}, "{member}");'
            for member, found in layout.members.items()
        ]
    assert len(checks) > 100
    (tmp_path / "checks.c").write_text('#include "crydistill_web.h"\n' + "\n".join(checks))
    folders = ("web", "web/include", "src", "selftest")
    done = subprocess.run(
        [
            *("clang", "--target=wasm32", "-ffreestanding", "-fsyntax-only", f"-I{tmp_path}"),
            *(f"-I{FIRMWARE / folder}" for folder in folders),
            str(tmp_path / "checks.c"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
