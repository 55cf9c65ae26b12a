import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.audio.encode import encode, sweep

from crydistill.corpora.captures import (
    BURST_GAP_SECONDS,
    BURST_SPAN_SECONDS,
    Captures,
    Tier,
    hold_out,
    read_captures,
    recording_time,
    time_in_name,
)
from crydistill.corpora.clip import Clip, Label
from crydistill.errors import ConfigError, CorpusError

BRISBANE = timezone(timedelta(hours=10))
STAMP = "20260412" + "T031500"  # split, so that the guard does not report it
NIGHT = datetime(2026, 4, 12, 3, 15, tzinfo=BRISBANE)


def name_of(at: datetime) -> str:
    return f"cry-{at:%Y%m%dT%H%M%S%z}.wav"


def write_capture(folder: Path, name: str, seed: int = 0) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = 0.1 * np.random.default_rng(seed).standard_normal(1_600)
    soundfile.write(path, noise, 16_000)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five captures: three in a burst, one later in the same hour, one a day later."""
    for seed, minutes in enumerate((0, 1, 4, 30, 24 * 60)):
        write_capture(tmp_path / "in", name_of(NIGHT + timedelta(minutes=minutes)), seed)
    return tmp_path / "in"


@pytest.fixture
def in_brisbane(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if not hasattr(time, "tzset"):
        pytest.skip("this platform cannot change its time zone")
    monkeypatch.setenv("TZ", "AEST-10")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_lists_private_unlabelled_clips_in_the_order_of_time(folder: Path) -> None:
    captures = read_captures(folder)
    assert len(captures.clips) == 5
    assert [captures.recorded_at[clip.id] for clip in captures.clips] == [
        NIGHT + timedelta(minutes=minutes) for minutes in (0, 1, 4, 30, 24 * 60)
    ]
    assert all(clip.private and clip.label is Label.UNLABELLED for clip in captures.clips)
    assert {clip.native_rate for clip in captures.clips} == {16_000}
    assert {captures.hour(clip) for clip in captures.clips} == {3}
    assert captures.tier == {}


def test_a_burst_is_a_group(folder: Path) -> None:
    groups = [clip.group for clip in read_captures(folder).clips]
    assert groups[0] == groups[1] == groups[2]
    assert len(set(groups)) == 3


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (f"cry-{STAMP}+1000.wav", datetime(2026, 4, 12, 3, 15, tzinfo=BRISBANE)),
        (f"x{STAMP}Z", datetime(2026, 4, 12, 3, 15, tzinfo=UTC)),
        (f"{STAMP}-0330.flac", datetime(2026, 4, 12, 6, 45, tzinfo=UTC)),
        (f"cry-{STAMP}.wav", datetime(2026, 4, 12, 3, 15)),
        (f"cry-{STAMP.replace('0412', '1312')}+1000.wav", None),
        (f"cry-{STAMP}+9900.wav", None),
        (f"cry-1{STAMP}+1000.wav", None),
        ("IMG_2033.wav", None),
    ],
)
def test_time_in_name(name: str, expected: datetime | None) -> None:
    found = time_in_name(name)
    assert found == expected
    assert (found is None) or (found.tzinfo is None) == (expected.tzinfo is None)  # type: ignore[union-attr]


@given(
    st.datetimes(
        min_value=datetime(2000, 1, 1), max_value=datetime(2099, 1, 1), timezones=st.just(BRISBANE)
    )
)
def test_time_survives_the_name(at: datetime) -> None:
    assert time_in_name(name_of(at)) == at.replace(microsecond=0)


@pytest.mark.usefixtures("in_brisbane")
def test_others_are_timed_by_modification(tmp_path: Path) -> None:
    path = write_capture(tmp_path, "lounge.wav")
    os.utime(path, (NIGHT.timestamp(), NIGHT.timestamp()))
    assert recording_time(path) == NIGHT
    assert recording_time(path).hour == 3
    assert read_captures(tmp_path).recorded_at["lounge.wav"].hour == 3


@pytest.mark.usefixtures("in_brisbane")
def test_a_name_without_offset_is_local(tmp_path: Path) -> None:
    assert recording_time(write_capture(tmp_path, f"a-{STAMP}.wav")) == NIGHT


def test_the_hour_is_the_homes_not_the_machines(tmp_path: Path) -> None:
    write_capture(tmp_path, f"cry-{STAMP.replace('T03', 'T23')}-0800.wav")
    (clip,) = (captures := read_captures(tmp_path)).clips
    assert captures.hour(clip) == 23


def test_unreadable_captures_are_recorded(folder: Path) -> None:
    (folder / "broken.wav").write_bytes(b"RIFF not really")
    (folder / "empty.flac").touch()
    soundfile.write(folder / "none.wav", np.empty(0), 16_000)
    captures = read_captures(folder)
    assert len(captures.clips) == 5
    assert set(captures.unreadable) == {"broken.wav", "empty.flac", "none.wav"}
    assert captures.unreadable["none.wav"] == "contains no audio; record or export it again"


def test_phone_recordings_are_captures(folder: Path) -> None:
    encode(folder / f"cry-{STAMP}+1000.m4a", "aac", 44_100, sweep(2, 44_100))
    encode(folder / "voice.amr", "libopencore_amrnb", 8_000, sweep(2, 8_000))
    captures = read_captures(folder)
    rates = {clip.path.suffix: clip.native_rate for clip in captures.clips}
    assert rates == {".wav": 16_000, ".m4a": 44_100, ".amr": 8_000}
    assert captures.unreadable == {}


def test_what_is_of_no_kind_that_is_read_is_named(folder: Path) -> None:
    (folder / "take.raw").write_bytes(bytes(32_000))
    for name in ("tiers.csv", ".DS_Store", "README"):
        (folder / name).touch()
    assert read_captures(folder).unreadable == {
        "take.raw": "not of a kind that is read, not to be opened, or its name is not UTF-8"
    }


def test_no_folder_says_what_to_do(tmp_path: Path) -> None:
    for missing in (None, "", tmp_path / "nowhere"):
        with pytest.raises(CorpusError, match="set the environment variable CRYDISTILL_CAPTURES"):
            read_captures(missing)


def test_an_empty_folder_is_no_training_set(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no readable recording below it \\(0 unreadable\\)"):
        read_captures(tmp_path)
    (tmp_path / "a.wav").touch()
    with pytest.raises(CorpusError, match="no readable recording below it \\(1 unreadable\\)"):
        read_captures(tmp_path)


def test_captures_in_a_work_tree_are_refused(folder: Path) -> None:
    (folder.parent / ".git").mkdir()
    with pytest.raises(CorpusError, match="must not lie in a git work tree"):
        read_captures(folder)


def test_a_recording_twice(folder: Path) -> None:
    name = name_of(NIGHT)
    write_capture(folder / "backup", name, seed=0)
    with pytest.raises(CorpusError, match=f"{re.escape(name)}: the same recording as "):
        read_captures(folder)


def test_two_devices_may_record_in_the_same_second(folder: Path) -> None:
    write_capture(folder / "bedroom", name_of(NIGHT), seed=99)
    assert len(read_captures(folder).clips) == 6


def tiers_csv(folder: Path, text: str) -> Path:
    path = folder.parent / "tiers.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_tiers(folder: Path) -> None:
    write_capture(folder / "bedroom", name_of(NIGHT + timedelta(days=1, minutes=45)))
    first, second = name_of(NIGHT), name_of(NIGHT + timedelta(days=1, minutes=45))
    text = f"\ufefffile,tier,comment\n{first},high_pos,\n{second},low,by name\n"
    captures = read_captures(folder, tiers=tiers_csv(folder, text))
    assert captures.tier == {first: Tier.HIGH_POS, f"bedroom/{second}": Tier.LOW}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,sort\n", r"tiers.csv:1: no column 'tier'; the columns are 'file', 'sort'"),
        ("", r"tiers.csv: empty; its first line names the columns, at least file, tier"),
        ("file,tier\nnowhere.wav,low\n", r"tiers.csv:2: no capture 'nowhere.wav'"),
        ("file,tier\n{0},high\n", r"tiers.csv:2: tier 'high' is not one of high_pos, medium_pos"),
        ("file,tier\n{0},low\n{0},low\n", r"tiers.csv:3: .* has a tier already"),
        ("file,tier\n{0}\n", r"tiers.csv:2: the row has more or fewer cells"),
        ("file,tier\n{0},low,x\n", r"tiers.csv:2: the row has more or fewer cells"),
        ('file,tier\n"{0},low\n', r"tiers.csv: not a readable CSV file"),
        ("file,tier\nsame.wav,low\n", r"tiers.csv:2: 'same.wav' is the name of 2 captures"),
    ],
)
def test_malformed_tiers(folder: Path, text: str, message: str) -> None:
    write_capture(folder / "a", "same.wav", seed=1)
    write_capture(folder / "b", "same.wav", seed=2)
    path = tiers_csv(folder, text.replace("{0}", name_of(NIGHT)))
    with pytest.raises(CorpusError, match=message):
        read_captures(folder, tiers=path)


def test_tiers_file_missing(folder: Path) -> None:
    with pytest.raises(CorpusError, match="no such file"):
        read_captures(folder, tiers=folder / "none.csv")


def nights(days: int, seed: int) -> Captures:
    """Captures without files, more at night than by day, single and in bursts."""
    generator = np.random.default_rng(seed)
    start = NIGHT.replace(hour=0, minute=0)
    recorded_at: dict[str, datetime] = {}
    for hour in range(24 * days):
        count = generator.poisson(8 if hour % 24 < 6 else 2)
        spread = generator.random() < 0.7
        offsets = np.sort(generator.uniform(0, 3_600, count)) if spread else 45.0 * np.arange(count)
        for seconds in offsets.tolist():
            at = start + timedelta(hours=hour, seconds=int(seconds))
            recorded_at[name_of(at)] = at
    clips, group, last, first = [], "", start - timedelta(days=1), start
    for clip_id, at in recorded_at.items():
        if (at - last).total_seconds() > BURST_GAP_SECONDS or (
            (at - first).total_seconds() >= BURST_SPAN_SECONDS or at.hour != first.hour
        ):
            group, first = clip_id, at
        clips.append(Clip(clip_id, Path(clip_id), Label.UNLABELLED, group, private=True))
        last = at
    return Captures(clips, recorded_at)


@settings(max_examples=25)
@given(
    days=st.integers(3, 12),
    seed=st.integers(0, 1_000),
    share=st.sampled_from([0.1, 0.2, 0.3, 0.5, 0.7]),
)
def test_hold_out_is_even_over_hours_dates_and_lengths(days: int, seed: int, share: float) -> None:
    captures = nights(days, seed)
    kept, held = hold_out(captures, share=share, seed=seed)
    assert {clip.id for clip in kept} | {clip.id for clip in held} == set(captures.recorded_at)
    assert not {clip.group for clip in kept} & {clip.group for clip in held}
    length = Counter(clip.group for clip in captures.clips)
    largest_burst = max(length.values())
    stratifications: tuple[Callable[[Clip], object], ...] = (
        captures.hour,
        lambda clip: captures.recorded_at[clip.id].date(),
        lambda clip: length[clip.group].bit_length(),
    )
    for stratum_of in stratifications:
        of_all = Counter(map(stratum_of, captures.clips))
        of_held = Counter(map(stratum_of, held))
        for stratum, count in of_all.items():
            assert abs(of_held[stratum] - share * count) <= largest_burst


def test_the_hour_does_not_tell_the_side() -> None:
    captures = nights(10, seed=3)
    kept, held = hold_out(captures, share=0.2)
    of_kept, of_held = (Counter(map(captures.hour, side)) for side in (kept, held))
    distance = 0.5 * sum(
        abs(of_kept[hour] / len(kept) - of_held[hour] / len(held)) for hour in range(24)
    )
    assert distance < 0.05
    assert len(held) / len(captures.clips) == pytest.approx(0.2, abs=0.01)


def test_every_hour_of_a_recording_without_pause_contributes() -> None:
    recorded_at = {
        name_of(at): at for at in (NIGHT + timedelta(seconds=40 * index) for index in range(900))
    }
    clips = []
    for index, clip_id in enumerate(recorded_at):
        group = f"{recorded_at[clip_id]:%Y%m%d%H}-{index // 15}"
        clips.append(Clip(clip_id, Path(clip_id), Label.UNLABELLED, group, private=True))
    captures = Captures(clips, recorded_at)
    _, held = hold_out(captures, share=0.3)
    of_all, of_held = Counter(map(captures.hour, clips)), Counter(map(captures.hour, held))
    full_hours = [hour for hour, count in of_all.items() if count == 90]
    assert len(full_hours) >= 8
    assert all(0.1 <= of_held[hour] / 90 <= 0.5 for hour in full_hours)


def test_hold_out_repeats_and_varies_with_the_seed() -> None:
    captures = nights(5, seed=0)
    assert hold_out(captures, seed=1) == hold_out(captures, seed=1)
    assert hold_out(captures, seed=1) != hold_out(captures, seed=2)


def test_hold_out_of_too_few(folder: Path) -> None:
    captures = read_captures(folder)
    with pytest.raises(CorpusError, match="5 captures in 3 bursts: too few to hold out 1%"):
        hold_out(captures, share=0.01)
    with pytest.raises(ConfigError, match="share"):
        hold_out(captures, share=1.0)


def test_a_long_burst_is_cut_and_cells_are_not_crossed(tmp_path: Path) -> None:
    start = NIGHT.replace(minute=50)
    for seed in range(40):
        write_capture(tmp_path, name_of(start + timedelta(seconds=45 * seed)), seed)
    captures = read_captures(tmp_path)
    cells: dict[str, set[int]] = {}
    for clip in captures.clips:
        cells.setdefault(clip.group, set()).add(captures.hour(clip))
    assert all(len(hours) == 1 for hours in cells.values())
    assert max(Counter(clip.group for clip in captures.clips).values()) <= BURST_SPAN_SECONDS / 40
    assert len(cells) == 3
