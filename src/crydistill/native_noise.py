"""Filter native log messages of TensorFlow from standard error.

While TensorFlow is imported its libraries write lines like `I0000 ... port.cc:153] oneDNN custom
operations are on` straight to the process's standard error. They go through a filter there that
drops what is known to mean nothing and passes on everything else, real errors included.
"""

import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType

_NOISE = (
    r"^WARNING: All log messages before absl::InitializeLog"
    r"|^[IW]\d{4} \d\d:\d\d:\d+\.\d+ +\d+ \S+:\d+\] "  # information and warnings of C++ code
    r"|^E\d{4} .*Unable to register cu\w+ factory"
    r"|^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IW] tensorflow/"
)

# Another process, because this one holds the interpreter's lock while it loads a library, and may
# end there: what it said last must be seen all the same.
_FILTER = """
import re, sys
noise = re.compile(sys.argv[1].encode())
for line in sys.stdin.buffer:
    if not noise.match(line):
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
"""


def silence_tensorflow() -> None:
    """Filter what TensorFlow writes to standard error while it is imported, whoever imports it."""
    # Silences its C++ code once it is loaded.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.meta_path.insert(0, _TensorFlowFinder())


class _TensorFlowFinder:
    """Finds TensorFlow where it is, and has it run with standard error filtered."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if fullname != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_filtered(module: ModuleType) -> None:
                with filtered_stderr():
                    execute(module)

            setattr(spec.loader, "exec_module", execute_filtered)  # noqa: B010 - mypy
        return spec


@contextmanager
def filtered_stderr() -> Iterator[None]:
    """Drop TensorFlow's noise from what is written to standard error inside the `with` block."""
    import subprocess

    sys.stderr.flush()
    saved = os.dup(2)
    # In a session of its own, so that Ctrl-C ends it only when its input ends.
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _FILTER, _NOISE],
        stdin=subprocess.PIPE,
        stdout=saved,
        start_new_session=True,
    ) as filtering:
        assert filtering.stdin is not None
        os.dup2(filtering.stdin.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
