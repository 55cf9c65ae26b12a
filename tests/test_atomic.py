"""Files appear whole or not at all, and errors name them."""

import errno
import os
from pathlib import Path

import pytest

from crydistill import atomic


def test_a_folder_in_the_way_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "room.json").mkdir()
    with pytest.raises(IsADirectoryError) as refused:
        atomic.write_text(tmp_path / "room.json", "{}")
    assert refused.value.filename == str(tmp_path / "room.json")
    assert str(refused.value).count("room") == 1  # and not the temporary name
    assert [path.name for path in tmp_path.iterdir()] == ["room.json"]


def test_the_folder_one_is_in_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (".", ".."):  # a rename over them says "busy", of the temporary file
        with pytest.raises(IsADirectoryError) as refused:
            atomic.write_text(name, "{}")
        assert refused.value.filename == name


def test_a_pipe_or_device_is_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "null"
    os.mkfifo(pipe)  # as root, /dev/null would be replaced as well
    link = tmp_path / "stdout"
    link.symlink_to(pipe)
    for path in (pipe, link):
        with pytest.raises(OSError, match="not a file") as refused:
            atomic.write_text(path, "{}")
        assert refused.value.filename == str(path)
    assert pipe.is_fifo()
    assert link.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["null", "stdout"]


def test_a_link_stays_and_the_file_that_it_leads_to_is_replaced(tmp_path: Path) -> None:
    kept = tmp_path / "kept" / "room.json"
    link = tmp_path / "room.json"
    link.symlink_to(Path("kept") / "room.json")
    for text in ("{}", "[]"):  # a file that is not there yet, then one that is
        atomic.write_text(link, text)
        assert link.is_symlink()
        assert kept.read_text() == text
    assert [path.name for path in kept.parent.iterdir()] == ["room.json"]


def test_a_folder_that_cannot_be_written_is_no_temporary_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def refuse(name: str, *_: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)

    monkeypatch.setattr(os, "open", refuse)  # as root may write anywhere
    with pytest.raises(PermissionError) as refused:
        atomic.write_text("../room.json", "{}")
    assert refused.value.filename == "../room.json"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_said_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "room.json"
    with (
        pytest.raises(OSError, match="No space left on device") as refused,
        atomic.replacing(path) as temporary,
    ):
        temporary.unlink()
        temporary.symlink_to("/dev/full")
        temporary.write_text("{}")
    assert refused.value.filename == str(path)
    assert list(tmp_path.iterdir()) == []


def test_what_goes_wrong_with_other_files_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as refused, atomic.replacing(tmp_path / "a.json"):
        (tmp_path / "b.json").read_text()
    assert refused.value.filename == str(tmp_path / "b.json")
