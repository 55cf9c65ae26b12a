"""Any settings and samples at the PCM boundary: `firmware/host/fuzz.c` for a few seconds."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.firmware.programs import build, need
from tests.student_fixtures import manifest_for

SECONDS = 3


SIGMOIDS = {"activation": "sigmoid", "outputs": ("cry", "b", "c", "d"), "cry_outputs": (0, 2)}


@pytest.mark.parametrize(
    ("front_end", "student", "changes"),
    [
        ("float", "residual_tflite", SIGMOIDS),
        ("fixed", "residual_tflite", SIGMOIDS),
        ("fixed", "memory_tflite", {}),
    ],
)
def test_nothing_breaks(
    front_end: str,
    student: str,
    changes: dict[str, Any],
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    need("make", "clang")
    tflite = request.getfixturevalue(student)
    manifest = manifest_for(tflite, **changes)
    if not _has_libfuzzer(tmp_path):
        pytest.skip("clang has no libFuzzer (libclang-rt-dev, firmware/install-emulators.sh)")
    settings = {"FIXED": "1"} if front_end == "fixed" else {}
    program = build("fuzz", tflite, manifest, tmp_path, **settings)
    done = subprocess.run(
        # No limit of resident memory: Linux counts the parent's peak as this process's own, and a
        # test process that has trained students is beyond any limit. Leaks are looked for anyhow.
        [
            program.binary,
            *(f"-max_total_time={SECONDS}", "-seed=1", "-max_len=4096"),
            *("-rss_limit_mb=0", "-malloc_limit_mb=64"),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Done " in done.stderr


def _has_libfuzzer(directory: Path) -> bool:
    source = directory / "empty.c"
    source.write_text(
        "#include <stddef.h>\n#include <stdint.h>\n"
        "int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n) { return d == 0 && n > 0; }\n",
        encoding="utf-8",
    )
    command = ["clang", "-fsanitize=fuzzer,address", str(source), "-o", str(directory / "empty")]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
