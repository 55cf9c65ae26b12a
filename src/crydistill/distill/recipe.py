"""Translate the training section of a configuration: loss, targets, options, validation."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import keras
import numpy as np
import numpy.typing as npt
from scipy.special import expit

from crydistill.corpora.clip import Label
from crydistill.distill.calibration import clip_calibration
from crydistill.distill.colouring import Colouring
from crydistill.distill.feeds import WindowFeed
from crydistill.distill.fit import FitOptions, LearningRate, Validate
from crydistill.distill.losses import Loss, headed_bce, kl_softmax, sigmoid_bce
from crydistill.distill.predict import predict_logits
from crydistill.distill.step import has_gpu
from crydistill.distill.targets import Floats, Targets, head_targets, teacher_logits
from crydistill.errors import ConfigError
from crydistill.experiment.schema import TrainingConfig
from crydistill.metrics.agreement import track_correlation
from crydistill.metrics.ranking import (
    TOP_WINDOWS,
    ClipScore,
    Ranking,
    clip_score,
    ranking_metrics,
)
from crydistill.selection.pool import WindowPool
from crydistill.selection.sampler import Sampler
from crydistill.student.activation import Activation, activate
from crydistill.student.heads import Heads
from crydistill.taxonomy import class_mids, cry_score, index_of

VALIDATED = {
    "auc": "roc_auc",
    "average_precision": "average_precision",
    "best_f1": "best_f1",
    "recall_at_1pct_fpr": "recall_at_fpr_1pct",
}
"""Clip metrics by their name in the training log, with their keys in `ranking_metrics`."""


VALIDATION_METRICS = (
    "loss",
    "correlation",
    *(f"{name}{suffix}" for suffix in ("", "_top4") for name in VALIDATED),
)
"""What `make_validation` measures, by name: what `training.best_metric` may be."""


@dataclass(frozen=True)
class LossKind:
    """A loss that `training.loss` can name.

    make : builds it from the training section, for students with the teacher's 521 classes
    activation : turns the logits of a student trained with it into scores
    make_headed : builds it for students with that many outputs of their own; None: unsupported
    """

    make: Callable[[TrainingConfig], Loss]
    activation: Activation
    make_headed: Callable[[TrainingConfig, int], Loss] | None = None


def make_loss(options: TrainingConfig, heads: Heads) -> Loss:
    """Build the loss that the configuration names.

    Raises
    ------
    ConfigError
        if the loss does not fit the student's outputs or does not take the options given, or a
        class weight names a class that YAMNet does not have.
    """
    kind = LOSSES[options.loss]
    if not heads:
        return kind.make(options)
    if kind.make_headed is None or options.class_weights:
        headed = " or ".join(name for name, kind in LOSSES.items() if kind.make_headed)
        raise ConfigError(
            f"a student with outputs of its own needs training.loss {headed} and takes no "
            "class weights"
        )
    return kind.make_headed(options, len(heads))


def make_targets(pool: WindowPool, heads: Heads, options: TrainingConfig) -> Targets:
    """Build the training targets of a pool's windows for a student with these heads."""
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
    """Return the activation that turns logits into scores after training with this loss."""
    return LOSSES[options.loss].activation


def window_feed(
    pool: WindowPool, sampler: Sampler, heads: Heads, options: TrainingConfig, seed: int
) -> WindowFeed:
    """Build the batches of windows that the configuration describes."""
    return WindowFeed(
        pool,
        make_targets(pool, heads, options),
        sampler,
        batch_windows=options.batch_size,
        mask_frames=options.mask_frames,
        mask_bands=options.mask_bands,
        mixup=options.mixup,
        colouring=make_colouring(options),
        seed=seed,
    )


def make_colouring(options: TrainingConfig) -> Colouring | None:
    """How the configuration colours what it shows the student."""
    return Colouring(**options.colouring.model_dump()) if options.colouring else None


def fit_options(options: TrainingConfig) -> FitOptions:
    """Translate the training section into the options of `fit`.

    Precision is mixed only on a GPU: on a processor bfloat16 is no faster.
    """
    rate = options.learning_rate
    return FitOptions(
        epochs=options.epochs,
        learning_rate=LearningRate(**rate.model_dump()),
        weight_decay=options.weight_decay,
        best_metric=options.best_metric,
        validate_every=options.validate_every,
        patience=options.patience,
        average_decay=options.average_decay,
        mixed=options.precision == "mixed" and has_gpu(),
    )


def qat_options(options: TrainingConfig) -> FitOptions:
    """Translate the training section into the options of the QAT epochs that follow `fit`."""
    rate = LearningRate("cosine", initial=options.qat.learning_rate, final=0.0)
    # Fake quantization is defined on float32.
    return replace(fit_options(options), epochs=options.qat.epochs, learning_rate=rate, mixed=False)


def make_validation(
    pool: WindowPool, heads: Heads, loss: Loss, options: TrainingConfig
) -> Validate:
    """Build the function that measures a student on all windows of the validation clips.

    `loss` is the training loss averaged over all windows; `correlation` is Pearson's, of the
    student's cry scores with their targets, over the windows of clips not labelled noncry. `auc`,
    `average_precision`, `best_f1` and `recall_at_1pct_fpr` compare clip scores (mean over windows)
    with the clips' labels; those ending in `_top4`, the mean of a clip's highest windows.
    """
    labelled = [number for number, clip in enumerate(pool.clips) if clip.label != "unlabelled"]
    labels = np.array([pool.clips[number].is_cry for number in labelled])
    may_cry = np.array([clip.label is not Label.NONCRY for clip in pool.clips])[pool.clip_of]
    indices = np.arange(len(pool))
    targets = make_targets(pool, heads, options)(indices)
    taught = cry_score(targets if heads else expit(targets), heads.cry_outputs)

    def validate(model: keras.Model) -> dict[str, float]:
        logits = predict_logits(model, pool, indices)
        losses = keras.ops.convert_to_numpy(loss(targets, logits))
        scores = cry_score(activate(logits, activation_of(options)), heads.cry_outputs)
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


def calibrate_cry_logit(logits: Floats, pool: WindowPool) -> tuple[float, float]:
    """Fit scale and offset of a student's cry logit on the labelled clips of a pool.

    Only each clip's highest windows count: what makes a clip a cry is its crying, not its pauses.

    Parameters
    ----------
    logits : the student's, of each window of the pool, `[n]`
    """
    tracks = pool.per_clip(logits)
    tracks = [np.sort(track)[-TOP_WINDOWS:] for track in tracks]
    labelled = [n for n, clip in enumerate(pool.clips) if clip.label is not Label.UNLABELLED]
    return clip_calibration([tracks[n] for n in labelled], [pool.clips[n].is_cry for n in labelled])


def _kl_softmax(options: TrainingConfig) -> Loss:
    if options.temperature != 1.0 or options.class_weights:
        raise ConfigError(
            "training.loss kl_softmax takes no temperature or class weights; use sigmoid_bce"
        )
    return kl_softmax


def _sigmoid_bce(options: TrainingConfig) -> Loss:
    return sigmoid_bce(options.temperature, _class_weights(options.class_weights))


def _headed_bce(options: TrainingConfig, heads: int) -> Loss:
    return headed_bce(heads, options.auxiliary_weight, options.temperature)


def _class_weights(by_mid: dict[str, float]) -> npt.NDArray[np.float32] | None:
    if not by_mid:
        return None
    weights = np.ones(len(class_mids()), dtype=np.float32)
    for mid, weight in by_mid.items():
        if mid not in class_mids():
            raise ConfigError(f"training.class_weights: YAMNet has no class {mid}")
        weights[index_of(mid)] = weight
    return weights


LOSSES = {
    "kl_softmax": LossKind(_kl_softmax, "softmax"),
    "sigmoid_bce": LossKind(_sigmoid_bce, "sigmoid", _headed_bce),
}
"""Losses by their name in `training.loss`."""
