"""What commands say, whatever the files are called."""

import subprocess
import sys
from pathlib import Path

import pytest

from crydistill.cli.common import tell

PROGRAM = [sys.executable, "-m", "crydistill"]
ODD = "clear \x1b[2J\r\x9b31m\nline\u2028"
SHOWN = r"clear \x1b[2J\r\x9b31m\nline\u2028"


def test_a_message_is_one_line_and_no_command_to_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tell(f"{ODD}: grüßt 日本")
    assert capsys.readouterr().err == f"{SHOWN}: grüßt 日本\n"


@pytest.mark.skipif(sys.platform == "win32", reason="no such names there")
@pytest.mark.parametrize("verb", ["detect", "profile", "guard"])
def test_names_of_files_do_not_reach_the_terminal_as_they_are(verb: str, tmp_path: Path) -> None:
    path = tmp_path / f"{ODD}.wav"
    # For the guard, what it finds is sound; for the others, what they cannot read is none.
    path.write_bytes(b"RIFF\x24\0\0\0WAVEfmt " if verb == "guard" else b"nothing")
    done = subprocess.run([*PROGRAM, verb, str(path)], capture_output=True, check=False)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode in (1, 2) and SHOWN in said
    assert all(line.isprintable() for line in said.split("\n"))
