import csv
import itertools
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tests.nights.lengths import composed

from crydistill.audio.augment import active_level
from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.corpora.clip import Clip, Label
from crydistill.corpora.folder import read_corpus
from crydistill.errors import ConfigError, CorpusError
from crydistill.experiment.streams import StreamOptions
from crydistill.nights.alarms import GRACE_SECONDS, ScoredStream
from crydistill.nights.bouts import Measured
from crydistill.nights.spans import Span, read_spans
from crydistill.nights.streams import (
    Kind,
    StreamPlan,
    compose,
    excerpt,
    measure_clips,
    render,
    write_plan,
)

DRY = StreamOptions(episodes=0, rooms=0, microphone_db=(0.0, 0.0), mean_gap_seconds=1.0)


def tone(hertz: float, seconds: float, amplitude: float = 0.1) -> Samples:
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (amplitude * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def clip(folder: Path, name: str, label: Label, group: str, sound: Samples) -> Clip:
    path = folder / f"{name}.wav"
    soundfile.write(path, sound, SAMPLE_RATE, subtype="FLOAT")
    return Clip(name, path, label, group, category=name.rstrip("0123456789"))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    folder = tmp_path_factory.mktemp("clips")
    cries = [
        clip(folder, f"cry{n}", Label.CRY, f"child{n % 2}", tone(400 + n, 2 + n, 0.3))
        for n in range(4)
    ]
    others = [
        clip(folder, f"cat{n}", Label.NONCRY, f"cat{n}", tone(800 + n, 1.5 + n / 10, 0.02))
        for n in range(6)
    ]
    return [*cries, *others]


def planned(clips: list[Clip], options: StreamOptions = DRY, seed: int = 0) -> StreamPlan:
    measured, unusable = measure_clips(clips)
    assert not unusable
    return composed(clips, measured, options, seed)


def test_every_sound_is_heard_exactly_once(clips: list[Clip]) -> None:
    plan = planned(clips)
    sounds = [item.clip for item in plan.placed if item.kind is Kind.SOUND]
    assert sorted(sounds) == sorted(one.id for one in clips if not one.is_cry)
    assert plan.reused == 0 and plan.episodes == ()
    assert sounds != [item.clip for item in planned(clips, seed=1).placed if item.kind == "sound"]


def test_nothing_but_the_bed_overlaps_anything(clips: list[Clip]) -> None:
    plan = planned(clips, replace(DRY, episodes=5, hours=0.1))
    heard = [item for item in plan.placed if item.kind is not Kind.BED]
    assert all(one.stop <= other.start for one, other in itertools.pairwise(heard))
    assert plan.samples >= 0.1 * 3600 * SAMPLE_RATE
    assert plan.reused > 0
    # After a bout of any kind there is silence for as long as an alert may still belong to it.
    bouts = [list(items) for _, items in itertools.groupby(heard, key=lambda item: item.bout)]
    assert {bout[0].kind for bout in bouts} == {Kind.SOUND, Kind.CRY}
    for one, other in itertools.pairwise(bouts):
        assert other[0].start - one[-1].stop > GRACE_SECONDS * SAMPLE_RATE


def test_an_episode_is_one_childs_cries_from_first_to_last(clips: list[Clip]) -> None:
    plan = planned(clips, replace(DRY, episodes=4, clips=(3, 3), snr_db=(12.0, 20.0)))
    assert len(plan.episodes) == 4
    for number, episode in enumerate(plan.episodes):
        cries = [item for item in plan.placed if item.episode == number]
        assert len(cries) == 3
        assert len({item.bout for item in cries}) == 1
        assert {item.group for item in cries} == {episode.group}
        assert cries[0].start / SAMPLE_RATE == episode.start
        assert cries[-1].stop / SAMPLE_RATE == episode.end
        assert len({item.snr_db for item in cries}) == 1
    assert {episode.group for episode in plan.episodes} == {"child0", "child1"}
    # The plan's episodes are what the metrics take.
    windows = int(plan.samples / SAMPLE_RATE / 0.48) - 1
    ScoredStream(np.zeros(windows, np.float32), plan.episodes)


def test_levels_are_what_the_plan_says(clips: list[Clip]) -> None:
    plan = planned(clips, replace(DRY, episodes=2, snr_db=(20.0, 20.0), bed_dbfs=(-50.0, -50.0)))
    audio = np.concatenate(list(render(plan)))
    assert len(audio) == plan.samples
    heard = [item for item in plan.placed if item.kind is not Kind.BED]
    assert {item.kind for item in heard} == {Kind.CRY, Kind.SOUND}
    for item in heard:
        assert active_level(audio[item.start : item.stop]) == pytest.approx(-30, abs=0.5)
    between = audio[heard[-1].stop + 100 : heard[-1].stop + 5 * SAMPLE_RATE]
    assert active_level(between) == pytest.approx(-50, abs=2)


@pytest.mark.parametrize("rooms", [0, 3])
def test_audio_does_not_depend_on_the_blocks(clips: list[Clip], rooms: int) -> None:
    plan = planned(clips, replace(DRY, episodes=2, rooms=rooms, dry_share=0.0))
    whole = np.concatenate(list(render(plan, block_seconds=1_000)))
    pieces = list(render(plan, block_seconds=1.37))
    assert len(pieces) > 20
    assert np.array_equal(np.concatenate(pieces), whole)
    assert np.array_equal(np.concatenate(list(render(planned(clips, plan.options)))), whole)
    assert whole.dtype == np.float32


def test_of_a_clip_only_its_piece_is_heard(tmp_path: Path) -> None:
    quiet, loud = tone(500, 2.0, 0.01), tone(500, 1.0, 0.3)
    cry = clip(tmp_path, "cry", Label.CRY, "child", np.concatenate([quiet, loud, quiet]))
    cat = clip(tmp_path, "cat", Label.NONCRY, "cat", tone(800, 1.0))
    options = replace(DRY, episodes=1, clips=(1, 1), snr_db=(40.0, 40.0), bed_dbfs=(-60.0, -60.0))
    plan = planned([cry, cat], options)
    (item,) = (item for item in plan.placed if item.kind is Kind.CRY)
    # As long as the cat, and of the cry its loudest second.
    assert item.stop - item.start == SAMPLE_RATE and item.offset == 2 * SAMPLE_RATE
    audio = np.concatenate(list(render(plan)))[item.start : item.stop]
    middle = slice(SAMPLE_RATE // 4, SAMPLE_RATE // 2)
    amplitude = 10 ** (item.gain_db / 20)
    assert np.allclose(audio[middle], amplitude * loud[middle], atol=5e-3)
    assert abs(audio[0]) < 0.05 * np.abs(audio).max()


@pytest.mark.parametrize("rooms", [0, 3])
def test_an_excerpt_is_a_piece_of_the_whole(clips: list[Clip], rooms: int) -> None:
    plan = planned(clips, replace(DRY, episodes=2, rooms=rooms, dry_share=0.0))
    whole = np.concatenate(list(render(plan)))
    for start, stop in ((0, 5), (12_345, 200_000), (plan.samples - 100, plan.samples + 100)):
        assert np.array_equal(excerpt(plan, start, stop), whole[start:stop])
    assert np.array_equal(excerpt(plan, -50, 50), whole[:50])
    assert len(excerpt(plan, plan.samples + 1, plan.samples + 2)) == 0


def test_a_plan_knows_its_sounds_and_whether_it_is_private(clips: list[Clip]) -> None:
    plan = planned(clips)
    assert plan.sounds == 6 and not plan.private
    assert plan.sound_hours == pytest.approx(sum(1.5 + n / 10 for n in range(6)) / 3600, rel=1e-3)
    cats = [replace(one, private=one.id == "cat3") for one in clips]
    assert planned(cats).private
    assert [item.clip for item in planned(cats).placed if item.private] == ["cat3"]


def test_a_room_only_adds_to_what_is_heard_dry(clips: list[Clip]) -> None:
    options = replace(DRY, episodes=1, rooms=1, dry_share=0.0)
    plan = planned(clips, options)
    dry = replace(plan, placed=tuple(replace(item, room=None) for item in plan.placed))
    wet, close = (np.concatenate(list(render(one))) for one in (plan, dry))
    assert not np.array_equal(wet, close)
    first = next(item for item in plan.placed if item.kind is not Kind.BED)
    assert np.array_equal(wet[: first.start], close[: first.start])
    beyond = slice(first.start, first.start + 5)
    assert np.allclose(wet[beyond], close[beyond], atol=1e-3)


def test_the_bed_joins_clips_without_a_gap(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 5 * SAMPLE_RATE).astype(np.float32)
    rain = [clip(tmp_path, f"rain{n}", Label.NONCRY, "rain", noise) for n in range(2)]
    cat = clip(tmp_path, "cat", Label.NONCRY, "cat", tone(800, 1.5))
    measured, _ = measure_clips([*rain, cat])
    options = replace(DRY, hours=0.01, bed_dbfs=(-30.0, -30.0), snr_db=(-60.0, -60.0))
    plan = compose(sounds=[cat], cries=[], bed=rain, measured=measured, options=options, seed=0)
    audio = np.concatenate(list(render(plan)))[SAMPLE_RATE:]
    levels = [active_level(part) for part in np.array_split(audio, 70)]
    assert min(levels) > -33 and max(levels) < -27  # crossfades of equal noise may add up
    assert {item.clip for item in plan.placed if item.kind is Kind.BED} == {"rain0", "rain1"}


def test_a_night_does_not_need_a_nights_memory(clips: list[Clip]) -> None:
    plan = planned(clips, replace(DRY, hours=0.5, episodes=3))
    tracemalloc.start()
    heard = sum(len(block) for block in render(plan, block_seconds=10))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert heard == plan.samples >= 1800 * SAMPLE_RATE
    assert peak < 60e6  # half an hour is 115 MB


def test_a_written_plan_holds_every_sound_and_is_a_label_file(
    tmp_path: Path, clips: list[Clip]
) -> None:
    plan = planned(clips, replace(DRY, episodes=2))
    path = tmp_path / "stream.csv"
    write_plan(plan, path)
    rows = list(csv.DictReader(path.open()))
    assert len(rows) == len(plan.placed)
    assert {row["label"] for row in rows if row["kind"] == "cry"} == {"cry"}
    assert Span(0, 16, "room tone") in read_spans(path)


def test_bad_clips_are_told_and_left_out(tmp_path: Path, clips: list[Clip]) -> None:
    (tmp_path / "broken.wav").write_bytes(b"nothing")
    broken = Clip("broken", tmp_path / "broken.wav", Label.NONCRY, "x")
    mute = clip(tmp_path, "mute", Label.NONCRY, "y", np.zeros(20_000, np.float32))
    measured, unusable = measure_clips([*clips, broken, mute])
    assert set(unusable) == {"broken", "mute"}
    assert "cannot be decoded" in unusable["broken"] and "silent" in unusable["mute"]
    plan = compose(
        sounds=[*(one for one in clips if not one.is_cry), broken, mute],
        cries=[], bed=[], measured=measured, options=DRY, seed=0,
    )  # fmt: skip
    assert not {"broken", "mute"} & {item.clip for item in plan.placed}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"snr_db": (30.0, 5.0)}, "snr_db: 30 to 5"),
        ({"microphone_db": (0.0, float("inf"))}, "microphone_db"),
        ({"rooms": -1}, "rooms"),
        ({"mean_gap_seconds": float("nan")}, "mean_gap_seconds"),
        ({"episodes": -1}, "-1 episodes"),
        ({"hours": 0.0}, "hours"),
    ],
)
def test_impossible_options_are_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        StreamOptions(**change)


def test_what_cannot_be_built_is_said(clips: list[Clip]) -> None:
    cries, others = clips[:4], clips[4:]
    measured = {one.id: Measured(32_000, -20.0) for one in clips}

    def build(sounds: list[Clip], cries: list[Clip], options: StreamOptions) -> StreamPlan:
        return compose(
            sounds=sounds, cries=cries, bed=[], measured=measured, options=options, seed=0
        )

    with pytest.raises(CorpusError, match="needs clips labelled cry"):
        build(others, [], replace(DRY, episodes=1))
    with pytest.raises(CorpusError, match="no usable clips"):
        build([], [], DRY)
    with pytest.raises(CorpusError, match="to fill it"):
        build([], cries, replace(DRY, hours=1.0, episodes=1))
    with pytest.raises(ConfigError, match="hours"):
        replace(DRY, hours=0.0)
    with pytest.raises(ConfigError, match="clips"):
        replace(DRY, clips=(3, 2))


@pytest.mark.shared
def test_real_clips_become_a_stream(shared: Path) -> None:
    dev = read_corpus(shared / "audio", where={"split": "dev"})
    chosen = [*dev[:3], *(one for one in dev if one.category == "Cat")][:12]
    measured, unusable = measure_clips(chosen)
    assert not unusable
    plan = compose(
        sounds=[one for one in chosen if not one.is_cry],
        cries=[one for one in chosen if one.is_cry],
        bed=[], measured=measured, options=StreamOptions(episodes=2), seed=3,
    )  # fmt: skip
    audio = np.concatenate(list(render(plan)))
    assert len(audio) == plan.samples and np.isfinite(audio).all()
    assert np.abs(audio).max() <= 1.0
