import threading
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import soundfile

from crydistill import atomic
from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.detector import alert_clips
from crydistill.detector.alert_clips import AlertClips
from crydistill.errors import ConfigError, CorpusError

WHEN = datetime(2026, 1, 2, 3, 4, 5)
NAME = f"alert-{WHEN:%Y%m%dT%H%M%S}"


def ramp(start: float, stop: float) -> Samples:
    """Samples that say at which second of the stream they are."""
    return (
        np.arange(int(start * SAMPLE_RATE), int(stop * SAMPLE_RATE)) / SAMPLE_RATE / 100
    ).astype(np.float32)


def fed(clips: AlertClips, start: float, stop: float) -> None:
    for second in np.arange(start, stop, 0.5):
        clips.push(ramp(second, second + 0.5))


def extent(path: Path) -> tuple[float, float]:
    samples, rate = soundfile.read(path)
    assert rate == SAMPLE_RATE
    return round(samples[0] * 100, 1), round(samples[-1] * 100, 1)


def test_a_clip_runs_from_before_the_onset_to_after_the_end(tmp_path: Path) -> None:
    clips = AlertClips(tmp_path, before=2, after=1, longest=20)
    fed(clips, 0, 12)
    clips.begin(9 * SAMPLE_RATE, WHEN)
    fed(clips, 12, 15)
    clips.end()
    assert clips.saved == 0
    fed(clips, 15, 18)
    assert clips.saved == 1
    assert extent(tmp_path / f"{NAME}.wav") == (7.0, 16.0)


def test_a_long_alert_is_cut_and_memory_stays(tmp_path: Path) -> None:
    clips = AlertClips(tmp_path, before=2, after=1, longest=10)
    fed(clips, 0, 30)
    clips.begin(29 * SAMPLE_RATE, WHEN)
    fed(clips, 30, 60)
    clips.end()
    fed(clips, 60, 80)
    assert [extent(path) for path in tmp_path.iterdir()] == [(27.0, 37.0)]
    assert sum(map(len, clips._blocks)) <= 11 * SAMPLE_RATE


def test_what_is_not_there_any_more_is_left_out(tmp_path: Path) -> None:
    clips = AlertClips(tmp_path, before=2, after=1, longest=10)
    fed(clips, 0, 1)
    clips.begin(0, WHEN)
    clips.interrupt(50 * SAMPLE_RATE)
    fed(clips, 50, 52)
    clips.begin(51 * SAMPLE_RATE, WHEN)
    clips.interrupt(52 * SAMPLE_RATE)
    found = sorted(extent(path) for path in tmp_path.iterdir())
    assert found == [(0.0, 1.0), (50.0, 52.0)]
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{NAME}.wav",
        f"{NAME}-2.wav",
    }


def test_an_alert_while_one_closes_begins_its_own_clip(tmp_path: Path) -> None:
    clips = AlertClips(tmp_path, before=1, after=5, longest=20)
    fed(clips, 0, 5)
    clips.begin(4 * SAMPLE_RATE, WHEN)
    clips.end()
    fed(clips, 5, 7)
    clips.begin(6 * SAMPLE_RATE, WHEN)
    clips.end()
    fed(clips, 7, 15)
    assert sorted(extent(path) for path in tmp_path.iterdir()) == [(3.0, 7.0), (5.0, 12.0)]


def test_an_alert_keeps_its_clip_when_the_one_before_is_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    clips = AlertClips(tmp_path, before=1, after=5, longest=20)
    fed(clips, 0, 5)
    clips.begin(4 * SAMPLE_RATE, WHEN)
    clips.end()
    fed(clips, 5, 7)
    with monkeypatch.context() as disk:
        disk.setattr(soundfile, "write", full)
        with pytest.raises(OSError, match="No space left"):
            clips.begin(6 * SAMPLE_RATE, WHEN)
    clips.end()
    fed(clips, 7, 15)
    assert [extent(path) for path in tmp_path.glob("*.wav")] == [(5.0, 12.0)]


def test_private_clips_stay_out_of_repositories(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    with pytest.raises(CorpusError, match="clips of alerts"):
        AlertClips(tmp_path / "clips")


def test_impossible_lengths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot include"):
        AlertClips(tmp_path, before=10, longest=10)


def test_a_near_miss_is_kept(tmp_path: Path) -> None:
    clips = AlertClips(tmp_path, before=2, after=1, longest=20)
    fed(clips, 0, 10)
    clips.near_miss(9 * SAMPLE_RATE, WHEN)
    fed(clips, 10, 10.5)
    clips.near_miss(9 * SAMPLE_RATE, WHEN)  # it goes on
    fed(clips, 10.5, 15)
    assert [(path.name, extent(path)) for path in tmp_path.glob("*.wav")] == [
        (NAME.replace("alert", "near") + ".wav", (7.0, 11.5))
    ]


def test_an_alert_takes_over_the_near_miss_before_it(tmp_path: Path) -> None:
    clips = AlertClips(tmp_path, before=2, after=3, longest=20)
    fed(clips, 0, 10)
    clips.near_miss(6 * SAMPLE_RATE, WHEN)
    fed(clips, 10, 11)
    clips.begin(10 * SAMPLE_RATE, WHEN)
    fed(clips, 11, 12)
    clips.end()
    fed(clips, 12, 20)
    assert [(path.name, extent(path)) for path in tmp_path.glob("*.wav")] == [
        (f"{NAME}.wav", (8.0, 15.0))
    ]


def test_a_sound_that_goes_on_for_long_does_not_fill_the_folder(tmp_path: Path) -> None:
    clips = AlertClips(tmp_path, before=2, after=1, longest=20)
    for second in range(150):
        fed(clips, second, second + 1)
        if second % 5 == 0:
            clips.near_miss(second * SAMPLE_RATE, WHEN)
    assert clips.saved == 3


def test_the_folder_stays_within_its_limit(tmp_path: Path) -> None:
    clip = 6 * SAMPLE_RATE * 2 + 44
    clips = AlertClips(tmp_path, before=2, after=1, longest=20, limit=2 * clip)
    for number in range(4):
        start = 100 * number
        clips.interrupt(start * SAMPLE_RATE)
        fed(clips, start, start + 8)
        clips.begin((start + 6) * SAMPLE_RATE, WHEN.replace(hour=number))
        fed(clips, start + 8, start + 9)
        clips.end()
        fed(clips, start + 9, start + 12)
    kept = [path.name for path in tmp_path.glob("*.wav")]
    assert sorted(kept) == [NAME.replace("T03", f"T0{hour}") + ".wav" for hour in (2, 3)]
    assert sum(path.stat().st_size for path in tmp_path.glob("*.wav")) <= 2 * clip


def test_two_listeners_in_one_folder_keep_a_clip_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two rooms may hear the same cry, in the same second."""

    def slowly(path: Path, data: bytes) -> None:
        time.sleep(0.3)  # in which the other chooses its name
        atomic.write_bytes(path, data)

    monkeypatch.setattr(alert_clips, "write_bytes", slowly)
    together = threading.Barrier(2)
    failed: list[Exception] = []

    def listen(start: float) -> None:
        try:
            clips = AlertClips(tmp_path, before=2, after=1, longest=20)
            clips.interrupt(int(start * SAMPLE_RATE))
            fed(clips, start, start + 8)
            clips.begin(int((start + 6) * SAMPLE_RATE), WHEN)
            together.wait()
            clips.interrupt(0)
        except Exception as error:
            failed.append(error)

    listeners = [threading.Thread(target=listen, args=(start,)) for start in (0, 20)]
    for listener in listeners:
        listener.start()
    for listener in listeners:
        listener.join()
    assert not failed
    assert {path.name for path in tmp_path.iterdir()} == {f"{NAME}.wav", f"{NAME}-2.wav"}
    assert {extent(path) for path in tmp_path.glob("*.wav")} == {(4.0, 8.0), (24.0, 28.0)}
