from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from tests.nights.nightly import OPTIONS, clips, home, scorer

from crydistill.nights.kept import score_nights
from crydistill.nights.night import ClipNight, RecordedNight, clip_nights
from crydistill.teacher.base import Recording


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> list[ClipNight]:
    made = clips(tmp_path_factory.mktemp("clips"))
    return clip_nights({"tones": made}, options=replace(OPTIONS, episodes=2), seeds=[0, 1])


def failing(recording: Recording) -> npt.NDArray[np.float32]:
    raise AssertionError("was scored again")


def test_kept_scores_are_not_computed_again(nights: list[ClipNight], tmp_path: Path) -> None:
    first = score_nights(nights, [scorer()], tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    again = score_nights(nights, [replace(scorer(), listen=lambda: failing)], tmp_path)
    for (one,), (other,) in zip(first, again, strict=True):
        assert np.array_equal(one.scores, other.scores) and one.scores.dtype == other.scores.dtype
    assert not np.array_equal(first[0][0].scores, first[1][0].scores)


def test_damaged_scores_are_computed_again(nights: list[ClipNight], tmp_path: Path) -> None:
    ((first,),) = score_nights(nights[:1], [scorer()], tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    ((again,),) = score_nights(nights[:1], [scorer()], tmp_path)
    assert np.array_equal(again.scores, first.scores)
    assert path.read_bytes() == whole


def test_only_the_new_network_is_run(nights: list[ClipNight], tmp_path: Path) -> None:
    score_nights(nights[:1], [scorer()], tmp_path)
    new = replace(scorer("new"), fingerprint="1" * 64)
    listeners = [new, replace(scorer(), listen=lambda: failing)]
    ((found, kept),) = score_nights(nights[:1], listeners, tmp_path)
    assert found.scorer.name == "new" and kept.scorer.name == "ear"
    assert np.array_equal(found.scores, kept.scores)


@pytest.mark.parametrize("change", ["kernels", "weights", "night"])
def test_what_changes_scores_is_scored_again(
    nights: list[ClipNight], tmp_path: Path, change: str
) -> None:
    score_nights(nights[:1], [scorer()], tmp_path, how="reference")
    louder = replace(nights[0], plan=replace(nights[0].plan, microphone_db=3.0))
    night = louder if change == "night" else nights[0]
    listener = replace(scorer(), fingerprint="2" * 64) if change == "weights" else scorer()
    how = "xnnpack" if change == "kernels" else "reference"
    with pytest.raises(AssertionError, match="scored again"):
        score_nights([night], [replace(listener, listen=lambda: failing)], tmp_path, how=how)


def test_a_recording_is_always_scored(tmp_path: Path) -> None:
    night = RecordedNight(home(tmp_path / "home.wav"))
    ((heard,),) = score_nights([night], [scorer()], tmp_path / "scores")
    assert heard.scores.max() > 0.5
    assert not (tmp_path / "scores").exists()
