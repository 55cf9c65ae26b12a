"""`crydistill_push`: from PCM to alerts, against the Python package part by part."""

from pathlib import Path
from typing import Self

import keras
import numpy as np
import pytest
from tests.firmware.programs import (
    Emulated,
    Gaps,
    Pcm,
    Program,
    build,
    need,
    samples_of,
    scene,
)
from tests.student_fixtures import manifest_for, synthetic_patches

from crydistill.audio.mel import SAMPLE_RATE, LogMel, log_mel
from crydistill.audio.windows import WINDOW_HOP_SECONDS, windows
from crydistill.detector.live import Listener
from crydistill.detector.vote import Event, Vote, VoteSettings, window_end_seconds
from crydistill.quantize.int8 import quantize_ptq
from crydistill.student.activation import Activation, activate
from crydistill.student.manifest import save_manifest
from crydistill.student.runtime import TfliteStudent
from crydistill.tflite.check import inspect_tflite
from crydistill.tflite.interpreters import (
    Float32,
    Int8,
    LiteRt,
    TfliteMicro,
    dequantize,
    quantize,
)

OUTPUTS = 521
CRIES = [19, 20]
ARENA = 1 << 20
ROUNDING = 1e-5
"""Of a score: softmax in single precision, by different exponential functions."""


def scores_of(tflite: bytes, logits: Int8, activation: Activation = "softmax") -> Float32:
    port = inspect_tflite(tflite).output
    probabilities = activate(dequantize(logits, port.scale, port.zero_point), activation)
    return np.asarray(probabilities[:, CRIES].sum(axis=1))


def events_of(scores: Float32, settings: VoteSettings) -> list[Event]:
    vote = Vote.of(settings)
    return [event for score in scores if (event := vote.push(float(score))) is not None]


def lively(scores: Float32) -> VoteSettings:
    """Settings under which the scores raise alerts, with the threshold in the widest gap nearby."""
    ordered = np.sort(scores)[len(scores) // 4 : -len(scores) // 4]
    gap = int(np.argmax(ordered[1:] / ordered[:-1]))
    threshold = float(np.float32(np.sqrt(ordered[gap] * ordered[gap + 1])))
    return VoteSettings(threshold=threshold, n=2, m=3, hold_seconds=0.96)


def test_logits_are_tflite_micros(program: Program, student_tflite: bytes) -> None:
    pytest.importorskip("tflite_micro", reason="needs Google's TFLite Micro interpreter")
    pcm = scene(20)
    expected = TfliteMicro(student_tflite, ARENA).run(program.patches(pcm))
    np.testing.assert_array_equal(program.logits(pcm, OUTPUTS), expected)


def test_scores_and_events(program: Program, student_tflite: bytes) -> None:
    pcm = scene(60)
    logits = program.logits(pcm, OUTPUTS)
    settings = lively(scores_of(student_tflite, logits))
    scores, events = program.windows(pcm, settings=settings)
    np.testing.assert_allclose(scores, scores_of(student_tflite, logits), rtol=ROUNDING)
    assert len(events) > 4
    assert events == events_of(scores, settings)


def test_the_whole_chain_alerts_as_python_does(program: Program, student_tflite: bytes) -> None:
    pcm, port = scene(60, seed=1), inspect_tflite(student_tflite).input
    patches = quantize(windows(log_mel(samples_of(pcm))), port.scale, port.zero_point)
    expected = scores_of(student_tflite, LiteRt(student_tflite).run(patches))
    settings = lively(expected)
    scores, events = program.windows(pcm, settings=settings)
    # One value of a patch that rounds to the other int8 step can move the logits by a step.
    equal = program.patches(pcm) == patches
    assert equal.mean() > 0.999
    same = equal.all(axis=(1, 2))
    assert same.mean() > (0.01 if program.fixed else 0.6)
    # LiteRT rounds the dense layer differently from TFLite Micro: 1 logit in 50,000 is a step off.
    np.testing.assert_allclose(scores[same], expected[same], rtol=0.01)
    step = inspect_tflite(student_tflite).output.scale
    np.testing.assert_allclose(np.log(scores), np.log(expected), atol=1.5 * step)
    assert len(events) > 4
    assert events == events_of(expected, settings)


class Replayed:
    """Scores in the order in which windows are heard, whatever these are."""

    def __init__(self, scores: Float32) -> None:
        self.left = scores

    def listener(self) -> Self:
        return self

    def reset(self) -> None:
        """They go on after a gap."""

    def push(self, patches: LogMel) -> Float32:
        scores, self.left = np.split(self.left, [len(patches)])
        return scores


def listened(pcm: Pcm, scores: Float32, settings: VoteSettings, gaps: Gaps) -> list[Event]:
    """Events of `listen` when the windows that it hears have these scores."""
    scorer = Replayed(scores)
    live = Listener(scorer, settings)
    events, start = [], 0
    for at, lost in gaps:
        events += live.push(samples_of(pcm[start:at]))
        events += live.gap(lost / SAMPLE_RATE)
        start = at
    events += live.push(samples_of(pcm[start:]))
    assert len(scorer.left) == 0
    return [
        Event(
            event.kind,
            round((event.at - window_end_seconds(0)) / WINDOW_HOP_SECONDS),
            round(event.onset / WINDOW_HOP_SECONDS),
        )
        for event in events
    ]


def random_gaps(samples: int, seed: int) -> Gaps:
    """Up to three gaps, from a thousandth of a second to twenty seconds long."""
    rng = np.random.default_rng(seed)
    ends = np.sort(rng.choice(samples, int(rng.integers(1, 4)), replace=False)).tolist()
    return [(at, int(10 ** rng.uniform(1.2, 5.5))) for at in ends]


@pytest.mark.parametrize("seed", range(6))
def test_a_gap_is_what_it_is_to_listen(seed: int, program: Program) -> None:
    pcm = scene(40, seed=seed)
    gaps = random_gaps(len(pcm), seed)
    scores, _ = program.windows(pcm, seed, gaps=gaps)
    heard = scores[~np.isnan(scores)]
    settings = lively(heard)
    again, events = program.windows(pcm, seed, settings, gaps)
    np.testing.assert_array_equal(again, scores)
    assert len(events) > 2
    assert events == listened(pcm, heard, settings, gaps)


def test_a_gap_of_unknown_length_only_ends_what_was_heard(sanitized: Program) -> None:
    pcm, at = scene(10, seed=4), 70_123
    scores, _ = sanitized.windows(pcm, gaps=[(at, 0)])
    before, _ = sanitized.windows(pcm[:at])
    after, _ = sanitized.windows(pcm[at:])
    # One window had begun; it has no score.
    np.testing.assert_array_equal(scores, [*before, np.nan, *after])


def test_pieces_of_random_size_change_nothing(sanitized: Program) -> None:
    pcm = scene(8, seed=2)
    whole = sanitized.run("windows", pcm.tobytes(), 0)
    assert whole.count(b"\n") == 15
    for seed in range(1, 13):
        assert sanitized.run("windows", pcm.tobytes(), seed) == whole


def test_extreme_samples_under_sanitizers(sanitized: Program) -> None:
    rng = np.random.default_rng(0)
    pcm = rng.choice(np.array([-32768, -1, 0, 1, 32767], dtype=np.int16), 40_000)
    pcm[10_000:20_000] = -32768
    scores, _ = sanitized.windows(pcm, seed=1)
    assert np.isfinite(scores).all()


def test_under_emulation(emulated: Emulated, student_tflite: bytes) -> None:
    pcm, host = scene(30, seed=3), emulated.host
    assert host is not None
    logits = host.logits(pcm, OUTPUTS)
    settings = lively(scores_of(student_tflite, logits))
    scores, events = emulated.windows(pcm, 5, settings)
    np.testing.assert_array_equal(emulated.logits(pcm, OUTPUTS), logits)
    expected_scores, expected_events = host.windows(pcm, settings=settings)
    np.testing.assert_array_equal(scores, expected_scores)
    assert len(events) > 2
    assert events == expected_events


def random_logits(count: int, outputs: int) -> Int8:
    """Random logits, equal logits, and logits with one outlier."""
    rng = np.random.default_rng(0)
    logits = rng.integers(-128, 128, (count, outputs), dtype=np.int8)
    logits[: count // 4] //= 16
    logits[count // 4 : count // 2] = -128
    logits[count // 4 : count // 2, rng.integers(0, outputs, count // 4)] = 127
    return logits


@pytest.mark.parametrize(
    ("activation", "cries"),
    [("softmax", (19, 20)), ("sigmoid", (0,)), ("sigmoid", (520, 3, 77))],
)
def test_scores_of_any_logits(
    activation: Activation, cries: tuple[int, ...], student_tflite: bytes, tmp_path: Path
) -> None:
    need("make", "gcc")
    manifest = manifest_for(student_tflite, activation=activation, cry_outputs=cries)
    program = build("all", student_tflite, manifest, tmp_path, CC="gcc")
    logits, port = random_logits(2_000, OUTPUTS), inspect_tflite(student_tflite).output
    values = dequantize(logits, port.scale, port.zero_point)
    expected = activate(values, activation)[:, list(cries)].sum(axis=1)
    found = program.scores(logits)
    if activation == "sigmoid" and len(cries) == 1:
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(found, expected, rtol=ROUNDING)


@pytest.fixture(scope="module")
def named_tflite() -> bytes:
    """A small residual network with three outputs, scaled so that they differ between windows."""
    keras.utils.set_random_seed(3)
    layers, patches = keras.layers, synthetic_patches()
    patch = keras.Input((96, 64, 1))
    x = layers.Conv2D(8, 3, 4, "same", activation="relu")(patch)
    y = layers.DepthwiseConv2D((3, 1), padding="same", activation="relu")(x)
    x = layers.Add()([x, layers.Conv2D(8, 1)(y)])
    model = keras.Model(patch, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    logits = np.asarray(model(patches[..., None]))
    kernel, bias = model.layers[-1].get_weights()
    spread = logits.std(axis=0)
    model.layers[-1].set_weights([2 * kernel / spread, 2 * (bias - logits.mean(axis=0)) / spread])
    return quantize_ptq(model, patches)


@pytest.mark.parametrize(("front_end", "cries"), [("float", (0, 2)), ("fixed", (0,))])
def test_the_whole_chain_of_a_student_with_named_sigmoids(
    front_end: str, cries: tuple[int, ...], named_tflite: bytes, tmp_path: Path
) -> None:
    need("make", "gcc")
    manifest = manifest_for(
        named_tflite,
        activation="sigmoid",
        outputs=("cry", "speech", "whimper"),
        cry_outputs=cries,
    )
    fixed = {"FIXED": "1"} if front_end == "fixed" else {}
    program = build("all", named_tflite, manifest, tmp_path, CC="gcc", **fixed)
    (tmp_path / "student.tflite").write_bytes(named_tflite)
    save_manifest(tmp_path / "student.json", manifest)
    student = TfliteStudent.load(tmp_path)
    pcm = scene(60, seed=1)
    expected = student.cry_scores(windows(log_mel(samples_of(pcm))))
    settings = lively(expected)
    scores, events = program.windows(pcm, settings=settings)
    # A value of a patch that rounds to the other int8 step can move the logits by a step.
    step = manifest.output.scale
    odds, expected_odds = (
        np.log(s / len(cries) / (1 - s / len(cries))) for s in (scores, expected)
    )
    np.testing.assert_allclose(odds, expected_odds, atol=1.5 * step)
    assert (scores == expected).mean() > 0.5
    assert len(events) > 4
    assert events == events_of(expected, settings)
