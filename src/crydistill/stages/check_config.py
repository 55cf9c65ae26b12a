"""Validate the whole experiment before scoring starts."""

import math

from crydistill.distill.recipe import VALIDATION_METRICS, make_loss
from crydistill.errors import ConfigError, CorpusError
from crydistill.stages.context import Context
from crydistill.stages.judging import judge_file
from crydistill.stages.streams import memory_teacher
from crydistill.stages.train import build_student
from crydistill.student.heads import Heads
from crydistill.student.memory import Memory
from crydistill.taxonomy import CLASSES


def require_trainable(context: Context) -> None:
    """Check that a student can be built, trained and quantized as the config says.

    Raises
    ------
    ConfigError
        naming the key and what it may be.
    CorpusError
        as `Context.splits`, or if all clips that could set the int8 ranges are private, or weights
        of a teacher with context are not there.
    """
    config = context.config
    heads = Heads.from_mids(config.student.outputs)
    make_loss(config.training, heads)
    if config.training.best_metric not in VALIDATION_METRICS:
        raise ConfigError(
            f"training.best_metric '{config.training.best_metric}' is not measured; choose one of "
            f"{', '.join(VALIDATION_METRICS)}"
        )
    _require_small_enough(context, heads)
    if config.student.memory:
        memory_teacher(context)
    judge_file(context)
    context.require_known_sources()
    clips = [clip for _, part in context.splits.train for clip in part]
    if config.quantization.calibration_split == "train" and all(clip.private for clip in clips):
        raise CorpusError(
            "all training clips are private, and int8 ranges may come from public audio only; set "
            "quantization.calibration_split to validation"
        )


def _require_small_enough(context: Context, heads: Heads) -> None:
    """Count the kernels, which take a byte each; biases and the graph come on top."""
    model = build_student(context.config.student, heads)
    shapes = [weight.shape for weight in model.trainable_weights if len(weight.shape) > 1]
    features, outputs = shapes[-1]
    memory = context.config.student.memory
    if memory:
        kept = Memory(**memory.model_dump()).kernel_weights(features)
    else:
        kept = features * (len(heads) or CLASSES)
    size = sum(map(math.prod, shapes)) - features * outputs + kept
    limit = context.config.quantization.max_bytes
    if size > limit:
        raise ConfigError(
            f"student: its weights alone take {size:,} bytes as INT8, and quantization.max_bytes "
            f"is {limit:,}; choose a smaller network or raise the limit"
        )
