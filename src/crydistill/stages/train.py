"""Stage 3: train the student on the teacher's scores."""

import shutil
from pathlib import Path

import keras

from crydistill import atomic
from crydistill.distill.fit import FitOptions, fit
from crydistill.distill.history import best_epoch, read_history
from crydistill.distill.losses import mine_hard_examples
from crydistill.distill.recipe import (
    calibrate_cry_logit,
    fit_options,
    make_loss,
    make_targets,
    make_validation,
    qat_options,
)
from crydistill.experiment.schema import QatConfig, TrainingConfig
from crydistill.quantize import qat
from crydistill.run_directory import RunDirectory, fingerprint
from crydistill.selection.pool import WindowPool
from crydistill.stages.context import Context
from crydistill.stages.select import calibration_windows, make_sampler, select_key
from crydistill.student.heads import Heads, cut
from crydistill.student.layers import CUSTOM_OBJECTS
from crydistill.student.zoo import build
from crydistill.taxonomy import CLASSES

_QAT_STARTED = "QAT started"


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
    # QAT has a directory of its own, so that its epochs can be changed without training again.
    plain = config.training.model_copy(update={"qat": QatConfig()})
    _start(context, run.training, "train started", _key(context, plain))
    keras.utils.set_random_seed(config.seed)
    heads = Heads.from_mids(config.student.outputs)
    model = build(
        config.student.architecture, outputs=len(heads) + CLASSES, **config.student.options
    )
    validation = context.pool(context.splits.validation)
    options, directory = fit_options(config.training, config.seed), run.training
    trained = _fit(context, model, heads, validation, options, directory)
    if config.training.qat.epochs:
        directory = run.training / "qat"
        _adopt_former_qat(run, directory, key)
        _start(context, directory, _QAT_STARTED, key)
        options = qat_options(config.training, config.seed)
        trained = _fit(
            context, _qat_student(context, trained), heads, validation, options, directory
        )
        trained = qat.without_fake_quantization(trained)
    scale, offset = 1.0, 0.0
    if heads:
        scale, offset = calibrate_cry_logit(trained, validation)
        context.say(f"cry logit calibrated on validation: {scale:.3f} x + {offset:.3f}")
    # Saved again without loss and custom layers, so that plain Keras can load it.
    with atomic.replacing(run.student_fp32) as temporary:
        cut(trained, len(heads) or CLASSES, scale, offset).save(temporary)
    run.mark_done("train", key)
    history = read_history(directory / "history.csv")
    metric = config.training.best_metric
    number = best_epoch(history, metric)
    assert number is not None  # fit has validated at least once
    context.say(
        f"trained {len(history)} epochs; best {metric} {history[number][f'val_{metric}']:.4f} on "
        f"validation in epoch {number + 1}"
    )


def _adopt_former_qat(run: RunDirectory, directory: Path, key: str) -> None:
    """Resume QAT that a version before 0.2 began, under another name."""
    former = run.training / "aware"
    if run.is_done("aware training started", key, [former]) and not directory.exists():
        former.rename(directory)
        run.mark_done(_QAT_STARTED, key)


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
    pool = context.train_pool
    best = fit(
        model,
        mine_hard_examples(loss, training.hardest_share),
        pool,
        make_targets(pool, heads, training),
        make_sampler(context, pool),
        make_validation(validation, heads, loss, training),
        options,
        directory,
        progress=context.progress,
    )
    known = {**CUSTOM_OBJECTS, **qat.CUSTOM_OBJECTS}
    return keras.saving.load_model(best, custom_objects=known, compile=False)


def _qat_student(context: Context, trained: keras.Model) -> keras.Model:
    pool, chosen = calibration_windows(context)
    return qat.fake_quantized(trained, pool.patches(chosen))
