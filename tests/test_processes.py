"""How much of the processors a process takes from others."""

import subprocess
import sys

import pytest

LOWERED = """
import os, threading
from crydistill.processes import give_way

release = threading.Event()
before = threading.Thread(target=release.wait)
before.start()
give_way()
give_way()
after = threading.Thread(target=release.wait)
after.start()
threads = [0, before.native_id, after.native_id]
print(*(os.getpriority(os.PRIO_PROCESS, thread) for thread in threads))
release.set()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="priorities of threads")
def test_threads_that_run_and_later_ones_give_way() -> None:
    started = [sys.executable, "-c", LOWERED]
    done = subprocess.run(started, capture_output=True, text=True, check=True)
    assert [int(each) >= 10 for each in done.stdout.split()] == [True] * 3


@pytest.mark.skipif(sys.platform != "linux", reason="priorities of threads")
def test_who_gives_way_more_keeps_to_that() -> None:
    lowest = ["nice", "-n", "19", sys.executable, "-c", LOWERED]
    done = subprocess.run(lowest, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["19"] * 3
