import numpy as np
from tests.student_fixtures import manifest_for

from crydistill.audio.mel import log_mel
from crydistill.detector.vote import EventKind
from crydistill.device.selftest import GOLDEN_WINDOWS, babble, make_selftest, selftest_source
from crydistill.tflite.check import inspect_tflite


def test_the_audio_has_tones_and_pauses() -> None:
    audio = babble(24_000)
    assert audio.dtype == np.int16
    loud = np.abs(audio.reshape(3, 8_000)).max(axis=1)
    assert loud[0] > 8_000
    assert loud[2] < 300 or loud[1] < 300
    # Bright: the bands above the fundamental are filled, too.
    frames = log_mel(audio[:8_000].astype(np.float32) / 32_768)
    assert (frames.mean(axis=0) > 0).mean() > 0.7


def test_more_audio_continues_the_same() -> None:
    np.testing.assert_array_equal(babble(20_000)[:9_000], babble(9_000))


def test_golden_data_is_repeatable_and_raises_an_alert(reference_tflite: bytes) -> None:
    manifest = manifest_for(reference_tflite)
    golden = make_selftest(reference_tflite, manifest)
    assert golden.patch.shape == (96, 64)
    assert golden.logits.shape == (521,)
    assert golden.events[0].kind is EventKind.ON
    source = selftest_source(golden, manifest.tflite.sha256)
    again = make_selftest(reference_tflite, manifest)
    assert selftest_source(again, manifest.tflite.sha256) == source
    assert max(map(len, source.splitlines())) <= 100


def test_a_student_with_memory_hears_a_gap(memory_tflite: bytes) -> None:
    manifest = manifest_for(memory_tflite)
    golden = make_selftest(memory_tflite, manifest)
    assert 0 < golden.gap < golden.probe < GOLDEN_WINDOWS
    assert golden.memories is not None
    before, after = golden.memories
    np.testing.assert_array_equal(after[:, :-1], before[:, 1:])
    # Of what was heard before the gap nothing is left, which would have filled the memory.
    zero_point = inspect_tflite(memory_tflite).memory.zero_point
    assert golden.gap > before.shape[1]
    assert (before[:, 0] == zero_point).all()
    # Of what was heard since then there is enough to notice that it is forgotten.
    assert np.abs(before.astype(int) - zero_point).max() > 8
    source = selftest_source(golden, manifest.tflite.sha256)
    assert f".gap = {golden.gap}," in source
    assert ".next_memory = next_memory," in source


def test_a_student_without_memory_hears_no_gap(reference_tflite: bytes) -> None:
    golden = make_selftest(reference_tflite, manifest_for(reference_tflite))
    assert (golden.gap, golden.memories) == (0, None)
    source = selftest_source(golden, "0" * 64)
    assert "gap" not in source
    assert "memory" not in source
