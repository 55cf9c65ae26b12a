import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from crydistill.errors import SetupError
from crydistill.lock import BusyError, exclusive


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    lock = tmp_path / "new" / "lock"
    with exclusive(lock), pytest.raises(BusyError, match="another crydistill"), exclusive(lock):
        pass
    with exclusive(lock):
        pass
    assert not lock.exists()


def test_released_when_the_block_raises(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), exclusive(tmp_path / "lock"):
        _ = 1 / 0
    with exclusive(tmp_path / "lock"):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9")
def test_a_killed_holder_does_not_hold(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    program = (
        "from crydistill.lock import exclusive\n"
        f"with exclusive({str(lock)!r}):\n"
        "    print('held', flush=True)\n"
        "    input()"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(BusyError), exclusive(lock):
            pass
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert lock.exists()
    with exclusive(lock):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="flock")
def test_a_file_system_without_locks_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    with (
        pytest.raises(SetupError, match=r"lock: this file system has no locks \(No locks"),
        exclusive(tmp_path / "lock"),
    ):
        pass
