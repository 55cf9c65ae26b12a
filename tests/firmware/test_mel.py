"""The C front end against `crydistill.audio.mel`."""

from pathlib import Path

import numpy as np
import pytest
from tests.firmware.programs import (
    Emulated,
    Pcm,
    Program,
    build,
    need,
    pcm_of,
    samples_of,
    scene,
)
from tests.student_fixtures import manifest_for

from crydistill.audio.files import read_audio
from crydistill.audio.mel import FFT_LENGTH, FRAME_HOP, SAMPLE_RATE, frame_count, log_mel
from crydistill.audio.windows import WINDOW_SAMPLES, windows
from crydistill.tflite.check import inspect_tflite
from crydistill.tflite.interpreters import quantize

TOLERANCE = 1e-3

WORST_IN_INTEGERS = 1.5e-3
"""Under a full-scale tone or offset, whose rounding noise meets that of the square roots."""


def worst(program: Program) -> float:
    return WORST_IN_INTEGERS if program.fixed else TOLERANCE


def test_log_mel_of_a_scene(program: Program) -> None:
    pcm = scene(30)
    expected = log_mel(samples_of(pcm))
    assert np.abs(program.frames(pcm) - expected).max() < TOLERANCE


def test_int8_patches_of_a_scene(program: Program, student_tflite: bytes) -> None:
    pcm, port = scene(30, seed=1), inspect_tflite(student_tflite).input
    expected = quantize(windows(log_mel(samples_of(pcm))), port.scale, port.zero_point)
    found = program.patches(pcm)
    assert found.shape == expected.shape
    steps = np.abs(found.astype(np.int16) - expected)
    assert steps.max() <= 1
    assert (steps == 0).mean() > 0.999


@pytest.mark.shared
def test_recordings(program: Program, student_tflite: bytes, shared: Path) -> None:
    recordings = sorted((shared / "audio" / "dev").rglob("*.opus"))[::40]
    pcm = np.concatenate([pcm_of(read_audio(path).samples) for path in recordings])
    expected, port = log_mel(samples_of(pcm)), inspect_tflite(student_tflite).input
    found = program.frames(pcm, seed=1)
    assert np.abs(found - expected).max() < TOLERANCE
    steps = quantize(expected, port.scale, port.zero_point).astype(np.int16)
    difference = np.abs(quantize(found, port.scale, port.zero_point) - steps)
    assert difference.max() <= 1
    assert (difference == 0).mean() > 0.999


@pytest.mark.parametrize("hertz", [150, 440, 1000, 3456.7, 7000])
def test_a_full_scale_tone_is_the_worst_case(program: Program, hertz: float) -> None:
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    pcm = pcm_of(0.999 * np.sin(2 * np.pi * hertz * time))
    error = np.abs(program.frames(pcm) - log_mel(samples_of(pcm)))
    assert error.max() < worst(program)
    assert error.mean() < TOLERANCE / 3


@pytest.mark.parametrize("value", [0, 1, -32768, 32767])
def test_constant_input(program: Program, value: int) -> None:
    pcm = np.full(2_000, value, dtype=np.int16)
    expected = log_mel(samples_of(pcm))
    np.testing.assert_allclose(program.frames(pcm), expected, rtol=0, atol=worst(program))


@pytest.mark.parametrize("length", [0, 1, 399, 400, 401, 559, 560, WINDOW_SAMPLES - 1])
def test_only_whole_frames(program: Program, length: int) -> None:
    assert len(program.frames(scene(1)[:length])) == frame_count(length)
    assert len(program.patches(scene(1)[:length])) == 0


def test_the_first_window_comes_with_its_last_sample(program: Program) -> None:
    assert len(program.patches(scene(1)[:WINDOW_SAMPLES])) == 1


def test_frames_do_not_depend_on_the_pieces(program: Program) -> None:
    pcm = scene(5, seed=2)
    whole = program.frames(pcm)
    for seed in range(1, 6):
        np.testing.assert_array_equal(program.frames(pcm, seed), whole)


@pytest.mark.parametrize("level", [1, 3, 40, 1_000, 20_000])
def test_every_loudness(program: Program, level: int) -> None:
    rng = np.random.default_rng(level)
    pcm = rng.integers(-level, level, 8_000, endpoint=True).astype(np.int16)
    error = np.abs(program.frames(pcm) - log_mel(samples_of(pcm)))
    assert error.max() < TOLERANCE / 2


def loudest() -> Pcm:
    """The sign of each bin's cosine at full scale: no signal gives a larger value in that bin."""
    spacing = 3 * FRAME_HOP  # a frame starts at each signal
    time = np.arange(spacing)
    signals = [
        np.cos(2 * np.pi * (time * bin_ / FFT_LENGTH + phase)) >= 0
        for bin_ in range(FFT_LENGTH // 2 + 1)
        for phase in (0.0, 0.25)
    ]
    return np.where(np.concatenate(signals), 32767, -32768).astype(np.int16)


def test_nothing_overflows(sanitized: Program) -> None:
    pcm = loudest()
    error = np.abs(sanitized.frames(pcm) - log_mel(samples_of(pcm)))
    assert error.max() < TOLERANCE


@pytest.mark.parametrize("fixed", ["", "1"])
def test_products_made_of_halves_are_the_same(
    fixed: str, student_tflite: bytes, tmp_path: Path
) -> None:
    """As on cores that multiply 32 by 32 bits to 32."""
    need("make", "gcc")
    pcm, found = np.concatenate([scene(20, seed=4), loudest()]), []
    for narrow in ("", "1"):
        variables = {"CC": "gcc", "FIXED": fixed, "NARROW": narrow}
        directory, manifest = tmp_path / f"narrow{narrow}", manifest_for(student_tflite)
        program = build("sanitize", student_tflite, manifest, directory, **variables)
        found.append(program.frames(pcm))
    np.testing.assert_array_equal(*found)


def test_under_emulation(emulated: Emulated) -> None:
    pcm, host = scene(5, seed=3), emulated.host
    assert host is not None
    # Only the float logarithm may differ: it comes from another libm.
    tolerance = 0 if emulated.fixed else 2e-6
    np.testing.assert_allclose(emulated.frames(pcm, 1), host.frames(pcm), rtol=0, atol=tolerance)
    np.testing.assert_array_equal(emulated.patches(pcm, 1), host.patches(pcm))
