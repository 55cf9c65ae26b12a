"""Which students meet the known faults of vendors' kernels."""

import re
from dataclasses import replace

import yaml
from tests.test_version import ROOT

from crydistill.device.geometry import Window
from crydistill.device.kernel_faults import (
    CMSIS_NN,
    ESP_NN,
    KERNEL_FAULTS,
    KernelFault,
    faults_met,
    first_sound_version,
)
from crydistill.student.packaged import packaged_student
from crydistill.student.runtime import TFLITE_NAME
from crydistill.tflite.file import read_tflite

EVEN = Window(
    height=96,
    width=64,
    channels=16,
    out_height=96,
    out_width=64,
    filters=16,
    filter_height=3,
    filter_width=3,
    stride_height=1,
    stride_width=1,
    dilation_height=1,
    dilation_width=1,
    pad_height=1,
    pad_width=1,
)
"""3x3 with one row and column of padding on each side."""


def fault(number: str) -> KernelFault:
    (found,) = [fault for fault in KERNEL_FAULTS if fault.source.endswith(number)]
    return found


def test_more_padding_behind_than_in_front() -> None:
    meets = fault("esp-nn/issues/31").meets
    assert not meets(EVEN)
    # 96 rows by twos: none in front, one behind.
    halved = {"out_height": 48, "out_width": 32, "stride_height": 2, "stride_width": 2}
    assert meets(replace(EVEN, **halved, pad_height=0, pad_width=0))
    # Without padding at all.
    assert not meets(replace(EVEN, out_height=94, out_width=62, pad_height=0, pad_width=0))
    assert not meets(replace(EVEN, filter_height=1, filter_width=1, pad_height=0, pad_width=0))


def test_rows_and_columns_padded_differently() -> None:
    meets = fault("esp-nn/issues/30").meets
    assert meets(replace(EVEN, pad_width=0))
    assert not meets(EVEN)
    assert not meets(replace(EVEN, pad_width=0, channels=8))


def test_strides_over_one_padded_row() -> None:
    meets = fault("CMSIS-NN/issues/109").meets
    flat = {"height": 1, "filter_height": 1, "pad_height": 0, "out_height": 1}
    row = replace(EVEN, **flat, stride_width=4, out_width=16)
    assert meets(row)
    assert not meets(replace(row, stride_width=1, out_width=64))
    assert not meets(EVEN)


def test_the_packaged_student_meets_one() -> None:
    """Its first layer, 7x7 by fours, has one row in front and two behind."""
    file = read_tflite((packaged_student() / TFLITE_NAME).read_bytes())
    (line,) = faults_met(file, ESP_NN)
    assert line.startswith("ESP-NN before 1.2.6, layer 0 (CONV_2D): ")
    assert line.endswith("(https://github.com/espressif/esp-nn/issues/31)")
    assert faults_met(file, CMSIS_NN) == ()


def test_all_layers_that_meet_a_fault_are_in_one_line(reference_tflite: bytes) -> None:
    for library in (ESP_NN, CMSIS_NN):
        for line in faults_met(read_tflite(reference_tflite), library):
            assert re.match(rf"{library} before [\d.]+, layers? [\d, ]+ \(\w+\): ", line)


def test_sound_versions() -> None:
    assert first_sound_version(ESP_NN) == "1.2.6"
    assert first_sound_version(CMSIS_NN) == "6.0.0"


def test_the_esp_idf_backend_depends_on_a_sound_version() -> None:
    path = ROOT / "firmware" / "esp-idf" / "crydistill_tflm" / "idf_component.yml"
    needed = yaml.safe_load(path.read_text(encoding="utf-8"))["dependencies"]
    assert needed["espressif/esp-nn"] == f">={first_sound_version(ESP_NN)}"
