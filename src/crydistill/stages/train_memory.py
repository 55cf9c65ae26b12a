"""The part of stage 3 that trains a student's memory, on streams."""

import json
from pathlib import Path

import keras
import numpy as np

from crydistill import atomic
from crydistill.detector.vote import DEFAULT_M, DEFAULT_N
from crydistill.distill.feeds import StreamFeed
from crydistill.distill.fit import FitOptions, LearningRate, Validate, fit
from crydistill.distill.losses import stream_loss
from crydistill.distill.predict import patch_blocks
from crydistill.distill.recipe import (
    calibrate_cry_logit,
    make_colouring,
    make_loss,
    make_targets,
)
from crydistill.distill.targets import Targets, memory_target
from crydistill.experiment.schema import CAUGHT, ExperimentConfig
from crydistill.nights.operating import CHOOSING_RATES, caught_at_rates
from crydistill.selection.pool import Indices
from crydistill.stages.context import Context
from crydistill.stages.streams import ScoredStreams, scored_streams
from crydistill.stages.validation_night import ValidationNight, validation_night
from crydistill.student import memory as remembering
from crydistill.student.heads import Heads
from crydistill.student.keras_model import logits_of
from crydistill.student.layers import CUSTOM_OBJECTS

_VOTE = (2, 3)
"""The vote (N, M) that memories are validated with."""


def train_memory(
    context: Context, model: keras.Model, heads: Heads, directory: Path
) -> keras.Model:
    """Train a window network with a memory on streams, resuming in `directory`.

    Parameters
    ----------
    model : the trained window network

    Returns
    -------
    The student that a device runs, its cry logit calibrated on the validation clips.
    """
    training, student = context.config.training, context.config.student
    assert student.memory is not None
    options, shape = training.memory, remembering.Memory(**student.memory.model_dump())
    night = validation_night(context)
    _record_without_memory(context, model, night)
    network = remembering.on_streams(model, shape, options.length, joint=options.joint)
    streams = scored_streams(context)
    loss = stream_loss(make_loss(training, heads), options.window_weight, options.temperature)
    feed = StreamFeed(
        streams.pool,
        _targets(context.config, streams, heads),
        length=options.length,
        stretches=options.stretches,
        warm_up=min(shape.windows, options.length - 1),
        colouring=make_colouring(training),
        seed=context.config.seed,
    )
    best = fit(
        network,
        loss,
        feed,
        _validation(night, shape),
        _fit_options(context.config),
        directory,
        progress=context.progress,
    )
    known = {**CUSTOM_OBJECTS, **remembering.CUSTOM_OBJECTS}
    trained = keras.saving.load_model(best, custom_objects=known, compile=False)
    pool = context.pool(context.splits.validation)
    starts = np.flatnonzero(np.diff(pool.clip_of, prepend=-1)).tolist()
    blocks = patch_blocks(pool, np.arange(len(pool)))
    logits = remembering.stream_logits(trained, shape, blocks, starts)
    scale, offset = calibrate_cry_logit(logits, pool)
    context.say(f"cry logit calibrated on validation: {scale:.3f} x + {offset:.3f}")
    return remembering.with_state(trained, shape, scale, offset)


def _fit_options(config: ExperimentConfig) -> FitOptions:
    options = config.training.memory
    return FitOptions(
        epochs=options.epochs,
        learning_rate=LearningRate(**options.learning_rate.model_dump()),
        weight_decay=config.training.weight_decay,
        best_metric=config.best_metric,
        average_decay=config.training.average_decay,
    )


def _targets(config: ExperimentConfig, streams: ScoredStreams, heads: Heads) -> Targets:
    """Targets of memory and window network, `[n, 1 + heads + 521]`."""
    options, pool = config.training.memory, streams.pool
    everything = np.arange(len(pool))
    sure = streams.surely_no_cry(config.teacher.context)
    taught = memory_target(
        options.target, streams.context, pool.logits(everything), pool.clip_of, sure
    )
    if options.trusted is not None:
        taught = np.where(sure, np.minimum(taught, np.float32(options.trusted)), taught)
    of_windows = make_targets(pool, heads, config.training)

    def targets(indices: Indices) -> remembering.Floats:
        return np.concatenate([taught[indices, None], of_windows(indices)], axis=1)

    return targets


def _record_without_memory(context: Context, model: keras.Model, night: ValidationNight) -> None:
    """Keep what the window network alone catches, by the vote of students without memory."""
    file = context.run.without_memory
    if not file.is_file():
        logits = np.concatenate([logits_of(model, block)[:, 0] for block in night.patches()])
        figures = _caught(night, logits, (DEFAULT_N, DEFAULT_M))
        atomic.write_text(file, json.dumps(figures) + "\n")


def _validation(night: ValidationNight, shape: remembering.Memory) -> Validate:
    """Validate by the share of episodes caught: the mean over `CHOOSING_RATES`, and at each."""

    def validate(model: keras.Model) -> dict[str, float]:
        return _caught(night, remembering.stream_logits(model, shape, night.patches()), _VOTE)

    return validate


def _caught(
    night: ValidationNight, logits: remembering.Floats, vote: tuple[int, int]
) -> dict[str, float]:
    caught = caught_at_rates([night.scored(logits)], *vote)
    by_rate = {
        f"{CAUGHT}_{rate:g}_per_hour": share
        for rate, share in zip(CHOOSING_RATES, caught, strict=True)
    }
    return {CAUGHT: float(np.mean(caught))} | by_rate
