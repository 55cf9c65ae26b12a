"""The two front ends of the C library on clips, built for the host."""

import json
import shutil
from pathlib import Path

import pytest
import soundfile
from tests.firmware.programs import FIRMWARE, scene
from typer.testing import CliRunner

from crydistill.cli import app
from crydistill.corpora.clip import Clip, Label
from crydistill.device.front_ends import (
    FLOATS,
    INTEGERS,
    RESULT_NAME,
    build_front_ends,
    front_ends_record,
    markdown,
    score_front_ends,
)
from crydistill.device.selftest_vectors import log_mel_patches
from crydistill.errors import CorpusError
from crydistill.student.runtime import TfliteStudent

SECONDS = 3


@pytest.fixture
def student(student_dir: Path) -> TfliteStudent:
    return TfliteStudent.load(student_dir)


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    """Four audio clips, and one file that is not audio."""
    found = []
    for number in range(5):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, scene(SECONDS, seed=number), 16_000, subtype="PCM_16")
        if number == 4:
            path.write_bytes(b"no sound")
        label = Label.CRY if number % 2 else Label.NONCRY
        found.append(Clip(id=path.name, path=path, label=label, group=str(number)))
    return found


def built(student_dir: Path, student: TfliteStudent, folder: Path):  # type: ignore[no-untyped-def]
    if any(shutil.which(tool) is None for tool in ("make", "cc")):
        pytest.skip("needs make and a C compiler")
    tflite = (student_dir / "student.tflite").read_bytes()
    return build_front_ends(tflite, student.manifest, FIRMWARE, folder)


def test_scores_are_the_students_and_both_front_ends_agree(
    student_dir: Path, student: TfliteStudent, clips: list[Clip], tmp_path: Path
) -> None:
    heard = score_front_ends(clips, student, built(student_dir, student, tmp_path / "build"))
    assert [clip.id for clip in heard.clips] == [clip.id for clip in clips[:4]]
    assert heard.unreadable.keys() == {"4.wav"}
    for number, clip in enumerate(clips[:4]):
        pcm, _ = soundfile.read(clip.path, dtype="int16")
        expected = student.cry_scores(log_mel_patches(pcm)).mean()
        for name in (FLOATS, INTEGERS):
            # A value in a thousand is a step off.
            assert heard.scores[name][number] == pytest.approx(expected, rel=0.05)
    assert heard.windows == 4 * (1 + (SECONDS * 100 - 2 - 96) // 48)
    assert heard.values == 4 * (SECONDS * 100 - 2) * 64
    assert 0 < heard.other_values < heard.values / 500
    assert heard.largest_step == 1

    record = json.loads(
        json.dumps(front_ends_record(heard, student.manifest, provenance={}, replicates=20))
    )
    areas = record["roc_auc"]
    difference = areas[INTEGERS]["value"] - areas[FLOATS]["value"]
    assert areas["difference"]["value"] == pytest.approx(difference, abs=1e-6)
    assert record["clips"] == {
        "clips": 4, "cries": 2, "groups": 4, "unreadable": 1, "private": False,
    }  # fmt: skip
    text = markdown(record)
    assert "| in integers |" in text and "4 clips, 2 cries" in text


def test_both_labels_are_needed(student: TfliteStudent, clips: list[Clip]) -> None:
    with pytest.raises(CorpusError, match="labelled noncry"):
        score_front_ends([clip for clip in clips if clip.is_cry], student, {})


def test_private_clips_stay_outside_the_work_tree(clips: list[Clip], tmp_path: Path) -> None:
    (tmp_path / "tree" / ".git").mkdir(parents=True)
    out = tmp_path / "tree" / "out"
    arguments = ["front-ends", str(FIRMWARE), str(tmp_path), "--private", "--out", str(out)]
    done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, CorpusError)
    assert not (out / RESULT_NAME).exists()
