import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.evaluation.nightly import CRY_HERTZ, clips, scorer, share_of_tone, tone

from crydistill.audio.files import AudioReader
from crydistill.audio.mel import SAMPLE_RATE, Samples, log_mel
from crydistill.audio.windows import WINDOW_SAMPLES, window_count
from crydistill.corpora.folder import read_corpus
from crydistill.detector.vote import Scores, VoteSettings, alerts
from crydistill.errors import AudioError, ConfigError, CorpusError
from crydistill.evaluation.alarms import Episode, ScoredStream
from crydistill.evaluation.nights import (
    THRESHOLDS,
    ClipNight,
    Heard,
    RecordedNight,
    clip_night,
    hear,
    judge,
    read_split,
    score_together,
)
from crydistill.evaluation.spans import Span
from crydistill.evaluation.streams import StreamOptions, render
from crydistill.teacher.base import Recording

VOTE = VoteSettings(threshold=0.5, n=2, m=3, hold_seconds=1.0)
OPTIONS = StreamOptions(
    rooms=0, episodes=6, mean_gap_seconds=8.0, snr_db=(15.0, 25.0), microphone_db=(0.0, 0.0)
)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> ClipNight:
    return clip_night(
        clips(tmp_path_factory.mktemp("clips")), corpus="tones", options=OPTIONS, seed=0
    )


@pytest.fixture(scope="module")
def heard(night: ClipNight) -> Heard:
    (one,) = hear(night, [scorer(presets={"balanced": VOTE})])
    return one


def mean_of_samples(recording: Recording) -> Scores:
    """Score by the samples, as a teacher does that takes no log-mel."""
    view = np.lib.stride_tricks.sliding_window_view(recording.samples, WINDOW_SAMPLES)[::7_680]
    return np.asarray(np.abs(view).mean(axis=1, dtype=np.float64), dtype=np.float32)


@pytest.mark.parametrize("block", [100, 7_680, 50_000])
def test_scores_do_not_depend_on_the_blocks(block: int) -> None:
    audio = np.random.default_rng(0).normal(0, 0.1, 100_000).astype(np.float32)
    whole = Recording("", audio, log_mel(audio))
    told: list[int] = []
    by_frames, by_samples = score_together(
        (audio[start : start + block] for start in range(0, len(audio), block)),
        [share_of_tone, mean_of_samples],
        heard=told.append,
    )
    assert len(by_frames) == window_count(len(whole.frames))
    assert np.array_equal(by_frames, share_of_tone(whole))
    assert np.array_equal(by_samples, mean_of_samples(whole)[: len(by_samples)])
    assert len(by_samples) == len(by_frames)
    assert sum(told) == len(audio)


def test_too_little_audio_has_no_scores() -> None:
    (track,) = score_together([np.zeros(WINDOW_SAMPLES - 1, np.float32)], [share_of_tone])
    assert len(track) == 0


def test_progress_counts_the_seconds(night: ClipNight) -> None:
    from contextlib import contextmanager

    seconds: list[int] = []

    @contextmanager
    def meter(task: str, total: int, unit: str):  # type: ignore[no-untyped-def]
        assert (task, unit) == ("listening", "seconds")
        assert total == round(night.seconds)
        yield seconds.append

    hear(night, [scorer()], progress=meter)
    assert sum(seconds) == int(night.seconds)


def test_what_is_heard_is_what_was_placed(night: ClipNight, heard: Heard) -> None:
    (model,) = judge(night, [heard], votes=[(2, 3)], hold_seconds=1.0, replicates=50).models
    # Every cry is a tone over the bed and every whistle is one too: all caught, two false alarms.
    assert model.shown == VOTE and model.shown_because == "preset balanced"
    assert [alarm.what for alarm in model.false_alarms] == ["whistle", "whistle"]
    whistles = sorted(item.start / SAMPLE_RATE for item in night.plan.placed
                      if item.category == "whistle")  # fmt: skip
    assert [a.alert.onset for a in model.false_alarms] == pytest.approx(whistles, abs=0.975)
    assert model.missed == [] and len(model.true_alerts) >= 6
    assert model.presets["balanced"].false_alarms == 2
    assert model.presets["balanced"].caught.value == 1
    assert max(model.presets["balanced"].delays) < 2.5
    assert sum(band.episodes for band in model.by_snr) == 6
    assert {band.from_db for band in model.by_snr} <= {10.0, 20.0}
    assert all(band.caught == band.episodes for band in model.by_snr)


def test_hindsight_keeps_its_word(night: ClipNight, heard: Heard) -> None:
    (model,) = judge(night, [heard], votes=[(1, 1), (5, 9)], replicates=50).models
    for vote in model.votes:
        for wanted, figures in vote.at_rates.items():
            assert figures.per_hour.value <= wanted
            assert (figures.settings.n, figures.settings.m) == (vote.n, vote.m)
        assert [f.settings.threshold for f in vote.at_thresholds] == list(THRESHOLDS)
    # The audio cannot do with fewer false alarms than the whistles and catch the cries.
    assert model.vote(1, 1) is not None and model.vote(3, 3) is None


def test_without_presets_hindsight_is_shown(night: ClipNight, heard: Heard) -> None:
    outside = ScoredStream(heard.scores, night.episodes).outside
    scores = np.where(outside, 0.5 * heard.scores, heard.scores)
    (model,) = judge(night, [Heard(scorer(), scores)], votes=[(2, 3), (5, 9)]).models
    assert model.presets == {} and model.shown_because == "1 false alarm an hour, in hindsight"
    assert (model.shown.n, model.shown.m) == (5, 9)
    assert model.false_alarms == [] and model.missed == []


def test_where_any_threshold_is_wrong_too_often_the_highest_is_shown(
    night: ClipNight, heard: Heard
) -> None:
    (model,) = judge(night, [Heard(scorer(), heard.scores)], votes=[(2, 3)]).models
    assert model.shown_because == "highest score"
    assert model.shown.threshold == heard.scores.max()


def test_the_result_is_plain_json(night: ClipNight, heard: Heard) -> None:
    result = judge(night, [heard], votes=[(2, 3)], replicates=50)
    record = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert record["night"]["sounds"] == 8 and record["night"]["sounds_heard_again"] == 0
    assert record["night"]["episodes"] == 6 and record["night"]["crying_groups"] == 2
    assert record["night"]["private"] is False
    det = record["models"]["ear"]["votes"][0]["det"]
    assert det["missed"] == sorted(set(det["missed"]), reverse=True)
    assert record["models"]["ear"]["shown"]["false_alarms_by_sound"] == {"whistle": 2}


def test_the_same_seed_gives_the_same_night(tmp_path: Path, night: ClipNight) -> None:
    again = clip_night(clips(tmp_path), corpus="tones", options=OPTIONS, seed=0)
    other = clip_night(clips(tmp_path), corpus="tones", options=OPTIONS, seed=1)

    def first_minute(night: ClipNight) -> Samples:
        return np.concatenate(list(itertools.islice(night.blocks(), 2)))

    assert [replace(item, path=None) for item in again.plan.placed] == [
        replace(item, path=None) for item in night.plan.placed
    ]
    assert np.array_equal(first_minute(again), first_minute(night))
    assert not np.array_equal(first_minute(other), first_minute(night))


def test_bed_clips_are_not_sounds(tmp_path: Path) -> None:
    made = clips(tmp_path)
    fans = [clip for clip in made if clip.category == "fan"]
    night = clip_night(made, corpus="tones", options=OPTIONS, seed=0, bed=fans)
    assert {item.category for item in night.plan.placed if item.kind == "sound"} == {"whistle"}
    assert {item.category for item in night.plan.placed if item.kind == "bed"} == {"fan"}
    assert "fan" not in {sounding.what for sounding in night.soundings}


def test_excerpts_are_public_or_none(tmp_path: Path, night: ClipNight) -> None:
    whole = np.concatenate(list(render(night.plan)))
    (piece,) = night.excerpts([(10.0, 12.5)])
    assert piece is not None and np.array_equal(piece, whole[160_000:200_000])
    hidden = clip_night(clips(tmp_path, private=True), corpus="home", options=OPTIONS, seed=0)
    assert hidden.private and not night.private
    first = next(item for item in hidden.plan.placed if item.private)
    before, during = hidden.excerpts(
        [(0.0, first.start / SAMPLE_RATE - 0.1), (0.0, first.start / SAMPLE_RATE + 0.1)]
    )
    assert before is not None and during is None


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """30 s at 44.1 kHz in stereo, the tone from 10 to 15 s and from 20 to 24 s."""
    rate = 44_100
    time = np.arange(30 * rate) / rate
    crying = ((time >= 10) & (time < 15)) | ((time >= 20) & (time < 24))
    sound = 0.2 * np.sin(2 * np.pi * CRY_HERTZ * time) * crying
    sound += np.random.default_rng(0).normal(0, 1e-3, len(time))
    path = tmp_path / "home.wav"
    soundfile.write(path, np.stack([sound, sound], axis=1), rate)
    return path


def test_a_recording_with_labels(recording: Path) -> None:
    night = RecordedNight(recording, [Span(10, 15, "cry"), Span(20, 24, "tv")])
    assert night.labelled and night.private and night.seconds == pytest.approx(30)
    (model,) = judge(night, hear(night, [scorer()]), votes=[(2, 3)], replicates=10).models
    assert [episode.start for episode in night.episodes] == [10]
    assert model.missed == [] and model.by_snr == []
    at_half = next(f for f in model.votes[0].at_thresholds if f.settings.threshold == 0.5)
    # The default hold of 10 s keeps the alert on from the cry into the television.
    assert at_half.false_alarms == 0 and at_half.caught.value == 1
    assert {s.what for s in night.soundings} == {"cry", "tv"}


def test_a_recording_without_labels_counts_every_alert(recording: Path) -> None:
    night = RecordedNight(recording)
    assert not night.labelled and night.episodes == ()
    heard = hear(night, [scorer()])
    (model,) = judge(night, heard, votes=[(2, 3)], hold_seconds=1.0, replicates=10).models
    at_half = next(f for f in model.votes[0].at_thresholds if f.settings.threshold == 0.5)
    assert at_half.false_alarms == 2 == len(alerts(heard[0].scores, VOTE))
    assert {alarm.what for alarm in model.false_alarms} == {"no labelled sound"}


def test_excerpts_of_a_recording_need_its_owners_word(recording: Path) -> None:
    assert RecordedNight(recording).excerpts([(1.0, 2.0)]) == [None]
    public = RecordedNight(recording, private=False)
    whole = np.concatenate(list(AudioReader(recording).blocks()))
    for found, (start, end) in zip(
        public.excerpts([(1.0, 2.0), (29.5, 40.0)]), [(1.0, 2.0), (29.5, 40.0)], strict=True
    ):
        assert found is not None
        assert np.array_equal(found, whole[int(start * SAMPLE_RATE) : int(end * SAMPLE_RATE)])


def test_labels_of_another_recording_are_refused(recording: Path) -> None:
    night = RecordedNight(recording, [Span(40, 42, "cry")])
    with pytest.raises(CorpusError, match=r"home\.wav: a label says crying from 40\.0 s on"):
        _ = night.episodes
    with pytest.raises(AudioError, match="no such file"):
        _ = RecordedNight(recording.with_name("x.wav")).seconds


def test_an_episode_at_the_very_end_that_no_window_hears_is_left_out(recording: Path) -> None:
    night = RecordedNight(recording, [Span(10, 15, "cry"), Span(29.9, 30, "cry")])
    (model,) = judge(night, hear(night, [scorer()]), votes=[(2, 3)], replicates=10).models
    assert len(night.episodes) == 2
    assert model.votes[0].at_thresholds[0].episodes == 1


def test_impossible_votes_are_refused(night: ClipNight, heard: Heard) -> None:
    with pytest.raises(ConfigError, match="9 of 5"):
        judge(night, [heard], votes=[(9, 5)])


def manifest(folder: Path) -> Path:
    rows = ["path,label,split,group"]
    for number, split in enumerate(("train", "dev", "dev")):
        soundfile.write(folder / f"{number}.wav", tone(500, 1.0), SAMPLE_RATE)
        rows.append(f"{number}.wav,noncry,{split},g{number}")
    (folder / "clips.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_a_night_is_of_one_split(tmp_path: Path) -> None:
    folder = manifest(tmp_path)
    assert len(read_split(folder, where={"split": "dev"})) == 2
    assert len(read_split(folder / "clips.csv", where={"split": "train"})) == 1
    with pytest.raises(CorpusError, match=r"several splits \(dev, train\)"):
        read_split(folder)


def test_rows_cannot_be_chosen_without_a_manifest(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(500, 1.0), SAMPLE_RATE)
    assert len(read_split(tmp_path)) == 1
    with pytest.raises(CorpusError, match="leave --where out"):
        read_split(tmp_path, where={"split": "dev"})


def test_episodes_of_a_plan_are_the_nights(night: ClipNight) -> None:
    assert all(isinstance(episode, Episode) for episode in night.episodes)
    assert len(night.episode_snr_db) == 6
    assert all(15 <= snr <= 25 for snr in night.episode_snr_db)
    crying = [s for s in night.soundings if s.cry]
    assert crying[0].start == night.episodes[0].start


@pytest.mark.shared
def test_the_packaged_student_on_real_clips(shared: Path) -> None:
    from crydistill.evaluation.scorers import student_scorers
    from crydistill.quantize.interpreters import Kernels
    from crydistill.student.packaged import packaged_student

    dev = read_corpus(shared / "audio", where={"split": "dev", "source": "esc10"})
    cries = [clip for clip in dev if clip.is_cry][:6]
    others = [clip for clip in dev if not clip.is_cry][:10]
    options = replace(OPTIONS, episodes=2, cries=(2, 3))
    night = clip_night([*cries, *others], corpus="audio", options=options, seed=0)
    scorers = student_scorers(packaged_student(), kernels=Kernels.OPTIMIZED)
    result = judge(night, hear(night, scorers), votes=[(5, 9)], replicates=10)
    (model,) = result.models
    assert set(model.presets) >= {"sensitive", "balanced", "quiet"}
    inside = np.zeros(len(model.heard.scores), dtype=bool)
    for episode in night.episodes:
        inside[int(episode.start / 0.48) : int(episode.end / 0.48)] = True
    assert model.heard.scores[inside].mean() > 3 * model.heard.scores[~inside].mean()
