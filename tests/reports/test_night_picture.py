from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

from tests.nights.nightly import VOTE, scorer, tones

from crydistill.nights.hearing import score_night
from crydistill.nights.judge import evaluate_nights
from crydistill.reports.night_picture import write_picture

SVG = "{http://www.w3.org/2000/svg}"
DEAF = VOTE.model_copy(update={"threshold": 2.0})
CAUGHT, MISSED = "#0072b2", "#d55e00"


def drawn(folder: Path) -> ElementTree.Element:
    night = tones(folder)
    listeners = [
        scorer("ear <1>", presets={"balanced": VOTE}),
        scorer("deaf", presets={"balanced": DEAF}),
    ]
    scored = score_night(night, listeners)
    result = evaluate_nights([night], [scored], votes=[(2, 3)], replicates=10)
    write_picture(folder / "night.svg", result)
    return ElementTree.parse(folder / "night.svg").getroot()


def test_every_episode_and_false_alarm_is_there(tmp_path: Path) -> None:
    picture = drawn(tmp_path)
    fills = Counter(rect.get("fill") for rect in picture.iter(f"{SVG}rect"))
    # Six episodes, caught by one network and missed by the other, and the legend's two.
    assert (fills[CAUGHT], fills[MISSED]) == (6 + 1, 6 + 1)
    texts = [text.text or "" for text in picture.iter(f"{SVG}text")]
    assert texts.count("ear <1>") == 2, "above its strip and beside its curve"
    assert any(text.startswith("6 of 6 caught, 2 false alarms") for text in texts)
    assert any(text.startswith("0 of 6 caught, 0 false alarms") for text in texts)
    triangles = [p for p in picture.iter(f"{SVG}path") if "l-5 -9h10z" in p.get("d", "")]
    assert len(triangles) == 2 + 1


def test_it_says_in_words_what_it_shows(tmp_path: Path) -> None:
    label = drawn(tmp_path).get("aria-label") or ""
    assert "ear <1> 6 of 6 caught, 2 false alarms; deaf 0 of 6 caught" in label


def test_nothing_is_drawn_outside(tmp_path: Path) -> None:
    picture = drawn(tmp_path)
    _, _, width, height = map(float, (picture.get("viewBox") or "").split())
    for rect in picture.iter(f"{SVG}rect"):
        x, y = float(rect.get("x", 0)), float(rect.get("y", 0))
        assert 0 <= x <= x + float(rect.get("width", 0)) <= width
        assert 0 <= y <= y + float(rect.get("height", 0)) <= height
    for text in picture.iter(f"{SVG}text"):
        assert 0 <= float(text.get("x", 0)) <= width
        assert 0 <= float(text.get("y", 0)) <= height
