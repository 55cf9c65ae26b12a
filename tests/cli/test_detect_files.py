"""A batch of recordings of which some cannot be read."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from tests.audio.encode import encode, sweep


def detect(*words: str | Path, encoding: str = "utf-8") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "crydistill", "detect", *words],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def phone(tmp_path: Path) -> Path:
    return encode(tmp_path / "phone.m4a", "aac", 44_100, sweep(3, 44_100))


def test_one_bad_file_never_ends_a_batch(phone: Path, tmp_path: Path) -> None:
    (tmp_path / "take.raw").write_bytes(bytes(range(256)) * 200)
    (tmp_path / "empty.wav").touch()
    soundfile.write(tmp_path / "last.flac", sweep(2, 16_000), 16_000)
    bad = [tmp_path / "take.raw", tmp_path / "empty.wav", tmp_path, tmp_path / "nowhere.mp3"]
    done = detect(bad[0], phone, *bad[1:], tmp_path / "last.flac")
    assert done.returncode == 1
    heard = [line for line in done.stdout.splitlines() if "highest score" in line]
    assert [line.split(", ")[0] for line in heard] == [
        f"{phone}: 0:03.0", f"{tmp_path / 'last.flac'}: 0:02.0",
    ]  # fmt: skip
    complaints = done.stderr.splitlines()
    assert len(complaints) == len(bad)
    assert all(line.startswith("crydistill: ") for line in complaints)
    assert detect(*bad).returncode == 2


def test_a_name_that_the_terminal_cannot_show(phone: Path) -> None:
    named = phone.rename(phone.with_name("夜.m4a"))
    done = detect(named, encoding="cp1252")
    assert done.returncode == 0, done.stderr
    assert "\\u591c.m4a: 0:03.0" in done.stdout


@pytest.mark.skipif(os.name == "nt", reason="closes a file descriptor by a shell")
def test_standard_error_may_be_closed(phone: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", '"$0" -m crydistill detect "$1" "$2" 2>&-',
         sys.executable, phone, phone.with_name("none.wav")],
        stdout=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout.startswith(f"{phone}: 0:03.0")
