"""Shards are scored independently, and together they are the store that one process makes."""

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.teacher.scored import LoudnessTeacher, assert_same, make_clips, work_on

from crydistill.audio.variation import Variation
from crydistill.corpora.clip import Clip
from crydistill.errors import StoreError
from crydistill.lock import BusyError, exclusive
from crydistill.teacher import rows
from crydistill.teacher.scores import Kind, ScoreStore, StorePart, window_scores
from crydistill.teacher.scoring import Scoring
from crydistill.teacher.shards import divided
from crydistill.teacher.work import Varied, Work, recomputing, score_in_turn, score_work

OF = 3


def shards(work: Work, of: int = OF) -> list[Work]:
    parts = divided(work.clips, of)
    return [replace(work, clips=tuple(clips), shard=shard) for shard, clips in parts.items()]


def score_all(works: Sequence[Work]) -> list[Scoring]:
    return [score_work(work, LoudnessTeacher) for work in works]


def state(directory: Path) -> dict[str, tuple[int, int]]:
    """Every file and folder with its inode and time of change."""
    return {str(p): (p.stat().st_ino, p.stat().st_mtime_ns) for p in directory.rglob("*")}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    return make_clips(tmp_path_factory.mktemp("clips"), 14)


@pytest.fixture(scope="module")
def whole(clips: list[Clip], tmp_path_factory: pytest.TempPathFactory) -> ScoreStore:
    directory = tmp_path_factory.mktemp("whole")
    score_all([work_on(directory, clips)])
    return ScoreStore(directory)


def test_shards_together_are_the_whole(
    clips: list[Clip], whole: ScoreStore, tmp_path: Path
) -> None:
    results = score_all(reversed(shards(work_on(tmp_path, clips))))
    assert sum(result.scored for result in results) == len(clips)
    store = ScoreStore(tmp_path)
    assert_same(store, whole)


def test_files_are_mapped_when_they_are_read_and_not_all_at_once(
    clips: list[Clip], whole: ScoreStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score_all(shards(work_on(tmp_path, clips), 6))
    mapped = []
    plain = np.memmap

    def memmap(path: Path, **options: object) -> np.ndarray:
        mapped.append(path)
        return plain(path, **options)

    monkeypatch.setattr(rows.np, "memmap", memmap)
    store = ScoreStore(tmp_path)
    assert mapped == []
    store.logits(clips[0].id)
    assert [path.name for path in mapped] == ["scores.f16"]
    limit = rows._map.cache_info().maxsize
    assert limit is not None and 2 * limit < 1024


def test_an_empty_shard_is_a_shard(clips: list[Clip], tmp_path: Path) -> None:
    score_all(shards(work_on(tmp_path, clips[:2]), 8))
    assert len(ScoreStore(tmp_path)) == 2


def test_a_finished_shard_is_never_touched(clips: list[Clip], tmp_path: Path) -> None:
    works = shards(work_on(tmp_path, clips))
    score_all(works)
    before = state(tmp_path)
    for work in works:
        assert score_work(work, forbidden) == Scoring(0, ())
    os.utime(clips[0].path)  # the audio is what it was
    for work in works:
        assert score_work(work, forbidden) == Scoring(0, ())
    after = state(tmp_path)
    assert {path: after[path] for path in before if path != str(tmp_path)} == before


def forbidden() -> LoudnessTeacher:
    raise AssertionError("there is nothing to score")


def test_clips_that_are_added_or_changed_go_into_another_part(tmp_path: Path) -> None:
    clips = make_clips(tmp_path / "clips", 5)
    store = tmp_path / "store"
    score_all(shards(work_on(store, clips[:4])))
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    louder = make_clips(tmp_path / "other", 9)[8]
    clips[1].path.write_bytes(louder.path.read_bytes())
    assert sum(result.scored for result in score_all(shards(work_on(store, clips)))) == 2
    assert {path: path.read_bytes() for path in before} == before
    score_all([work_on(tmp_path / "whole", clips)])
    opened, expected = ScoreStore(store), ScoreStore(tmp_path / "whole")
    for clip in clips:
        assert np.array_equal(opened.logits(clip.id), expected.logits(clip.id))
        assert opened.entries[clip.id].sha256 == expected.entries[clip.id].sha256
    assert sum(result.scored for result in score_all(shards(work_on(store, clips)))) == 0


def test_what_cannot_be_read_is_told_again_and_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = make_clips(tmp_path / "clips", 4)
    clips[2].path.write_bytes(b"not audio")
    (work,) = shards(work_on(tmp_path / "store", clips), 1)
    first = score_work(work, LoudnessTeacher)
    assert (first.scored, [failure.clip_id for failure in first.failures]) == (3, ["2.wav"])
    monkeypatch.setattr("crydistill.teacher.work.score_corpus", forbidden)
    assert score_work(work, forbidden) == Scoring(0, first.failures)
    assert work.finished() == Scoring(0, first.failures)


def test_a_damaged_record_is_one_line(clips: list[Clip], tmp_path: Path) -> None:
    (work,) = shards(work_on(tmp_path, clips[:2]), 1)
    score_work(work, LoudnessTeacher)
    record = tmp_path / "shard-000-of-001" / "shard.json"
    for text in ("{", "[]", '{"clips": 1}'):
        record.write_text(text)
        with pytest.raises(StoreError, match=r"shard.json: .*the shard is made again"):
            work.finished()


class TestTwoWorkers:
    def test_of_one_machine_one_waits_its_turn(self, clips: list[Clip], tmp_path: Path) -> None:
        one, two, _ = shards(work_on(tmp_path, clips))
        with exclusive(tmp_path / "shard-000-of-003.lock"):
            with pytest.raises(BusyError):
                score_work(one, LoudnessTeacher)
            score_work(two, LoudnessTeacher)

    def test_of_two_machines_the_first_to_finish_wins(
        self, clips: list[Clip], whole: ScoreStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without common locks: the other machine does the whole shard while this one is at it."""
        (work,) = shards(work_on(tmp_path, clips), 1)

        class Overtaken(LoudnessTeacher):
            def logits(self, recordings: Sequence[object]) -> list[np.ndarray]:
                if not work.shard.finished(tmp_path):
                    (tmp_path / "shard-000-of-001.lock").unlink()
                    with monkeypatch.context() as there:
                        there.setattr("platform.node", lambda: "elsewhere")
                        assert score_work(work, LoudnessTeacher).scored == len(clips)
                return super().logits(recordings)

        assert score_work(work, Overtaken).scored == 0
        assert [p.name for p in tmp_path.iterdir()] == ["shard-000-of-001"]
        assert_same(ScoreStore(tmp_path), whole)

    def test_in_turn_comes_back_to_what_was_busy(
        self, clips: list[Clip], whole: ScoreStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            "crydistill.teacher.work.TeacherFiles.load", lambda _: LoudnessTeacher()
        )
        monkeypatch.setattr("crydistill.teacher.work._BUSY_SECONDS", 0.01)
        other = exclusive(tmp_path / "shard-001-of-003.lock")
        other.__enter__()
        said: list[str] = []

        def say(line: str) -> None:
            if not said:
                other.__exit__(None, None, None)
            said.append(line)

        score_in_turn(shards(work_on(tmp_path, clips)), say=say)
        assert said == ["waiting for another process that is at made up, shard-001-of-003"]
        assert_same(ScoreStore(tmp_path), whole)


def _score_slowly(work: Work) -> None:
    score_work(work, lambda: LoudnessTeacher(seconds_a_clip=0.05))


def test_a_killed_shard_goes_on_where_it_stopped(
    clips: list[Clip], whole: ScoreStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crydistill.teacher.scoring.WINDOWS_PER_BATCH", 1)
    (work,) = shards(work_on(tmp_path, clips), 1)
    process = multiprocessing.get_context("fork").Process(target=_score_slowly, args=(work,))
    process.start()
    part = work.shard.in_work(tmp_path / work.shard.name)
    deadline = time.monotonic() + 60
    while not (part / "index.jsonl").exists() or not (part / "index.jsonl").stat().st_size:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    there = len(StorePart(part, work.kind).entries)
    assert 0 < there < len(clips)
    assert work.finished() is None
    with pytest.raises(StoreError, match="shard 0 of 1 is missing"):
        ScoreStore(tmp_path)
    teacher = LoudnessTeacher()
    assert score_work(work, lambda: teacher).scored == teacher.heard == len(clips) - there
    assert_same(ScoreStore(tmp_path), whole)
    assert [p.name for p in tmp_path.iterdir()] == ["shard-000-of-001"]


class TestFramesThatAreNotKept:
    KIND = window_scores(keep_frames=False)

    def opened(self, work: Work) -> ScoreStore:
        return ScoreStore(work.directory, work.kind, recomputing(work.clips, work.varied))

    @pytest.mark.parametrize("of", [None, 2])
    def test_are_the_same_when_they_are_computed_again(
        self, clips: list[Clip], whole: ScoreStore, tmp_path: Path, of: int | None
    ) -> None:
        work = work_on(tmp_path, clips, self.KIND)
        score_all(shards(work, of) if of else [work])
        assert not any(path.stat().st_size for path in tmp_path.rglob("frames.f16"))
        assert_same(self.opened(work), whole)

    def test_of_varied_copies_too(
        self, clips: list[Clip], whole: ScoreStore, tmp_path: Path
    ) -> None:
        varied = Varied(tuple(clips[:3]), Variation(), count=2, seed=0, round_number=1)
        kept = replace(work_on(tmp_path / "kept", clips[:6]), varied=varied)
        work = replace(work_on(tmp_path / "not", clips[:6], self.KIND), varied=varied)
        score_all([kept, work])
        assert_same(self.opened(work), ScoreStore(kept.directory))
        assert not np.array_equal(self.opened(work).frames("3.wav"), whole.frames("3.wav"))

    def test_a_store_goes_on_as_it_began(
        self, clips: list[Clip], whole: ScoreStore, tmp_path: Path
    ) -> None:
        work = work_on(tmp_path, clips, self.KIND)
        score_all([replace(work, clips=work.clips[:5])])
        score_all([work_on(tmp_path, clips)])
        assert_same(self.opened(work), whole)

    def test_a_clip_scored_again_has_its_new_frames(self, tmp_path: Path) -> None:
        clips = make_clips(tmp_path / "clips", 3)
        work = work_on(tmp_path / "store", clips, self.KIND)
        score_all([work])
        clips[0].path.write_bytes(make_clips(tmp_path / "longer", 3, 4.0)[2].path.read_bytes())
        with pytest.raises(StoreError, match=r"0.wav: has changed since it was scored"):
            self.opened(work).frames("0.wav")
        score_all([work])
        score_all([work_on(tmp_path / "whole", clips)])
        expected = ScoreStore(tmp_path / "whole")
        for clip in clips:
            assert np.array_equal(self.opened(work).frames(clip.id), expected.frames(clip.id))

    def test_a_recording_that_is_gone_is_one_line(self, tmp_path: Path) -> None:
        clips = make_clips(tmp_path / "clips", 2)
        work = work_on(tmp_path / "store", clips, self.KIND)
        score_all([work])
        clips[0].path.unlink()
        with pytest.raises(StoreError, match=r"0.wav: No such file .*keeps no frames and needs it"):
            self.opened(work).frames("0.wav")
        with pytest.raises(StoreError, match="keeps no frames; open it with its recordings"):
            ScoreStore(work.directory, self.KIND).frames("1.wav")

    def test_memory_is_bounded(
        self, clips: list[Clip], whole: ScoreStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("crydistill.teacher.rows._BYTES_KEPT", 40_000)
        work = work_on(tmp_path, clips, self.KIND)
        score_all([work])
        store = self.opened(work)
        assert_same(store, whole)
        (part,) = store._frames
        assert sum(each.nbytes for each in part._kept.values()) <= 40_000


@pytest.mark.parametrize("kind", [window_scores(top=8), window_scores(top=8, keep_frames=False)])
def test_reduced_logits_keep_the_cry_scores(
    clips: list[Clip], whole: ScoreStore, tmp_path: Path, kind: Kind
) -> None:
    work = work_on(tmp_path, clips, kind)
    score_all(shards(work))
    store = ScoreStore(tmp_path, kind, recomputing(clips))
    for clip in clips:
        assert np.array_equal(store.cry_scores(clip.id), whole.cry_scores(clip.id))
        assert np.array_equal(store.frames(clip.id), whole.frames(clip.id))
    assert sum(path.stat().st_size for path in tmp_path.rglob("scores.f16")) == (
        2 * 21 * sum(entry.windows for entry in whole.entries.values())
    )
    with pytest.raises(StoreError, match="score_shape"):
        ScoreStore(tmp_path)


def test_shards_of_two_teachers_are_refused(clips: list[Clip], tmp_path: Path) -> None:
    score_all(shards(work_on(tmp_path, clips[:4]), 2))
    facts = tmp_path / "shard-001-of-002" / "store.json"
    other = json.loads(facts.read_text())
    other["teacher"]["fingerprint"] = "e" * 64
    facts.write_text(json.dumps(other))
    with pytest.raises(StoreError, match="holds scores of teacher loudness"):
        ScoreStore(tmp_path)


def test_a_shard_knows_its_clips(clips: list[Clip]) -> None:
    assert all(divided(clips, OF).values()), "no test above has an empty shard"
