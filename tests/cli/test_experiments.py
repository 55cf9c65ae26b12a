"""What the experiments' commands say at their end, and when they are interrupted."""

import json
import os
import signal
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from crydistill.cli import app
from crydistill.cli.common import resumable
from crydistill.reports.essentials import clip_table, night_table, sizes


def estimate(value: float | None) -> dict[str, float | None]:
    return {"value": value, "low": None if value is None else 0.125, "high": value}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_ends_with_the_signals_exit_code(
    number: signal.Signals, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended, resumable():
        os.kill(os.getpid(), number)
        signal.sigtimedwait([], 5)  # the handler runs before this returns
    assert ended.value.code == code
    assert capsys.readouterr().err == (
        "crydistill: interrupted; run the same command again to resume\n"
    )
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_rows_that_matter_fit_80_columns(tmp_path: Path) -> None:
    keys = (
        "roc_auc", "average_precision", "recall_at_fpr_1pct", "recall_at_fpr_0.1pct",
        "f1_at_validation", "recall_at_validation",
    )  # fmt: skip
    judged = {"clip_scores": {"mean": {"metrics": {key: estimate(0.875) for key in keys}}}}
    judged["clip_scores"]["mean"]["metrics"]["roc_auc"] = estimate(None)
    metrics = tmp_path / "metrics.json"
    metrics.write_text(
        json.dumps(
            {
                "clips": {"clips": 81, "cries": 30, "groups": 81, "cry_groups": 30},
                "models": {"teacher": judged, "student FP32": judged, "student INT8": judged},
                "provenance": {"student": {"size_bytes": 95312}, "arena_bytes": 43168},
            }
        )
    )
    figures = {
        "settings": {"threshold": 0.03125},
        "false_alarms_per_hour": {"value": 148.7, "low": 119.6, "high": 200.2},
        "caught": estimate(0.5),
        "hours": 2.0,
        "episodes": 30,
        "delay_s": {"median": 3.0},
    }
    night = tmp_path / "night.json"
    presets = dict.fromkeys(("sensitive", "balanced", "quiet"), figures)
    night.write_text(
        json.dumps(
            {
                "format": 2,
                "night": {"hours": 1.3, "episodes": 9},
                "models": {"x": {"presets": presets}},
            }
        )
    )
    console = Console(width=80)
    with console.capture() as capture:
        console.print(clip_table(metrics), night_table(night))
    lines = [line.rstrip() for line in capture.get().splitlines()]
    assert lines[0] == "81 test clips, 30 cries, 81 groups"
    cell = "0.875 [0.125, 0.875]"
    assert [line.split("  ")[1] for line in lines if cell in line] == [
        "Average precision", "Recall at FPR 1 %", "Recall at FPR 0.1 %",
        "F1, validation threshold", "Recall, validation threshold",
    ]  # fmt: skip
    assert all(line.count(cell) == 2 for line in lines if cell in line)
    (quiet,) = (line for line in lines if line.startswith("  quiet"))
    assert quiet.split() == [
        "quiet", "0.0312", "148.7", "[119.6,", "200.2]", "0.50", "[0.12,", "0.50]", "3.0",
    ]  # fmt: skip
    assert sum(bool(line) for line in lines) <= 16  # no row takes two lines
    assert sizes(metrics) == "student.tflite: 95,312 bytes, 43,168 bytes of working memory"


def test_few_clips_are_too_little_to_tell(tmp_path: Path) -> None:
    metrics = tmp_path / "metrics.json"
    record = {"clips": {"clips": 12, "cries": 8, "groups": 12, "cry_groups": 4}}
    judged = {"clip_scores": {"mean": {"metrics": {}}}}
    record["models"] = {"teacher": judged, "student INT8": judged}
    metrics.write_text(json.dumps(record))
    console = Console(width=80)
    with console.capture() as capture:
        console.print(clip_table(metrics))
    text = " ".join(capture.get().replace("│", " ").split())
    assert "too little to tell: 8 cries of 4 groups where 20 of 10 are needed" in text
    assert "AUC" not in text


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--shard", "3"], "--shard 3: say of how many, with --shards"),
        (["--shards", "4", "--shard", "4"], "--shard 4: the 4 shards are numbered 0 to 3"),
        (["--address", "auto"], "--address and --worker-cpus need --engine ray"),
        (["--engine", "ray", "--shards", "4", "--shard", "1"], "hands out all shards"),
    ],
)
def test_options_of_shards_that_make_no_sense_are_refused(
    options: list[str], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["score", *options])
    assert done.exit_code != 0
    assert reason in f"{' '.join(done.output.replace('│', ' ').split())} {done.exception}"
    assert not list(tmp_path.iterdir())
