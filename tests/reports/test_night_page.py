import base64
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tests.nights.nightly import VOTE, clips, scorer

from crydistill.audio.mel import SAMPLE_RATE
from crydistill.experiment.streams import StreamOptions
from crydistill.nights.hearing import score_night
from crydistill.nights.judge import NightResult, evaluate_nights
from crydistill.nights.night import ClipNight, clip_nights
from crydistill.reports.night_page import curves_svg, write_night_view

OPTIONS = StreamOptions(rooms=0, episodes=3, mean_gap_seconds=6.0, snr_db=(15.0, 25.0))


def result_of(folder: Path, *, private: bool = False, name: str = "ear") -> NightResult:
    made = [
        replace(clip, category=f"<b>{clip.category}</script>")
        for clip in clips(folder, private=private)
    ]
    (night,) = clip_nights({"<tones>": made}, options=OPTIONS, seeds=[0])
    heard = score_night(night, [scorer(name, {"balanced": VOTE}), scorer("other")])
    return evaluate_nights([night], [heard], votes=[(2, 3), (5, 9)], replicates=20)


def page_of(result: NightResult, folder: Path) -> str:
    path = folder / "night.html"
    write_night_view(path, result, {**result.to_json(), "provenance": {"commit": "<x>"}})
    return path.read_text(encoding="utf-8")


def data_of(page: str) -> dict[str, Any]:
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    data: dict[str, Any] = json.loads(text)
    return data


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> NightResult:
    return result_of(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def page(result: NightResult, tmp_path_factory: pytest.TempPathFactory) -> str:
    return page_of(result, tmp_path_factory.mktemp("page"))


def test_the_page_needs_nothing_else(page: str) -> None:
    assert not re.findall(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", page)
    assert "@import" not in page and "url(" not in page
    assert not re.findall(r"\$[a-z]+", page)  # every placeholder was filled


def test_nothing_from_data_becomes_markup(page: str) -> None:
    assert page.count("</script>") == 2
    assert "<tones>" not in page and "<x>" not in page
    assert re.findall(r"<b>(.*?)<", page) == ["ear"], "the one network with a preset"


def test_scores_and_votes_survive(result: NightResult, page: str) -> None:
    data = data_of(page)
    for shown, model in zip(data["models"], result.models, strict=True):
        (heard,) = model.nights
        steps = np.frombuffer(base64.b64decode(shown["scores"]), dtype="<u2")
        assert steps * shown["top"] / 65_535 == pytest.approx(heard.scores, abs=1e-5)
        voting = np.zeros(len(steps), dtype=bool)
        for start, end in shown["voting"]:
            voting[start:end] = True
        assert np.array_equal(voting, heard.scores >= np.float32(model.shown.threshold))
        assert len(shown["false"]) == len(heard.false_alarms)
        assert len(shown["missed"]) == len(heard.missed)
        assert [row[0] for row in shown["true"]] == pytest.approx(
            [alert.onset for alert in heard.true_alerts], abs=0.01
        )


def test_audio_around_alerts_is_what_sounded(result: NightResult, page: str) -> None:
    data = data_of(page)
    start, _, what, clip, _, number, raised = data["models"][0]["false"][0]
    assert "whistle" in what and clip.startswith("whistle") and raised > start
    encoded = data["audio"][number].removeprefix("data:audio/mpeg;base64,")
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(encoded)))
    assert rate == SAMPLE_RATE
    night = result.first
    assert isinstance(night, ClipNight)
    begin = max(0.0, start - 1.5)
    (expected,) = night.excerpts([(begin, begin + 10)])
    assert expected is not None
    assert len(samples) == pytest.approx(len(expected), abs=4_000)  # MP3 pads
    assert np.std(samples) == pytest.approx(np.std(expected), rel=0.15)


def test_a_private_night_has_no_audio_and_says_so(tmp_path: Path, page: str) -> None:
    assert "Private: made from" not in page
    private = page_of(result_of(tmp_path, private=True), tmp_path)
    data = data_of(private)
    assert "Private: made from recordings" in private
    assert "data:audio" not in private and data["audio"] == []
    assert all(row[5] == -1 for row in data["models"][0]["false"])


def test_the_curve_steps_through_its_corners(result: NightResult) -> None:
    svg = curves_svg(result)
    assert svg.count("<title>") == 2 and "ear" in svg
    path = re.findall(r'<path d="(M[^"]+)" fill="none"', svg)[0]
    heights = [float(y) for y in re.findall(r"V([\d.]+)", path)]
    assert heights == sorted(heights, reverse=True)  # caught only rises, and up is less
    assert len(heights) == len(result.models[0].votes[0].curve.missed)
