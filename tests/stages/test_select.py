"""What selecting leaves unloaded."""

import subprocess
import sys


def test_selecting_loads_no_keras() -> None:
    """It would take a quarter of the memory that a million clips need, and seconds."""
    script = "import sys, crydistill.stages.select; print({'keras', 'torch'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "set()"), done.stderr
