from pathlib import Path

import pytest

from crydistill.errors import MissingExtraError, TeacherError
from crydistill.teacher.load import load_teacher


@pytest.mark.parametrize("content", [b"", b"RIFF", b"PK\x03\x04" + bytes(100)])
def test_a_foreign_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "yamnet.h5"
    path.write_bytes(content)
    with pytest.raises(TeacherError, match=r"yamnet\.h5: neither HDF5 weights .* nor a \.tflite"):
        load_teacher(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match=r"crydistill teacher fetch"):
        load_teacher(tmp_path / "yamnet.h5")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match="cannot be read"):
        load_teacher(tmp_path)


def test_the_light_install_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "crydistill.teacher.network", None)
    path = tmp_path / "yamnet.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(MissingExtraError, match=r"pip install 'crydistill\[train\]'"):
        load_teacher(path)
