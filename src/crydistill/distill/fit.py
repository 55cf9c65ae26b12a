"""The training loop: epochs, learning rate, best checkpoint, early stopping, resume.

A training directory holds

    last.npz       state to resume from: weights, optimiser, epoch
    best.keras     the student of the best epoch so far
    history.csv    one row per epoch
    tensorboard/   the same for TensorBoard

Every epoch is a pure function of the seed, so a resumed training run ends with the weights of an
uninterrupted one.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import numpy.typing as npt

from crydistill import atomic
from crydistill.distill.average import WeightAverage
from crydistill.distill.feeds import Feed
from crydistill.distill.history import best_epoch, write_history
from crydistill.distill.losses import Loss
from crydistill.distill.step import Step, training_step
from crydistill.errors import ConfigError
from crydistill.progress import Advance, Progress, silent

_STEPS_PER_REPORT = 20
"""Steps between two losses on the progress bar."""

Validate = Callable[[keras.Model], dict[str, float]]
"""Measures the student on validation audio: metric name to value."""


@dataclass(frozen=True)
class LearningRate:
    """Learning rate over the course of training.

    step : `initial` until epoch `drop_epoch`, `final` from then on
    cosine : cosine decay from `initial` to `final`
    constant : `initial` throughout
    Each starts with `warmup_epochs` of linear warm-up.
    """

    schedule: Literal["step", "cosine", "constant"] = "step"
    initial: float = 1e-3
    final: float = 1e-4
    drop_epoch: int = 30
    warmup_epochs: float = 0.0

    def at(self, epoch: float, epochs: int) -> float:
        """Learning rate at `epoch`, counted from 0 and possibly fractional."""
        if epoch < self.warmup_epochs:
            return self.initial * (epoch + 1e-9) / self.warmup_epochs
        if self.schedule == "step":
            return self.initial if epoch < self.drop_epoch else self.final
        if self.schedule == "cosine":
            span = max(epochs - self.warmup_epochs, 1e-9)
            share = min(1.0, (epoch - self.warmup_epochs) / span)
            return self.final + (self.initial - self.final) * (1 + math.cos(math.pi * share)) / 2
        return self.initial


@dataclass(frozen=True)
class FitOptions:
    """How to train.

    best_metric : validation metric that selects the checkpoint; lower is better for `loss`, higher
        for all others
    validate_every : epochs between validations; the last epoch is always validated
    patience : early stopping after this many validations without improvement; None: no early stop
    average_decay : of the exponential moving average of the weights, which is what is validated
        and kept; 0 disables it
    mixed : whether steps compute in bfloat16, see `crydistill.distill.step.training_step`
    """

    epochs: int
    learning_rate: LearningRate
    weight_decay: float = 1e-4
    best_metric: str = "loss"
    validate_every: int = 1
    patience: int | None = None
    average_decay: float = 0.0
    mixed: bool = False


def fit(
    model: keras.Model,
    loss: Loss,
    feed: Feed,
    validate: Validate,
    options: FitOptions,
    directory: str | Path,
    *,
    progress: Progress = silent,
) -> Path:
    """Train `model` in place on the feed's batches, resuming an interrupted run.

    Returns
    -------
    Path of `best.keras`, the student of the best validated epoch.

    Raises
    ------
    ConfigError
        if an epoch has not even one batch, or validation lacks the chosen metric.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    _compile(model, loss, options)
    step = training_step(model, loss, mixed=options.mixed)
    average = WeightAverage(model, options.average_decay)
    history = _resume(model, average, directory)
    first = len(history)
    left = max(0, options.epochs - first) * feed.steps(first) * feed.batch_windows
    with progress("training", left, "windows") as advance:
        for epoch in range(first, options.epochs):
            if _should_stop(history, options):
                break
            report = partial(_report, advance, history, options, epoch)
            report(0)
            row = _train_epoch(step, model, feed, epoch, average, options, report)
            with average.in_place() if options.average_decay else nullcontext():
                if (epoch + 1) % options.validate_every == 0 or epoch + 1 == options.epochs:
                    row |= {f"val_{name}": value for name, value in validate(model).items()}
                history.append(row)
                if _is_best(history, options):
                    with atomic.replacing(directory / "best.keras") as temporary:
                        model.save(temporary, include_optimizer=False)
            report(0, row["loss"])
            _save_state(model, average, history, directory)
            write_history(directory / "history.csv", history)
    _write_tensorboard(history, directory / "tensorboard")
    return directory / "best.keras"


def _compile(model: keras.Model, loss: Loss, options: FitOptions) -> None:
    optimizer = keras.optimizers.AdamW(
        learning_rate=options.learning_rate.initial, weight_decay=options.weight_decay
    )
    optimizer.build(model.trainable_variables)
    # XLA on a CPU is several times slower than plain graphs for depthwise convolutions.
    model.compile(optimizer=optimizer, loss=loss, jit_compile=False)


def _train_epoch(
    train: Step,
    model: keras.Model,
    feed: Feed,
    epoch: int,
    average: WeightAverage,
    options: FitOptions,
    report: Callable[[int, float | None], None],
) -> dict[str, float]:
    losses = []
    steps = feed.steps(epoch)
    for step, (inputs, taught) in enumerate(feed.batches(epoch)):
        rate = options.learning_rate.at(epoch + step / steps, options.epochs)
        model.optimizer.learning_rate = rate
        losses.append(train(inputs, taught))
        if options.average_decay:
            average.after_step()
        # Reading losses waits for the device, so they are not read at every step.
        latest = _mean(losses[-_STEPS_PER_REPORT:]) if step % _STEPS_PER_REPORT == 0 else None
        report(feed.batch_windows, latest)
    return {
        "epoch": epoch + 1,
        "learning_rate": rate,
        "loss": _mean(losses),
    }


def _mean(losses: Sequence[Any]) -> float:
    return float(np.mean(list(map(float, losses))))


def _report(
    advance: Advance,
    history: Sequence[dict[str, float]],
    options: FitOptions,
    epoch: int,
    windows: int,
    loss: float | None = None,
) -> None:
    """Report windows done; with the first and with a loss, also how training stands."""
    if windows and loss is None:
        advance(windows)
        return
    parts = [f"epoch {epoch + 1}/{options.epochs}"]
    if loss is not None:
        parts.append(f"loss {loss:.4g}")
    key = f"val_{options.best_metric}"
    measured = [row[key] for row in history if key in row]
    best = best_epoch(history, options.best_metric)
    if measured and best is not None:
        name = "validation loss" if options.best_metric == "loss" else options.best_metric
        parts.append(f"{name} {measured[-1]:.3f} (best {history[best][key]:.3f}, epoch {best + 1})")
    advance(windows, ", ".join(parts))


def _is_best(history: Sequence[dict[str, float]], options: FitOptions) -> bool:
    validated = [row for row in history if any(name.startswith("val_") for name in row)]
    if validated and f"val_{options.best_metric}" not in validated[-1]:
        known = ", ".join(name[4:] for name in validated[-1] if name.startswith("val_"))
        raise ConfigError(
            f"training.best_metric '{options.best_metric}' is not measured; choose one of {known}"
        )
    return best_epoch(history, options.best_metric) == len(history) - 1


def _should_stop(history: Sequence[dict[str, float]], options: FitOptions) -> bool:
    best = best_epoch(history, options.best_metric)
    if options.patience is None or best is None:
        return False
    since = sum(f"val_{options.best_metric}" in row for row in history[best + 1 :])
    return since >= options.patience


def _state_variables(model: keras.Model) -> list[Any]:
    return [*model.variables, *model.optimizer.variables]


def _save_state(
    model: keras.Model,
    average: WeightAverage,
    history: Sequence[dict[str, float]],
    directory: Path,
) -> None:
    arrays: dict[str, npt.NDArray[Any]] = {
        f"variable_{number}": keras.ops.convert_to_numpy(variable)
        for number, variable in enumerate(_state_variables(model))
    }
    arrays |= {f"average_{number}": weight for number, weight in enumerate(average.weights)}
    columns = list(dict.fromkeys(name for row in history for name in row))
    table = np.array([[row.get(name, np.nan) for name in columns] for row in history])
    with atomic.replacing(directory / "last.npz") as temporary:
        np.savez(
            temporary,
            history=table,
            columns=np.array(columns),
            averaged_steps=np.array(average.steps),
            **arrays,  # type: ignore[arg-type]
        )


def _resume(model: keras.Model, average: WeightAverage, directory: Path) -> list[dict[str, float]]:
    path = directory / "last.npz"
    if not path.exists():
        return []
    with np.load(path) as state:
        for number, variable in enumerate(_state_variables(model)):
            variable.assign(state[f"variable_{number}"])
        average.weights = [state[f"average_{n}"] for n in range(len(average.weights))]
        average.steps = int(state["averaged_steps"])
        columns = [str(name) for name in state["columns"]]
        table = state["history"]
    return [
        {
            name: float(value)
            for name, value in zip(columns, row, strict=True)
            if not np.isnan(value)
        }
        for row in table
    ]


def _write_tensorboard(history: Sequence[dict[str, float]], directory: Path) -> None:
    import shutil

    import tensorflow as tf

    # Rewritten from the whole history, so that a resumed run leaves one clean set of events.
    shutil.rmtree(directory, ignore_errors=True)
    writer = tf.summary.create_file_writer(str(directory))
    with writer.as_default():
        for row in history:
            for name, value in row.items():
                tf.summary.scalar(
                    name.replace("val_", "validation/"), value, step=int(row["epoch"])
                )
    writer.close()
