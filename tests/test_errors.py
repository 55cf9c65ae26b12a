"""What of a library's exception a message repeats."""

import pytest

from crydistill.errors import first_line


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
