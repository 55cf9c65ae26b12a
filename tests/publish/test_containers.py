import base64
import io
import tarfile
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crydistill.publish.containers import (
    MIN_BASE64_LETTERS,
    MIN_NUMBERS,
    Budget,
    Obstacle,
    Part,
    letters_of,
    runs,
    unpack_blob,
)

RELAXED = settings(max_examples=50)  # shared machines stall


def contents(data: bytes) -> list[bytes]:
    """The bytes found inside a blob, one level deep."""
    parts = unpack_blob(data, Budget()).parts
    return [
        part.content for part in parts if isinstance(part, Part) and isinstance(part.content, bytes)
    ]


def arrays(data: bytes) -> list[list[float]]:
    parts = unpack_blob(data, Budget()).parts
    return [
        part.content.tolist()
        for part in parts
        if isinstance(part, Part) and not isinstance(part.content, bytes)
    ]


payloads = st.binary(min_size=MIN_BASE64_LETTERS, max_size=600)


@RELAXED
@given(payloads, st.sampled_from(['"', " ", "=", "a", "ab_", "abc/"]))
def test_base64(payload: bytes, before: str) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        found = contents(f"{before}{encode(payload).decode()}".encode())
        assert any(payload in content for content in found)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\\n", b'",\n  "'])
@RELAXED
@given(payload=payloads)
def test_base64_in_lines(payload: bytes, line_end: bytes) -> None:
    text = base64.encodebytes(payload).rstrip().replace(b"\n", line_end)
    assert payload in contents(b'["' + text + b'"]')


@RELAXED
@given(payload=payloads)
def test_base64_with_escaped_slashes(payload: bytes) -> None:
    assert payload in contents(base64.b64encode(payload).replace(b"/", b"\\/"))


@RELAXED
@given(st.binary(min_size=100, max_size=300))
def test_hexadecimal(payload: bytes) -> None:
    escaped = "".join(f"\\x{value:02x}" for value in payload)
    for text in (payload.hex(), payload.hex(" "), payload.hex(" ", 2).upper(), escaped):
        assert payload in contents(f"<{text}>".encode())


@RELAXED
@given(st.lists(st.integers(0, 255), min_size=2 * MIN_NUMBERS, max_size=300))
def test_lists_of_bytes(values: list[int]) -> None:
    for text in (str(values), ",\n".join(map(hex, values)), " ".join(f"{v:5d}" for v in values)):
        assert bytes(values) in contents(f"x = {text};".encode())


@RELAXED
@given(st.lists(st.integers(-128, 127), min_size=2 * MIN_NUMBERS, max_size=300))
def test_lists_of_signed_bytes(values: list[int]) -> None:
    expected = np.array(values, dtype=np.int8).tobytes()
    for text in (str(values), ", ".join(map(hex, values))):
        assert expected in contents(f"int8_t x[] = {{{text}}};".encode())


@RELAXED
@given(st.lists(st.floats(-1e6, 1e6), min_size=2 * MIN_NUMBERS, max_size=200))
def test_lists_of_floats(values: list[float]) -> None:
    values = [0.5, *values]
    assert values in arrays(f"x = {values}".encode())


@RELAXED
@given(st.binary(min_size=40, max_size=500), st.binary(max_size=50), st.binary(max_size=50))
def test_deflate_anywhere(payload: bytes, before: bytes, after: bytes) -> None:
    assert payload in contents(b"\x00" + before + zlib.compress(payload) + after)


@RELAXED
@given(st.binary(max_size=1_000))
def test_any_bytes_can_be_unpacked(data: bytes) -> None:
    for head in (b"", b"PK\x03\x04", b"PK\x05\x06", b"\x93NUMPY\x01\x00", b"\x1f\x8b\x08\x00"):
        assert unpack_blob(head + data, Budget()).rest[len(head) + 4 :] == data[4:]
        list(unpack_blob(head + data, Budget()).parts)


def test_plain_text_holds_nothing() -> None:
    assert contents(b"A text about crying, 12 words, 3.5 numbers and 0x1f.\n" * 50) == []


def test_runs() -> None:
    digits = letters_of(rb"\d")
    assert list(runs(b"12 345 6789", digits, 3)) == [(3, 6), (7, 11)]
    assert list(runs(b"", digits, 1)) == []


def test_what_hides_behind_a_directorys_name_is_found() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("folder/"), b"a secret")
    assert contents(buffer.getvalue()) == [b"a secret"]


def test_a_tar_that_claims_to_be_huge_is_an_obstacle() -> None:
    info = tarfile.TarInfo("huge")
    info.size = 8 << 30
    data = info.tobuf(tarfile.GNU_FORMAT) + bytes(1_024)
    unpacked = unpack_blob(data, Budget())
    assert len(unpacked.rest) == len(data)
    assert any(isinstance(part, Obstacle) for part in unpacked.parts)


@pytest.mark.parametrize("damage", range(0, 200, 3))
def test_damaged_containers_end_in_obstacles_not_in_errors(damage: int) -> None:
    array = np.arange(50.0)
    buffer = io.BytesIO()
    np.savez(buffer, a=array)
    for whole in (buffer.getvalue(), buffer.getvalue()[30:], zlib.compress(array.tobytes())):
        damaged = bytearray(whole)
        damaged[damage % len(damaged)] ^= 0xFF
        damaged[-1 - damage % len(damaged)] ^= 0xFF
        list(unpack_blob(bytes(damaged), Budget()).parts)
        list(unpack_blob(bytes(damaged[:-damage]), Budget()).parts)
