"""What of a library's exception a message repeats."""

import errno

import pytest

from crydistill.errors import CorpusError, first_line, what_failed


@pytest.mark.parametrize(
    ("said", "repeated"),
    [
        ("disk full", "disk full"),
        ("disk full\nat line 3", "disk full"),
        ("\n\n  disk full  \nat line 3", "disk full"),
        ("", "OSError"),
        (" \n\n", "OSError"),
    ],
)
def test_the_first_line_that_says_something(said: str, repeated: str) -> None:
    assert first_line(OSError(said)) == repeated


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (OSError(errno.ENOSPC, "No space left on device", "a.wav"), "a.wav: No space left on dev"),
        (PermissionError(errno.EACCES, "Permission denied", b"\xff.wav"), "\udcff.wav: Permission"),
        (OSError("cannot be read"), "cannot be read"),
        (CorpusError("a.csv, row 2: no such label"), "a.csv, row 2: no such label"),
    ],
)
def test_a_file_that_the_system_refuses_is_named(error: Exception, said: str) -> None:
    assert what_failed(error).startswith(said)
    assert "Errno" not in what_failed(error)
