"""The summary as text and as a table on a terminal."""

import re

import numpy as np
import pytest
from rich.console import Console
from tests.evaluation.made_up import noisy_model, nursery_clips

from crydistill.evaluation.compare import METRICS, Evaluation, choose_thresholds, evaluate
from crydistill.metrics.intervals import SIGNED, Estimate
from crydistill.metrics.ranking import ClipScore
from crydistill.reports.summary import summary_rows, summary_table


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    clips = nursery_clips()
    models = [
        noisy_model("[red]teacher", clips, noise=0.2),
        noisy_model("student", clips, noise=0.3, seed=1),
    ]
    return evaluate(
        clips,
        models,
        reference="[red]teacher",
        thresholds=choose_thresholds(clips, models),
        replicates=50,
    )


def test_rows_hold_every_metric_of_every_clip_score(evaluation: Evaluation) -> None:
    sections = summary_rows(evaluation)
    assert len(sections) == len(ClipScore) + 1 == 4
    student = evaluation.models["student"]
    for section, how in zip(sections, ClipScore, strict=False):
        cells = dict(section.rows)
        for key, title in METRICS.items():
            assert cells[title][1] == str(student.by_score[how].metrics[key])
        assert cells["Δ ROC AUC"][0] == "–"
        assert cells["Δ ROC AUC"][1] == student.by_score[how].differences["roc_auc"].text(SIGNED)
        assert cells["Threshold: validation"] == cells["Threshold: hindsight"]


def test_the_table_fits_a_terminal(evaluation: Evaluation) -> None:
    console = Console(width=80)
    with console.capture() as capture:
        console.print(summary_table(evaluation))
    text = capture.get()
    auc = evaluation.models["student"].by_score[ClipScore.MEAN].metrics["roc_auc"]
    assert str(auc) in text
    assert "80 clips, 20 cries, 40 groups" in text
    # A name is text, not markup: in the header, a section's heading and the caption.
    assert re.search(r"\[red\]teacher ┃ +student", text)
    assert "Agreement with [red]teacher" in text
    assert "Δ: minus [red]teacher" in text


def test_differences_show_their_sign() -> None:
    assert Estimate(0.0123, -0.001, 0.02).text(SIGNED) == "+0.012 [-0.001, +0.020]"
    assert Estimate(-0.5, np.nan, np.nan).text(SIGNED) == "-0.500"
    assert Estimate(np.nan, np.nan, np.nan).text(SIGNED) == "–"


def test_too_few_clips_are_not_tabulated() -> None:
    clips = nursery_clips(cries=8)
    models = [noisy_model(name, clips, noise=0.2) for name in ("teacher", "student")]
    console = Console(width=80)
    with console.capture() as capture:
        console.print(summary_table(evaluate(clips, models, replicates=10)))
    text = " ".join(capture.get().replace("│", " ").split())
    assert "too little to tell: 8 cries of 4 groups where 20 of 10 are needed" in text
    assert "AUC" not in text
