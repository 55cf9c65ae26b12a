import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fileserver import Fault, FileServer, file_server

from crydistill.download import DownloadError
from crydistill.errors import ConfigError
from crydistill.teacher.fetch import TEACHERS, Pin, fetch_teacher, teacher_path

BODY = random.Random(7).randbytes(50_000)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """The weights' URL, on the loopback interface."""
    with file_server() as running:
        url = running.put("yamnet.h5", BODY)
        pin = Pin(url, len(BODY), hashlib.sha256(BODY).hexdigest(), "yamnet.h5")
        monkeypatch.setitem(TEACHERS, "yamnet", pin)
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


def test_two_teachers_lie_side_by_side(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.put("other.tflite", BODY[::-1])
    digest = hashlib.sha256(BODY[::-1]).hexdigest()
    monkeypatch.setitem(TEACHERS, "yamnet-relu6", Pin(url, len(BODY), digest, "relu6.tflite"))
    fetched = [fetch_teacher(tmp_path, name) for name in ("yamnet", "yamnet-relu6")]
    assert [path.read_bytes() for path in fetched] == [BODY, BODY[::-1]]


def test_pins_are_complete_and_lie_apart() -> None:
    for pin in TEACHERS.values():
        assert pin.url.startswith("https://")
        assert pin.size > 0
        assert len(bytes.fromhex(pin.sha256)) == 32
    assert len({pin.name for pin in TEACHERS.values()}) == len(TEACHERS)


def test_an_unknown_teacher(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'vggish' is not one of yamnet, yamnet-relu6, eff"):
        fetch_teacher(tmp_path, "vggish")


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("yamnet-relu6", "yamnet_relu6_int8.tflite"),
        ("efficientat-mn04", "efficientat_mn04_as.pt"),
    ],
)
def test_the_pinned_network_is_the_one_we_train_with(shared: Path, name: str, file: str) -> None:
    pin = TEACHERS[name]
    content = (shared / "teacher" / file).read_bytes()
    assert (len(content), hashlib.sha256(content).hexdigest()) == (pin.size, pin.sha256)
