"""Stage 2: select the windows to train on."""

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from crydistill import atomic
from crydistill.errors import CorpusError
from crydistill.run_directory import fingerprint
from crydistill.selection.pool import Indices, WindowPool
from crydistill.selection.sampler import (
    BalancedSampler,
    FixedSampler,
    Sampler,
    Weights,
    harder,
    random_windows,
)
from crydistill.selection.teacher_filter import ConfidentWindows, confident_windows
from crydistill.stages.context import Context


def select_key(context: Context) -> str:
    """Key of the selected windows: data, selection options and seed."""
    config = context.config
    weights = [(corpus.weight, corpus.vary) for corpus in config.data.train]
    train = context.data_key(context.splits.train)
    augmentation = config.data.augmentation
    varied = [augmentation.rounds, augmentation.weight, context.variation_key]
    if augmentation.rounds == 0:
        varied = []
    return fingerprint(train, weights, varied, config.selection, config.seed)


def select(context: Context) -> None:
    """Write `selection.json`: how many windows of each source are selected or dropped."""
    key = select_key(context)
    if context.run.is_done("select", key, [context.run.selection]):
        context.say("selection is up to date")
        return
    pool = context.train_pool
    facts = _summary(context, pool)
    atomic.write_text(context.run.selection, json.dumps(facts, indent=2) + "\n")
    context.run.mark_done("select", key)
    context.say(
        f"selection: {facts['windows_per_epoch']:,} of {facts['windows']:,} windows an epoch"
    )


def make_sampler(context: Context, pool: WindowPool) -> Sampler:
    """Build the configured sampler over the training pool."""
    options, seed = context.config.selection, context.config.seed
    weights = _weights(context, pool)
    if options.method == "random_windows":
        windows = random_windows(pool.clip_of, per_clip=options.per_clip, seed=seed)
        return FixedSampler(windows, seed=seed, weights=weights)
    confident = _confident(context, pool)
    if options.hardness:
        weights = harder(
            pool.cry_scores, negative_below=options.negative_below, hardness=options.hardness
        ) * (1.0 if weights is None else weights)
    return BalancedSampler(
        confident, ratio=options.ratio, resample=options.resample, seed=seed, weights=weights
    )


def calibration_windows(context: Context) -> tuple[WindowPool, Indices]:
    """Draw the windows that set the int8 ranges; returns their pool and indices.

    Only windows of public clips: those selected for training, or any of the validation clips.

    Raises
    ------
    CorpusError
        if all training clips are private.
    """
    options, seed = context.config.quantization, context.config.seed
    if options.calibration_split == "train":
        pool = context.train_pool
        drawn = make_sampler(context, pool).epoch(0)
    else:
        pool = context.pool(context.splits.validation)
        drawn = np.random.default_rng([seed, 2]).permutation(len(pool))
    public = np.array([not clip.private for clip in pool.clips])
    candidates = drawn[public[pool.clip_of[drawn]]]
    if len(candidates) == 0:
        raise CorpusError(
            "all training clips are private, and int8 ranges may come from public audio only; "
            "set quantization.calibration_split to validation"
        )
    distinct = list(dict.fromkeys(candidates.tolist()))  # a weighted window may be drawn twice
    return pool, np.array(sorted(distinct[: options.calibration_windows]))


def _confident(context: Context, pool: WindowPool) -> ConfidentWindows:
    options = context.config.selection
    return confident_windows(
        pool.cry_scores,
        positive_above=options.positive_above,
        negative_below=options.negative_below,
    )


def _weights(context: Context, pool: WindowPool) -> Weights | None:
    """Sampling weight of each window, by corpus and whether varied; None if all are equal."""
    share = context.config.data.augmentation.weight
    of_clip = {
        (context.store_directory(corpus), clip.id): corpus.weight
        for corpus, clips in context.splits.train
        for clip in clips
    } | {
        (context.store_directory(corpus, number), clip.id): corpus.weight * share
        for number, corpus, clips in context.varied
        for clip in clips
    }
    if len(set(of_clip.values())) == 1:
        return None
    per_clip = [
        of_clip[store.directory, clip.id]
        for clip, store in zip(pool.clips, pool.stores, strict=True)
    ]
    return np.array(per_clip)[pool.clip_of]


def _summary(context: Context, pool: WindowPool) -> dict[str, Any]:
    options = context.config.selection
    first_epoch = make_sampler(context, pool).epoch(0)
    facts: dict[str, Any] = {
        "method": options.method,
        "clips": len(pool.clips),
        "windows": len(pool),
        "windows_per_epoch": len(first_epoch),
        "windows_per_epoch_by_source": _by_source(pool, first_epoch),
    }
    if options.method == "teacher_filter":
        confident = _confident(context, pool)
        facts |= {
            "confident_positive": len(confident.positive),
            "confident_negative": len(confident.negative),
            "dropped": confident.dropped,
            "positive_in_noncry_clips": _in_noncry_clips(pool, confident.positive),
        }
    return facts


def _by_source(pool: WindowPool, indices: Indices) -> dict[str, int]:
    sources: Iterable[str] = (pool.clips[clip].source for clip in pool.clip_of[indices])
    return dict(sorted(Counter(sources).items()))


def _in_noncry_clips(pool: WindowPool, indices: Indices) -> int:
    noncry = np.array([clip.label == "noncry" for clip in pool.clips])
    return int(noncry[pool.clip_of[indices]].sum())
