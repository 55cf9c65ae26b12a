"""TensorFlow's messages at its start are dropped; whatever else is said arrives."""

import subprocess
import sys

ONEDNN = "I0000 00:00:1795795923.056128   14376 port.cc:153] oneDNN custom operations are on."
KNOWN = [
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    ONEDNN,
    "W0000 00:00:1795795923.1 1437 computation_placer.cc:177] already registered",
    "E0000 00:00:1795795923.1 1437 cuda_dnn.cc:8579] Unable to register cuDNN factory: again",
    "2026-01-02 03:04:05.678901: I tensorflow/core/util/port.cc:153] oneDNN custom operations",
]
REAL = [
    "E0000 00:00:1795795923.1 1437 memory.cc:12] out of memory",
    "F0000 00:00:1795795923.1 1437 cpu.cc:37] compiled to use AVX instructions",
    "I wrote this myself",
    "Traceback (most recent call last):",
]


def written(body: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", body], capture_output=True, text=True, check=False)


def test_noise_is_dropped_and_the_rest_arrives() -> None:
    lines = [line for pair in zip(KNOWN, REAL, strict=False) for line in pair]
    lines += KNOWN[len(REAL) :]
    found = written(
        "import os, sys\n"
        "from crydistill.native_noise import filtered_stderr\n"
        "with filtered_stderr():\n"
        f"    for line in {lines!r}: os.write(2, line.encode() + b'\\n')\n"
        f"os.write(2, {ONEDNN.encode()!r})\n"
    )
    assert found.returncode == 0
    assert found.stderr.splitlines() == [*REAL, ONEDNN]  # after the block nothing is filtered


def test_last_words_of_a_library_that_ends_the_process_arrive() -> None:
    found = written(
        "import os\n"
        "from crydistill.native_noise import filtered_stderr\n"
        "with filtered_stderr():\n"
        "    os.write(2, b'F0000 no AVX\\n'); os._exit(3)\n"
    )
    assert (found.returncode, found.stderr) == (3, "F0000 no AVX\n")


def test_tensorflow_is_imported_without_a_word() -> None:
    found = written(
        "from crydistill.native_noise import silence_tensorflow\n"
        "silence_tensorflow()\n"
        "import tensorflow as tf, sys\n"
        "print(tf.constant(2) + 1)\n"
        "print('heard', file=sys.stderr)\n"
    )
    assert found.returncode == 0, found.stderr
    assert "tf.Tensor(3" in found.stdout
    assert found.stderr == "heard\n"
