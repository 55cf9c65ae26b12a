import json
import shutil
from pathlib import Path

import pytest
from tests.evaluation.made_up import run_metrics as metrics

from crydistill.errors import ConfigError
from crydistill.reports.documents import add_record, update_document
from crydistill.student.manifest import load_manifest
from crydistill.student.packaged import packaged_student


def add(directory: Path, name: str, auc: float) -> None:
    run = directory / "run"
    run.mkdir(exist_ok=True)
    (run / "metrics.json").write_text(json.dumps(metrics(auc)))
    add_record(run, directory / "results", name)


def test_a_block_is_filled_and_the_rest_left_alone(tmp_path: Path) -> None:
    add(tmp_path, "real", 0.9)
    document = tmp_path / "page.md"
    document.write_text("before\n<!-- results: real -->\nstale\n<!-- end -->\nafter\n")
    assert update_document(document, tmp_path / "results")
    text = document.read_text()
    assert text.startswith("before\n<!-- results: real -->\n|")
    assert text.endswith("<!-- end -->\nafter\n")
    assert "| ROC AUC | 0.990 [0.890, 1.090] | 0.900 [0.800, 1.000] |" in text
    assert "| KL from the teacher per window, nats |  | 1.500 |" in text
    assert "95,312 bytes" in text
    assert "stale" not in text
    assert not update_document(document, tmp_path / "results")


def test_seeds_are_averaged(tmp_path: Path) -> None:
    for seed, auc in enumerate((0.80, 0.90, 0.85)):
        add(tmp_path, f"kl-seed{seed}", auc)
    add(tmp_path, "bce", 0.95)
    document = tmp_path / "page.md"
    document.write_text("<!-- series: kl bce -->\n<!-- end -->\n")
    update_document(document, tmp_path / "results")
    text = document.read_text()
    assert "| kl | 3 | 0.850 ± 0.050 [0.750, 0.950]" in text
    assert "| bce | 1 | 0.950 [0.850, 1.050]" in text
    assert "| *teacher* |  | 0.990" in text


def test_what_is_not_recorded_is_named(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("<!-- results: missing -->\n<!-- end -->\n")
    with pytest.raises(ConfigError, match=r"missing\.json"):
        update_document(document, tmp_path)
    with pytest.raises(ConfigError, match="evaluate the run first"):
        add_record(tmp_path, tmp_path, "x")


def test_a_file_of_another_kind_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"metrics\.json: holds no results of an evaluation"):
        add_record(tmp_path, tmp_path, "x")
    (tmp_path / "odd.json").write_text("{}")
    document = tmp_path / "page.md"
    for kind in ("results", "series", "zoo", "trainings", "night", "night-seeds", "promises"):
        document.write_text(f"<!-- {kind}: odd -->\n<!-- end -->\n")
        with pytest.raises(ConfigError, match="odd"):
            update_document(document, tmp_path)


def test_absolute_paths_of_a_machine_are_not_recorded(tmp_path: Path) -> None:
    found = metrics(0.9)
    corpora = [{"path": "/home/somebody/audio"}, {"path": "../shared/audio"}]
    found["provenance"]["config"] = {
        "stores": "/home/somebody/stores",
        "data": {"train": corpora},
        "teacher": {"path": "/srv/weights/yamnet.h5"},
    }
    (tmp_path / "metrics.json").write_text(json.dumps(found))
    recorded = json.loads(add_record(tmp_path, tmp_path / "results", "x").read_text())
    assert recorded["provenance"]["config"] == {
        "stores": "stores",
        "data": {"train": [{"path": "audio"}, {"path": "../shared/audio"}]},
        "teacher": {"path": "yamnet.h5"},
    }


def test_private_figures_are_refused(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text(json.dumps(metrics(0.9, private=True)))
    with pytest.raises(ConfigError, match="private"):
        add_record(tmp_path, tmp_path / "results", "x")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("kind", ["robustness", "promises"])
def test_what_a_trial_found_is_recorded_unless_private(kind: str, tmp_path: Path) -> None:
    found = tmp_path / f"{kind}.json"
    found.write_text(json.dumps({"kind": kind, "clips": {"private": False}}))
    path = add_record(tmp_path, tmp_path / "results", "page")
    assert json.loads(path.read_text())["kind"] == kind
    found.write_text(json.dumps({"kind": kind, "clips": {"private": True}}))
    with pytest.raises(ConfigError, match="private"):
        add_record(tmp_path, tmp_path / "results", "other")
    document = tmp_path / "page.md"
    document.write_text(f"<!-- {kind}: missing -->\n<!-- end -->\n")
    with pytest.raises(ConfigError, match=r"missing\.json"):
        update_document(document, tmp_path / "results")


def test_a_runs_costs_are_those_of_the_student_that_was_evaluated(tmp_path: Path) -> None:
    manifest = load_manifest(packaged_student() / "student.json")
    shutil.copy(packaged_student() / "student.json", tmp_path)
    found = metrics(0.9)
    found["provenance"]["student"]["sha256"] = manifest.tflite.sha256
    (tmp_path / "metrics.json").write_text(json.dumps(found))
    made = json.loads(add_record(tmp_path, tmp_path / "results", "x").read_text())["provenance"]
    assert (made["macs"], made["parameters"]) == (manifest.macs, manifest.parameters)
    found["provenance"]["student"]["sha256"] = "0" * 64
    (tmp_path / "metrics.json").write_text(json.dumps(found))
    with pytest.raises(ConfigError, match=r"student\.json: not the student that was evaluated"):
        add_record(tmp_path, tmp_path / "results", "y")
