import json
import shutil
from pathlib import Path

import pytest
from tests.student_fixtures import manifest_for

from crydistill.device.emulator import CORES
from crydistill.device.export import export_c
from crydistill.device.firmware_cost import _bytes, measure
from crydistill.errors import ConfigError

FIRMWARE = Path(__file__).parents[2] / "firmware"


def test_missing_tools_are_named(monkeypatch: pytest.MonkeyPatch, reference_tflite: bytes) -> None:
    monkeypatch.setattr(shutil, "which", lambda tool: None if "qemu" in tool else tool)
    with pytest.raises(
        ConfigError,
        match="qemu-system-arm, qemu-system-riscv32, qemu-system-xtensa: install them with firmw",
    ):
        measure(reference_tflite, manifest_for(reference_tflite), FIRMWARE)


def test_bytes_by_owner_leave_out_what_is_not_linked() -> None:
    found = _bytes(
        "Discarded input sections\n"
        " .text.crydistill_add_int8\n                0x00000000       0x99 b/c.elf-crydistill.o\n"
        "Linker script and memory map\n"
        " .text.run      0x00000010       0x20 b/cost-m4.elf-crydistill_model.o\n"
        " .rodata.weights_1\n                0x00000030      0x100 b/c.elf-crydistill_model.o\n"
        " .text.push     0x00000130        0x8 b/c.elf-crydistill.o\n"
        " .text.main     0x00000138       0x40 b/c.elf-cost.o\n"
        " .bss.ear       0x20000000       0x64 b/c.elf-cost.o\n"
        " .bss.arena     0x20000064       0xc8 b/c.elf-cost.o\n"
        " .text          0x00000178       0x10 /lib/libm.a(log.o)\n"
    )
    assert found == {
        "code": 8,
        "libm": 16,
        "tables": 0,
        "student": 0x120,
        "arena": 200,
        "state": 100,
    }


def test_measured(reference_tflite: bytes, tmp_path: Path) -> None:
    tools = {tool for core in CORES for tool in core.tools}
    if missing := sorted(tool for tool in tools if shutil.which(tool) is None):
        pytest.skip(f"needs {', '.join(missing)} (firmware/install-emulators.sh)")
    manifest = manifest_for(reference_tflite)
    found = json.loads(json.dumps(measure(reference_tflite, manifest, FIRMWARE)))
    exported = export_c(reference_tflite, manifest, tmp_path)
    assert found["cores"].keys() == {core.title for core in CORES}
    for core in found["cores"].values():
        counts, size = core["instructions"], core["bytes"]
        macs = found["student"]["macs"]
        assert 0.5 * macs < counts["network_per_window"] < 20 * macs
        assert 1e6 < counts["front_end_per_second"] < 2e8
        assert size["arena"] == exported.arena_bytes
        assert 0 < size["student"] - exported.constant_bytes < 4_096
        assert 2_000 < size["code"] < 14_000
        assert 256 < size["stack"] < 4_096
        assert [x["operator"] for x in core["layers"]] == ["CONV_2D"] + 4 * [
            "DEPTHWISE_CONV_2D",
            "CONV_2D",
        ] + ["MEAN", "FULLY_CONNECTED"]
        total = sum(layer["instructions"] for layer in core["layers"])
        assert total == pytest.approx(counts["network_per_window"], rel=0.001)
