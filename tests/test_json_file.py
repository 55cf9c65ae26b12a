"""JSON objects from damaged files."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import crydistill
from crydistill.errors import ConfigError, ModelError
from crydistill.json_file import parse_json, read_json, read_text

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


def test_the_mark_that_editors_of_windows_put_in_front(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"a": 1}', encoding="utf-8-sig")
    assert read_json(path, "make it again") == {"a": 1}
    assert read_text(path, "make it again") == '{"a": 1}'


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_json_nested_without_end_is_no_json(tmp_path: Path, opening: str) -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json(opening * 100_000)
    path = tmp_path / "a.json"
    path.write_text(opening * 100_000)
    with pytest.raises(ConfigError, match=r"a\.json: not valid JSON; make it again"):
        read_json(path, "make it again")


def test_only_one_module_parses_json() -> None:
    """Others would forget what JSON from elsewhere may be; what we wrote ourselves is exempt."""
    package = Path(crydistill.__file__).parent
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if "json.loads(" in path.read_text(encoding="utf-8")
    }
    in_npz = {"feedback/replay.py", "teacher/recorded.py"}  # NOT_NPZ has RecursionError
    assert found == {"json_file.py", "device/cost_record.py"} | in_npz


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
