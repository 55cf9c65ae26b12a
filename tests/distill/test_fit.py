import multiprocessing
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
import pytest

from crydistill.distill.feeds import WindowFeed
from crydistill.distill.fit import FitOptions, LearningRate, fit
from crydistill.distill.history import best_epoch, read_history
from crydistill.distill.losses import sigmoid_bce
from crydistill.errors import ConfigError
from crydistill.progress import Progress, silent
from crydistill.selection.sampler import FixedSampler


class NoisePool:
    """Windows whose loudness is the teacher's first logit: something a network can learn."""

    def __len__(self) -> int:
        return 512

    def logits(self, indices: np.ndarray) -> np.ndarray:
        logits = np.full((len(indices), 3), -2.0, dtype=np.float32)
        logits[:, 0] = np.where(indices % 2 == 0, 3, -3)
        return logits

    def patches(self, indices: np.ndarray) -> np.ndarray:
        noise = [np.random.default_rng(int(i)).standard_normal((96, 64)) for i in indices]
        patches = np.stack(noise) + np.where(indices % 2 == 0, 0.5, -0.5)[:, None, None]
        return patches.astype(np.float32)


def network() -> keras.Model:
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((96, 64, 1)),
            keras.layers.Conv2D(4, 3, 4, use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3),
        ]
    )


def validate(model: keras.Model) -> dict[str, float]:
    pool = NoisePool()
    indices = np.arange(512, 640)
    logits = model.predict_on_batch(pool.patches(indices)[..., None])
    right = (logits[:, 0] > 0) == (indices % 2 == 0)
    return {"loss": float(np.mean(logits**2)), "accuracy": float(right.mean())}


RATE = LearningRate("step", 1e-2, 1e-3, drop_epoch=3)


def options(**changes) -> FitOptions:
    return FitOptions(
        **{
            "epochs": 4,
            "learning_rate": RATE,
            "best_metric": "accuracy",
            **changes,
        }
    )


def feed(**changes) -> WindowFeed:
    sampler = FixedSampler(np.arange(512), seed=5)
    return WindowFeed(NoisePool(), NoisePool().logits, sampler, **{"batch_windows": 64, **changes})


def train(
    directory: Path, progress: Progress = silent, shown: WindowFeed | None = None, **changes
) -> keras.Model:
    model = network()
    fit(
        model,
        sigmoid_bce(),
        shown or feed(),
        validate,
        options(**changes),
        directory,
        progress=progress,
    )
    return model


def weights(model: keras.Model) -> np.ndarray:
    return np.concatenate([w.ravel() for w in model.get_weights()])


def test_it_learns_and_keeps_the_best_epoch(tmp_path: Path) -> None:
    train(tmp_path)
    history = read_history(tmp_path / "history.csv")
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]
    assert history[-1]["loss"] < history[0]["loss"]
    best = keras.models.load_model(tmp_path / "best.keras", compile=False)
    top = max(row["val_accuracy"] for row in history)
    assert top > 0.9
    assert validate(best)["accuracy"] == pytest.approx(top)


def test_the_rate_drops(tmp_path: Path) -> None:
    train(tmp_path)
    rates = [row["learning_rate"] for row in read_history(tmp_path / "history.csv")]
    np.testing.assert_allclose(rates, [1e-2, 1e-2, 1e-2, 1e-3])


def test_tensorboard_gets_every_epoch(tmp_path: Path) -> None:
    train(tmp_path)
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert len(events.Tags()["tensors"]) >= 4


@pytest.mark.parametrize(
    ("shown", "changes"),
    [(feed(), {}), (feed(mask_frames=8, mask_bands=4), {"average_decay": 0.99})],
)
def test_going_on_after_an_interruption_changes_nothing(
    tmp_path: Path, shown: WindowFeed, changes
) -> None:
    whole = train(tmp_path / "whole", shown=shown, **changes)

    class InterruptedTrainingError(RuntimeError):
        pass

    calls = 0

    def interrupted(model: keras.Model) -> dict[str, float]:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise InterruptedTrainingError
        return validate(model)

    with pytest.raises(InterruptedTrainingError):
        fit(network(), sigmoid_bce(), shown, interrupted, options(**changes), tmp_path / "cut")
    resumed = train(tmp_path / "cut", shown=shown, **changes)
    assert np.array_equal(weights(whole), weights(resumed))
    histories = [(tmp_path / run / "history.csv").read_text() for run in ("whole", "cut")]
    assert histories[0] == histories[1]


def test_the_average_is_what_is_kept(tmp_path: Path) -> None:
    model = train(tmp_path, average_decay=0.99)
    best = keras.models.load_model(tmp_path / "best.keras", compile=False)
    assert not np.allclose(weights(best), weights(model), atol=1e-3)
    (last,) = (row for row in read_history(tmp_path / "history.csv") if row["epoch"] == 4)
    assert last["val_accuracy"] > 0.9


def _train_until_killed(directory: str) -> None:
    train(Path(directory), epochs=400)


@pytest.mark.slow
def test_a_kill_loses_at_most_the_epoch_in_work(tmp_path: Path) -> None:
    worker = multiprocessing.get_context("spawn").Process(
        target=_train_until_killed, args=(str(tmp_path),)
    )
    worker.start()
    deadline = time.monotonic() + 120
    while not (tmp_path / "last.npz").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1)
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    done = len(read_history(tmp_path / "history.csv"))
    assert done >= 1
    resumed = train(tmp_path, epochs=done + 3)
    whole = train(tmp_path.parent / "whole", epochs=done + 3)
    assert np.array_equal(weights(resumed), weights(whole))


def test_patience_stops_early(tmp_path: Path) -> None:
    train(tmp_path, epochs=50, patience=2, best_metric="accuracy")
    history = read_history(tmp_path / "history.csv")
    assert len(history) < 50
    assert len(history) - 1 - best_epoch(history, "accuracy") == 2


def test_validating_now_and_then(tmp_path: Path) -> None:
    train(tmp_path, epochs=5, validate_every=2)
    history = read_history(tmp_path / "history.csv")
    assert ["val_accuracy" in row for row in history] == [False, True, False, True, True]


def test_an_unknown_metric(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'auc' is not measured; choose one of loss, accuracy"):
        train(tmp_path, best_metric="auc")


def test_an_epoch_smaller_than_a_batch(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="fewer than training"):
        train(tmp_path, shown=feed(batch_windows=1000))


@pytest.mark.parametrize(
    ("rate", "points"),
    [
        (LearningRate("constant", 1.0), {0: 1.0, 9.9: 1.0}),
        (LearningRate("step", 1.0, 0.1, drop_epoch=5), {0: 1.0, 4.9: 1.0, 5: 0.1}),
        (LearningRate("cosine", 1.0, 0.0), {0: 1.0, 5: 0.5, 10: 0.0}),
        (LearningRate("cosine", 1.0, 0.0, warmup_epochs=2), {1: 0.5, 2: 1.0, 6: 0.5, 10: 0.0}),
    ],
)
def test_schedules(rate: LearningRate, points: dict[float, float]) -> None:
    for epoch, expected in points.items():
        assert rate.at(epoch, 10) == pytest.approx(expected, abs=1e-6)


def test_the_bar_tells_epoch_loss_and_the_chosen_metric(tmp_path: Path) -> None:
    notes: list[str] = []
    units: list[int] = []

    @contextmanager
    def meter(task: str, total: int, unit: str) -> Iterator[Callable[..., None]]:
        def advance(count: int, note: str = "") -> None:
            units.append(count)
            notes.append(note)

        assert (task, total, unit) == ("training", 1024, "windows")
        yield advance

    train(tmp_path, epochs=2, progress=meter)
    assert sum(units) == 1024
    said = list(dict.fromkeys(filter(None, notes)))
    first, second = read_history(tmp_path / "history.csv")
    assert said[0] == "epoch 1/2"
    assert re.fullmatch(r"epoch 1/2, loss [0-9.]+", said[1])
    accuracy = f"accuracy {first['val_accuracy']:.3f} (best {first['val_accuracy']:.3f}, epoch 1)"
    assert said[2] == f"epoch 1/2, loss {first['loss']:.4g}, {accuracy}"
    assert said[3] == f"epoch 2/2, {accuracy}"
    assert said[-1].startswith(f"epoch 2/2, loss {second['loss']:.4g}, accuracy")
