"""Tests with small `.tflite` networks of every input and output format, converted on the fly."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.teacher.contract import assert_keeps_the_contract

from crydistill.audio.mel import log_mel
from crydistill.audio.windows import windows
from crydistill.download import sha256_of
from crydistill.errors import TeacherError
from crydistill.taxonomy import cry_indices
from crydistill.teacher.base import Recording
from crydistill.teacher.load import load_teacher
from crydistill.teacher.tflite import LogitSource, TfliteTeacher, sample_windows

Array = npt.NDArray[np.float32]

RANDOM = np.random.default_rng(3)
SAMPLES = (RANDOM.normal(0.0, 0.1, 50_000) * np.linspace(0, 1, 50_000)).astype(np.float32)
RECORDING = Recording("noise", SAMPLES, log_mel(SAMPLES))
PATCHES = windows(RECORDING.frames)
MEL_WEIGHTS = RANDOM.normal(0.0, 0.5, (64, 521)).astype(np.float32)
WAVE_WEIGHTS = RANDOM.normal(0.0, 5.0, (100, 521)).astype(np.float32)


def mel_logits(patches: Array) -> Array:
    """The function of the small log-mel networks."""
    return np.asarray(patches.mean(axis=1) @ MEL_WEIGHTS)


def wave_logits(pieces: Array) -> Array:
    """The function of the small waveform networks."""
    return np.asarray(np.abs(pieces).reshape(len(pieces), 100, 156).mean(axis=2) @ WAVE_WEIGHTS)


def mel_network(tf: Any, ending: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def network(x: Any) -> Any:
        patch = tf.reshape(x, (1, 96, 64))
        return ending(tf.reduce_mean(patch, axis=1) @ MEL_WEIGHTS)

    return network


def wave_network(tf: Any) -> Callable[[Any], Any]:
    def network(x: Any) -> Any:
        blocks = tf.reshape(tf.abs(x), (1, 100, 156))
        return tf.reduce_mean(blocks, axis=2) @ WAVE_WEIGHTS

    return network


def convert(
    path: Path, network: Callable[..., Any], *shapes: list[int | None], io: Any = None
) -> Path:
    """Convert `network` with inputs of these shapes to `.tflite`, full int8 if `io` is given."""
    import tensorflow as tf

    specs = [tf.TensorSpec(shape, tf.float32) for shape in shapes]
    function = tf.function(network).get_concrete_function(*specs)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    if io is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([patch[None]] for patch in PATCHES)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = io
    path.write_bytes(converter.convert())
    return path


@pytest.fixture(scope="module")
def tf() -> Any:
    return pytest.importorskip("tensorflow", reason="needs the full install")


def test_sample_windows_lie_under_the_frames_windows() -> None:
    """The log-mel of a window's samples equals that window of the recording's log-mel."""
    pieces = sample_windows(RECORDING.samples, len(PATCHES))
    assert len(pieces) == len(PATCHES) == 5
    for piece, patch in zip(pieces, PATCHES, strict=True):
        np.testing.assert_allclose(log_mel(piece), patch, atol=1e-6)


@pytest.mark.parametrize("shape", [[15_600], [1, 15_600], [None], [1, None], [None, None]])
def test_waveform_in(tf: Any, tmp_path: Path, shape: list[int | None]) -> None:
    teacher = TfliteTeacher(convert(tmp_path / "wave.tflite", wave_network(tf), shape))
    assert teacher.logit_source is LogitSource.OUTPUT
    (found,) = teacher.logits([RECORDING])
    expected = wave_logits(sample_windows(RECORDING.samples, len(PATCHES)))
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("shape", [[96, 64], [1, 96, 64], [None, 96, 64], [1, 96, 64, 1]])
def test_log_mel_in(tf: Any, tmp_path: Path, shape: list[int | None]) -> None:
    network = mel_network(tf, tf.identity)
    teacher = TfliteTeacher(convert(tmp_path / "mel.tflite", network, shape))
    assert teacher.logit_source is LogitSource.OUTPUT
    (found,) = teacher.logits([RECORDING])
    np.testing.assert_allclose(found, mel_logits(PATCHES), atol=1e-4)


def test_the_sigmoid_is_looked_behind(tf: Any, tmp_path: Path) -> None:
    """Logits of +-40 are exact, although their float32 scores are 0 and 1."""
    network = mel_network(tf, lambda x: tf.reshape(tf.sigmoid(20.0 * x), (521,)))
    teacher = TfliteTeacher(convert(tmp_path / "mel.tflite", network, [1, 96, 64]))
    assert teacher.logit_source is LogitSource.BEFORE_SIGMOID
    (found,) = teacher.logits([RECORDING])
    assert np.abs(found).max() > 100
    np.testing.assert_allclose(found, 20.0 * mel_logits(PATCHES), rtol=1e-4, atol=1e-3)


def test_probabilities_without_a_sigmoid_operator(tf: Any, tmp_path: Path) -> None:
    network = mel_network(tf, lambda x: 0.5 + 0.5 * tf.tanh(0.5 * x))
    teacher = TfliteTeacher(convert(tmp_path / "mel.tflite", network, [1, 96, 64]))
    assert teacher.logit_source is LogitSource.PROBABILITIES
    (found,) = teacher.logits([RECORDING])
    limit = np.log((1 - 1e-6) / 1e-6)
    expected = np.clip(mel_logits(PATCHES), -limit, limit)
    # Near 1 the resolution of a float32 probability is 1e-7, a tenth of its distance from 1.
    np.testing.assert_allclose(found, expected, atol=0.2)


@pytest.mark.parametrize("kind", ["int8", "uint8"])
def test_quantised_in_and_out(tf: Any, tmp_path: Path, kind: str) -> None:
    network = mel_network(tf, tf.sigmoid)
    path = convert(tmp_path / "int8.tflite", network, [1, 96, 64], io=tf.dtypes.as_dtype(kind))
    teacher = TfliteTeacher(path)
    assert teacher.logit_source is LogitSource.BEFORE_SIGMOID
    (found,) = teacher.logits([RECORDING])
    expected = mel_logits(PATCHES)
    step = (expected.max() - expected.min()) / 255
    assert np.abs(found - expected).max() < 4 * step
    # Scores with 256 steps saturate at +-5.5; the logits before the sigmoid do not.
    assert np.abs(found).max() > 8


def test_several_recordings_and_a_short_one(tf: Any, tmp_path: Path) -> None:
    teacher = TfliteTeacher(
        convert(tmp_path / "mel.tflite", mel_network(tf, tf.identity), [1, 96, 64])
    )
    short = Recording("short", SAMPLES[:15_000], RECORDING.frames[:90])
    found = teacher.logits([RECORDING, short, RECORDING])
    assert [rows.shape for rows in found] == [(5, 521), (0, 521), (5, 521)]
    np.testing.assert_array_equal(found[0], found[2])


def test_it_keeps_the_contract(tf: Any, tmp_path: Path) -> None:
    path = convert(tmp_path / "mel.tflite", mel_network(tf, tf.identity), [1, 96, 64])
    assert_keeps_the_contract(load_teacher(path))


def test_identity_of_a_teacher(tf: Any, tmp_path: Path) -> None:
    path = convert(tmp_path / "some net.bin", mel_network(tf, tf.sigmoid), [1, 96, 64])
    teacher = load_teacher(path)
    assert isinstance(teacher, TfliteTeacher)
    assert teacher.name == "some net.bin"
    assert teacher.fingerprint == sha256_of(path)


def test_foreign_models_get_one_line(tf: Any, tmp_path: Path) -> None:
    def ten(x: Any) -> Any:
        return tf.reshape(x, (1, 96, 64))[:, 0, :10]

    def two(x: Any, y: Any) -> Any:
        return tf.reduce_mean(x + y, axis=1) @ MEL_WEIGHTS

    def whole(x: Any) -> Any:
        return tf.reshape(x, (1, 224, 224, 3))

    cases: list[tuple[Callable[..., Any], tuple[list[int | None], ...], str]] = [
        (ten, ([1, 96, 64],), r"gives \[\[1, 10\]\] for one window; a teacher gives 521 scores"),
        (two, ([1, 96, 64], [1, 96, 64]), "has 2 inputs"),
        (whole, ([1, 224, 224, 3],), r"input of shape \[1, 224, 224, 3\]"),
    ]
    for network, shapes, message in cases:
        path = convert(tmp_path / "foreign.tflite", network, *shapes)
        with pytest.raises(TeacherError, match=message) as caught:
            TfliteTeacher(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)


def test_a_model_bound_to_another_length(tf: Any, tmp_path: Path) -> None:
    """The input accepts any length, but the graph needs one other than a window."""

    def network(x: Any) -> Any:
        return tf.reshape(x, (1, 16_000))[:, :64] @ MEL_WEIGHTS

    path = convert(tmp_path / "wave.tflite", network, [None])
    with pytest.raises(TeacherError, match="does not run on one window of audio"):
        TfliteTeacher(path)


def test_damaged_files_get_one_line(tf: Any, tmp_path: Path) -> None:
    whole = convert(tmp_path / "mel.tflite", mel_network(tf, tf.sigmoid), [1, 96, 64]).read_bytes()
    damaged = tmp_path / "damaged.tflite"
    for content in (b"", whole[:4], whole[:8], whole[:100], whole[: len(whole) // 2]):
        damaged.write_bytes(content)
        with pytest.raises(TeacherError, match=r"damaged\.tflite: ") as caught:
            load_teacher(damaged)
        assert "\n" not in str(caught.value)


@pytest.mark.shared
class TestRelu6Net:
    """Google's int8 release: a different network than yamnet.h5 (see the correlation of scores)."""

    @pytest.fixture
    def teacher(self, shared: Path) -> TfliteTeacher:
        return TfliteTeacher(shared / "teacher" / "yamnet_relu6_int8.tflite")

    def test_its_logits_are_finer_than_its_scores(self, teacher: TfliteTeacher) -> None:
        assert teacher.logit_source is LogitSource.BEFORE_SIGMOID
        (logits,) = teacher.logits([RECORDING])
        steps = np.unique(np.round(logits / 0.3471774756908417, 3))
        np.testing.assert_array_equal(steps, np.round(steps))  # int8 steps of the classifier
        cry = logits[:, list(cry_indices())]
        assert len(np.unique(cry)) > len(np.unique(np.round(256 / (1 + np.exp(-cry)))))

    def test_they_agree_with_the_scores_it_publishes(
        self, teacher: TfliteTeacher, shared: Path
    ) -> None:
        from ai_edge_litert.interpreter import Interpreter

        plain = Interpreter(str(shared / "teacher" / "yamnet_relu6_int8.tflite"))
        plain.allocate_tensors()
        (logits,) = teacher.logits([RECORDING])
        pieces = sample_windows(RECORDING.samples, len(logits))
        for piece, row in zip(pieces, logits, strict=True):
            plain.set_tensor(plain.get_input_details()[0]["index"], piece)
            plain.invoke()
            scores = plain.get_tensor(plain.get_output_details()[0]["index"])[0]
            np.testing.assert_allclose(1 / (1 + np.exp(-row)), scores, atol=1 / 256)
