"""The summary as text."""

import numpy as np
import pytest
from tests.evaluation.made_up import noisy_model, nursery_clips

from crydistill.evaluation.compare import METRICS, Evaluation, choose_thresholds, evaluate
from crydistill.metrics.intervals import SIGNED, Estimate
from crydistill.metrics.ranking import ClipScore
from crydistill.reports.summary import summary_rows


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


def test_differences_show_their_sign() -> None:
    assert Estimate(0.0123, -0.001, 0.02).text(SIGNED) == "+0.012 [-0.001, +0.020]"
    assert Estimate(-0.5, np.nan, np.nan).text(SIGNED) == "-0.500"
    assert Estimate(np.nan, np.nan, np.nan).text(SIGNED) == "–"
