"""JSON objects from damaged files."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crydistill.errors import ConfigError, ModelError
from crydistill.json_file import read_json, read_text

RELAXED = settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, r"a\.json: cannot be read \(No such file or directory\); make it again"),
        (b"{", r"a\.json: not valid JSON; make it again"),
        (b"[1]", r"a\.json: not a JSON object; make it again"),
        (b"\xff", r"a\.json: not UTF-8 text; make it again"),
        (b'{"a": 12345}', r"a\.json: larger than 10 bytes; make it again"),
        (b"[" * 9, r"a\.json: not valid JSON"),
    ],
)
def test_what_is_wrong_and_what_to_do(
    tmp_path: Path, content: bytes | None, complaint: str
) -> None:
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=complaint):
        read_json(path, "make it again", max_bytes=10)
    with pytest.raises(ModelError):
        read_json(path, "make it again", error=ModelError, max_bytes=10)


def test_a_directory(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_text(tmp_path, "name a file")


@RELAXED
@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    try:
        assert isinstance(read_json(path, "make it again"), dict)
    except ConfigError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error)
