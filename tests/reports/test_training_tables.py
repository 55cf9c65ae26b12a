import json
import shutil
from pathlib import Path

import pytest

from crydistill.distill.history import write_history
from crydistill.errors import ConfigError
from crydistill.experiment.load import load_config
from crydistill.reports.documents import add_record, update_document
from crydistill.student.manifest import load_manifest
from crydistill.student.packaged import packaged_student


def trained(directory: Path, seed: int, precision: float, *overrides: str) -> Path:
    """A run directory as `train` leaves it, with one validated epoch."""
    config = load_config(None, [f"seed={seed}", "training.epochs=2", *overrides])
    (directory / "training").mkdir(parents=True)
    text = json.dumps(config.model_dump(mode="json"))
    (directory / "config.yaml").write_text(text, encoding="utf-8")
    (directory / "selection.json").write_text('{"windows_per_epoch": 1000}', encoding="utf-8")
    validated = {
        "val_loss": 1.0,
        "val_auc": 0.9,
        "val_average_precision": precision,
        "val_recall_at_1pct_fpr": 0.6,
        "val_average_precision_top4": 0.75,
        "val_correlation": 0.65,
    }
    worse = validated | {"val_loss": 2.0, "val_auc": 0.8, "val_average_precision": 0.1}
    rows = [{"epoch": 1.0, **validated}, {"epoch": 2.0, **worse}]
    write_history(directory / "training" / "history.csv", rows)
    return directory


def test_recipes_stand_beside_each_other_with_what_differs(tmp_path: Path) -> None:
    metric = "training.best_metric=average_precision"
    for seed, precision in enumerate((0.5, 0.7)):
        run = trained(tmp_path / f"plain{seed}", seed, precision, metric)
        add_record(run, tmp_path / "records", f"plain-seed{seed}")
    run = trained(tmp_path / "small", 0, 0.8, metric, "training.batch_size=48")
    record = json.loads(add_record(run, tmp_path / "records", "small").read_text())
    assert record["epoch"] == 1
    page = tmp_path / "page.md"
    page.write_text("<!-- trainings: plain small -->\n<!-- end -->\n")
    assert update_document(page, tmp_path / "records")
    text = page.read_text()
    assert "| plain |  | 2 | 2,000 | 0.900 ± 0.000 | 0.600 ± 0.141 | 0.600 ± 0.000 |" in text
    assert "| small | batch_size 48 | 1 | 2,000 | 0.900 | 0.800 | 0.600 | 0.750 | 0.650 |" in text


def test_a_section_that_a_recipe_lacks_is_one_difference(tmp_path: Path) -> None:
    coloured = trained(tmp_path / "a", 0, 0.5, "training.colouring={level_db: 5.0}")
    plain = trained(tmp_path / "b", 0, 0.5)
    for name, run in (("coloured", coloured), ("plain", plain)):
        add_record(run, tmp_path / "records", f"{name}-seed0")
    page = tmp_path / "page.md"
    page.write_text("<!-- trainings: coloured plain -->\n<!-- end -->\n", encoding="utf-8")
    update_document(page, tmp_path / "records")
    assert "| plain | colouring none | 1 |" in page.read_text(encoding="utf-8")


def test_costs_stand_there_where_all_went_as_far_as_int8(tmp_path: Path) -> None:
    manifest = packaged_student() / "student.json"
    for name in ("one", "other"):
        run = trained(tmp_path / name, 0, 0.5)
        shutil.copy(manifest, run / "student.json")
        add_record(run, tmp_path / "records", name)
    add_record(trained(tmp_path / "float", 0, 0.5), tmp_path / "records", "float")
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- trainings: one other -->\n<!-- end -->\n<!-- trainings: one float -->\n<!-- end -->\n"
    )
    update_document(page, tmp_path / "records")
    both, mixed = page.read_text().split("<!-- trainings: one float -->")
    student = load_manifest(manifest)
    assert student.arena
    costs = (student.tflite.size_bytes, student.arena.size_bytes, student.macs)
    assert "| 2,000 | {:,} | {:,} | {:,} | 0.900 |".format(*costs) in both
    assert "MACs" in both
    assert "MACs" not in mixed


def test_a_metric_that_an_older_record_lacks_is_left_open(tmp_path: Path) -> None:
    path = add_record(trained(tmp_path / "run", 0, 0.5), tmp_path / "records", "old")
    record = json.loads(path.read_text())
    del record["validation"]["correlation"]
    path.write_text(json.dumps(record), encoding="utf-8")
    page = tmp_path / "page.md"
    page.write_text("<!-- trainings: old -->\n<!-- end -->\n")
    update_document(page, tmp_path / "records")
    assert "| old |  | 1 | 2,000 | 0.900 | 0.500 | 0.600 | 0.750 | – |" in page.read_text()


def test_a_run_that_never_validated_is_refused(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", 0, 0.5)
    write_history(run / "training" / "history.csv", [{"epoch": 1.0, "loss": 1.0}])
    with pytest.raises(ConfigError, match="no epoch was validated"):
        add_record(run, tmp_path / "records", "run")


def test_a_record_of_an_evaluation_is_refused(tmp_path: Path) -> None:
    (tmp_path / "evaluated-seed0.json").write_text('{"clips": {}, "models": {}}')
    page = tmp_path / "page.md"
    page.write_text("<!-- trainings: evaluated -->\n<!-- end -->\n")
    with pytest.raises(ConfigError, match="evaluated: a record of an evaluation"):
        update_document(page, tmp_path)


def test_teachers_that_are_not_as_usual_are_named(tmp_path: Path) -> None:
    memory = "teacher={memory: a/mn04.pt, recorded: false}"
    for name, *overrides in (
        ("usual", memory),
        ("brief", memory, "teacher.context=1"),
        ("judged", memory, "teacher.judge=a/mn04.pt"),
    ):
        add_record(trained(tmp_path / name, 0, 0.5, *overrides), tmp_path / "records", name)
    page = tmp_path / "page.md"
    page.write_text("<!-- trainings: usual brief judged -->\n<!-- end -->\n", encoding="utf-8")
    update_document(page, tmp_path / "records")
    text = page.read_text(encoding="utf-8")
    assert "| usual |  | 1 |" in text
    assert "| brief | context 1.0 | 1 |" in text
    assert "| judged | judge mn04 | 1 |" in text


def test_students_with_memory_are_compared_on_nights(tmp_path: Path) -> None:
    remembering = [
        "student={outputs: {cry: [/t/dd00002]}, memory: {}}",
        "data.streams.streams=3",
        "teacher={memory: mn04.pt, recorded: false}",
        "training.loss=sigmoid_bce",
    ]
    for name, *overrides in (("both",), ("context", "training.memory.target=context")):
        run = trained(tmp_path / name, 0, 0.5, *remembering, *overrides)
        (run / "selection.json").write_text('{"windows_per_epoch": 1000, "stream_windows": 700}')
        rows = [
            {
                "epoch": 1.0,
                "val_caught": 0.5,
                "val_caught_1_per_hour": 0.6,
                "val_caught_0.25_per_hour": 0.4,
            },
            {
                "epoch": 2.0,
                "val_caught": 0.7,
                "val_caught_1_per_hour": 0.8,
                "val_caught_0.25_per_hour": 0.6,
            },
        ]
        (run / "training" / "memory").mkdir()
        write_history(run / "training" / "memory" / "history.csv", rows)
        if name == "both":
            alone = {"caught": 0.3, "caught_1_per_hour": 0.4, "caught_0.25_per_hour": 0.2}
            (run / "training" / "memory" / "without_memory.json").write_text(json.dumps(alone))
        add_record(run, tmp_path / "records", name)
    page = tmp_path / "page.md"
    page.write_text("<!-- trainings: both context -->\n<!-- end -->\n")
    update_document(page, tmp_path / "records")
    text = page.read_text()
    # Two epochs on single windows, two on streams.
    assert "| both |  | 1 | 3,400 | 0.800 | 0.600 |" in text
    assert "| both | its window network alone | 1 | – | 0.400 | 0.200 |" in text
    assert text.count("its window network alone") == 1
    assert "| context | memory.target context | 1 | 3,400 | 0.800 | 0.600 |" in text
    assert "On a night composed of the validation clips" in text
