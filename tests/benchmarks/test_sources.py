from pathlib import Path

import pytest
from benchmarks.sources import fingerprint

CODE = '"""What it is."""\n\n\ndef half(x):\n    """Half of it."""\n    return f"{x / 2}"\n'


@pytest.mark.parametrize(
    ("name", "before", "after", "same"),
    [
        ("a.py", CODE, CODE.replace("Half of it", "A half"), True),
        ("a.py", CODE, f"# why\n{CODE}".replace("x / 2", "x  /  2"), True),
        ("a.py", CODE, CODE.replace('    """Half of it."""\n', ""), True),
        ("a.py", CODE, CODE.replace("x / 2", "x / 3"), False),
        ("a.py", CODE, CODE.replace("x / 2", "x * 2"), False),
        ("a.c", "int a; /* one\n two */\n", "int a;  // other\n", True),
        ("a.c", "int a;", "int b;", False),
        ("a.tflite", "x", "y", False),
    ],
)
def test_only_what_runs_counts(
    name: str, before: str, after: str, same: bool, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(before)
    first = fingerprint([name], tmp_path)
    (tmp_path / name).write_text(after)
    assert (fingerprint([name], tmp_path) == first) is same


def test_names_count_and_their_order_does_not(tmp_path: Path) -> None:
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text("x = 1\n")
    assert fingerprint(["a.py"], tmp_path) != fingerprint(["b.py"], tmp_path)
    assert fingerprint(["a.py", "b.py"], tmp_path) == fingerprint(["b.py", "*.py"], tmp_path)


def test_a_file_that_moved_away_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.py: names no file"):
        fingerprint(["gone.py"], tmp_path)


def test_the_fingerprint_is_the_same_in_every_python(tmp_path: Path) -> None:
    """It stands in records that another Python checks."""
    (tmp_path / "a.py").write_text(CODE)
    expected = "883facd09d9e433dfd4e52cf41be1d93fd9c8157dbda8757cb7af32696429d33"
    assert fingerprint(["a.py"], tmp_path) == expected
