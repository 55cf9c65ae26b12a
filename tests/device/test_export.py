import hashlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.device.conftest import non_persistent_bytes
from tests.student_fixtures import EMBEDDING, MEMORY_WINDOWS, manifest_for
from tests.tflite.editing import damaged, edited, structure_bytes, tensor
from typer.testing import CliRunner

from crydistill.audio import mel
from crydistill.cli import app
from crydistill.detector.calibrated import (
    CalibratedSettings,
    Method,
    RoomCalibration,
    save_settings,
)
from crydistill.detector.vote import VoteSettings
from crydistill.device import c_layers
from crydistill.device.c_arena import plan_arena
from crydistill.device.c_layers import fixed_point, layer_in_c
from crydistill.device.c_text import array, float32
from crydistill.device.export import default_preset, export_c
from crydistill.device.packages import TREES
from crydistill.errors import ConfigError, ModelError
from crydistill.student.activation import Activation
from crydistill.student.manifest import (
    MANIFEST_NAME,
    FrontEnd,
    StudentManifest,
    ThresholdPreset,
    load_manifest,
)
from crydistill.student.packaged import packaged_student
from crydistill.tflite.check import inspect_tflite
from crydistill.tflite.file import ALIGNMENT, OPERATOR_KINDS, TfliteFile, read_tflite
from crydistill.tflite.memory import MEMORY, memory_tensor

FILES = [
    "crydistill_tables.h",
    "crydistill_tables.c",
    "crydistill_model.h",
    "crydistill_model.c",
]


def small_manifest(tflite: bytes) -> StudentManifest:
    return manifest_for(tflite, outputs=("a", "b", "c", "d"), cry_outputs=(1,))


def text_of(directory: Path) -> str:
    return "".join((directory / name).read_text(encoding="utf-8") for name in FILES)


def test_the_same_student_gives_the_same_files(reference_tflite: bytes, tmp_path: Path) -> None:
    manifest = manifest_for(reference_tflite)
    exported = export_c(reference_tflite, manifest, tmp_path / "a")
    export_c(reference_tflite, manifest, tmp_path / "b")
    assert [path.name for path in exported.files] == FILES
    assert text_of(tmp_path / "a") == text_of(tmp_path / "b")
    assert str(tmp_path) not in text_of(tmp_path / "a")
    assert max(map(len, text_of(tmp_path / "a").splitlines())) <= 100


def test_only_the_kernels_in_the_graph(
    reference_tflite: bytes, residual_tflite: bytes, tmp_path: Path
) -> None:
    exported = export_c(reference_tflite, manifest_for(reference_tflite), tmp_path)
    assert exported.kernels == (
        "crydistill_conv_2d",
        "crydistill_depthwise_conv_2d",
        "crydistill_fully_connected",
        "crydistill_mean_2d",
    )
    assert "pool" not in (tmp_path / "crydistill_model.c").read_text(encoding="utf-8")
    residual = export_c(residual_tflite, small_manifest(residual_tflite), tmp_path)
    assert set(residual.kernels) == {
        "crydistill_add_int8",
        "crydistill_average_pool_2d",
        "crydistill_conv_2d",
        "crydistill_depthwise_conv_2d",
        "crydistill_fully_connected",
        "crydistill_pad_2d",
    }


def test_every_allowed_operator_has_a_kernel() -> None:
    computed = {kind.name for kind in OPERATOR_KINDS.values()} - {"RESHAPE"}
    assert set(c_layers._WRITERS) == computed


def test_the_counting_program_knows_every_kernel() -> None:
    """One that its table lacks would be called at address 0, under emulation only."""
    firmware = Path(__file__).parents[2] / "firmware"
    header = (firmware / "src" / "crydistill_engine.h").read_text(encoding="utf-8")
    table = header.partition("struct crydistill_kernels {")[2].partition("};")[0]
    counting = (firmware / "emulator" / "cost.c").read_text(encoding="utf-8")
    places = set(re.findall(r"\(\*(\w+)\)", table))
    assert len(places) == len(c_layers._WRITERS)
    assert set(re.findall(r"\.(\w+) = counted_\1,", counting)) == places


def lifetimes(file: TfliteFile) -> dict[int, tuple[int, int]]:
    """First and last operator that touches each intermediate tensor, computed naively.

    The memory, before and after, lives from window to window.
    """
    found = {}
    for index in range(len(file.tensors)):
        touching = [
            position
            for position, operator in enumerate(file.operators)
            if index in (*operator.inputs, *operator.outputs)
        ]
        if index in file.outputs:
            touching.append(len(file.operators))
        if index in (*file.inputs[MEMORY:], *file.outputs[MEMORY:]):
            touching = [0, len(file.operators)]
        if touching:
            found[index] = (touching[0], touching[-1])
    return found


@pytest.mark.parametrize("student", ["reference_tflite", "residual_tflite", "memory_tflite"])
def test_live_tensors_do_not_overlap(student: str, request: pytest.FixtureRequest) -> None:
    file = read_tflite(request.getfixturevalue(student))
    plan, alive = plan_arena(file), lifetimes(file)
    views = {o.outputs[0]: o.inputs[0] for o in file.operators if o.name == "RESHAPE"}
    if memory_tensor(file) is not None:
        # The new one takes the place of the old.
        views[file.outputs[MEMORY]] = file.inputs[MEMORY]
        assert plan.offsets[file.inputs[MEMORY]] == plan.offsets[file.outputs[MEMORY]] == 0
    for a, start in plan.offsets.items():
        assert start % ALIGNMENT == 0
        assert start + file.tensors[a].size <= plan.size
        for b, other in plan.offsets.items():
            together = alive[a][0] <= alive[b][1] and alive[b][0] <= alive[a][1]
            if a != b and together and views.get(a) != b and views.get(b) != a:
                apart = start + file.tensors[a].size <= other
                assert apart or other + file.tensors[b].size <= start


@pytest.mark.parametrize("student", ["reference_tflite", "residual_tflite"])
def test_no_more_than_tflite_micros_non_persistent_arena(
    student: str, request: pytest.FixtureRequest, capfd: pytest.CaptureFixture[str]
) -> None:
    tflite = request.getfixturevalue(student)
    assert plan_arena(read_tflite(tflite)).size <= non_persistent_bytes(tflite, capfd)


def test_a_memory_costs_its_own_bytes(
    memory_tflite: bytes, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    size = MEMORY_WINDOWS * EMBEDDING
    plan = plan_arena(read_tflite(memory_tflite))
    assert plan.memory_bytes == size
    assert plan.size <= non_persistent_bytes(memory_tflite, capfd) + size + ALIGNMENT
    exported = export_c(memory_tflite, manifest_for(memory_tflite), tmp_path)
    assert exported.arena_bytes == plan.size
    assert {"crydistill_concatenate", "crydistill_slice"} <= set(exported.kernels)
    source = (tmp_path / "crydistill_model.c").read_text(encoding="utf-8")
    memory = inspect_tflite(memory_tflite).memory
    assert memory is not None
    assert f"    .memory_bytes = {size},\n" in source
    assert f"    .memory_zero_point = {memory.zero_point},\n" in source


def test_a_student_without_memory_has_nothing_of_one(
    reference_tflite: bytes, tmp_path: Path
) -> None:
    assert plan_arena(read_tflite(reference_tflite)).memory_bytes == 0
    export_c(reference_tflite, manifest_for(reference_tflite), tmp_path)
    assert "memory" not in text_of(tmp_path)


def test_reading_a_memory_that_was_replaced_is_refused(memory_tflite: bytes) -> None:
    file = read_tflite(memory_tflite)
    *before, moving_on = file.operators
    assert moving_on.name == "STRIDED_SLICE"
    joined = next(i for i, o in enumerate(before) if o.name == "CONCATENATION") + 1
    reading = before[-1]
    late = replace(reading, inputs=(file.inputs[MEMORY], *reading.inputs[1:]))
    early = (*before[:joined], moving_on, *before[joined:-1])
    assert plan_arena(replace(file, operators=(*early, reading))).memory_bytes > 0
    with pytest.raises(
        ModelError, match=rf"\(FULLY_CONNECTED\): reads the memory after .*{joined}"
    ):
        plan_arena(replace(file, operators=(*early, late)))


def test_the_reference_students_arena_is_its_widest_layer(
    reference_tflite: bytes, tmp_path: Path
) -> None:
    exported = export_c(reference_tflite, manifest_for(reference_tflite), tmp_path)
    # The first pointwise convolution: 8 channels in, 16 out. No plan can do with less.
    assert exported.arena_bytes == 48 * 32 * (8 + 16) == 36_864
    header = (tmp_path / "crydistill_model.h").read_text(encoding="utf-8")
    assert "#define CRYDISTILL_ARENA_BYTES 36864\n" in header


def test_scales_of_the_dense_layer_multiply_in_double(
    reference_tflite: bytes, tmp_path: Path
) -> None:
    """As in TFLite Micro: in single precision one result in a million would differ."""
    x, weights, output = (np.float32(scale) for scale in (0.1, 0.003, 0.07))

    def rescaled(model: Any) -> None:
        for position, scale in enumerate((x, weights, x * weights, output)):
            tensor(model, "FULLY_CONNECTED", position).quantization.scale = [float(scale)]

    tflite = edited(reference_tflite, rescaled)
    double, _ = fixed_point(float(x) * float(weights) / float(output))
    single, _ = fixed_point(float(x * weights) / float(output))
    assert single != double
    export_c(tflite, manifest_for(tflite), tmp_path)
    source = (tmp_path / "crydistill_model.c").read_text(encoding="utf-8")
    assert f"multiplier = {double}," in source
    assert str(single) not in source


def test_constant_bytes(reference_tflite: bytes, tmp_path: Path) -> None:
    exported = export_c(reference_tflite, manifest_for(reference_tflite), tmp_path)
    file = read_tflite(reference_tflite)
    expected = 0
    for operator in file.operators:
        if operator.name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            weights, bias = (file.tensors[i] for i in operator.inputs[1:])
            expected += weights.size + 4 * bias.size
            if operator.name != "FULLY_CONNECTED":
                expected += 5 * bias.size  # multiplier and shift
    assert exported.constant_bytes == expected


def test_an_unknown_operator_is_named_with_its_layer(
    monkeypatch: pytest.MonkeyPatch, reference_tflite: bytes, tmp_path: Path
) -> None:
    monkeypatch.delitem(c_layers._WRITERS, "MEAN")
    with pytest.raises(ModelError, match=r"layer 9 \(MEAN\): the C engine has no kernel"):
        export_c(reference_tflite, manifest_for(reference_tflite), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("operator", ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"])
def test_sums_that_could_overflow_are_refused(
    operator: str, reference_tflite: bytes, tmp_path: Path
) -> None:
    def raise_bias(model: Any) -> None:
        buffer = model.buffers[tensor(model, operator, 2).buffer]
        bias = np.frombuffer(bytes(buffer.data), dtype=np.int32).copy()
        bias[1] = -(2**31) + 1
        buffer.data = np.frombuffer(bias.tobytes(), dtype=np.uint8)

    tflite = edited(reference_tflite, raise_bias)
    with pytest.raises(ModelError, match=rf"\({operator}\): the sums of channel 1 can overflow"):
        export_c(tflite, manifest_for(tflite), tmp_path)


def test_padding_the_batch_is_refused(residual_tflite: bytes, tmp_path: Path) -> None:
    file = read_tflite(residual_tflite)
    operators = [operator.name for operator in file.operators]
    position = operators.index("PAD")
    tensors = list(file.tensors)
    paddings = file.operators[position].inputs[1]
    more = np.array([[0, 1], [0, 0], [0, 0], [0, 0]], dtype=np.int32)
    tensors[paddings] = replace(tensors[paddings], data=more.tobytes())
    with pytest.raises(ModelError, match=rf"layer {position} \(PAD\): pads the batch"):
        layer_in_c(replace(file, tensors=tuple(tensors)), position)


@pytest.mark.parametrize("student", ["residual_tflite", "memory_tflite"])
def test_damaged_files_are_refused_or_exported(
    student: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """A damaged file that passes the checks must not crash the export."""
    whole = request.getfixturevalue(student)
    positions, exported = structure_bytes(whole), 0
    manifest = small_manifest(whole) if student == "residual_tflite" else manifest_for(whole)
    for seed in range(400):
        tflite = damaged(whole, positions, seed)
        sha256 = hashlib.sha256(tflite).hexdigest()
        own = manifest.tflite.model_copy(update={"sha256": sha256})
        try:
            export_c(tflite, manifest.model_copy(update={"tflite": own}), tmp_path)
            exported += 1
        except ModelError as error:
            assert "\n" not in str(error)
    assert exported > 0


def test_the_manifest_must_belong_to_the_student(reference_tflite: bytes, tmp_path: Path) -> None:
    manifest = manifest_for(reference_tflite)
    other = manifest.tflite.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(ModelError, match="same run"):
        export_c(reference_tflite, manifest.model_copy(update={"tflite": other}), tmp_path)


def test_another_front_end_is_refused(reference_tflite: bytes, tmp_path: Path) -> None:
    manifest = manifest_for(reference_tflite, front_end=FrontEnd(log_offset=0.01))
    with pytest.raises(ModelError, match=r"front_end\.log_offset"):
        export_c(reference_tflite, manifest, tmp_path)


def test_a_damaged_file_is_refused(reference_tflite: bytes, tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        export_c(reference_tflite[:-1_000], manifest_for(reference_tflite), tmp_path)


def test_a_file_larger_than_its_manifest_says_is_refused(
    reference_tflite: bytes, tmp_path: Path
) -> None:
    manifest = manifest_for(reference_tflite)
    small = manifest.tflite.model_copy(update={"size_bytes": 1_000})
    with pytest.raises(ModelError, match="larger than 1,000 bytes"):
        export_c(reference_tflite, manifest.model_copy(update={"tflite": small}), tmp_path)


def test_presets_become_settings(reference_tflite: bytes, tmp_path: Path) -> None:
    quiet = ThresholdPreset(threshold=0.3, n=6, m=9, hold_seconds=12.5)
    manifest = manifest_for(reference_tflite, presets={"quiet room": quiet})
    exported = export_c(reference_tflite, manifest, tmp_path)
    assert exported.presets == {"quiet room": "crydistill_preset_quiet_room"}
    source = (tmp_path / "crydistill_model.c").read_text(encoding="utf-8")
    definition = source[source.index("crydistill_settings crydistill_preset_quiet_room = ") :]
    fields = re.findall(r"\.(\w+) = (\S+),", definition)
    assert fields == [("threshold", "0.300000012f"), ("n", "6"), ("m", "9"), ("hold_ms", "12500")]


ROOM = VoteSettings(threshold=0.4321, n=3, m=5, hold_seconds=7.25)


def test_calibrated_settings_are_the_default(reference_tflite: bytes, tmp_path: Path) -> None:
    quiet = ThresholdPreset(threshold=0.3, n=6, m=9, hold_seconds=12.5)
    manifest = manifest_for(reference_tflite, presets={"balanced": quiet})
    exported = export_c(reference_tflite, manifest, tmp_path, calibrated=ROOM)
    assert exported.presets["calibrated"] == "crydistill_preset_calibrated"
    header = (tmp_path / "crydistill_model.h").read_text(encoding="utf-8")
    assert "#define CRYDISTILL_DEFAULT_PRESET crydistill_preset_calibrated\n" in header
    assert "crydistill_settings crydistill_preset_balanced;" in header
    source = (tmp_path / "crydistill_model.c").read_text(encoding="utf-8")
    definition = source[source.index("crydistill_settings crydistill_preset_calibrated = ") :]
    fields = re.findall(r"\.(\w+) = (\S+),", definition)
    assert fields == [("threshold", "0.432099998f"), ("n", "3"), ("m", "5"), ("hold_ms", "7250")]


def test_the_default_is_balanced_else_the_first() -> None:
    assert default_preset(("quiet", "balanced")) == "balanced"
    assert default_preset(("quiet", "loud")) == "quiet"
    assert default_preset(()) is None


def test_a_preset_with_the_name_of_the_calibrated_is_refused(
    reference_tflite: bytes, tmp_path: Path
) -> None:
    preset = ThresholdPreset(threshold=0.3, n=6, m=9, hold_seconds=12.5)
    manifest = manifest_for(reference_tflite, presets={"calibrated": preset})
    with pytest.raises(ModelError, match="rename the preset"):
        export_c(reference_tflite, manifest, tmp_path, calibrated=ROOM)


def write_room(path: Path, sha256: str) -> Path:
    """A settings file as `calibrate` writes it."""
    found = RoomCalibration(
        vote=ROOM, method=Method.MAX_MARGIN, wanted_per_night=None, expected_per_night=None,
        threshold_range=None, hours=1.0, alerts=0,
    )  # fmt: skip
    save_settings(path, CalibratedSettings(student="s", student_sha256=sha256, calibration=found))
    return path


@pytest.mark.parametrize(
    ("what", "header"),
    [
        ("c", "crydistill_model.h"),
        ("esp-idf", "crydistill/model/crydistill_model.h"),
        ("esphome", "components/crydistill/student/crydistill_model.h"),
        *((system, "src/crydistill_model.h") for system in TREES),
    ],
)
def test_the_verbs_take_a_settings_file(what: str, header: str, tmp_path: Path) -> None:
    student = load_manifest(packaged_student() / MANIFEST_NAME)
    room = write_room(tmp_path / "room.json", student.tflite.sha256)
    done = CliRunner().invoke(app, ["export", what, str(tmp_path / "to"), "--settings", str(room)])
    assert done.exit_code == 0, done.exception
    text = (tmp_path / "to" / header).read_text(encoding="utf-8")
    assert "CRYDISTILL_DEFAULT_PRESET crydistill_preset_calibrated" in text


@pytest.mark.parametrize("what", ["c", "esp-idf", "esphome", *TREES])
def test_settings_for_another_student_are_refused(what: str, tmp_path: Path) -> None:
    room = write_room(tmp_path / "room.json", "ab" * 32)
    done = CliRunner().invoke(app, ["export", what, str(tmp_path / "to"), "--settings", str(room)])
    assert isinstance(done.exception, ConfigError)
    assert "calibrate again" in str(done.exception)
    assert not (tmp_path / "to").exists()


def names_in_c(directory: Path) -> set[str]:
    """What the student's header declares and defines."""
    (header,) = directory.glob("*_model.h")
    text = header.read_text(encoding="utf-8")
    variables = re.findall(r"^extern const struct \w+ (\w+);", text, re.MULTILINE)
    return {header.name, *variables, *re.findall(r"^#define (\w+)", text, re.MULTILINE)}


def test_a_prefix_begins_every_name(reference_tflite: bytes, tmp_path: Path) -> None:
    quiet = ThresholdPreset(threshold=0.3, n=6, m=9, hold_seconds=12.5)
    manifest = manifest_for(reference_tflite, presets={"balanced": quiet, "quiet": quiet})
    export_c(reference_tflite, manifest, tmp_path / "usual")
    exported = export_c(reference_tflite, manifest, tmp_path / "other", prefix="bed_room2")
    assert exported.presets["balanced"] == "bed_room2_preset_balanced"
    usual, other = names_in_c(tmp_path / "usual"), names_in_c(tmp_path / "other")
    assert {"crydistill_model.h", "crydistill_student", "CRYDISTILL_ARENA_BYTES"} <= usual
    assert other == {
        name.replace("crydistill", "bed_room2").replace("CRYDISTILL", "BED_ROOM2") for name in usual
    }
    source = (tmp_path / "other" / "bed_room2_model.c").read_text(encoding="utf-8")
    visible = re.findall(r"^const struct \w+ (\w+) =", source, re.MULTILINE)
    assert {"bed_room2_student", *exported.presets.values()} == set(visible)
    # The front end is the same for all.
    for name in ("crydistill_tables.h", "crydistill_tables.c"):
        usual_text, text = (
            (tmp_path / folder / name).read_bytes() for folder in ("usual", "other")
        )
        assert usual_text == text


@pytest.mark.parametrize(
    "prefix", ["", "Bedroom", "2b", "bed-room", "a__b", "_a", "a_", "kä", "a\n"]
)
def test_a_prefix_that_begins_no_name_is_refused(
    prefix: str, reference_tflite: bytes, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"prefix: .* such as bedroom"):
        export_c(reference_tflite, manifest_for(reference_tflite), tmp_path, prefix=prefix)
    assert list(tmp_path.iterdir()) == []


def test_the_verb_takes_a_prefix(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["export", "c", str(tmp_path), "--prefix", "bedroom"])
    assert done.exit_code == 0, done.exception
    assert "bedroom_student" in (tmp_path / "bedroom_model.h").read_text(encoding="utf-8")
    assert not (tmp_path / "crydistill_model.h").exists()


def test_presets_of_one_name_in_c_are_refused(reference_tflite: bytes, tmp_path: Path) -> None:
    preset = ThresholdPreset(threshold=0.3, n=6, m=9, hold_seconds=12.5)
    manifest = manifest_for(reference_tflite, presets={"a b": preset, "a-b": preset})
    with pytest.raises(ModelError, match="crydistill_preset_a_b"):
        export_c(reference_tflite, manifest, tmp_path)


def test_a_preset_the_detector_cannot_run_is_refused(
    reference_tflite: bytes, tmp_path: Path
) -> None:
    preset = ThresholdPreset(threshold=0.3, n=6, m=65, hold_seconds=12.5)
    with pytest.raises(ConfigError, match="m <= 64"):
        export_c(reference_tflite, manifest_for(reference_tflite, presets={"p": preset}), tmp_path)


@pytest.mark.parametrize("factor", [1e-9, 3e-5, 0.1, 0.5, 0.7, 1.0, 1.5, 100.0])
def test_fixed_point_is_the_factor_to_31_bits(factor: float) -> None:
    multiplier, shift = fixed_point(factor)
    assert 2**30 <= multiplier < 2**31
    assert multiplier / 2**31 * 2.0**shift == pytest.approx(factor, rel=2**-31)


def test_fixed_point_at_its_ends() -> None:
    # Rounds up to 1, which has the next exponent; and too small for any shift.
    assert fixed_point(1 - 2.0**-40) == (2**30, 1)
    assert fixed_point(2.0**-40) == (0, 0)


@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, 1e-30, 1 / 3, 12345.678, 3e38, 1e20])
def test_floats_read_back_as_they_were(value: float) -> None:
    text = float32(value)
    assert re.fullmatch(r"-?\d+(\.\d+)?(e[+-]\d+)?f", text)
    assert "." in text or "e" in text
    assert np.float32(float(text[:-1])) == np.float32(value)


def test_arrays_hold_every_value() -> None:
    values = np.arange(-50, 50, dtype=np.int8)
    text = array("int8_t", "x", values)
    assert text.startswith("static const int8_t x[100] = {\n")
    assert [int(v) for v in re.findall(r"-?\d+(?=,)", text)] == values.tolist()


def test_tables_are_the_front_ends(reference_tflite: bytes, tmp_path: Path) -> None:
    export_c(reference_tflite, manifest_for(reference_tflite), tmp_path)
    source = (tmp_path / "crydistill_tables.c").read_text(encoding="utf-8")
    tables = {
        name: np.array([float(v.rstrip("f")) for v in body.replace(",", " ").split()])
        for name, body in re.findall(r"crydistill_(\w+)\[\d+\] = \{([^}]*)\}", source)
    }
    for rising in (tables["mel_rising"], tables["mel_rising_q16"] / 2**16):
        matrix = np.zeros((mel.FFT_LENGTH // 2 + 1, mel.MEL_BANDS + 2))
        for bin_, (lower, weight) in enumerate(zip(tables["mel_band"], rising, strict=True)):
            matrix[bin_, int(lower) : int(lower) + 2] = 1 - weight, weight
        # The outermost columns are no bands.
        np.testing.assert_allclose(matrix[:, 1:-1], mel.mel_matrix(), rtol=0, atol=2**-16)
    half = tables["mel_window"] / 2**31
    np.testing.assert_allclose(half, mel.hann_window()[:201], rtol=0, atol=2**-31)
    turn = np.cos(2 * np.pi * np.arange(mel.FFT_LENGTH) / mel.FFT_LENGTH)
    np.testing.assert_allclose(tables["cosine"] / 2**31, turn, rtol=0, atol=2**-31)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_activation_tables(activation: Activation, reference_tflite: bytes, tmp_path: Path) -> None:
    manifest = manifest_for(reference_tflite, activation=activation)
    export_c(reference_tflite, manifest, tmp_path)
    source = (tmp_path / "crydistill_model.c").read_text(encoding="utf-8")
    body = re.search(r"activation\[256\] = \{([^}]*)\}", source)
    assert body is not None
    found = np.array([float(v.rstrip("f")) for v in body[1].replace(",", " ").split()])
    scale, zero_point = manifest.output.scale, manifest.output.zero_point
    if activation == "softmax":
        expected = np.exp(-np.arange(256) * scale)
    else:
        expected = 1 / (1 + np.exp(-(np.arange(-128, 128) - zero_point) * scale))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
