import json
from pathlib import Path
from typing import Any

import pytest
from tests.evaluation.made_up import run_metrics
from tests.reports.test_night_tables import figures
from tests.reports.test_night_tables import record as night_record

from crydistill.device.cost_record import library_bytes
from crydistill.errors import ConfigError
from crydistill.reports.model_tables import models_table
from crydistill.student.manifest import load_manifest
from crydistill.student.packaged import packaged_student

OPEN: dict[str, Any] = {
    "path": "audio", "where": {"licence_class": "open"}, "catalogue": None, "nursery_seed": None,
    "formulas_seed": None,
}  # fmt: skip
GENERATED = OPEN | {"path": None, "where": {}, "formulas_seed": 0}
NURSERY = OPEN | {"path": None, "where": {}, "nursery_seed": 1}


def write(records: Path, name: str, record: Any) -> None:
    (records / f"{name}.json").write_text(json.dumps(record))


def write_seed(
    records: Path, name: str, seed: int, sha256: str, auc: float, *corpora: dict[str, Any]
) -> None:
    record = run_metrics(auc)
    record["provenance"]["student"]["sha256"] = sha256
    record["provenance"] |= {
        "macs": 500_000,
        "config": {"seed": seed, "data": {"train": corpora or [OPEN]}},
    }
    write(records, f"{name}-seed{seed}", record)


def night_of(sha256: str) -> dict[str, Any]:
    night = night_record()
    night["models"]["student INT8"]["sha256"] = sha256
    night["models"]["student INT8"]["presets"]["quiet"] = figures(0.5, 0, 0.6)
    return night


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """A student with everything recorded, over two seeds, and one that was only evaluated."""
    write_seed(tmp_path, "full", 3, "aa", 0.8)
    write_seed(tmp_path, "full", 4, "bb", 0.9)
    write_seed(tmp_path, "bare", 0, "cc", 0.7, OPEN, GENERATED, NURSERY)
    write(tmp_path, "profile-full", {"sha256": "bb", "memory": {"library": 20_000}})
    write(tmp_path, "night-full", night_of("bb"))
    return tmp_path


def cells(text: str, name: str) -> dict[str, str]:
    """One student's row by column."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    (row,) = [line for line in lines if line[0] == name]
    return dict(zip(lines[0], row, strict=True))


def test_a_row_says_what_a_student_costs_and_does(records: Path) -> None:
    rank = "0.850 ± 0.071<br>[0.750, 0.950]"
    assert cells(models_table(["full", "bare"], records), "full") == {
        "INT8 student": "full",
        "seeds": "2",
        "bytes": "95,312",
        "arena bytes": "43,168",
        "MACs per window": "500,000",
        "RAM of the C library, bytes": f"{20_000 + library_bytes()[2]:,}",
        "ROC AUC": rank,
        "Average precision": rank,
        "Recall at FPR 1 %": rank,
        "Recall at FPR 0.1 %": rank,
        "preset balanced": "1.0 [0.1, 9.5] per hour<br>0.70 [0.50, 0.90] caught",
        "preset quiet": "0.0 [0.1, 9.5] per hour<br>0.60 [0.50, 0.90] caught",
        "training data": "recordings (open licences)",
    }


def test_the_night_is_described_and_its_seed_named(records: Path) -> None:
    text = models_table(["full"], records)
    assert "episodes caught, for seed 4, with 95 % confidence intervals. 2.00 h from audio" in text
    assert "not recorded" not in text


def test_what_no_record_holds_is_a_dash_and_a_command(records: Path) -> None:
    text = models_table(["full", "bare"], records)
    row = cells(text, "bare")
    dashes = [column for column, cell in row.items() if cell == "–"]
    assert dashes == ["RAM of the C library, bytes", "preset balanced", "preset quiet"]
    assert "No profile of bare. Save what `crydistill profile RUN --json` prints" in text
    assert "No night of bare. Run `crydistill night" in text


def test_a_student_that_the_library_cannot_run_needs_no_further_profile(records: Path) -> None:
    write(records, "profile-bare", {"sha256": "cc", "memory": {"library": None}})
    text = models_table(["bare"], records)
    assert cells(text, "bare")["RAM of the C library, bytes"] == "–"
    assert "No profile" not in text


def test_training_data_by_kind(records: Path) -> None:
    def data_of(*corpora: dict[str, Any]) -> str:
        write_seed(records, "bare", 0, "cc", 0.7, *corpora)
        return cells(models_table(["bare"], records), "bare")["training data"]

    assert data_of(OPEN, GENERATED, NURSERY) == "recordings (open licences), generated sounds"
    assert data_of(OPEN | {"where": {"split": "train"}}) == "recordings (any licences)"
    assert data_of(OPEN | {"path": None, "catalogue": "esc-50"}) == "esc-50"
    assert data_of(OPEN | {"path": None}) == "AudioSet"
    assert data_of(OPEN | {"path": None, "parquet": "sets/cries"}) == "cries"
    assert data_of(OPEN | {"path": None, "webdataset": "sets/tars"}) == "tars"


def test_the_packaged_student_is_marked_and_its_licences_listed(records: Path) -> None:
    assert "(packaged)" not in models_table(["full", "bare"], records)
    packaged = load_manifest(packaged_student() / "student.json")
    write_seed(records, "bare", 0, packaged.tflite.sha256, 0.7)
    text = models_table(["full", "bare"], records)
    assert "| bare (packaged) | 1 |" in text and "| full | 2 |" in text
    for licence, clips in packaged.training.licences.items():
        assert f"| {licence} | {clips:,} |" in text


@pytest.mark.parametrize(
    ("name", "record", "problem"),
    [
        ("profile-bare", {"sha256": "dd", "memory": {"library": 1}}, "none of the recorded seeds"),
        ("profile-bare", {"sha256": "cc"}, "not the JSON of a profile"),
        ("night-bare", night_of("dd"), "none of the recorded seeds"),
    ],
)
def test_a_record_of_another_student_is_refused(
    name: str, record: Any, problem: str, records: Path
) -> None:
    write(records, name, record)
    with pytest.raises(ConfigError, match=rf"{name}\.json: .*{problem}"):
        models_table(["bare"], records)


def test_what_is_not_recorded_is_named(records: Path) -> None:
    with pytest.raises(ConfigError, match=r"huge\.json"):
        models_table(["huge"], records)
