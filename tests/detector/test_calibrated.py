import json
from pathlib import Path

import numpy as np
import pytest

from crydistill.detector.calibrate import calibrate, check_cries
from crydistill.detector.calibrated import CalibratedSettings, load_settings, save_settings
from crydistill.detector.vote import VoteSettings
from crydistill.errors import ConfigError

STUDENT = "0123456789abcdef" * 4


def saved(path: Path) -> CalibratedSettings:
    scores = np.random.default_rng(0).random(7_500).astype(np.float32)
    vote = VoteSettings(threshold=0.0)
    calibrated = CalibratedSettings(
        student="tiny",
        student_sha256=STUDENT,
        calibration=calibrate([scores], vote, wanted_per_night=1.0, highest=1.0),
        cries=check_cries([scores], vote),
    )
    save_settings(path, calibrated)
    return calibrated


def test_settings_survive_the_file(tmp_path: Path) -> None:
    path = tmp_path / "room.json"
    before = saved(path)
    after = load_settings(path, student_sha256=STUDENT)
    assert after == before
    assert np.float32(after.vote.threshold) == np.float32(before.vote.threshold)


def test_settings_survive_an_editor_of_windows(tmp_path: Path) -> None:
    path = tmp_path / "room.json"
    before = saved(path)
    path.write_text(path.read_text().replace("\n", "\r\n"), encoding="utf-8-sig", newline="")
    assert load_settings(path, student_sha256=STUDENT) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"student_sha256": "12"}, r"room\.json: student_sha256: "),
        ({"colour": "red"}, r"room\.json: colour: "),
        ({"calibration": {}}, r"room\.json: calibration\.vote: .*more\)"),
    ],
)
def test_a_malformed_file_is_named_with_its_field(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    path = tmp_path / "room.json"
    saved(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ConfigError, match=message):
        load_settings(path)


def test_settings_out_of_range_are_named(tmp_path: Path) -> None:
    path = tmp_path / "room.json"
    saved(path)
    content = json.loads(path.read_text())
    content["calibration"]["vote"]["n"] = 40
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=r"room\.json: calibration\.vote\.n, m: 40 of 9"):
        load_settings(path)


def test_settings_of_another_student_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "room.json"
    saved(path)
    with pytest.raises(ConfigError, match="was calibrated for the student tiny"):
        load_settings(path, student_sha256="f" * 64)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(tmp_path / "none.json")
