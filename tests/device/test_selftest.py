import numpy as np
from tests.student_fixtures import manifest_for

from crydistill.audio.mel import log_mel
from crydistill.detector.vote import EventKind
from crydistill.device.selftest import babble, make_selftest, selftest_source


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
