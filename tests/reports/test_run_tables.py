import json
from pathlib import Path
from typing import Any

import pytest
from tests.evaluation.made_up import run_metrics

from crydistill.evaluation.compare import DIFFERENCES, METRICS
from crydistill.reports.run_tables import results_table, series_table, spread_text

OLD = ("mean", "max")
"""Clip scores in records from before more were added."""


def with_top4(auc: float, top4: float) -> dict[str, Any]:
    record = run_metrics(auc)
    estimate = {"value": top4, "low": None, "high": None}
    for model in record["models"].values():
        model["clip_scores"]["top4"]["metrics"] = dict.fromkeys(METRICS, estimate)
    return record


def test_the_highest_windows_stand_beside_the_mean() -> None:
    text = results_table(with_top4(0.9, 0.7))
    for key in DIFFERENCES:
        assert f"| {METRICS[key]} | 0.990 [0.890, 1.090] | 0.900 [0.800, 1.000] |" in text
        assert f"| {METRICS[key]}, top4 | 0.700 | 0.700 |" in text
    assert "mean over windows; top4: mean of the 4 highest windows. 10 clips" in text


def test_records_from_before_have_the_other_rows() -> None:
    text, old = results_table(run_metrics(0.9)), results_table(run_metrics(0.9, scores=OLD))
    assert "top4" in text and "top4" not in old
    kept = [line for line in text.splitlines() if "top4" not in line]
    assert kept == [line for line in old.splitlines() if "Clip score:" not in line]


def test_a_series_has_both_scores_where_every_seed_has_both(tmp_path: Path) -> None:
    for name, record in {
        "new-seed0": with_top4(0.9, 0.6),
        "new-seed1": with_top4(0.8, 0.7),
        "mixed-seed0": run_metrics(0.9),
        "mixed-seed1": run_metrics(0.9, scores=OLD),
    }.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(record))
    mean, _, beside = series_table(["new", "mixed"], tmp_path).partition(
        "4 highest windows as clip score:"
    )
    assert "| new | 2 | 0.850 ± 0.071 [0.750, 0.950]" in mean and "| mixed | 2 |" in mean
    assert "| new | 2 | 0.650 ± 0.071 |" in beside and "mixed" not in beside
    assert "highest windows" not in series_table(["mixed"], tmp_path)


def test_every_teacher_that_taught_has_a_row(tmp_path: Path) -> None:
    for name, teacher, auc in (("one", "yamnet", 0.8), ("two", "yamnet + relu6", 0.9)):
        record = run_metrics(0.7)
        record["provenance"]["teacher"]["name"] = teacher
        record["models"]["teacher"] = run_metrics(auc)["models"]["student INT8"]
        for seed in (0, 1):
            (tmp_path / f"{name}-seed{seed}.json").write_text(json.dumps(record))
    text = series_table(["one", "two"], tmp_path)
    assert text.index("| *teacher, yamnet* |  | 0.8") < text.index(
        "| *teacher, yamnet + relu6* |  | 0.9"
    )
    assert "| *teacher* |" in series_table(["one"], tmp_path)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.5], "0.500"), ([0.5, 0.7], "0.600 ± 0.141"), ([0.5, 0.5, 0.5], "0.500 ± 0.000")],
)
def test_spread_of_seeds(values: list[float], expected: str) -> None:
    assert spread_text(values) == expected
