import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fileserver import Fault, FileServer, file_server

from crydistill.download import DownloadError
from crydistill.teacher import fetch
from crydistill.teacher.fetch import Pin, fetch_teacher, teacher_path

BODY = random.Random(7).randbytes(50_000)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """The weights' address, on the loopback interface."""
    with file_server() as running:
        url = running.put("yamnet.h5", BODY)
        pin = Pin(url, len(BODY), hashlib.sha256(BODY).hexdigest())
        monkeypatch.setattr(fetch, "YAMNET", pin)
        yield running


def test_fetched_once(server: FileServer, tmp_path: Path) -> None:
    for _ in range(2):
        path = fetch_teacher(tmp_path)
        assert path == teacher_path(tmp_path)
        assert path.read_bytes() == BODY
    assert len(server.requests) == 1


def test_a_dropped_connection_is_made_good(server: FileServer, tmp_path: Path) -> None:
    server.pages["/yamnet.h5"].faults.append(Fault(drop_after=20_000))
    assert fetch_teacher(tmp_path).read_bytes() == BODY
    assert server.ranges() == [None, "bytes=20000-"]


def test_another_file_of_the_same_size_is_refused(server: FileServer, tmp_path: Path) -> None:
    server.put("yamnet.h5", BODY[::-1])
    with pytest.raises(DownloadError, match="sha256 is"):
        fetch_teacher(tmp_path)
    assert not teacher_path(tmp_path).exists()


def test_a_damaged_copy_is_fetched_again(server: FileServer, tmp_path: Path) -> None:
    teacher_path(tmp_path).parent.mkdir()
    teacher_path(tmp_path).write_bytes(BODY[:-1])
    assert fetch_teacher(tmp_path).read_bytes() == BODY
