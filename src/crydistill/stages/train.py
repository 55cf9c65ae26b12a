"""Stage 3: the student learns from the teacher."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from scipy.special import expit

from crydistill import atomic
from crydistill.corpora.clip import Label
from crydistill.distill.calibration import clip_calibration
from crydistill.distill.fit import FitOptions, LearningRate, fit
from crydistill.distill.history import best_epoch, read_history
from crydistill.distill.losses import Loss, hardest, headed_bce, named_loss
from crydistill.distill.predict import predict_logits
from crydistill.distill.targets import Targets, head_targets, teacher_logits
from crydistill.errors import ConfigError
from crydistill.experiment.schema import AwareConfig, TrainingConfig
from crydistill.metrics.agreement import track_correlation
from crydistill.metrics.ranking import TOP_WINDOWS, ClipScore, Ranking, clip_score, ranking_metrics
from crydistill.quantize import qat as aware
from crydistill.run_directory import fingerprint
from crydistill.selection.pool import WindowPool
from crydistill.stages.context import Context
from crydistill.stages.select import calibration_windows, make_sampler, select_key
from crydistill.student.activation import Activation, activate
from crydistill.student.heads import Heads, cut
from crydistill.student.layers import CUSTOM_OBJECTS
from crydistill.student.zoo import build
from crydistill.taxonomy import CLASSES, class_mids, index_of

VALIDATED = {
    "auc": "roc_auc",
    "average_precision": "average_precision",
    "best_f1": "best_f1",
    "recall_at_1pct_fpr": "recall_at_fpr_1pct",
}
"""Metrics of clip scores as a history names them, and their keys in `compare.ranking_metrics`."""


def train_key(context: Context) -> str:
    """Names the trained student: selection, validation clips, student, training and seed."""
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
    """Train the student, or go on after a kill; leaves the best epoch as `student.keras`."""
    run, config = context.run, context.config
    key = train_key(context)
    if run.is_done("train", key, [run.student_fp32]):
        context.say("the student is trained")
        return
    # A finished training can be given aware epochs, or others: they have a directory of their own.
    plain = config.training.model_copy(update={"aware": AwareConfig()})
    _start(context, run.training, "train started", _key(context, plain))
    keras.utils.set_random_seed(config.seed)
    heads = Heads.from_mids(config.student.outputs)
    model = build(
        config.student.architecture, outputs=len(heads) + CLASSES, **config.student.options
    )
    validation = context.pool(context.splits.validation)
    options, directory = fit_options(config.training, config.seed), run.training
    trained = _fit(context, model, heads, validation, options, directory)
    if config.training.aware.epochs:
        directory = run.training / "aware"
        _start(context, directory, "aware training started", key)
        rounding, options = _rounding(context, trained), _aware_options(options, config.training)
        trained = _fit(context, rounding, heads, validation, options, directory)
        trained = aware.without_rounding(trained)
    scale, offset = 1.0, 0.0
    if heads:
        scale, offset = _calibration(trained, validation)
        context.say(f"cry logit calibrated on validation: {scale:.3f} x + {offset:.3f}")
    # Saved anew without loss and layers of our own, so that anybody can load it.
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


def _start(context: Context, directory: Path, mark: str, key: str) -> None:
    """Make the directory of a training, empty unless one with the same key went on in it."""
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
    """Train a student in a directory, or go on there, and load that of its best epoch."""
    training = context.config.training
    loss = make_loss(training, heads)
    pool = context.train_pool
    best = fit(
        model,
        hardest(loss, training.hardest_share),
        pool,
        make_targets(pool, heads, training),
        make_sampler(context, pool),
        make_validation(validation, heads, loss, training),
        options,
        directory,
        progress=context.progress,
    )
    known = {**CUSTOM_OBJECTS, **aware.CUSTOM_OBJECTS}
    return keras.saving.load_model(best, custom_objects=known, compile=False)


def _rounding(context: Context, trained: keras.Model) -> keras.Model:
    pool, chosen = calibration_windows(context)
    return aware.rounding_student(trained, pool.patches(chosen))


def make_loss(options: TrainingConfig, heads: Heads) -> Loss:
    """Build the loss the config asks for.

    Raises
    ------
    ConfigError
        if a weight is for a class YAMNet does not know, or the loss does not fit the outputs.
    """
    if heads:
        if options.loss != "sigmoid_bce" or options.class_weights:
            raise ConfigError(
                "a student with outputs of its own learns with training.loss sigmoid_bce, without "
                "class weights"
            )
        return headed_bce(len(heads), options.auxiliary_weight, options.temperature)
    weights = None
    if options.class_weights:
        weights = np.ones(len(class_mids()), dtype=np.float32)
        for mid, weight in options.class_weights.items():
            if mid not in class_mids():
                raise ConfigError(f"training.class_weights: YAMNet knows no class {mid}")
            weights[index_of(mid)] = weight
    return named_loss(options.loss, temperature=options.temperature, class_weights=weights)


def make_targets(pool: WindowPool, heads: Heads, options: TrainingConfig) -> Targets:
    """Build what the windows of a pool teach a student with these heads."""
    if not heads:
        return teacher_logits(pool)
    return head_targets(
        pool,
        heads,
        trust_negatives=options.trust_negatives,
        cry_floor=options.cry_floor,
        rival_floor=options.rival_floor,
    )


def activation_of(options: TrainingConfig) -> Activation:
    """What turns the logits of a student trained with this loss into scores."""
    return "softmax" if options.loss == "kl_softmax" else "sigmoid"


def fit_options(options: TrainingConfig, seed: int) -> FitOptions:
    """Translate the config's training section for `fit`."""
    rate = options.learning_rate
    return FitOptions(
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=LearningRate(**rate.model_dump()),
        weight_decay=options.weight_decay,
        best_metric=options.best_metric,
        validate_every=options.validate_every,
        patience=options.patience,
        average_decay=options.average_decay,
        mask_frames=options.mask_frames,
        mask_bands=options.mask_bands,
        mixup=options.mixup,
        seed=seed,
    )


def _aware_options(options: FitOptions, training: TrainingConfig) -> FitOptions:
    rate = LearningRate("cosine", initial=training.aware.learning_rate, final=0.0)
    return replace(options, epochs=training.aware.epochs, learning_rate=rate)


def make_validation(
    pool: WindowPool, heads: Heads, loss: Loss, options: TrainingConfig
) -> Callable[[keras.Model], dict[str, float]]:
    """Measure a student on all windows of the validation clips.

    `loss` is the training loss over every window; `correlation` that of the student's cry scores
    with what it should have learnt, over the windows of clips that are not labelled noncry. `auc`,
    `average_precision`, `best_f1` and `recall_at_1pct_fpr` are of clip scores (mean over windows)
    against the clips' labels, those ending in `_top4` of the mean over a clip's highest windows.
    """
    labelled = [number for number, clip in enumerate(pool.clips) if clip.label != "unlabelled"]
    labels = np.array([pool.clips[number].is_cry for number in labelled])
    may_cry = np.array([clip.label is not Label.NONCRY for clip in pool.clips])[pool.clip_of]
    indices = np.arange(len(pool))
    targets = make_targets(pool, heads, options)(indices)
    cries = list(heads.cry_outputs)
    taught = (targets if heads else expit(targets))[:, cries].sum(axis=1)

    def validate(model: keras.Model) -> dict[str, float]:
        logits = predict_logits(model, pool, indices)
        losses = keras.ops.convert_to_numpy(loss(targets, logits))
        scores = activate(logits, activation_of(options))[:, cries].sum(axis=1)
        metrics = {
            "loss": float(losses.mean()),
            "correlation": track_correlation(scores[may_cry], taught[may_cry]),
        }
        per_clip = pool.per_clip(scores)
        for how, suffix in ((ClipScore.MEAN, ""), (ClipScore.TOP4, "_top4")):
            clip_scores = [clip_score(per_clip[number], how) for number in labelled]
            detections = Ranking(labels=labels, scores=clip_scores).detections()
            found = ranking_metrics(detections)
            metrics |= {f"{name}{suffix}": float(found[key]) for name, key in VALIDATED.items()}
        return metrics

    return validate


def _calibration(model: keras.Model, pool: WindowPool) -> tuple[float, float]:
    """Scale and offset of the cry logit, fit on the labelled clips of a pool.

    On their highest windows: what makes a clip a cry is the crying in it, not how long it pauses.
    """
    tracks = pool.per_clip(predict_logits(model, pool, np.arange(len(pool)))[:, 0])
    tracks = [np.sort(track)[-TOP_WINDOWS:] for track in tracks]
    labelled = [n for n, clip in enumerate(pool.clips) if clip.label is not Label.UNLABELLED]
    return clip_calibration([tracks[n] for n in labelled], [pool.clips[n].is_cry for n in labelled])
