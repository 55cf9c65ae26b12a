"""Tests of downloads from a real server on the loopback address, with injected faults."""

import hashlib
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.fileserver import Fault, FileServer, file_server

from crydistill.download import DownloadError, RetryPolicy, download, sha256_of
from crydistill.lock import BusyError, exclusive
from crydistill.progress import Advance

BODY = random.Random(5).randbytes(300_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
OTHER = random.Random(6).randbytes(300_000)
QUICK = RetryPolicy(tries=3, first_wait=0.001, longest_wait=0.01, timeout=2.0)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as running:
        yield running


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "file.bin"


def left_behind(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir() if path != target)


def test_a_whole_file(server: FileServer, target: Path) -> None:
    url = server.put("file.bin", BODY)
    assert download(url, target, size=len(BODY), sha256=SHA256, retries=QUICK) == target
    assert target.read_bytes() == BODY
    assert left_behind(target) == []


def test_an_empty_file(server: FileServer, target: Path) -> None:
    download(server.put("file.bin", b""), target, retries=QUICK)
    assert target.read_bytes() == b""


def test_nothing_is_asked_when_it_is_there(server: FileServer, target: Path) -> None:
    url = server.put("file.bin", BODY)
    for _ in range(2):
        download(url, target, sha256=SHA256, retries=QUICK)
    assert len(server.requests) == 1


def test_a_wrong_file_in_its_place_is_replaced(server: FileServer, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"something else")
    download(server.put("file.bin", BODY), target, sha256=SHA256, retries=QUICK)
    assert target.read_bytes() == BODY


def test_goes_on_where_the_connection_dropped(server: FileServer, target: Path) -> None:
    url = server.put("file.bin", BODY, Fault(drop_after=100_000), Fault(drop_after=50_000))
    download(url, target, retries=QUICK)
    assert target.read_bytes() == BODY
    assert server.ranges() == [None, "bytes=100000-", "bytes=150000-"]
    etag = server.pages["/file.bin"].etag
    assert server.conditions == [None, etag, etag]
    assert server.bytes_sent == len(BODY)


def test_progress_makes_good_for_failures(server: FileServer, target: Path) -> None:
    drops = [Fault(drop_after=20_000) for _ in range(12)]
    download(server.put("file.bin", BODY, *drops), target, retries=QUICK)
    assert target.read_bytes() == BODY


def test_gives_up_without_progress_and_keeps_the_part(server: FileServer, target: Path) -> None:
    faults = [Fault(drop_after=100_000), *(Fault(drop_after=0) for _ in range(3))]
    url = server.put("file.bin", BODY, *faults)
    with pytest.raises(
        DownloadError, match=r"connection lost after 100,000 of 300,000 bytes.* 3 tries"
    ):
        download(url, target, retries=QUICK)
    assert not target.exists()
    download(url, target, retries=QUICK)
    assert target.read_bytes() == BODY
    assert server.ranges()[-1] == "bytes=100000-"


@pytest.mark.parametrize("validators", [True, False])
def test_a_server_that_ignores_the_range(
    server: FileServer, target: Path, validators: bool
) -> None:
    faults = [Fault(drop_after=100_000), Fault(ignore_range=True)]
    url = server.put("file.bin", BODY, *faults, validators=validators)
    download(url, target, sha256=SHA256, retries=QUICK)
    assert target.read_bytes() == BODY


def test_without_validator_or_hash_it_starts_anew(server: FileServer, target: Path) -> None:
    url = server.put("file.bin", BODY, Fault(drop_after=100_000), validators=False)
    download(url, target, retries=QUICK)
    assert target.read_bytes() == BODY
    assert server.ranges() == [None, None]


@pytest.mark.parametrize("ignore_condition", [False, True])
def test_a_changed_file_is_not_joined(
    server: FileServer, target: Path, ignore_condition: bool
) -> None:
    url = server.put("file.bin", BODY, *(Fault(drop_after=n) for n in (100_000, 0, 0)))
    with pytest.raises(DownloadError):
        download(url, target, retries=QUICK)
    server.put("file.bin", OTHER, Fault(ignore_condition=ignore_condition))
    download(url, target, retries=QUICK)
    assert target.read_bytes() == OTHER


def test_a_part_of_another_url_is_not_resumed(server: FileServer, target: Path) -> None:
    first = server.put("one", BODY, *(Fault(drop_after=n) for n in (100_000, 0, 0)))
    with pytest.raises(DownloadError):
        download(first, target, retries=QUICK)
    download(server.put("two", OTHER), target, retries=QUICK)
    assert target.read_bytes() == OTHER


def test_a_part_without_metadata_is_not_resumed(server: FileServer, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("file.bin.part").write_bytes(OTHER[:1000])
    download(server.put("file.bin", BODY), target, retries=QUICK)
    assert target.read_bytes() == BODY


def test_damaged_metadata_restarts_the_download(server: FileServer, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("file.bin.part").write_bytes(OTHER[:1000])
    target.with_name("file.bin.part.json").write_text('{"url": ')
    download(server.put("file.bin", BODY), target, retries=QUICK)
    assert target.read_bytes() == BODY


def test_a_complete_part_is_recognised(server: FileServer, target: Path) -> None:
    """State left by a kill between the last byte and the rename."""
    url = server.put("file.bin", BODY, *(Fault(drop_after=n) for n in (299_999, 0, 0)))
    with pytest.raises(DownloadError):
        download(url, target, retries=QUICK)
    with target.with_name("file.bin.part").open("ab") as part:
        part.write(BODY[-1:])
    download(url, target, retries=QUICK)
    assert target.read_bytes() == BODY
    assert server.ranges()[-1] == "bytes=300000-"


def test_a_part_longer_than_the_file_starts_anew(server: FileServer, target: Path) -> None:
    url = server.put("file.bin", BODY, *(Fault(drop_after=n) for n in (100_000, 0, 0)))
    with pytest.raises(DownloadError):
        download(url, target, retries=QUICK)
    target.with_name("file.bin.part").write_bytes(OTHER + OTHER)
    download(url, target, retries=QUICK)
    assert target.read_bytes() == BODY


def test_wrong_content_is_deleted_and_said(server: FileServer, target: Path) -> None:
    url = server.put("file.bin", OTHER)
    with pytest.raises(DownloadError, match=rf"{url}: sha256 is \w+ instead of {SHA256}; .*delet"):
        download(url, target, sha256=SHA256, retries=QUICK)
    assert not target.exists()
    assert left_behind(target) == []


def test_wrong_size_is_seen_before_downloading(server: FileServer, target: Path) -> None:
    url = server.put("file.bin", BODY)
    with pytest.raises(DownloadError, match="sends 300,000 bytes instead of 7"):
        download(url, target, size=7, retries=QUICK)
    assert not target.exists()


@pytest.mark.parametrize("size", [7, 300_001])
def test_wrong_size_without_a_length(server: FileServer, target: Path, size: int) -> None:
    url = server.put("file.bin", BODY, *(Fault(no_length=True) for _ in range(4)))
    with pytest.raises(DownloadError, match="300,000"):
        download(url, target, size=size, retries=QUICK)
    assert not target.exists()


def test_404_is_final(server: FileServer, target: Path) -> None:
    with pytest.raises(DownloadError, match="returned 404"):
        download(f"{server.address}/nothing", target, retries=QUICK)
    assert len(server.requests) == 1


def test_503_then_fine(server: FileServer, target: Path) -> None:
    url = server.put("file.bin", BODY, Fault(status=503), Fault(status=429, retry_after="0"))
    download(url, target, retries=QUICK)
    assert target.read_bytes() == BODY


def test_retry_after_is_obeyed_within_reason(server: FileServer, target: Path) -> None:
    url = server.put("file.bin", BODY, Fault(status=503, retry_after="3600"))
    retries = RetryPolicy(tries=3, first_wait=0.001, longest_wait=0.3)
    start = time.monotonic()
    download(url, target, retries=retries)
    assert 0.3 <= time.monotonic() - start < 2.0


def test_503_for_ever(server: FileServer, target: Path) -> None:
    url = server.put("file.bin", BODY, *(Fault(status=503) for _ in range(9)))
    with pytest.raises(DownloadError, match=r"returned 503 .* after 3 tries"):
        download(url, target, retries=QUICK)
    assert len(server.requests) == 3


def test_a_slow_server_is_waited_for(server: FileServer, target: Path) -> None:
    url = server.put("file.bin", BODY[:10_000], Fault(pause=0.1, block=1000))
    retries = RetryPolicy(tries=1, timeout=0.5)
    download(url, target, retries=retries)
    assert target.read_bytes() == BODY[:10_000]


def test_a_dead_server_is_not(server: FileServer, target: Path) -> None:
    url = server.put("file.bin", BODY, Fault(pause=1.0, block=1000))
    retries = RetryPolicy(tries=2, first_wait=0.001, timeout=0.1)
    download(url, target, retries=retries)
    assert target.read_bytes() == BODY
    assert server.ranges() == [None, "bytes=1000-"]


def test_nobody_there(target: Path) -> None:
    with file_server() as gone:
        url = gone.put("file.bin", BODY)
    with pytest.raises(DownloadError, match=f"{url}: no connection .* after 3 tries"):
        download(url, target, retries=QUICK)


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/x", "x"])
def test_only_web_addresses(target: Path, url: str) -> None:
    with pytest.raises(DownloadError, match="not an http or https URL"):
        download(url, target)


def test_progress_ends_at_the_size(server: FileServer, target: Path) -> None:
    opened: list[tuple[int, str]] = []
    steps: list[int] = []

    @contextmanager
    def meter(task: str, total: int, unit: str) -> Iterator[Advance]:
        assert task == "download file.bin"
        opened.append((total, unit))
        yield steps.append

    url = server.put("file.bin", BODY, Fault(drop_after=100_000), Fault(ignore_range=True))
    download(url, target, progress=meter, retries=QUICK)
    assert opened == [(300_000, "bytes")]
    assert sum(steps) == 300_000
    assert min(steps) == -100_000  # the second answer began again


def test_one_process_at_a_time(server: FileServer, target: Path) -> None:
    url = server.put("file.bin", BODY)
    with exclusive(target.with_name("file.bin.part.lock")), pytest.raises(BusyError):
        download(url, target, retries=QUICK)
    download(url, target, retries=QUICK)
    assert target.read_bytes() == BODY


def test_a_full_disk_is_named(server: FileServer, target: Path) -> None:
    resource = pytest.importorskip("resource", reason="needs POSIX limits to fill a disk")
    url = server.put("file.bin", BODY)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(DownloadError, match=r"file\.bin\.part: cannot be written \("):
            download(url, target, retries=QUICK)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    download(url, target, retries=QUICK)
    assert target.read_bytes() == BODY
    assert server.ranges() == [None, "bytes=100000-"]


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9")
def test_killed_in_the_middle_it_goes_on(server: FileServer, target: Path) -> None:
    url = server.put("file.bin", BODY, Fault(pause=0.05, block=10_000))
    program = f"from crydistill.download import download; download({url!r}, {str(target)!r})"
    child = subprocess.Popen([sys.executable, "-c", program])
    part = target.with_name("file.bin.part")
    deadline = time.monotonic() + 20
    while not (part.is_file() and part.stat().st_size >= 100_000):
        assert time.monotonic() < deadline and child.poll() is None
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    kept = part.stat().st_size
    assert not target.exists()

    download(url, target, sha256=SHA256, retries=QUICK)
    assert target.read_bytes() == BODY
    assert server.ranges()[-1] == f"bytes={kept}-"
    assert left_behind(target) == []


def test_sha256_of(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(BODY)
    assert sha256_of(path) == SHA256
