import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.teacher.checkpoints import write_checkpoint

from crydistill.errors import MissingExtraError, TeacherError
from crydistill.teacher.load import is_efficientat, load_efficientat, load_teacher


@pytest.mark.parametrize("content", [b"", b"RIFF", b"PK\x05\x06" + bytes(100)])
def test_a_foreign_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "yamnet.h5"
    path.write_bytes(content)
    with pytest.raises(TeacherError, match=r"yamnet\.h5: neither HDF5 weights .* nor a \.tflite"):
        load_teacher(path)


def test_a_teacher_that_scores_no_single_windows(tmp_path: Path) -> None:
    path = tmp_path / "mn04_as.pt"
    write_checkpoint(path, {})
    assert is_efficientat(path)
    with pytest.raises(TeacherError, match=r"mn04_as\.pt: a PyTorch checkpoint; EfficientAT"):
        load_teacher(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match=r"crydistill teacher fetch"):
        load_teacher(tmp_path / "yamnet.h5")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match="cannot be read"):
        load_teacher(tmp_path)


@pytest.mark.parametrize(
    ("module", "load"), [("network", load_teacher), ("efficientat", load_efficientat)]
)
def test_the_light_install_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, module: str, load: Callable[[Path], object]
) -> None:
    monkeypatch.setitem(sys.modules, f"crydistill.teacher.{module}", None)
    path = tmp_path / "yamnet.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(MissingExtraError, match=r"pip install 'crydistill\[train\]'"):
        load(path)
