"""Pages in a browser of the width of a phone: nothing leaves the screen."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.evaluation.made_up import noisy_model, nursery_clips
from tests.nights.nightly import VOTE, clips, scorer
from tests.web.chromium import Page, chromium

from crydistill.evaluation.compare import evaluate
from crydistill.experiment.streams import StreamOptions
from crydistill.nights.hearing import score_night
from crydistill.nights.judge import evaluate_nights
from crydistill.nights.night import clip_nights
from crydistill.reports.night_page import write_night_view
from crydistill.reports.run_page import write_report

PHONE, TABLET, DESK = 390, 820, 1280
NETWORKS = ("teacher", "teacher against rivals", "student FP32", "student INT8")
LONG = "trained-on-" + "many-corpora-" * 8


def report(path: Path) -> None:
    heard = nursery_clips(cries=20, others=60)
    models = [noisy_model(name, heard, noise=0.2, seed=n) for n, name in enumerate(NETWORKS)]
    write_report(
        path,
        title=f"mine, {LONG}",
        evaluation=evaluate(heard, models, replicates=20),
        provenance={"config": {"data": {"train": [LONG, LONG]}}},
    )


def night(path: Path) -> None:
    options = StreamOptions(rooms=0, episodes=3, mean_gap_seconds=6.0, snr_db=(15.0, 25.0))
    (built,) = clip_nights({LONG: clips(path.parent)}, options=options, seeds=[0])
    heard = score_night(built, [scorer(name, {"balanced": VOTE}) for name in NETWORKS])
    result = evaluate_nights([built], [heard], votes=[(2, 3)], replicates=20)
    write_night_view(path, result, {**result.to_json(), "provenance": {"commit": LONG}})


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.mark.parametrize("write", [report, night])
@pytest.mark.parametrize("width", [PHONE, TABLET, DESK])
def test_nothing_leaves_the_screen(width: int, write, tab: Page, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write(path)
    tab.size(width, 844, "light")
    tab.open(path.as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    last = "[...document.querySelectorAll('.figures td:last-child')]"
    assert tab.evaluate(f"{last}.length") > 5
    rights = tab.evaluate(f"{last}.map((cell) => cell.getBoundingClientRect().right)")
    assert max(rights) <= width
    assert tab.problems == []


def test_on_a_phone_every_figure_stands_beside_its_network(tab: Page, tmp_path: Path) -> None:
    report(tmp_path / "page.html")
    tab.size(PHONE, 844, "dark")
    tab.open((tmp_path / "page.html").as_uri())
    cell = "document.querySelector('.figures td[data-of=\"student INT8\"]')"
    shown = tab.evaluate(f"getComputedStyle({cell}, '::before').content")
    assert shown == '"student INT8"'
    assert tab.evaluate(f"getComputedStyle({cell}).display") == "flex"
