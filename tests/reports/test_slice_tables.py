import json
from pathlib import Path
from typing import Any

from tests.evaluation.made_up import run_metrics

from crydistill.reports.slice_tables import kept_slices, slices_table


def part(kind: str, name: str, label: str, rate: float, clips: int = 10) -> dict[str, Any]:
    estimate = {"value": rate, "low": rate - 0.1, "high": rate + 0.1}
    field = "recall" if label == "cry" else "false_positive_rate"
    return {
        "kind": kind,
        "name": name,
        "label": label,
        "clips": clips,
        "groups": 3,
        field: estimate,
    }


def record(cats: float, narrow: float) -> dict[str, Any]:
    made = run_metrics(0.9)
    for name, model in made["models"].items():
        lowered = 0.0 if name == "teacher" else cats
        model["clip_scores"]["mean"]["slices"] = [
            part("band", "narrow", "cry", narrow),
            part("category", "Cat", "noncry", lowered),
            part("category", "rain", "noncry", 0.0),
            part("source", "home", "cry", 0.75, clips=4),
            part("source", "home", "noncry", 0.5),
        ]
    kept_slices(made["models"].values())
    return made


def test_what_no_model_raises_and_other_clip_scores_are_not_kept() -> None:
    made = record(cats=0.2, narrow=0.5)
    for model in made["models"].values():
        assert all("slices" not in s for how, s in model["clip_scores"].items() if how != "mean")
        names = [(x["kind"], x["name"]) for x in model["clip_scores"]["mean"]["slices"]]
        assert names == [("band", "narrow"), ("category", "Cat"), ("source", "home")]


def test_rates_stand_beside_the_teachers(tmp_path: Path) -> None:
    for seed, (cats, narrow) in enumerate([(0.2, 0.5), (0.4, 0.7), (0.0, 0.6)]):
        (tmp_path / f"own-seed{seed}.json").write_text(json.dumps(record(cats, narrow)))
    text = slices_table(["own"], tmp_path)
    assert "|  | teacher | own INT8, 3 seeds |" in text
    assert "| Recall, narrow-band cries (10 clips) | 0.500 [0.400, 0.600] | 0.600 ± 0.100 |" in text
    assert "| Recall, cries of home (4 clips) |" in text
    assert "| False positives, Cat (10 clips) | 0.000 [-0.100, 0.100] | 0.200 ± 0.200 |" in text
    assert "rain" not in text
