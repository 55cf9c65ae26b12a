"""Stage 3: train the student on the teacher's scores."""

import shutil
from pathlib import Path

import keras
import numpy as np

from crydistill import atomic
from crydistill.distill.fit import FitOptions, fit
from crydistill.distill.history import best_epoch, read_history
from crydistill.distill.losses import mine_hard_examples
from crydistill.distill.predict import predict_logits
from crydistill.distill.recipe import (
    calibrate_cry_logit,
    fit_options,
    make_loss,
    make_validation,
    qat_options,
    window_feed,
)
from crydistill.distill.step import has_gpu
from crydistill.errors import ConfigError
from crydistill.experiment.schema import (
    MemoryTrainingConfig,
    QatConfig,
    StudentConfig,
    TrainingConfig,
)
from crydistill.quantize import qat
from crydistill.run_directory import RunDirectory, fingerprint
from crydistill.selection.pool import WindowPool
from crydistill.stages.context import Context
from crydistill.stages.select import calibration_windows, make_sampler, select_key, train_pool
from crydistill.stages.train_memory import train_memory
from crydistill.student.heads import Heads, cut
from crydistill.student.layers import CUSTOM_OBJECTS
from crydistill.student.zoo import build
from crydistill.taxonomy import CLASSES

_QAT_STARTED, _MEMORY_STARTED = "QAT started", "memory training started"


def train_key(context: Context) -> str:
    """Key of the trained student: selection, validation clips, student, training and seed."""
    return _key(context, context.config.training)


def _key(context: Context, training: TrainingConfig) -> str:
    return fingerprint(
        select_key(context),
        context.data_key(context.splits.validation),
        context.config.student,
        training,
        context.config.seed,
    )


def train(context: Context) -> None:
    """Train the student, resuming an interrupted run; saves the best epoch as `student.keras`."""
    run, config = context.run, context.config
    key = train_key(context)
    if run.is_done("train", key, [run.student_fp32]):
        context.say("the student is already trained")
        return
    keras.utils.set_random_seed(config.seed)
    heads = Heads.from_mids(config.student.outputs)
    model = build_student(config.student, heads)
    validation = context.pool(context.splits.validation)
    directory, model = _train_windows(context, model, heads, validation, key)
    if config.student.memory:
        directory = run.memory_training
        _start(context, directory, _MEMORY_STARTED, key)
        student = train_memory(context, model, heads, directory)
    else:
        scale, offset = 1.0, 0.0
        if heads:
            logits = predict_logits(model, validation, np.arange(len(validation)))[:, 0]
            scale, offset = calibrate_cry_logit(logits, validation)
            context.say(f"cry logit calibrated on validation: {scale:.3f} x + {offset:.3f}")
        # Without loss and custom layers, so that plain Keras can load it.
        student = cut(model, len(heads) or CLASSES, scale, offset)
    with atomic.replacing(run.student_fp32) as temporary:
        student.save(temporary)
    run.mark_done("train", key)
    _say_best(context, directory)


def _say_best(context: Context, directory: Path) -> None:
    history = read_history(directory / "history.csv")
    metric = context.config.best_metric
    number = best_epoch(history, metric)
    assert number is not None  # fit has validated at least once
    context.say(
        f"trained {len(history)} epochs; best {metric} {history[number][f'val_{metric}']:.4f} on "
        f"validation in epoch {number + 1}"
    )


def _train_windows(
    context: Context, model: keras.Model, heads: Heads, validation: WindowPool, key: str
) -> tuple[Path, keras.Model]:
    """Train on single windows; returns the directory of the last training and its best epoch."""
    run, training = context.run, context.config.training
    if training.precision == "mixed" and not has_gpu():
        context.say("training.precision: mixed is for a GPU, and there is none; float32 it is")
    # QAT and memory have directories of their own, so that their epochs can be changed without
    # training again.
    plain = training.model_copy(update={"qat": QatConfig(), "memory": MemoryTrainingConfig()})
    _start(context, run.training, "train started", _key(context, plain))
    directory = run.training
    trained = _fit(context, model, heads, validation, fit_options(training), directory)
    if training.qat.epochs:
        directory = run.training / "qat"
        _adopt_former_qat(run, directory, key)
        _start(context, directory, _QAT_STARTED, key)
        rounded = _qat_student(context, trained)
        trained = _fit(context, rounded, heads, validation, qat_options(training), directory)
        trained = qat.without_fake_quantization(trained)
    return directory, trained


def _adopt_former_qat(run: RunDirectory, directory: Path, key: str) -> None:
    """Resume QAT that a version before 0.2 began, under another name."""
    former = run.training / "aware"
    if run.is_done("aware training started", key, [former]) and not directory.exists():
        former.rename(directory)
        run.mark_done(_QAT_STARTED, key)


def build_student(student: StudentConfig, heads: Heads) -> keras.Model:
    """Build the network to train, with fresh weights: its own outputs and the teacher's classes.

    Raises
    ------
    ConfigError
        if there is no such architecture, or its options make no network.
    """
    if "outputs" in student.options:
        raise ConfigError(
            "student.options.outputs: leave it out; the outputs are set by student.outputs"
        )
    return build(student.architecture, outputs=len(heads) + CLASSES, **student.options)


def _start(context: Context, directory: Path, mark: str, key: str) -> None:
    """Create a training directory, emptied unless training with the same key started in it."""
    if not context.run.is_done(mark, key, [directory]):
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        context.run.mark_done(mark, key)


def _fit(
    context: Context,
    model: keras.Model,
    heads: Heads,
    validation: WindowPool,
    options: FitOptions,
    directory: Path,
) -> keras.Model:
    """Train a student in a directory, or resume there, and load its best epoch."""
    training = context.config.training
    loss = make_loss(training, heads)
    pool = train_pool(context)
    try:
        best = fit(
            model,
            mine_hard_examples(loss, training.hardest_share),
            window_feed(pool, make_sampler(context, pool), heads, training, context.config.seed),
            make_validation(validation, heads, loss, training),
            options,
            directory,
            progress=context.progress,
        )
    except KeyboardInterrupt:
        history = directory / "history.csv"
        kept = len(read_history(history)) if history.exists() else 0
        context.say(
            f"training stopped; {kept} of {options.epochs} epochs are kept in {directory}, and it "
            f"resumes with epoch {kept + 1}"
        )
        raise
    known = {**CUSTOM_OBJECTS, **qat.CUSTOM_OBJECTS}
    return keras.saving.load_model(best, custom_objects=known, compile=False)


def _qat_student(context: Context, trained: keras.Model) -> keras.Model:
    pool, chosen = calibration_windows(context)
    return qat.fake_quantized(trained, pool.patches(chosen))
