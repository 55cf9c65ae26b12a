"""The review page in a headless Chromium."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.detector.sounds import LoudnessScorer, loud, quiet
from tests.feedback.toys import put
from tests.web.chromium import Page, chromium

from crydistill.detector.clip_folder import ClipLabel, kept_clips, read_labels
from crydistill.detector.vote import VoteSettings
from crydistill.feedback.server import ReviewServer

CLIPS = [f"alert-{number}.wav" for number in (1, 2, 3)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in CLIPS:
        put(tmp_path, name, np.concatenate([quiet(2), loud(2), quiet(4)]))
    return tmp_path


@pytest.fixture
def page(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    vote = VoteSettings(threshold=0.4, n=2, m=3)
    profile = tmp_path_factory.mktemp("profile")
    with ReviewServer(folder, LoudnessScorer(), vote) as server, chromium(profile) as tab:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            tab.open(server.address)
            tab.wait_for("picture !== null")
            yield tab
        finally:
            server.shutdown()
            thread.join()


def test_a_person_reviews_with_the_keyboard(page: Page, folder: Path) -> None:
    names = page.evaluate("state.clips.map((clip) => clip.name)")
    assert sorted(names) == CLIPS
    page.press("n")
    page.wait_for(f"current === {names[1]!r}")
    page.press("c")
    page.wait_for(f"current === {names[2]!r}")
    assert read_labels(folder) == {names[0]: ClipLabel.NOT_A_CRY, names[1]: ClipLabel.CRY}
    assert "2 of 3 reviewed" in page.text("progress")
    page.press("ArrowUp")
    page.wait_for(f"current === {names[1]!r}")
    page.press("u")
    page.wait_for("state.clips.filter((clip) => clip.label).length === 1")
    assert not page.problems


def test_a_clip_is_deleted_only_once_that_was_confirmed(page: Page, folder: Path) -> None:
    first = page.evaluate("current")
    page.press("d")
    page.wait_for("!document.getElementById('confirm').hidden")
    page.press("Escape")
    page.wait_for("document.getElementById('confirm').hidden")
    page.press("y")
    assert len(kept_clips(folder)) == 3
    page.press("d")
    page.press("y")
    page.wait_for("state.clips.length === 2")
    assert first not in {clip.name for clip in kept_clips(folder)}
    assert not page.problems


def test_a_clip_plays_and_is_sought_in(page: Page) -> None:
    player = "document.getElementById('player')"
    page.wait_for(f"{player}.duration > 7.9")
    page.evaluate(f"{player}.currentTime = 6")
    page.wait_for(f"!{player}.seeking && {player}.currentTime === 6")
    drawn = "document.getElementById('sound').getContext('2d').getImageData(0, 0, 9999, 99).data"
    assert page.evaluate(f"new Set({drawn}).size") > 10
    assert page.evaluate("Math.max(...picture.scores)") == 1


def test_the_page_asks_nobody_else(page: Page) -> None:
    hosts = {url.split("/")[2].split(":")[0] for url in page.requests if url.startswith("http")}
    assert hosts == {"127.0.0.1"}
