"""Every stage of the golden vectors against the code that scores and votes elsewhere."""

from pathlib import Path

import numpy as np
from tests.firmware.programs import samples_of, scene
from tests.student_fixtures import manifest_for

from crydistill.audio.mel import log_mel
from crydistill.audio.windows import windows
from crydistill.detector.vote import EventKind, VoteSettings, alerts
from crydistill.device.selftest_vectors import log_mel_patches, make_golden
from crydistill.student.manifest import load_manifest
from crydistill.student.runtime import TfliteStudent
from crydistill.tflite.interpreters import LiteRt


def test_every_stage_is_the_students(student_dir: Path) -> None:
    student = TfliteStudent.load(student_dir)
    tflite = (student_dir / "student.tflite").read_bytes()
    manifest = load_manifest(student_dir / "student.json")
    pcm = scene(8)
    golden = make_golden(pcm, tflite, manifest, LiteRt(tflite))
    patches = windows(log_mel(samples_of(pcm)))
    np.testing.assert_array_equal(log_mel_patches(pcm), patches)
    np.testing.assert_array_equal(golden.scores, student.cry_scores(patches))
    assert golden.patches.shape == patches.shape
    assert golden.logits.shape == (len(patches), 521)
    settings = VoteSettings(threshold=float(np.median(golden.scores)), n=1, m=2, hold_seconds=0.5)
    found = golden.events(settings)
    assert len(found) == len(patches)
    raised = [event.onset for event in found if event is not None and event.kind is EventKind.ON]
    assert raised == [alert.onset_window for alert in alerts(golden.scores, settings)]
    assert raised


def test_nothing_was_heard_before(memory_tflite: bytes) -> None:
    manifest, network = manifest_for(memory_tflite), LiteRt(memory_tflite)
    pcm = scene(4)
    first = make_golden(pcm, memory_tflite, manifest, network)
    assert network.memory is not None
    again = make_golden(pcm, memory_tflite, manifest, network)
    np.testing.assert_array_equal(again.logits, first.logits)
