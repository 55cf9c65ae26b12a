import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.nights.nightly import OPTIONS, clips, home, tone, tones

from crydistill.audio.files import AudioReader
from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.errors import AudioError, CorpusError
from crydistill.nights.alarms import Episode
from crydistill.nights.night import ClipNight, RecordedNight, clip_nights, read_split
from crydistill.nights.spans import Span
from crydistill.nights.streams import render


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> ClipNight:
    return tones(tmp_path_factory.mktemp("clips"))


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return home(tmp_path / "home.wav")


def test_the_same_seed_gives_the_same_night(tmp_path: Path, night: ClipNight) -> None:
    again = tones(tmp_path)
    same, other = clip_nights({"tones": clips(tmp_path)}, options=OPTIONS, seeds=[0, 1])
    assert same.plan == again.plan and (same.seed, other.seed) == (0, 1)

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
    (night,) = clip_nights({"tones": made}, options=OPTIONS, seeds=[0], bed=fans)
    assert {item.category for item in night.plan.placed if item.kind == "sound"} == {"whistle"}
    assert {item.category for item in night.plan.placed if item.kind == "bed"} == {"fan"}
    assert "fan" not in {event.what for event in night.sound_events}


def test_a_cry_is_no_background(tmp_path: Path) -> None:
    made = clips(tmp_path)
    with pytest.raises(CorpusError, match="cry0: is labelled cry"):
        clip_nights({"tones": made}, options=OPTIONS, seeds=[0], bed=made[:1])


def test_of_several_corpora_every_bout_knows_its_own(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    corpora = {"one": clips(tmp_path), "two": clips(tmp_path / "b")}  # of the same ids
    (night,) = clip_nights(corpora, options=OPTIONS, seeds=[0])
    assert night.source == "one and two"
    assert {origin.corpus for origin in night.origins} == {"one", "two"}
    assert night.plan.sounds == 16
    starts = [origin.start for origin in night.origins]
    assert starts == sorted(starts)
    crying = [o for o in night.origins if o.start in {e.start for e in night.episodes}]
    assert [o.group for o in crying] == [e.group for e in night.episodes]


def test_excerpts_are_public_or_none(tmp_path: Path, night: ClipNight) -> None:
    whole = np.concatenate(list(render(night.plan)))
    (piece,) = night.excerpts([(10.0, 12.5)])
    assert piece is not None and np.array_equal(piece, whole[160_000:200_000])
    hidden = tones(tmp_path, private=True)
    assert hidden.private and not night.private
    first = next(item for item in hidden.plan.placed if item.private)
    before, during = hidden.excerpts(
        [(0.0, first.start / SAMPLE_RATE - 0.1), (0.0, first.start / SAMPLE_RATE + 0.1)]
    )
    assert before is not None and during is None


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
    with pytest.raises(CorpusError, match=r"home\.wav: a cry label starts at 40\.0 s"):
        _ = night.episodes
    with pytest.raises(AudioError, match="no such file"):
        _ = RecordedNight(recording.with_name("x.wav")).seconds


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
    with pytest.raises(CorpusError, match="leave where out"):
        read_split(tmp_path, where={"split": "dev"})


def test_episodes_of_a_plan_are_the_nights(night: ClipNight) -> None:
    assert all(isinstance(episode, Episode) for episode in night.episodes)
    assert len(night.episode_snr_db) == 6
    assert all(15 <= snr <= 25 for snr in night.episode_snr_db)
    crying = [s for s in night.sound_events if s.cry]
    assert crying[0].start == night.episodes[0].start
