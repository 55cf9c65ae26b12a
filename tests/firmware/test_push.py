"""`crydistill_push`: from PCM to alerts, against the Python package part by part."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from tests.firmware.programs import FIRMWARE, Program, build, need, samples_of, scene
from tests.student_fixtures import manifest_for

from crydistill.audio.mel import log_mel
from crydistill.audio.windows import windows
from crydistill.detector.vote import Event, Vote, VoteSettings
from crydistill.quantize.check import inspect_tflite
from crydistill.quantize.interpreters import (
    Float32,
    Int8,
    LiteRt,
    TfliteMicro,
    dequantize,
    quantize,
)
from crydistill.student.activation import Activation, activate

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
    """Settings under which the scores raise alerts, their threshold in the widest gap nearby."""
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
    same = (program.patches(pcm) == patches).all(axis=(1, 2))
    assert same.mean() > 0.6
    # LiteRT rounds the dense layer otherwise than TFLite Micro: one logit in 50,000 is a step off.
    np.testing.assert_allclose(scores[same], expected[same], rtol=0.01)
    step = inspect_tflite(student_tflite).output.scale
    np.testing.assert_allclose(np.log(scores), np.log(expected), atol=1.5 * step)
    assert len(events) > 4
    assert events == events_of(expected, settings)


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


@pytest.mark.parametrize("program", ["gcc"], indirect=True)
def test_under_emulation(emulated: Program, program: Program, student_tflite: bytes) -> None:
    pcm = scene(30, seed=3)
    logits = program.logits(pcm, OUTPUTS)
    settings = lively(scores_of(student_tflite, logits))
    scores, events = emulated.windows(pcm, 5, settings)
    np.testing.assert_array_equal(emulated.logits(pcm, OUTPUTS), logits)
    expected_scores, expected_events = program.windows(pcm, settings=settings)
    np.testing.assert_allclose(scores, expected_scores, rtol=ROUNDING)
    assert len(events) > 2
    assert events == expected_events


def test_sigmoid_and_several_cries(student_tflite: bytes, tmp_path: Path) -> None:
    need("make", "gcc")
    manifest = manifest_for(student_tflite, activation="sigmoid")
    program = build("all", student_tflite, manifest, tmp_path, CC="gcc")
    pcm = scene(10)
    expected = scores_of(student_tflite, program.logits(pcm, OUTPUTS), "sigmoid")
    np.testing.assert_allclose(program.windows(pcm)[0], expected, rtol=ROUNDING)


def test_settings_and_arena_are_checked(student_tflite: bytes, tmp_path: Path) -> None:
    """Also: two listeners do not disturb each other, and the header serves C++."""
    need("make", "g++")
    build("all", student_tflite, manifest_for(student_tflite), tmp_path, CC="gcc")
    model = tmp_path / "model"
    (tmp_path / "two.cpp").write_text(_TWO_LISTENERS, encoding="utf-8")
    flags = ["-ffp-contract=off", f"-I{FIRMWARE / 'src'}", f"-I{model}", "-c"]
    sources = [*sorted((FIRMWARE / "src").glob("*.c")), *sorted(model.glob("*.c"))]
    subprocess.run(["gcc", "-std=c99", *flags, *map(str, sources)], check=True, cwd=tmp_path)
    objects = [source.with_suffix(".o").name for source in sources]
    subprocess.run(
        ["g++", "-Wall", "-Werror", *flags[:-1], "two.cpp", *objects, "-o", "two"],
        check=True,
        cwd=tmp_path,
    )
    done = subprocess.run([tmp_path / "two"], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "refused refused ready ready 3 3 equal\n")


_TWO_LISTENERS = """
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include "crydistill_model.h"

static int8_t arena[2][CRYDISTILL_ARENA_BYTES];
static struct crydistill ear[2];
static float scores[2][8];
static int count[2];

static void keep(void *context, const struct crydistill_window *window)
{
    int which = *static_cast<int *>(context);
    scores[which][count[which]++] = window->score;
}

static const char *start(int which, crydistill_settings settings, size_t bytes)
{
    return crydistill_init(&ear[which], &crydistill_model, nullptr, &settings, arena[which], bytes)
               ? "ready"
               : "refused";
}

int main()
{
    crydistill_settings wrong = crydistill_preset_default;
    wrong.n = 0;
    std::printf("%s ", start(0, wrong, sizeof arena[0]));
    std::printf("%s ", start(0, crydistill_preset_default, sizeof arena[0] - 1));
    std::printf("%s ", start(0, crydistill_preset_default, sizeof arena[0]));
    std::printf("%s ", start(1, crydistill_preset_default, sizeof arena[1]));
    for (int i = 0; i < 31000; i++) {
        int16_t sample = static_cast<int16_t>(std::rand());
        for (int which = 0; which < 2; which++) {
            crydistill_push(&ear[which], &sample, 1, keep, &which);
        }
    }
    bool equal = std::memcmp(scores[0], scores[1], sizeof scores[0]) == 0;
    std::printf("%d %d %s\\n", count[0], count[1], equal ? "equal" : "different");
}
"""
