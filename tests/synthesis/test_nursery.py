"""Tests of the synthetic nursery: synthesis primitives, files, and YAMNet's scores of it."""

import csv
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from crydistill.audio.files import read_audio
from crydistill.audio.mel import SAMPLE_RATE, log_mel
from crydistill.audio.windows import windows
from crydistill.corpora.clip import Label
from crydistill.errors import CorpusError
from crydistill.synthesis import nursery
from crydistill.synthesis.nursery import corpus, synthesis
from crydistill.synthesis.nursery.clips import NurseryClip, compose, cry_share, render
from crydistill.synthesis.nursery.corpus import write_nursery
from crydistill.taxonomy import class_names, cry_indices

ONE_OF_EACH = list({clip.category: clip for clip in compose()}.values())

Floats = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole default nursery on disk."""
    return write_nursery(tmp_path_factory.mktemp("nursery")).parent


# --- synthesis -------------------------------------------------------------------------------


def test_harmonics_equal_the_obvious_sum_of_sines() -> None:
    rng = np.random.default_rng(1)
    pitch = rng.uniform(350, 450, 21)
    amplitudes = rng.random((21, 12))
    time_points = np.arange(20 * synthesis.CONTROL_HOP) / synthesis.CONTROL_HOP
    glide = np.interp(time_points, np.arange(21), pitch)
    phase = 2 * np.pi * np.cumsum(glide) / SAMPLE_RATE
    expected = sum(
        np.interp(time_points, np.arange(21), amplitudes[:, k - 1]) * np.sin(k * phase)
        for k in range(1, 13)
    )
    np.testing.assert_allclose(synthesis.harmonics(pitch, amplitudes), expected, atol=1e-9)


def test_harmonics_above_the_limit_are_left_out() -> None:
    sound = synthesis.harmonics(np.full(201, 900.0), np.ones((201, 40)))
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    hertz = np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE)
    peaks = hertz[spectrum > 0.01 * spectrum.max()]
    assert set(np.unique(np.round(peaks / 900)).tolist()) == set(range(1, 9))


def test_noise_through_a_flat_gain_is_white() -> None:
    noise = synthesis.shaped_noise(np.random.default_rng(2), np.ones((2_001, 81)))
    assert len(noise) == 2_000 * synthesis.CONTROL_HOP
    assert np.std(noise) == pytest.approx(1.0, abs=0.01)
    power = np.abs(np.fft.rfft(noise)) ** 2
    quarters = [np.mean(part) for part in np.array_split(power, 4)]
    assert max(quarters) / min(quarters) < 1.05


def test_shaped_noise_follows_its_gain_in_time_and_frequency() -> None:
    gain = np.zeros((801, 81))
    gain[400:, synthesis.noise_hertz() > 4_000] = 1.0
    noise = synthesis.shaped_noise(np.random.default_rng(3), gain)
    half = len(noise) // 2
    assert np.max(np.abs(noise[: half - 100])) < 1e-9
    power = np.abs(np.fft.rfft(noise[half:])) ** 2
    assert power[: len(power) // 2 - 400].sum() < 0.03 * power.sum()


def test_coloured_noise_falls_by_the_stated_slope() -> None:
    noise = synthesis.coloured_noise(np.random.default_rng(4), 400_000, 6.0)
    power = np.abs(np.fft.rfft(noise)) ** 2
    hertz = np.fft.rfftfreq(len(noise), 1 / SAMPLE_RATE)
    low, high = (power[(hertz > f) & (hertz < 1.2 * f)].mean() for f in (500, 2_000))
    assert 10 * np.log10(low / high) == pytest.approx(12.0, abs=0.5)


@pytest.mark.parametrize("reverberation", [0.2, 0.5])
def test_room_response_decays_by_60_db_in_the_stated_time(reverberation: float) -> None:
    response = synthesis.room_response(
        np.random.default_rng(5), reverberation=reverberation, direct_db=3.0, reflections=0
    )
    assert response[0] == 1.0
    assert 10 * np.log10(1 / np.sum(response[1:] ** 2)) == pytest.approx(3.0, abs=0.01)
    remaining = 10 * np.log10(np.cumsum(response[::-1] ** 2)[::-1])
    first, last = (np.argmax(remaining < remaining[400] - fall) for fall in (5, 35))
    assert 2 * (last - first) / SAMPLE_RATE == pytest.approx(reverberation, rel=0.15)


def test_microphone_is_3_db_down_at_its_cut_offs() -> None:
    gain = synthesis.microphone_response(np.array([100.0, 1_000.0, 7_000.0]), 100.0, 7_000.0)
    np.testing.assert_allclose(20 * np.log10(gain), [-3.0, 0.0, -3.0], atol=0.02)


def test_a_lone_resonance_has_its_textbook_gain() -> None:
    gain = synthesis.resonances(
        np.array([[0.0, 1_000.0]]), np.array([[1_000.0]]), np.array([100.0])
    )
    np.testing.assert_allclose(gain, [[1.0, 10.0]])


def test_active_rms_leaves_pauses_out() -> None:
    tone = np.sin(np.arange(SAMPLE_RATE) * 0.3)
    with_pauses = np.concatenate([np.zeros(3 * SAMPLE_RATE), tone, np.zeros(SAMPLE_RATE)])
    assert synthesis.active_rms(with_pauses) == pytest.approx(np.sqrt(0.5), rel=0.01)


# --- individuals and their sounds ------------------------------------------------------------

Sound = Callable[[np.random.Generator, float], Floats]

SOUNDS: dict[str, Sound] = {
    "babble": lambda rng, s: nursery.babble(rng, s, nursery.Infant.drawn(rng)),
    "laugh": lambda rng, s: nursery.laugh(rng, s, nursery.Infant.drawn(rng)),
    "speech": lambda rng, s: nursery.speech(rng, s, nursery.Adult.drawn(rng)),
    "lullaby": lambda rng, s: nursery.lullaby(rng, s, nursery.Adult.drawn(rng)),
    "meowing": lambda rng, s: nursery.meowing(rng, s, nursery.Cat.drawn(rng)),
    "music_box": lambda rng, s: nursery.music_box(rng, s, nursery.MusicBox.drawn(rng)),
    "hum": lambda rng, s: nursery.hum(rng, s, nursery.Appliance.drawn(rng)),
    "white_noise": lambda rng, s: nursery.white_noise(rng, s, nursery.NoiseMachine.drawn(rng)),
    "knocks": lambda rng, s: nursery.knocks(rng, s, nursery.Door.drawn(rng)),
    "room_tone": lambda rng, s: nursery.room_tone(rng, s, nursery.Room.drawn(rng)),
}


@pytest.mark.parametrize("name", SOUNDS)
@settings(max_examples=8)
@given(seed=st.integers(0, 2**32), seconds=st.floats(2.0, 5.0))
def test_every_sound_has_its_length_and_a_peak_of_one(name: str, seed: int, seconds: float) -> None:
    sound = SOUNDS[name](np.random.default_rng(seed), seconds)
    assert sound.dtype == np.float64
    assert len(sound) == round(seconds * SAMPLE_RATE)
    assert np.max(np.abs(sound)) == pytest.approx(1.0)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32), seconds=st.floats(3.0, 60.0))
def test_cries_follow_each_other_with_room_to_breathe(seed: int, seconds: float) -> None:
    rng = np.random.default_rng(seed)
    infant = nursery.Infant.drawn(rng)
    spans = nursery.cry_times(rng, seconds, infant)
    edges = [0.0, *(edge for span in spans for edge in span), seconds]
    assert spans
    assert edges == sorted(edges)
    assert all(0.4 < stop - start < 1.6 for start, stop in spans)
    assert all(b[0] - a[1] >= 0.199 for a, b in pairwise(spans))


@pytest.mark.parametrize("seed", range(6))
def test_the_pitch_of_a_cry_rises_and_sinks_within_an_infants_range(seed: int) -> None:
    rng = np.random.default_rng(seed)
    calm = replace(nursery.Infant.drawn(rng), rough=0.0, high=0.0)
    pitch = _pitch(nursery.cry(rng, 1.2, calm))
    assert pitch.min() > 250
    assert pitch.max() < 700
    assert pitch[:3].mean() < pitch.max() - 10
    assert pitch[-3:].mean() < pitch.max() - 30


def test_hyperphonation_lifts_the_pitch_above_750_hz() -> None:
    rng = np.random.default_rng(7)
    shrill = replace(nursery.Infant.drawn(rng), rough=0.0, high=1.0)
    assert _pitch(nursery.cry(rng, 1.2, shrill)).max() > 750


def _pitch(sound: Floats) -> Floats:
    """Pitch in hertz every 40 ms by autocorrelation, without the first and last 80 ms."""
    frame = SAMPLE_RATE // 25
    out = []
    for start in range(2 * frame, len(sound) - 3 * frame, frame):
        piece = sound[start : start + frame] * np.hanning(frame)
        correlation = np.fft.irfft(np.abs(np.fft.rfft(piece, 2 * frame)) ** 2)[: frame // 2]
        correlation /= 1 - np.arange(frame // 2) / frame
        shortest, longest = SAMPLE_RATE // 1_500, SAMPLE_RATE // 220
        candidates = correlation[shortest:longest]
        # The shortest lag close to the best one, since its multiples fit as well.
        good = np.flatnonzero(candidates > 0.85 * candidates.max())
        run_end = np.flatnonzero(np.diff(good) > 1)
        first_run = good[: run_end[0] + 1] if len(run_end) else good
        out.append(SAMPLE_RATE / (shortest + first_run[np.argmax(candidates[first_run])]))
    return np.array(out)


# --- clips -----------------------------------------------------------------------------------


def test_composition_has_the_promised_shape() -> None:
    clips = compose()
    seconds = sum(clip.duration for clip in clips)
    cries = sum(clip.label is Label.CRY for clip in clips)
    assert 570 <= seconds <= 660
    assert 0.35 <= cries / len(clips) <= 0.40
    assert all(6.0 <= clip.duration <= 12.0 for clip in clips)
    assert len({clip.id for clip in clips}) == len(clips)
    share = {s: sum(c.split == s for c in clips) / len(clips) for s in nursery.SPLITS}
    assert share == pytest.approx({"train": 0.60, "validation": 0.15, "test": 0.25}, abs=0.03)


@pytest.mark.parametrize("split", nursery.SPLITS)
def test_every_split_has_every_category(split: str) -> None:
    categories = {clip.category for clip in compose() if clip.split == split}
    assert categories == set(nursery.CATEGORIES)


def test_no_individual_is_in_two_splits() -> None:
    homes = defaultdict(set)
    for clip in compose():
        homes[clip.group].add(clip.split)
    assert all(len(splits) == 1 for splits in homes.values())
    infants = [group for group in homes if group.startswith("infant")]
    assert len(infants) >= 10


@pytest.mark.parametrize("clip", ONE_OF_EACH, ids=lambda clip: clip.category)
def test_a_clip_renders_alike_every_time_at_its_stated_level(clip: NurseryClip) -> None:
    samples = render(clip)
    assert samples.dtype == np.int16
    assert len(samples) == round(clip.duration * SAMPLE_RATE)
    np.testing.assert_array_equal(samples, render(clip))
    peak = np.max(np.abs(samples.astype(np.int64)))
    assert peak == pytest.approx(32_767 * 10 ** (clip.peak_dbfs / 20), abs=1)
    # No plateau at the peak, which clipping or a saturating cast would cause.
    assert np.count_nonzero(np.abs(samples) >= peak) <= 2


@pytest.mark.parametrize("clip", ONE_OF_EACH, ids=lambda clip: clip.category)
def test_other_seeds_sound_different(clip: NurseryClip) -> None:
    other = next(c for c in compose(1) if c.id == clip.id)
    assert (other.group, other.split) == (clip.group, clip.split)
    assert nursery.individual(0, clip.group) != nursery.individual(1, clip.group)
    count = min(round(c.duration * SAMPLE_RATE) for c in (clip, other))
    assert abs(np.corrcoef(render(clip)[:count], render(other)[:count])[0, 1]) < 0.5


def test_clips_of_one_individual_differ() -> None:
    first = next(clip for clip in compose() if clip.category == "white_noise")
    second = replace(first, id="white_noise-99")
    assert abs(np.corrcoef(render(first), render(second))[0, 1]) < 0.1


def test_cries_are_louder_than_the_pauses_between_them() -> None:
    clip = next(c for c in compose() if c.category == "baby_cry")
    power = (render(clip) / 32_768.0) ** 2
    crying = np.zeros(len(power), dtype=bool)
    for start, stop in clip.cries:
        crying[round(start * SAMPLE_RATE) : round(stop * SAMPLE_RATE)] = True
    assert power[crying].mean() > 10 * power[~crying].mean()


def test_cry_share_is_the_covered_part_of_each_window() -> None:
    clip = replace(compose()[0], duration=3.0, cries=((0.0, 0.975), (1.2, 1.5)))
    share = cry_share(clip)
    assert len(share) == len(windows(log_mel(np.zeros(48_000, dtype=np.float32))))
    np.testing.assert_allclose(
        share,
        [1.0, (0.975 - 0.48 + 1.455 - 1.2) / 0.975, 0.315 / 0.975, 0.06 / 0.975, 0.0],
        atol=1e-12,
    )


GOLDEN_RMS = {
    "baby_cry": 1415.230,
    "baby_cry_over_noise": 1397.411,
    "babble": 2145.575,
    "baby_laugh": 512.120,
    "cat": 1304.769,
    "speech": 807.449,
    "lullaby": 2930.793,
    "music_box": 1149.987,
    "hum": 4287.845,
    "white_noise": 4008.919,
    "knocks": 569.531,
    "silence": 6.020,
}
"""RMS of ONE_OF_EACH, in int16 steps."""


def test_the_sound_has_not_changed_unnoticed() -> None:
    levels = {
        clip.category: float(np.sqrt(np.mean(render(clip).astype(np.float64) ** 2)))
        for clip in ONE_OF_EACH
    }
    # After an intended change, increment NURSERY_VERSION and update the levels.
    assert corpus.NURSERY_VERSION == 1
    assert levels == pytest.approx(GOLDEN_RMS, rel=1e-4)


# --- files -----------------------------------------------------------------------------------


def _relative_path(clip: NurseryClip) -> str:
    return f"{clip.split}/{clip.category}/{clip.id}.wav"


def _manifest(directory: Path) -> list[dict[str, str]]:
    with (directory / "clips.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_manifest_and_files_agree(written: Path) -> None:
    rows = _manifest(written)
    on_disk = {path.relative_to(written).as_posix() for path in written.rglob("*.wav")}
    assert on_disk == {row["path"] for row in rows}
    for row in rows:
        info = soundfile.info(written / row["path"])
        assert (info.samplerate, info.channels, info.subtype) == (16_000, 1, "PCM_16")
        assert info.duration == pytest.approx(float(row["duration_s"]), abs=1e-9)
        assert row["path"].startswith(f"{row['split']}/{row['category']}/")
        assert row["label"] == ("cry" if row["category"].startswith("baby_cry") else "noncry")
        assert (row["source"], row["licence"], row["licence_class"]) == ("nursery", "MIT", "open")
    assert ",".join(rows[0]) == (
        "path,split,label,category,group,source,duration_s,native_rate_hz,origin,licence,"
        "licence_class,note"
    )


def test_files_hold_what_render_returns(written: Path) -> None:
    for clip in ONE_OF_EACH:
        samples, _ = soundfile.read(written / _relative_path(clip), dtype="int16")
        np.testing.assert_array_equal(samples, render(clip))


def test_cry_times_are_written_down(written: Path) -> None:
    with (written / "cries.csv").open(encoding="utf-8", newline="") as file:
        found = [(r["path"], float(r["start_s"]), float(r["end_s"])) for r in csv.DictReader(file)]
    expected = [(_relative_path(clip), *span) for clip in compose() for span in clip.cries]
    assert found == expected


def test_a_complete_nursery_is_left_alone(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(clip: NurseryClip) -> None:
        raise AssertionError(f"rendered {clip.id} again")

    monkeypatch.setattr(corpus, "render", refuse)
    before = {path: path.stat().st_mtime_ns for path in written.rglob("*")}
    assert write_nursery(written) == written / "clips.csv"
    assert {path: path.stat().st_mtime_ns for path in written.rglob("*")} == before


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Shorten the nursery to six clips; collects the rendered ids."""
    rendered: list[str] = []

    def noted(clip: NurseryClip) -> npt.NDArray[np.int16]:
        rendered.append(clip.id)
        return render(clip)

    monkeypatch.setattr(corpus, "compose", lambda seed: compose(seed)[:6])
    monkeypatch.setattr(corpus, "render", noted)
    return rendered


def test_damaged_and_missing_files_are_made_again(tmp_path: Path, short: list[str]) -> None:
    write_nursery(tmp_path)
    rows = _manifest(tmp_path)
    first, second = (tmp_path / row["path"] for row in rows[:2])
    whole = first.read_bytes()
    first.write_bytes(whole[:1_000])
    second.unlink()
    short.clear()
    write_nursery(tmp_path)
    assert short == [first.stem, second.stem]
    assert first.read_bytes() == whole
    assert second.is_file()


def test_an_interrupted_write_leaves_no_half_file_and_is_taken_up_again(
    tmp_path: Path, short: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_write = Path.write_bytes

    def interrupted(path: Path, data: bytes) -> int:
        if len(short) == 4:
            whole_write(path, data[:100])
            raise KeyboardInterrupt
        return whole_write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_nursery(tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 1 + 3
    assert not (tmp_path / "clips.csv").exists()
    short.clear()
    write_nursery(tmp_path)
    assert len(short) == 3
    assert len(_manifest(tmp_path)) == 6


def test_a_killed_write_leaves_only_whole_clips(tmp_path: Path, short: list[str]) -> None:
    target = tmp_path / "nursery"
    code = "import sys; from crydistill.synthesis.nursery import write_nursery as w; w(sys.argv[1])"
    process = subprocess.Popen([sys.executable, "-c", code, str(target)])
    try:
        deadline = time.monotonic() + 60
        while len(list(target.rglob("[!.]*.wav"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.005)
    finally:
        process.send_signal(signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
        process.wait()
    durations = {clip.id: clip.duration for clip in compose()}
    left = [path for path in target.rglob("*.wav") if not path.name.startswith(".")]
    assert len(left) >= 2
    for path in left:
        assert soundfile.info(path).duration == pytest.approx(durations[path.stem], abs=1e-9)
    write_nursery(target)
    assert not {path.stem for path in left} & set(short)
    assert all((target / row["path"]).is_file() for row in _manifest(target))


def test_another_seed_is_not_mixed_in(tmp_path: Path, short: list[str]) -> None:
    write_nursery(tmp_path, seed=3)
    with pytest.raises(CorpusError, match=r"nursery\.json: another seed or version"):
        write_nursery(tmp_path, seed=4)


def test_a_directory_of_other_files_is_left_alone(tmp_path: Path, short: list[str]) -> None:
    mine = tmp_path / "clips.csv"
    mine.write_text("mine\n")
    with pytest.raises(CorpusError, match="contains other files"):
        write_nursery(tmp_path)
    assert mine.read_text() == "mine\n"
    assert short == []


def test_progress_counts_every_clip(tmp_path: Path, short: list[str]) -> None:
    seen: list[tuple[str, int, str]] = []
    done: list[int] = []

    def meter(task: str, total: int, unit: str) -> AbstractContextManager[Callable[[int], None]]:
        seen.append((task, total, unit))
        return nullcontext(done.append)

    write_nursery(tmp_path, progress=meter)
    assert seen == [("nursery", 6, "clips")]
    assert sum(done) == 6


# --- YAMNet's scores -------------------------------------------------------------------------

EXPECTED = {
    "baby_cry": {"Crying, sobbing", "Baby cry, infant cry"},
    "baby_cry_over_noise": {"Crying, sobbing", "Baby cry, infant cry"},
    "babble": {"Speech", "Child speech, kid speaking", "Babbling", "Child singing"},
    "baby_laugh": {"Laughter", "Baby laughter", "Giggle", "Belly laugh"},
    "cat": {"Cat", "Meow", "Domestic animals, pets"},
    "speech": {"Speech"},
    "lullaby": {"Music", "Humming", "Singing", "Lullaby"},
    "music_box": {"Music", "Glockenspiel", "Mallet percussion"},
    "silence": {"Silence"},
}
"""Classes of which one must score highest in its category. YAMNet has no music box class and gives
hum and noise many labels (vehicle, spray, vacuum cleaner), knocks too (percussion, wood block)."""

Scores = dict[str, Floats]


@pytest.fixture(scope="module")
def scores(shared: Path, written: Path) -> Scores:
    """Scores of every clip's windows, `[windows, 521]`."""
    from crydistill.teacher.yamnet import load_yamnet

    teacher = load_yamnet(shared / "teacher" / "yamnet_rebuilt.h5")
    patches = {
        clip.id: windows(log_mel(read_audio(written / _relative_path(clip)).samples))
        for clip in compose()
    }
    logits = teacher.predict(np.concatenate(list(patches.values())), batch_size=256, verbose=0)
    probabilities = 1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -50, 50)))
    ends = np.cumsum([len(clip_patches) for clip_patches in patches.values()])
    return dict(zip(patches, np.split(probabilities, ends[:-1]), strict=True))


def _cry_scores(scores: Scores, clip: NurseryClip) -> Floats:
    every: Floats = scores[clip.id][:, list(cry_indices())].sum(axis=1)
    return every[cry_share(clip) >= 0.5] if clip.label is Label.CRY else every


@pytest.mark.shared
def test_yamnet_hears_the_cries(scores: Scores) -> None:
    heard = [_cry_scores(scores, clip) for clip in compose() if clip.label is Label.CRY]
    assert np.concatenate(heard).mean() >= 0.7


@pytest.mark.shared
def test_yamnet_hears_every_infant_cry(scores: Scores) -> None:
    heard: defaultdict[str, list[float]] = defaultdict(list)
    for clip in compose():
        if clip.label is Label.CRY:
            heard[clip.group].extend(_cry_scores(scores, clip))
    assert len(heard) >= 10
    assert {group for group, values in heard.items() if np.mean(values) < 0.45} == set()


@pytest.mark.shared
def test_cries_over_noise_are_harder_but_heard(scores: Scores) -> None:
    means = {
        category: np.concatenate(
            [_cry_scores(scores, clip) for clip in compose() if clip.category == category]
        ).mean()
        for category in nursery.CRY_CATEGORIES
    }
    assert 0.4 <= means["baby_cry_over_noise"] < means["baby_cry"]


@pytest.mark.shared
def test_yamnet_hears_no_cry_elsewhere(scores: Scores) -> None:
    other = [_cry_scores(scores, clip) for clip in compose() if clip.label is Label.NONCRY]
    assert np.mean(np.concatenate(other) < 0.05) >= 0.98


@pytest.mark.shared
def test_some_negatives_are_hard(scores: Scores) -> None:
    def high(*categories: str) -> float:
        parts = [_cry_scores(scores, clip) for clip in compose() if clip.category in categories]
        return float(np.quantile(np.concatenate(parts), 0.9))

    assert high("babble", "baby_laugh", "cat") > 20 * high("speech", "hum", "white_noise", "knocks")


@pytest.mark.shared
@pytest.mark.parametrize("category", EXPECTED)
def test_yamnet_recognises_the_category(scores: Scores, category: str) -> None:
    mean = np.concatenate(
        [scores[clip.id] for clip in compose() if clip.category == category]
    ).mean(axis=0)
    assert class_names()[int(np.argmax(mean))] in EXPECTED[category]
