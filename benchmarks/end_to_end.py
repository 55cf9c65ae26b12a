"""EXP-008 from recordings to a trained student, beside the reference way."""

import csv
import json
import shutil
import sys
import tempfile
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.material import Material, run
from benchmarks.records import Benchmark, Comparison, Measured
from benchmarks.rounds import in_turn
from benchmarks.scoring import BENCHMARK as SCORING
from benchmarks.sources import ROOT
from benchmarks.training import BENCHMARK as TRAINING

TRAIN_CLIPS, VALIDATION_CLIPS = 240, 60
EPOCHS = 12

BENCHMARK = Benchmark(
    "end_to_end",
    "EXP-008 end to end",
    "The recipe of EXP-008 (teacher-filtered windows, three negatives to a positive drawn afresh "
    "each epoch, batches of 32, a rate that drops half way) in fewer epochs: processes started, "
    "all clips scored, windows selected, a student trained and validated every fifth epoch.",
    (
        *dict.fromkeys((*SCORING.measures, *TRAINING.measures)),
        "benchmarks/end_to_end.py", "src/crydistill/distill/fit.py",
        "src/crydistill/stages/score.py", "src/crydistill/stages/select.py",
        "src/crydistill/stages/train.py",
    ),
)  # fmt: skip


def measure(material: Material) -> Measured:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        clips = _write_clips(folder / "clips.csv", material)
        config = _write_config(folder, material.weights())
        runs = (folder / str(number) for number in count())

        def ours() -> None:
            directory = next(runs)
            run(sys.executable, "-m", "benchmarks.end_to_end", str(config), str(directory))
            shutil.rmtree(directory)

        def reference() -> None:
            run(
                sys.executable, "-m", "benchmarks.reference", str(folder / "clips.csv"),
                str(material.weights()), str(material.libraries), str(EPOCHS),
                str(folder / "student.keras"),
            )  # fmt: skip

        ways = {"crydistill": ours, "the reference way": reference}
        measured = in_turn(ways, material.rounds, warm=False)
    title = f"{clips} clips, {EPOCHS} epochs"
    return Measured((Comparison(title, "clips", clips, measured, {"the reference way": 5.0}),))


def _write_clips(path: Path, material: Material) -> int:
    """Write the clips of a small corpus with three splits; how many there are."""
    train = material.clips("train", material.size(TRAIN_CLIPS))
    # Never so few that validation or test is left without a cry.
    held_out = material.clips("dev", max(16, material.size(VALIDATION_CLIPS)))
    test_groups = {clip.group for clip in held_out[::4]}
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "split", "label", "group"])
        for clip in (*train, *held_out):
            assert clip.label is not None
            held = "test" if clip.group in test_groups else "validation"
            split = held if clip in held_out else "train"
            table.writerow([clip.path.resolve(), split, clip.label.value, clip.group])
    return len(train) + len(held_out)


def _write_config(folder: Path, weights: Path) -> Path:
    def corpus(split: str) -> dict[str, Any]:
        return {"path": str(folder / "clips.csv"), "private": False, "where": {"split": split}}

    config = {
        "extends": str(ROOT / "configs" / "exp-008.yaml"),
        "data": {
            "train": [corpus("train")],
            "validation": {"corpora": [corpus("validation")]},
            "test": [corpus("test")],
        },
        "teacher": {"path": str(weights.resolve())},
        "training": {"epochs": EPOCHS, "learning_rate": {"drop_epoch": EPOCHS // 2}},
    }
    path = folder / "config.yaml"
    # JSON is YAML.
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


def distil(config: Path, directory: Path) -> None:
    """Score, select and train, as `crydistill run` does before it quantizes and evaluates."""
    from crydistill.experiment.load import load_config
    from crydistill.run_directory import RunDirectory
    from crydistill.stages.context import Context
    from crydistill.stages.score import score
    from crydistill.stages.select import select
    from crydistill.stages.train import train

    loaded = load_config(config, [f"stores={directory / 'stores'}"])
    run_directory = RunDirectory(directory / "run")
    run_directory.start(loaded)
    context = Context(loaded, run_directory)
    for stage in (score, select, train):
        stage(context)


if __name__ == "__main__":
    distil(Path(sys.argv[1]), Path(sys.argv[2]))
