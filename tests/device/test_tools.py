import sys

import pytest

from crydistill.device import tools
from crydistill.errors import ConfigError


def test_missing_tools_are_named() -> None:
    with pytest.raises(
        ConfigError, match="needs no-such-a, no-such-b: install them with firmware/install"
    ):
        tools.require("no-such-b", "no-such-a", sys.executable, "no-such-a")


def test_what_a_tool_prints() -> None:
    program = "import sys; sys.stdout.buffer.write(bytes([0, 255, 10]))"
    assert tools.run_raw(sys.executable, "-c", program) == b"\x00\xff\n"
    assert tools.run(sys.executable, "-c", "print('\u00e9')").strip() == "\u00e9"


def test_a_failing_tool_says_its_first_error() -> None:
    program = "import sys; print('a.c:1: error: no\\ndone', file=sys.stderr); sys.exit(1)"
    with pytest.raises(ConfigError, match=r"failed \(a.c:1: error: no\)"):
        tools.run(sys.executable, "-c", program)


def test_a_tool_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "_TIMEOUT_SECONDS", 0.5)
    with pytest.raises(ConfigError, match="timed out after"):
        tools.run(sys.executable, "-c", "import time; time.sleep(60)")
