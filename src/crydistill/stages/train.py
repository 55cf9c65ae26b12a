"""Stage 3: the student learns from the teacher."""

import shutil
from collections.abc import Callable

import keras
import numpy as np

from crydistill import atomic
from crydistill.distill.fit import FitOptions, LearningRate, best_epoch, fit, read_history
from crydistill.distill.losses import Loss, named_loss
from crydistill.distill.predict import predict_logits
from crydistill.errors import ConfigError
from crydistill.evaluation.ranking import (
    ClipScore,
    Ranking,
    average_precision,
    best_f1,
    clip_score,
    recall_at_false_positive_rate,
    roc_auc,
)
from crydistill.experiment import TrainingConfig, fingerprint
from crydistill.selection.pool import WindowPool
from crydistill.stages.context import Context
from crydistill.stages.select import make_sampler, select_key
from crydistill.student.activation import Activation, activate
from crydistill.student.zoo import build
from crydistill.taxonomy import class_mids, cry_indices, index_of


def train_key(context: Context) -> str:
    """Names the trained student: selection, validation clips, student, training and seed."""
    config = context.config
    return fingerprint(
        select_key(context),
        context.data_key(context.splits.validation),
        config.student,
        config.training,
        config.seed,
    )


def train(context: Context) -> None:
    """Train the student, or go on after a kill; leaves the best epoch as `student.keras`."""
    run, config = context.run, context.config
    key = train_key(context)
    if run.is_done("train", key, [run.student_fp32]):
        context.say("the student is trained")
        return
    if not run.is_done("train started", key, [run.training]):
        shutil.rmtree(run.training, ignore_errors=True)
        run.training.mkdir(parents=True)
        run.mark_done("train started", key)
    keras.utils.set_random_seed(config.seed)
    model = build(config.student.architecture, **config.student.options)
    loss = make_loss(config.training)
    pool = context.pool(context.splits.train)
    best = fit(
        model,
        loss,
        pool,
        make_sampler(context, pool),
        make_validation(context.pool(context.splits.validation), loss, config.training),
        fit_options(config.training),
        run.training,
        progress=context.progress,
    )
    # Saved anew without its loss, so that anybody can load it without this package.
    with atomic.replacing(run.student_fp32) as temporary:
        keras.saving.load_model(best, compile=False).save(temporary)
    run.mark_done("train", key)
    history = read_history(run.training / "history.csv")
    metric = config.training.best_metric
    number = best_epoch(history, metric)
    assert number is not None  # fit has validated at least once
    context.say(
        f"trained {len(history)} epochs; best {metric} {history[number][f'val_{metric}']:.4f} on "
        f"validation in epoch {number + 1}"
    )


def make_loss(options: TrainingConfig) -> Loss:
    """Build the loss the config asks for.

    Raises
    ------
    ConfigError
        if a weight is for a class YAMNet does not know.
    """
    weights = None
    if options.class_weights:
        weights = np.ones(len(class_mids()), dtype=np.float32)
        for mid, weight in options.class_weights.items():
            if mid not in class_mids():
                raise ConfigError(f"training.class_weights: YAMNet knows no class {mid}")
            weights[index_of(mid)] = weight
    return named_loss(options.loss, temperature=options.temperature, class_weights=weights)


def activation_of(options: TrainingConfig) -> Activation:
    """What turns the logits of a student trained with this loss into scores."""
    return "softmax" if options.loss == "kl_softmax" else "sigmoid"


def fit_options(options: TrainingConfig) -> FitOptions:
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
    )


def make_validation(
    pool: WindowPool, loss: Loss, options: TrainingConfig
) -> Callable[[keras.Model], dict[str, float]]:
    """Measure a student on all windows of the validation clips.

    `loss` is the training loss over every window; `auc`, `average_precision`, `best_f1`
    and `recall_at_1pct_fpr` are of clip scores (mean over windows) against the clips' labels.
    """
    labelled = [number for number, clip in enumerate(pool.clips) if clip.label != "unlabelled"]
    labels = np.array([pool.clips[number].is_cry for number in labelled])
    indices = np.arange(len(pool))

    def validate(model: keras.Model) -> dict[str, float]:
        logits = predict_logits(model, pool, indices)
        losses = keras.ops.convert_to_numpy(loss(pool.logits(indices), logits))
        scores = activate(logits, activation_of(options))
        per_clip = pool.per_clip(scores[:, list(cry_indices())].sum(axis=1))
        clip_scores = [clip_score(per_clip[number], ClipScore.MEAN) for number in labelled]
        detections = Ranking(labels=labels, scores=clip_scores).detections()
        return {
            "loss": float(losses.mean()),
            "auc": float(roc_auc(detections)),
            "average_precision": float(average_precision(detections)),
            "best_f1": float(best_f1(detections).f1),
            "recall_at_1pct_fpr": float(recall_at_false_positive_rate(detections, 0.01)),
        }

    return validate
