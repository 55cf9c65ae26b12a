import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from tests.student_fixtures import EMBEDDING, MEMORY_WINDOWS, manifest_for

from crydistill.detector.vote import VoteSettings
from crydistill.device.component import (
    _RESOLVER_METHODS,
    export_esp_idf,
    tflm_arena_bytes,
)
from crydistill.device.esp_nn import non_persistent_bytes
from crydistill.errors import ConfigError
from crydistill.student.manifest import Arena
from crydistill.tflite.arena import arena_bytes
from crydistill.tflite.file import ALIGNMENT, OPERATOR_KINDS, read_tflite


def test_the_example_stays_as_its_owner_has_it(reference_tflite: bytes, tmp_path: Path) -> None:
    manifest, said = manifest_for(reference_tflite), list[str]()
    export_esp_idf(reference_tflite, manifest, tmp_path)
    mine = tmp_path / "listen" / "main" / "main.c"
    mine.write_text("// my microphone\n")
    export_esp_idf(reference_tflite, manifest, tmp_path, say=said.append)
    assert mine.read_text() == "// my microphone\n"
    assert said == [f"{mine}: is kept as it is; for a new one delete it and export again"]


def test_the_same_student_gives_the_same_component(reference_tflite: bytes, tmp_path: Path) -> None:
    manifest = manifest_for(reference_tflite)
    first = export_esp_idf(reference_tflite, manifest, tmp_path / "a")
    second = export_esp_idf(reference_tflite, manifest, tmp_path / "b")
    assert [path.relative_to(tmp_path / "a") for path in first] == [
        path.relative_to(tmp_path / "b") for path in second
    ]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
        assert str(tmp_path).encode() not in one.read_bytes()


def test_the_resolver_has_the_operators_of_the_graph(
    residual_tflite: bytes, tmp_path: Path
) -> None:
    manifest = manifest_for(residual_tflite, outputs=("a", "b", "c", "d"), cry_outputs=(1,))
    export_esp_idf(residual_tflite, manifest, tmp_path)
    header = (tmp_path / "crydistill_tflm/model/crydistill_tflite.h").read_text(encoding="utf-8")
    added = re.findall(r"\(resolver\)\.Add(\w+)\(\)", header)
    assert added == [
        "Add",
        "AveragePool2D",
        "Conv2D",
        "DepthwiseConv2D",
        "FullyConnected",
        "Pad",
        "Reshape",
    ]
    assert f"#define CRYDISTILL_TFLM_OPERATORS {len(added)}\n" in header


def test_with_esp_nn_the_component_brings_the_adapter_and_depends_on_it(
    residual_tflite: bytes, tmp_path: Path
) -> None:
    manifest = manifest_for(residual_tflite, outputs=("a", "b", "c", "d"), cry_outputs=(1,))
    written = export_esp_idf(residual_tflite, manifest, tmp_path, kernels="esp-nn")
    component = tmp_path / "crydistill"
    assert component / "src" / "crydistill_esp_nn.c" in written
    assert len(set(written)) == len(written)
    model = (component / "model" / "crydistill_model.c").read_text(encoding="utf-8")
    assert ".conv_2d = crydistill_esp_nn_conv_2d,\n" in model
    needed = yaml.safe_load((component / "idf_component.yml").read_text(encoding="utf-8"))
    assert needed["dependencies"] == {"idf": ">=5.1", "espressif/esp-nn": ">=1.2.6"}


def test_with_its_own_kernels_the_component_depends_on_no_vendor(
    residual_tflite: bytes, tmp_path: Path
) -> None:
    manifest = manifest_for(residual_tflite, outputs=("a", "b", "c", "d"), cry_outputs=(1,))
    written = export_esp_idf(residual_tflite, manifest, tmp_path)
    assert not [path for path in written if "esp_nn" in path.name]
    needed = yaml.safe_load((tmp_path / "crydistill/idf_component.yml").read_text("utf-8"))
    assert needed["dependencies"].keys() == {"idf"}


def test_cmsis_nn_is_not_for_esp_idf(residual_tflite: bytes, tmp_path: Path) -> None:
    manifest = manifest_for(residual_tflite, outputs=("a", "b", "c", "d"), cry_outputs=(1,))
    with pytest.raises(ConfigError, match="'cmsis-nn' are not for ESP-IDF"):
        export_esp_idf(residual_tflite, manifest, tmp_path, kernels="cmsis-nn")


def test_the_arena_of_a_student_with_memory_has_room_for_it(
    memory_tflite: bytes, tmp_path: Path
) -> None:
    export_esp_idf(memory_tflite, manifest_for(memory_tflite), tmp_path)
    header = (tmp_path / "crydistill_tflm/model/crydistill_tflite.h").read_text(encoding="utf-8")
    added = re.findall(r"\(resolver\)\.Add(\w+)\(\)", header)
    assert {"Concatenation", "StridedSlice"} <= set(added)
    arena = re.search(r"CRYDISTILL_TFLM_ARENA_BYTES (\d+)", header)
    assert arena is not None
    needed = MEMORY_WINDOWS * EMBEDDING + arena_bytes(memory_tflite)
    assert int(arena[1]) >= needed


def test_every_allowed_operator_has_a_resolver_method() -> None:
    assert _RESOLVER_METHODS.keys() == {kind.name for kind in OPERATOR_KINDS.values()}


def test_the_file_travels_byte_for_byte(reference_tflite: bytes, tmp_path: Path) -> None:
    export_esp_idf(reference_tflite, manifest_for(reference_tflite), tmp_path)
    source = (tmp_path / "crydistill_tflm/model/crydistill_tflite.c").read_text(encoding="utf-8")
    values = source[source.index("{") + 1 : source.index("}")].replace(",", " ").split()
    assert np.array(values, dtype=np.uint8).tobytes() == reference_tflite


@pytest.mark.parametrize("measured", [43_168, None])
def test_the_arena_is_what_was_measured_and_scratch(
    measured: int | None, reference_tflite: bytes
) -> None:
    arena = None
    if measured is not None:
        arena = Arena(size_bytes=measured, tflite_micro="0", host_bits=64)
    file = read_tflite(reference_tflite)
    found = tflm_arena_bytes(file, manifest_for(reference_tflite, arena=arena))
    scratch = non_persistent_bytes(file, esp_nn=True) - non_persistent_bytes(file, esp_nn=False)
    assert found % ALIGNMENT == 0
    assert scratch > 0
    if measured is not None:
        assert 0 <= found - measured - scratch < ALIGNMENT
    else:
        assert found > non_persistent_bytes(file, esp_nn=True) + 8_192


ROOM = VoteSettings(threshold=0.4321, n=3, m=6, hold_seconds=7.25)


@pytest.mark.parametrize(
    ("calibrated", "expected"),
    [
        (ROOM, {"THRESHOLD": "4321", "N": "3 if CRYDISTILL_M >= 3", "M": "6", "HOLD_MS": "7250"}),
        (None, {"THRESHOLD": "1000", "N": "5 if CRYDISTILL_M >= 5", "M": "9", "HOLD_MS": "10000"}),
    ],
)
def test_kconfig_starts_from_the_same_settings(
    calibrated: VoteSettings | None,
    expected: dict[str, str],
    reference_tflite: bytes,
    tmp_path: Path,
) -> None:
    manifest = manifest_for(reference_tflite)
    export_esp_idf(reference_tflite, manifest, tmp_path, calibrated=calibrated)
    text = (tmp_path / "crydistill" / "Kconfig").read_text(encoding="utf-8")
    for name, value in expected.items():
        symbol = text[text.index(f"config CRYDISTILL_{name}\n") :]
        assert re.search(r"default (.+)", symbol)[1] == value  # type: ignore[index]
    # Nothing is left to fill in; the template's comment aside.
    assert re.findall(r"@[A-Z_]+@", text) == []


def test_a_student_without_presets_has_a_kconfig(reference_tflite: bytes, tmp_path: Path) -> None:
    export_esp_idf(reference_tflite, manifest_for(reference_tflite, presets={}), tmp_path)
    assert "@" not in (tmp_path / "crydistill" / "Kconfig").read_text("utf-8").partition("menu")[2]
