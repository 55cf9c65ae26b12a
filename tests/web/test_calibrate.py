"""Calibration in the page finds what `crydistill calibrate` finds."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.detector.test_calibrate import Track, hushed_room, room
from tests.web.node import HEAR, put_engine, run_in_node

from crydistill.detector.calibrate import calibrate
from crydistill.detector.calibrated import CalibratedSettings, Method, load_settings
from crydistill.detector.vote import VoteSettings
from crydistill.student.runtime import TfliteStudent
from crydistill.web.engine import engine
from crydistill.web.image import student_image

PROGRAM = """
import {calibrate} from "./calibrate.js";
import {Decisions} from "./track.js";
const scores = floats("scores");
const alertsOf = (settings) => new Decisions(engine, settings, scores).alerts;
let found;
try {
  found = calibrate(scores, VOTE, WANTED, {highest: HIGHEST, reachable: REACHABLE}, alertsOf);
} catch (error) {
  found = error.message;
}
give(found);
"""


def in_page(
    folder: Path,
    student: TfliteStudent,
    track: Track,
    vote: VoteSettings,
    wanted: float,
    highest: float = 1.0,
    reachable: float = 1.0,
) -> Any:
    put_engine(folder, engine(), student_image(student.tflite, student.manifest))
    (folder / "scores").write_bytes(track.astype(np.float32).tobytes())
    known = (
        f"const VOTE = {vote.model_dump_json()}, WANTED = {wanted}, "
        f"HIGHEST = {highest}, REACHABLE = {reachable};\n"
    )
    return run_in_node(folder, HEAR + known + PROGRAM)


VOTES = [
    VoteSettings(threshold=0.0, n=1, m=1, hold_seconds=0),
    VoteSettings(threshold=0.0, n=2, m=3),
    VoteSettings(threshold=0.0, n=5, m=9, hold_seconds=30),
]


@pytest.mark.parametrize("vote", VOTES, ids=lambda vote: f"{vote.n} of {vote.m}")
@pytest.mark.parametrize(
    ("hours", "per_hour", "wanted"),
    [(1, 60, 1), (1, 400, 200), (0.3, 60, 1), (4, 5, 1), (0.05, 5, 1), (1, 5, 5_000)],
)
def test_the_threshold_is_that_of_python(
    vote: VoteSettings, hours: float, per_hour: float, wanted: float, tmp_path: Path,
    packaged: TfliteStudent,
) -> None:  # fmt: skip
    track = room(np.random.default_rng(7), hours, per_hour)
    track[40:90] = np.nan
    expected = calibrate([track], vote, wanted_per_night=wanted, highest=1.0, reachable=1.0)
    found = in_page(tmp_path, packaged, track, vote, wanted)
    assert np.float32(found["vote"]["threshold"]) == np.float32(expected.vote.threshold)
    for name in ("n", "m", "hold_seconds"):
        assert found["vote"][name] == getattr(vote, name)
    for name in ("method", "wanted_per_night", "alerts", "capped"):
        assert found[name] == getattr(expected, name), name
    assert found["hours"] == pytest.approx(expected.hours)
    assert len(found["warnings"]) == len(expected.warnings)
    # Peaks of one height may come in another order.
    peaks = [(peak.seconds, np.float32(peak.level)) for peak in expected.loudest]
    assert {(p["seconds"], np.float32(p["level"])) for p in found["loudest"]} == set(peaks)
    drawn = [
        calibrate([track], vote, wanted_per_night=wanted, highest=1.0, reachable=1.0, seed=seed)
        for seed in range(8)
    ]
    assert_alike(found["expected_per_night"], [one.expected_per_night for one in drawn])


def test_sounds_that_score_next_to_nothing_are_left_out_as_in_python(
    tmp_path: Path, packaged: TfliteStudent
) -> None:
    track = hushed_room(np.random.default_rng(3), 1, 12)
    expected = calibrate([track], VOTES[0], wanted_per_night=1, highest=1.0)
    found = in_page(tmp_path, packaged, track, VOTES[0], 1)
    assert expected.method is Method.TAIL
    assert found["method"] == "tail"
    assert np.float32(found["vote"]["threshold"]) == np.float32(expected.vote.threshold)


def assert_alike(found: dict[str, float], drawn: list[Any]) -> None:
    """The same value, and ends among those that other random numbers give, or nearly."""
    assert found["value"] == pytest.approx(drawn[0].value, rel=1e-6)
    for end, slack in (("low", 1.3), ("high", 1.1)):
        ends = [getattr(one, end) for one in drawn]
        factor = slack if max(ends) > min(ends) else 1 + 1e-6
        assert min(ends) / factor <= found[end] <= max(ends) * factor, ends


def test_scores_of_another_scale_have_thresholds_of_theirs(
    tmp_path: Path, packaged: TfliteStudent
) -> None:
    track = 2 * room(np.random.default_rng(1), 1, 60)
    vote = VOTES[1]
    expected = calibrate([track], vote, wanted_per_night=1, highest=2.0, reachable=1.5)
    found = in_page(tmp_path, packaged, track, vote, 1, 2.0, 1.5)
    assert np.float32(found["vote"]["threshold"]) == np.float32(expected.vote.threshold)
    assert found["threshold_range"] == pytest.approx(expected.threshold_range, rel=0.1)


def test_settings_are_those_that_the_detector_reads(
    tmp_path: Path, packaged: TfliteStudent
) -> None:
    found = in_page(tmp_path, packaged, room(np.random.default_rng(2), 1, 60), VOTES[1], 1)
    content = {
        "format_version": 1,
        "student": packaged.manifest.name,
        "student_sha256": packaged.manifest.tflite.sha256,
        "calibration": found,
        "cries": None,
        "package_version": "0",
    }
    assert set(content) == set(CalibratedSettings.model_fields)
    (tmp_path / "room.json").write_text(json.dumps(content))
    read = load_settings(tmp_path / "room.json", student_sha256=packaged.manifest.tflite.sha256)
    assert read.vote.threshold == found["vote"]["threshold"]


def test_too_little_and_no_rate_are_refused_in_a_line(
    tmp_path: Path, packaged: TfliteStudent
) -> None:
    short = np.zeros(4, dtype=np.float32)
    assert "too few for a vote of 5" in in_page(tmp_path, packaged, short, VOTES[2], 1)
    assert "above 0" in in_page(tmp_path, packaged, np.zeros(100), VOTES[2], 0)


def test_exact_intervals_are_those_of_scipy(tmp_path: Path) -> None:
    from scipy.special import gammainc, gammaincinv

    shapes = [0.5, 1, 3, 17, 120, 999]
    program = (
        'import {gammaP, gammaQuantile} from "./statistics.js";\n'
        f"give({shapes}.map((a) => [gammaP(a, a * 0.8), gammaP(a, a * 1.3), "
        "gammaQuantile(a, 0.025), gammaQuantile(a, 0.975)]));"
    )
    for a, found in zip(shapes, run_in_node(tmp_path, program), strict=True):
        expected = [gammainc(a, a * 0.8), gammainc(a, a * 1.3)]
        expected += [gammaincinv(a, 0.025), gammaincinv(a, 0.975)]
        assert found == pytest.approx(expected, rel=1e-9)
