import threading
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import soundfile

from crydistill.audio.mel import log_mel
from crydistill.audio.windows import window_count, windows
from crydistill.corpora.clip import Clip, Label
from crydistill.errors import TeacherError
from crydistill.teacher.base import Recording
from crydistill.teacher.recorded import RecordedTeacher, record
from crydistill.teacher.scores import ScoreStore
from crydistill.teacher.scoring import score_corpus, unscored


class LoudnessTeacher:
    """A teacher whose logits are the loudness of the window."""

    name = "loudness"
    fingerprint = "f" * 64

    def __init__(self) -> None:
        self.calls: list[int] = []

    def logits(self, recordings: Sequence[Recording]) -> list[np.ndarray]:
        self.calls.append(len(recordings))
        return [
            np.repeat(windows(r.frames).mean(axis=(1, 2))[:, None], 521, axis=1) for r in recordings
        ]


def make_clips(directory: Path, count: int, seconds: float = 3.0) -> list[Clip]:
    clips = []
    for number in range(count):
        path = directory / f"{number}.wav"
        noise = np.random.default_rng(number).standard_normal(round(16_000 * seconds))
        soundfile.write(path, 0.01 * (number + 1) * noise, 16_000)
        clips.append(Clip(path.name, path, Label.NONCRY, path.name))
    return clips


def test_every_clip_gets_its_own_scores(tmp_path: Path) -> None:
    clips = make_clips(tmp_path, 150)
    result = score_corpus(clips, LoudnessTeacher(), tmp_path / "store")
    assert (result.scored, result.failures) == (150, ())
    store = ScoreStore(tmp_path / "store")
    for clip in clips:
        samples, _ = soundfile.read(clip.path, dtype="float32")
        frames = log_mel(samples)
        assert store.entries[clip.id].windows == window_count(len(frames))
        np.testing.assert_allclose(store.frames(clip.id), frames, atol=4e-3)
        expected = windows(frames).mean(axis=(1, 2))
        np.testing.assert_allclose(store.logits(clip.id)[:, 7], expected, atol=4e-3)


def test_clips_go_to_the_teacher_together(tmp_path: Path) -> None:
    teacher = LoudnessTeacher()
    score_corpus(make_clips(tmp_path, 150), teacher, tmp_path / "store")
    assert len(teacher.calls) < 5
    assert sum(teacher.calls) == 150


def test_the_next_batch_is_gathered_while_the_teacher_scores(tmp_path: Path) -> None:
    """And no more than that one, so that memory stays flat."""
    clips = make_clips(tmp_path, 400, seconds=4.0)
    store, begun = tmp_path / "store", []

    class Watching(LoudnessTeacher):
        def logits(self, recordings: Sequence[Recording]) -> list[np.ndarray]:
            begun.append(sum(self.calls))
            assert threading.current_thread() is not threading.main_thread()
            return super().logits(recordings)

    teacher = Watching()
    written = []
    score_corpus(clips, teacher, store, progress=lambda *_: nullcontext(written.append))
    assert list(ScoreStore(store).entries) == [clip.id for clip in clips]
    assert begun == [sum(teacher.calls[:number]) for number in range(len(teacher.calls))]
    assert written == [*teacher.calls, 0]


def test_what_was_scored_before_the_teacher_failed_is_kept(tmp_path: Path) -> None:
    clips = make_clips(tmp_path, 250, seconds=4.0)

    class Failing(LoudnessTeacher):
        def logits(self, recordings: Sequence[Recording]) -> list[np.ndarray]:
            if self.calls:
                raise TeacherError("no longer there")
            return super().logits(recordings)

    teacher = Failing()
    with pytest.raises(TeacherError, match="no longer there"):
        score_corpus(clips, teacher, tmp_path / "store")
    assert len(ScoreStore(tmp_path / "store")) == teacher.calls[0]


def test_bad_clips_are_recorded_and_the_rest_unharmed(tmp_path: Path) -> None:
    clips = make_clips(tmp_path, 10)
    clips[3].path.write_bytes(b"not audio")
    clips[6].path.unlink()
    result = score_corpus(clips, LoudnessTeacher(), tmp_path / "store")
    assert result.scored == 8
    assert [failure.clip_id for failure in result.failures] == ["3.wav", "6.wav"]
    assert "cannot be decoded" in result.failures[0].reason
    assert "no such file" in result.failures[1].reason
    assert len(ScoreStore(tmp_path / "store")) == 8


def test_only_new_and_changed_clips_are_left_to_score(tmp_path: Path) -> None:
    clips = make_clips(tmp_path, 6)
    store = tmp_path / "store"
    assert unscored(clips, store) == clips
    score_corpus(clips[:4], LoudnessTeacher(), store)
    assert unscored(clips, store) == clips[4:]
    soundfile.write(clips[1].path, np.zeros(20_000), 16_000)
    assert unscored(clips, store) == [clips[1], *clips[4:]]


def test_a_recording_repeats_the_scores(tmp_path: Path) -> None:
    clips = make_clips(tmp_path, 8)
    score_corpus(clips, LoudnessTeacher(), tmp_path / "store")
    first = ScoreStore(tmp_path / "store")
    record(first, tmp_path / "recording.npz", provenance={"audio": "noise"})
    teacher = RecordedTeacher(tmp_path / "recording.npz")
    assert teacher.name == "loudness, recorded"
    assert teacher.provenance["teacher_sha256"] == "f" * 64
    score_corpus(clips, teacher, tmp_path / "again")
    again = ScoreStore(tmp_path / "again")
    for clip in clips:
        assert np.array_equal(again.logits(clip.id), first.logits(clip.id))


@pytest.mark.parametrize("change", ["unknown clip", "other length", "other sound", "quieter"])
def test_a_recording_refuses_other_audio(tmp_path: Path, change: str) -> None:
    (clip,) = make_clips(tmp_path, 1)
    score_corpus([clip], LoudnessTeacher(), tmp_path / "store")
    record(ScoreStore(tmp_path / "store"), tmp_path / "recording.npz", provenance={})
    teacher = RecordedTeacher(tmp_path / "recording.npz")
    samples, _ = soundfile.read(clip.path, dtype="float32")
    clip_id = clip.id
    if change == "unknown clip":
        clip_id = "another.wav"
    elif change == "other length":
        samples = samples[:20_000]
    elif change == "other sound":
        samples = samples[::-1].copy()
    else:
        samples = 0.9 * samples
    with pytest.raises(TeacherError, match="not of this audio"):
        teacher.logits([Recording(clip_id, samples, log_mel(samples))])


def test_a_recording_forgives_a_rounded_sample(tmp_path: Path) -> None:
    (clip,) = make_clips(tmp_path, 1)
    score_corpus([clip], LoudnessTeacher(), tmp_path / "store")
    record(ScoreStore(tmp_path / "store"), tmp_path / "recording.npz", provenance={})
    samples, _ = soundfile.read(clip.path, dtype="float32")
    samples[5_000:5_010] += 1 / 32_768
    teacher = RecordedTeacher(tmp_path / "recording.npz")
    teacher.logits([Recording(clip.id, samples, log_mel(samples))])


def test_not_a_recording(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(b"nothing")
    with pytest.raises(TeacherError, match="not a recording"):
        RecordedTeacher(path)
