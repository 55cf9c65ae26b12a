"""The page in headless Chromium: what a person does with it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tests.firmware.programs import Program, pcm_of, scene
from tests.web.chromium import Page, chromium

from crydistill.audio.mel import SAMPLE_RATE
from crydistill.audio.windows import WINDOW_HOP_SECONDS
from crydistill.detector.calibrated import load_settings
from crydistill.detector.settings import vote_settings
from crydistill.detector.vote import VoteSettings, alerts
from crydistill.publish.golden import CALM_SECONDS, golden_pcm
from crydistill.student.runtime import TfliteStudent

WINDOWS = 1_000
FAKE_MICROPHONE = (
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--use-file-for-fake-audio-capture=",
)
WATCH_CONSTRAINTS = """
const media = navigator.mediaDevices, real = media.getUserMedia.bind(media);
media.getUserMedia = async (wanted) => {
  window.wanted = wanted;
  window.stream = await real(wanted);
  return window.stream;
};
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture
def tab(browser: Page, page_file: Path) -> Iterator[Page]:
    """The page, opened from its file; any error in it fails the test."""
    browser.requests.clear()
    browser.open(page_file.as_uri())
    browser.wait_for("!document.querySelector('[aria-busy]')")
    yield browser
    assert browser.problems == []


def read_file(tab: Page, path: Path) -> None:
    tab.choose_file("file", path)
    tab.wait_for("document.getElementById('status').textContent.endsWith('read.')", 240)


def results(tab: Page, folder: Path) -> Any:
    return tab.downloaded(folder, "scores.json", lambda: tab.click("results"))


def scores_in(found: Any) -> np.ndarray:
    return np.array([np.nan if s is None else s for s in found["scores"]], dtype=np.float32)


@pytest.fixture(scope="module")
def cry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hum, a cry, and a hum again, 52 s."""
    path = tmp_path_factory.mktemp("sounds") / "cry.wav"
    pcm, hum = golden_pcm(), golden_pcm()[: CALM_SECONDS * SAMPLE_RATE]
    soundfile.write(path, np.concatenate([pcm, *[hum] * 10]), SAMPLE_RATE, subtype="PCM_16")
    return path


def test_the_self_test_runs_on_load_and_says_so(tab: Page) -> None:
    assert tab.text("selftest") == "self-test passed"
    assert tab.text("alert") == "not listening"


def test_a_thousand_windows_are_those_of_the_host(
    tab: Page, host: Program, packaged: TfliteStudent, tmp_path: Path
) -> None:
    pcm = scene((WINDOWS + 5) * WINDOW_HOP_SECONDS, seed=3)
    soundfile.write(tmp_path / "night.wav", pcm, SAMPLE_RATE, subtype="PCM_16")
    read_file(tab, tmp_path / "night.wav")
    found = results(tab, tmp_path)
    settings = VoteSettings.model_validate(found["settings"])
    assert settings == vote_settings(packaged.manifest, "balanced")
    expected, _ = host.windows(pcm, settings=settings)
    np.testing.assert_array_equal(scores_in(found).view(np.uint32), expected.view(np.uint32))
    assert len(expected) >= WINDOWS
    assert found["student"]["sha256"] == packaged.manifest.tflite.sha256
    assert_alerts(found, alerts(expected, settings))


def assert_alerts(found: Any, expected: list[Any]) -> None:
    keys = {"onset_s": "onset", "raised_s": "raised_at", "ended_s": "ended_at"}
    for one, alert in zip(found["alerts"], expected, strict=True):
        for key, name in keys.items():
            assert one[key] == pytest.approx(getattr(alert, name)), name


def test_it_asks_nothing_of_the_network(tab: Page, cry: Path) -> None:
    read_file(tab, cry)
    assert len(tab.requests) > 1
    assert {url.partition(":")[0] for url in tab.requests} <= {"file", "data", "blob"}
    # Nor could it.
    failed = "fetch('https://example.org/').then(() => false, () => true)"
    assert tab.evaluate(failed)
    assert any("Content Security Policy" in problem for problem in tab.problems)
    tab.problems.clear()


def test_a_cry_is_an_alert_in_the_list_and_settings_judge_it_anew(tab: Page, cry: Path) -> None:
    read_file(tab, cry)
    assert tab.text("alert") == "1 alert"
    assert "one alert of" in tab.text("summary")
    assert tab.evaluate("document.querySelectorAll('#alerts li').length") == 1
    tab.evaluate("""for (const [id, value] of [["threshold", "0.9999"]]) {
      const field = document.getElementById(id);
      field.value = value;
      field.dispatchEvent(new Event("change"));
    }""")
    assert tab.text("alert") == "0 alerts"
    assert tab.evaluate("document.getElementById('preset').value") == "own"
    assert "no alert" in tab.text("summary")


def change(tab: Page, name: str, value: str) -> None:
    tab.evaluate(
        f"(() => {{ const field = document.getElementById({json.dumps(name)});"
        f"field.value = {json.dumps(value)}; field.dispatchEvent(new Event('change')); }})()"
    )


def test_settings_that_make_no_sense_are_refused_in_a_line(tab: Page, cry: Path) -> None:
    read_file(tab, cry)
    change(tab, "n", "5")
    assert "1 <= n <= m <= 64" in tab.text("refused")
    assert tab.text("alert") == "1 alert"
    change(tab, "n", "3")
    assert tab.text("refused") == ""


def test_a_compressed_file_is_decoded_by_the_browser(tab: Page, cry: Path, tmp_path: Path) -> None:
    samples, rate = soundfile.read(cry)
    soundfile.write(tmp_path / "cry.ogg", samples, rate)
    read_file(tab, tmp_path / "cry.ogg")
    assert tab.text("alert") == "1 alert"


def test_a_file_without_sound_is_said_in_a_line(tab: Page, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no sound in here")
    tab.choose_file("file", tmp_path / "notes.txt")
    tab.wait_for("document.getElementById('status').className === 'warning'")
    assert "no sound that this browser can decode" in tab.text("status")
    assert tab.evaluate("!document.getElementById('listen').hidden")


def test_another_file_takes_the_place_of_one_that_is_read(
    tab: Page, cry: Path, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "long.wav", scene(900, seed=1), SAMPLE_RATE, subtype="PCM_16")
    tab.choose_file("file", tmp_path / "long.wav")
    tab.wait_for("document.getElementById('status').textContent.startsWith('Reading: ')")
    read_file(tab, cry)
    found = results(tab, tmp_path)
    assert found["seconds"] == pytest.approx(soundfile.info(cry).duration)


def test_calibration_gives_a_file_that_the_detector_reads(
    tab: Page, packaged: TfliteStudent, tmp_path: Path
) -> None:
    quiet = np.random.default_rng(0).normal(0, 0.01, 700 * SAMPLE_RATE)
    soundfile.write(tmp_path / "room.wav", pcm_of(quiet), SAMPLE_RATE, subtype="PCM_16")
    read_file(tab, tmp_path / "room.wav")
    assert "11 minutes heard" in tab.text("enough")
    tab.click("calibrate")
    tab.wait_for("!document.getElementById('save').disabled")
    tab.downloaded(tmp_path, "room.json", lambda: tab.click("save"))
    read = load_settings(tmp_path / "room.json", student_sha256=packaged.manifest.tflite.sha256)
    assert read.student == packaged.manifest.name
    assert read.calibration.wanted_per_night == 1
    assert read.calibration.hours == pytest.approx(700 / 3600, abs=0.001)
    assert f"Threshold {float(f'{read.vote.threshold:.3g}'):g}" in tab.text("calibrated")
    assert tab.evaluate("document.getElementById('preset').value") == "calibrated"
    # And the page reads it back.
    change(tab, "preset", "quiet")
    tab.choose_file("load", tmp_path / "room.json")
    tab.wait_for("document.getElementById('preset').value === 'room.json'")
    threshold = float(tab.evaluate("document.getElementById('threshold').value"))
    assert threshold == pytest.approx(read.vote.threshold, rel=0.01)


def test_settings_of_another_student_are_refused(
    tab: Page, packaged: TfliteStudent, tmp_path: Path
) -> None:
    vote = {"threshold": 0.5, "n": 2, "m": 3, "hold_seconds": 1}
    other = {"student": "x", "student_sha256": "0" * 64, "calibration": {"vote": vote}}
    (tmp_path / "other.json").write_text(json.dumps(other))
    tab.choose_file("load", tmp_path / "other.json")
    tab.wait_for("document.getElementById('refused').textContent !== ''")
    assert "calibrated for the student x" in tab.text("refused")


def test_a_room_in_which_something_cries_is_not_calibrated_on_unasked(tab: Page, cry: Path) -> None:
    read_file(tab, cry)
    tab.click("calibrate")
    assert "1 time this sounds like crying" in tab.text("calibrated")
    assert tab.evaluate("document.getElementById('save').disabled")
    change(tab, "crying", "keep")
    tab.click("calibrate")
    tab.wait_for("!document.getElementById('save').disabled")


def test_keys_zoom_move_and_go_to_alerts(tab: Page, cry: Path) -> None:
    read_file(tab, cry)
    whole = tab.text("range")
    tab.evaluate("document.getElementById('view').focus()")

    def after(key: str) -> str:
        before = tab.text("range")
        tab.press(key)
        tab.wait_for(f"document.getElementById('range').textContent !== {json.dumps(before)}")
        return tab.text("range")

    assert whole == "0:00:00 – 0:00:52"
    assert after("+") == "0:00:13 – 0:00:39"
    assert after("ArrowRight") == "0:00:20 – 0:00:46"
    assert after("0") == whole
    assert after("n").startswith("0:00:00 – 0:00:3")


def test_what_can_be_operated_has_a_name(tab: Page) -> None:
    nameless = """[...document.querySelectorAll('button, input, select, canvas, meter, audio')]
      .filter((one) => !(one.ariaLabel || one.textContent.trim() || one.labels?.length))
      .map((one) => one.outerHTML)"""
    assert tab.evaluate(nameless) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_the_screen(width: int, scheme: str, tab: Page, cry: Path) -> None:
    tab.size(width, 844, scheme)
    read_file(tab, cry)
    tab.click("calibrate")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    outside = f"""[...document.querySelectorAll('body *')].filter((one) => {{
      const {{left, right, width}} = one.getBoundingClientRect();
      return width > 1 && (left < 0 || right > {width});
    }}).map((one) => one.outerHTML)"""
    assert tab.evaluate(outside) == []
    page = "getComputedStyle(document.documentElement).getPropertyValue('--page')"
    assert tab.evaluate(page) == {"light": "#ffffff", "dark": "#0d1117"}[scheme]


def test_the_microphone_is_heard_as_it_sounds(page_file: Path, cry: Path, tmp_path: Path) -> None:
    *flags, file = FAKE_MICROPHONE
    with chromium(tmp_path / "profile", *flags, f"{file}{cry}") as tab:
        tab.send("Page.addScriptToEvaluateOnNewDocument", source=WATCH_CONSTRAINTS)
        tab.open(page_file.as_uri())
        tab.wait_for("!document.querySelector('[aria-busy]')")
        tab.click("listen")
        tab.wait_for("document.getElementById('alert').textContent === 'crying'")
        audio = tab.evaluate("window.wanted.audio")
        for name in ("echoCancellation", "noiseSuppression", "autoGainControl"):
            assert audio[name] is False
        assert tab.text("status") == "Listening."
        assert tab.evaluate("document.getElementById('level').value") > 0
        tab.click("stop")
        found = results(tab, tmp_path)
        assert found["started"] is not None
        assert len(found["scores"]) == int((found["seconds"] - 0.975) / WINDOW_HOP_SECONDS) + 1
        assert not np.isnan(scores_in(found)).any()
        assert scores_in(found).max() > 0.5
        assert len(found["alerts"]) == 1
        assert tab.evaluate("window.stream.getTracks()[0].readyState") == "ended"
        assert tab.problems == []
