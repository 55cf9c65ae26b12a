from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from crydistill.audio.mel import SAMPLE_RATE
from crydistill.corpora.clip import Clip, Label
from crydistill.errors import StoreError
from crydistill.nights.stream_files import StreamFile, write_streams
from crydistill.selection.casting import Cast


@pytest.fixture(scope="module")
def cast(tmp_path_factory: pytest.TempPathFactory) -> Cast:
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)

    def clip(name: str, label: Label, seconds: float) -> Clip:
        path = folder / f"{name}.wav"
        sound = rng.normal(0, 0.1, int(seconds * SAMPLE_RATE))
        soundfile.write(path, sound, SAMPLE_RATE, subtype="FLOAT")
        return Clip(name, path, label, group=name[:3], category=name[:3])

    return Cast(
        cries=tuple(clip(f"cry{n}", Label.CRY, 3 + n) for n in range(3)),
        sounds=tuple(clip(f"dog{n}", Label.NONCRY, 2 + n) for n in range(4)),
        bed=(clip("rain", Label.NONCRY, 9.0),),
    )


def written(folder: Path, casts: list[Cast], seed: int = 0) -> list[StreamFile]:
    return write_streams(folder, casts, seed=seed)


def test_a_stream_is_a_function_of_cast_seed_and_number(tmp_path: Path, cast: Cast) -> None:
    first = written(tmp_path / "a", [cast, cast])
    again = written(tmp_path / "b", [cast, cast])
    other = written(tmp_path / "c", [cast], seed=1)
    sounds = [soundfile.read(one.clip.path)[0] for one in (*first, *again, *other)]
    np.testing.assert_array_equal(sounds[0], sounds[2])
    np.testing.assert_array_equal(sounds[1], sounds[3])
    assert len({len(sound) for sound in sounds}) == 3


def test_what_is_there_is_not_written_again(tmp_path: Path, cast: Cast) -> None:
    (one,) = written(tmp_path, [cast])
    made = one.clip.path.stat().st_mtime_ns
    one.clip.path.with_suffix(".json").unlink()
    (unfinished,) = written(tmp_path, [cast])
    assert unfinished.clip.path.stat().st_mtime_ns > made
    made = unfinished.clip.path.stat().st_mtime_ns
    (finished,) = written(tmp_path, [cast])
    assert finished.clip.path.stat().st_mtime_ns == made


def test_most_of_what_sounds_is_crying_where_the_file_says_so(tmp_path: Path, cast: Cast) -> None:
    quiet = replace(cast, sounds=cast.sounds[:1], bed=())
    (one,) = written(tmp_path, [quiet])
    sound, _ = soundfile.read(one.clip.path)
    crying = np.zeros(len(sound), dtype=bool)
    for start, stop in one.unsure:
        crying[max(0, int(start * SAMPLE_RATE)) : int(stop * SAMPLE_RATE)] = True
    assert 0.05 < crying.mean() < 0.95
    block = SAMPLE_RATE // 4
    power = np.square(sound[: len(sound) // block * block]).reshape(-1, block).mean(axis=1)
    within = crying[: len(power) * block].reshape(-1, block).all(axis=1)
    assert np.median(power[within]) > 10 * np.median(power[~within])


def test_the_clips_of_a_group_change_alike(tmp_path: Path) -> None:
    def tone(name: str, group: str, label: Label) -> Clip:
        path = tmp_path / f"{name}.wav"
        sound = 0.3 * np.sin(2 * np.pi * 1000 * np.arange(4 * SAMPLE_RATE) / SAMPLE_RATE)
        soundfile.write(path, sound, SAMPLE_RATE, subtype="FLOAT")
        return Clip(name, path, label, group=group)

    cries = tuple(tone(f"cry{n}", f"child{n % 2}", Label.CRY) for n in range(4))
    cast = Cast(cries=cries, sounds=(tone("hum", "hum", Label.NONCRY),), bed=())
    (one,) = write_streams(tmp_path / "streams", [cast], seed=0, vary_groups=True)
    assert not list((tmp_path / "streams").glob(".varied-*"))
    sound, _ = soundfile.read(one.clip.path)
    heard = set()
    for start, stop in one.unsure:
        cry = sound[int((start + 0.5) * SAMPLE_RATE) :][: int((stop - start - 2) * SAMPLE_RATE)]
        power = np.abs(np.fft.rfft(cry * np.hanning(len(cry)))) ** 2
        heard.add(round(power.argmax() * SAMPLE_RATE / len(cry) / 4))
    assert len(heard) == 2, "two children, two pitches"
    assert 250 not in heard


def test_no_cry_for_sure_needs_a_quiet_past(cast: Cast) -> None:
    one = StreamFile(cast.cries[0], unsure=np.array([[4.0, 6.0]]))
    sure = one.surely_no_cry(windows=40, seconds=5.0)
    ends = np.arange(40) * 0.48 + 0.975
    np.testing.assert_array_equal(sure, (ends <= 4.0) | (ends - 5.0 >= 6.0))


def test_private_clips_make_private_streams(tmp_path: Path, cast: Cast) -> None:
    private = replace(cast, cries=tuple(replace(one, private=True) for one in cast.cries))
    public, home = written(tmp_path, [cast, private])
    assert (public.clip.private, home.clip.private) == (False, True)
    assert public.clip.label is Label.UNLABELLED


def test_a_damaged_file_is_named(tmp_path: Path, cast: Cast) -> None:
    (one,) = written(tmp_path, [cast])
    facts = one.clip.path.with_suffix(".json")
    facts.write_text("{")
    with pytest.raises(StoreError, match=f"{facts.name}.*delete it"):
        written(tmp_path, [cast])
