"""An evaluated run directory, small and public, for bundles."""

import json
from pathlib import Path
from typing import Any

from crydistill.student.manifest import (
    MANIFEST_NAME,
    TFLITE_NAME,
    Arena,
    StudentManifest,
    ThresholdPreset,
    TrainingData,
    load_manifest,
    save_manifest,
)
from crydistill.student.packaged import packaged_student

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LICENCES = {"CC BY 4.0": 30, "CC0 | public domain": 12}

FIGURES = {
    "roc_auc": (0.9123, 0.8512, 0.9634),
    "average_precision": (0.8111, 0.7022, 0.9033),
    "recall_at_fpr_1pct": (0.6444, 0.4055, 0.8066),
    "recall_at_fpr_0.1pct": (0.1, None, None),
    "f1_at_validation": (0.7, 0.6, 0.8),
    "precision_at_validation": (0.7, 0.6, 0.8),
    "recall_at_validation": (0.7, 0.6, 0.8),
    "fpr_at_validation": (0.05, 0.02, 0.09),
    "best_f1": (0.777777, 0.6, 0.8),
}


def public_manifest(**changes: Any) -> StudentManifest:
    """The packaged student's manifest, with every field that a card needs."""
    base = load_manifest(packaged_student() / MANIFEST_NAME)
    preset = ThresholdPreset(
        threshold=0.2, n=5, m=9, hold_seconds=10, recall=0.875, false_alarms_per_hour=1.25,
        measured_on="made-up nights, 3 h",
    )  # fmt: skip
    fields: dict[str, Any] = {
        "name": "testling",
        "training": TrainingData(summary="made-up: 42 clips", licences=LICENCES, private=False),
        "presets": {"balanced": preset},
        "arena": base.arena or Arena(size_bytes=50_000, tflite_micro="0", host_bits=64),
        "provenance": base.provenance.model_copy(update={"git_commit": COMMIT}),
    }
    return base.model_copy(update=fields | changes)


def public_metrics(manifest: StudentManifest) -> dict[str, Any]:
    """Figures as `evaluate` writes them."""

    def judged(offset: float) -> dict[str, Any]:
        figures = {
            key: {"value": value + offset, "low": low, "high": high}
            for key, (value, low, high) in FIGURES.items()
        }
        rate = {"value": 0.25, "low": 0.1, "high": 0.4}
        slices = [
            {"kind": "band", "name": "wide", "clips": 16, "groups": 12, "recall": rate},
            {"kind": "band", "name": "narrow", "clips": 8, "groups": 4, "recall": rate},
            {
                "kind": "category",
                "name": "cat",
                "clips": 8,
                "groups": 3,
                "false_positive_rate": rate,
            },
        ]
        return {"clip_scores": {"mean": {"metrics": figures, "slices": slices}}}

    test = {"name": "", "path": "/home/somebody/secret-place/audio", "where": {"split": "dev"}}
    return {
        "clips": {"clips": 99, "cries": 24, "groups": 44, "cry_groups": 14, "private": False},
        "intervals": {"level": 0.95, "method": "bootstrap", "replicates": 1000, "seed": 0},
        "models": {"teacher": judged(0.05), "student INT8": judged(0.0)},
        "provenance": {
            "config": {"data": {"test": [test]}},
            "git_commit": COMMIT,
            "student": {"sha256": manifest.tflite.sha256},
        },
    }


def write_run(
    folder: Path, manifest: StudentManifest | None = None, metrics: dict[str, Any] | None = None
) -> Path:
    """Write a run directory of the packaged student."""
    manifest = manifest or public_manifest()
    folder.mkdir()
    tflite = (packaged_student() / TFLITE_NAME).read_bytes()
    (folder / TFLITE_NAME).write_bytes(tflite)
    save_manifest(folder / MANIFEST_NAME, manifest)
    text = json.dumps(metrics or public_metrics(manifest))
    (folder / "metrics.json").write_text(text, encoding="utf-8")
    (folder / "check.json").write_text("{}\n", encoding="utf-8")
    (folder / "config.yaml").write_text("name: testling\n", encoding="utf-8")
    return folder
