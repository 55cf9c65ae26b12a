from pathlib import Path

from crydistill.distill.history import best_epoch, read_history, write_history


def test_a_history_reads_as_it_was_written(tmp_path: Path) -> None:
    history = [{"epoch": 1.0, "loss": 0.5}, {"epoch": 2.0, "loss": 0.25, "val_auc": 0.9}]
    write_history(tmp_path / "history.csv", history)
    assert read_history(tmp_path / "history.csv") == history


def test_best_epoch_prefers_the_first_and_ignores_undefined_values() -> None:
    history = [
        {"val_auc": 0.5},
        {"val_auc": 0.9},
        {"epoch": 3},
        {"val_auc": 0.9},
        {"val_auc": float("nan")},
    ]
    assert best_epoch(history, "auc") == 1
    assert (
        best_epoch([{"val_loss": 2.0}, {"val_loss": 1.0}, {"val_loss": float("nan")}], "loss") == 1
    )
    assert best_epoch([{"epoch": 1}], "auc") is None
