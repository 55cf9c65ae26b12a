import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from crydistill.audio.mel import SAMPLE_RATE, log_mel
from crydistill.synthesis.formulas import SECONDS, Kind, formula_sound, write_formulas


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_any_seed_sounds(seed: int) -> None:
    sound = formula_sound(np.random.default_rng(seed))
    assert len(sound) == SECONDS * SAMPLE_RATE
    assert np.isfinite(sound).all()
    assert 0.3 < np.abs(sound).max() <= 1


def test_sounds_differ_more_than_recordings_of_one_thing() -> None:
    """The long-term spectra of twenty sounds are weakly correlated."""
    spectra = np.stack(
        [
            log_mel(formula_sound(np.random.default_rng(seed)).astype(np.float32)).mean(axis=0)
            for seed in range(20)
        ]
    )
    correlation = np.corrcoef(spectra)[np.triu_indices(20, 1)]
    assert np.median(correlation) < 0.7


def test_a_folder_can_be_gone_on_with(tmp_path: Path) -> None:
    write_formulas(tmp_path, clips=2, seed=3)
    first = {path.name: path.read_bytes() for path in tmp_path.glob("*.wav")}
    (tmp_path / sorted(first)[0]).unlink()
    manifest = write_formulas(tmp_path, clips=3, seed=3)
    again = {path.name: path.read_bytes() for path in tmp_path.glob("*.wav")}
    assert len(again) == 3
    assert first.items() <= again.items()
    rows = list(csv.DictReader(manifest.open(encoding="utf-8")))
    assert {row["label"] for row in rows} == {"unlabelled"}
    assert len({row["group"] for row in rows}) == 3
    assert all(soundfile.info(tmp_path / row["path"]).duration == SECONDS for row in rows)


def test_processes_make_the_same_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone, together = tmp_path / "alone", tmp_path / "together"
    write_formulas(alone, clips=4, seed=3, kind="scenes")
    monkeypatch.setattr("crydistill.synthesis.formulas._CLIPS_PER_PROCESS", 2)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    write_formulas(together, clips=4, seed=3, kind="scenes")
    clips = [{path.name: path.read_bytes() for path in d.iterdir()} for d in (alone, together)]
    assert len(clips[0]) == 5
    assert clips[0] == clips[1]


def test_seeds_differ(tmp_path: Path) -> None:
    one, other = (write_formulas(tmp_path / str(s), clips=1, seed=s).parent for s in (0, 1))
    sounds = [soundfile.read(next(folder.glob("*.wav")))[0] for folder in (one, other)]
    assert not np.array_equal(*sounds)


@pytest.mark.parametrize("kind", ["voices", "scenes", "soundalikes"])
def test_other_kinds_are_other_corpora(kind: Kind, tmp_path: Path) -> None:
    sounds = write_formulas(tmp_path / "sounds", clips=2, seed=3)
    others = write_formulas(tmp_path / kind, clips=2, seed=3, kind=kind)
    rows = [list(csv.DictReader(path.open(encoding="utf-8"))) for path in (sounds, others)]
    groups = {row["group"] for part in rows for row in part}
    assert len(groups) == 4
    assert {row["source"] for row in rows[1]} == {kind}
    for row in rows[1]:
        samples, rate = soundfile.read(others.parent / row["path"])
        assert rate == SAMPLE_RATE
        assert len(samples) >= 4 * SAMPLE_RATE
        assert np.abs(samples).max() > 0
