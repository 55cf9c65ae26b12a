"""Stage 2: select the windows to train on."""

import json
from collections import Counter
from typing import Any

import numpy as np

from crydistill import atomic
from crydistill.errors import CorpusError
from crydistill.run_directory import fingerprint
from crydistill.selection.pool import Indices, WindowPool, window_pool
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
from crydistill.stages.judging import contradicted, judging_key
from crydistill.stages.streams import scored_streams, scored_streams_key

_STRETCH = 20
"""Consecutive windows that set the int8 ranges of a memory."""


def train_pool(context: Context) -> WindowPool:
    """All candidate windows for training: of the clips, and of the streams if there are any.

    The clips are the original ones, then those of every varied round; without those of sources that
    are left out, and those whose labels the judge contradicts.

    Raises
    ------
    ConfigError
        if a source to leave out has no clips.
    StoreError
        if a round, the judged clips or the streams have not been scored.
    """
    context.require_known_sources()
    out, against = set(context.config.selection.leave_out), contradicted(context)
    parts = [
        (
            context.store(corpus, number),
            [
                clip
                for clip in clips
                if clip.source not in out and clip.id not in against.get(corpus.store_name, ())
            ],
        )
        for number, corpus, clips in context.train_rounds
    ]
    if context.config.student.memory:
        streams = scored_streams(context).pool
        parts.append((streams.stores[0], list(streams.clips)))
    return window_pool(parts)


def select_key(context: Context) -> str:
    """Key of the selected windows: data, selection options and seed."""
    config = context.config
    weights = [(corpus.weight, corpus.vary) for corpus in config.data.train]
    train = context.data_key(context.splits.train)
    augmentation = config.data.augmentation
    varied = [augmentation.rounds, augmentation.weight, context.variation_key]
    if augmentation.rounds == 0:
        varied = []
    streams = [scored_streams_key(context)] if config.student.memory else []
    others = [*streams, *judging_key(context)]
    return fingerprint(train, weights, varied, config.selection, config.seed, *others)


def select(context: Context) -> None:
    """Write `selection.json`: how many windows of each source are selected or dropped."""
    key = select_key(context)
    if context.run.is_done("select", key, [context.run.selection]):
        context.say("selection is up to date")
        return
    facts = _summary(context, train_pool(context))
    context.say(
        f"selection: {facts['windows_per_epoch']:,} of {facts['windows']:,} windows an epoch"
    )
    if context.config.student.memory:
        facts["stream_windows"] = len(scored_streams(context).pool)
        context.say(f"selection: {facts['stream_windows']:,} windows of streams for the memory")
    atomic.write_text(context.run.selection, json.dumps(facts, indent=2) + "\n")
    context.run.mark_done("select", key)


def make_sampler(context: Context, pool: WindowPool) -> Sampler:
    """Build the configured sampler over the training pool."""
    options, seed = context.config.selection, context.config.seed
    weights = _weights(context, pool)
    if options.method == "random_windows":
        windows = random_windows(pool.clip_of, per_clip=options.per_clip, seed=seed)
        return FixedSampler(windows, seed=seed, weights=weights, at_once=options.shuffle_windows)
    confident = _confident(context, pool)
    if options.hardness:
        weights = harder(
            pool.cry_scores, negative_below=options.negative_below, hardness=options.hardness
        ) * (1.0 if weights is None else weights)
    return BalancedSampler(
        confident,
        ratio=options.ratio,
        resample=options.resample,
        seed=seed,
        weights=weights,
        at_once=options.shuffle_windows,
    )


def calibration_windows(context: Context) -> tuple[WindowPool, Indices]:
    """Draw the windows that set the int8 ranges; returns their pool and indices.

    Only windows of public clips: those selected for training, or any of the validation clips; for a
    student with memory, stretches of consecutive windows of training streams or validation clips.

    Raises
    ------
    CorpusError
        if all training clips are private.
    """
    options, seed = context.config.quantization, context.config.seed
    if context.config.student.memory:
        return _calibration_stretches(context)
    if options.calibration_split == "train":
        pool = train_pool(context)
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
    chosen: set[int] = set()  # a weighted window may be drawn twice
    for index in candidates:
        chosen.add(int(index))
        if len(chosen) == options.calibration_windows:
            break
    return pool, np.array(sorted(chosen))


def _calibration_stretches(context: Context) -> tuple[WindowPool, Indices]:
    options = context.config.quantization
    from_streams = options.calibration_split == "train"
    pool = scored_streams(context).pool if from_streams else context.pool(context.splits.validation)
    public = np.array([not clip.private for clip in pool.clips])[pool.clip_of]
    starts = np.arange(0, len(pool) - _STRETCH, _STRETCH)
    of_one_clip = pool.clip_of[starts] == pool.clip_of[starts + _STRETCH - 1]
    candidates = starts[public[starts] & of_one_clip]
    if len(candidates) == 0:
        raise CorpusError(
            f"no public {options.calibration_split} audio of {_STRETCH} consecutive windows to set "
            "the int8 ranges; set quantization.calibration_split to "
            f"{'validation' if from_streams else 'train'}"
        )
    drawn = np.random.default_rng([context.config.seed, 2]).permutation(candidates)
    chosen = np.sort(drawn[: max(1, options.calibration_windows // _STRETCH)])
    return pool, (chosen[:, None] + np.arange(_STRETCH)).ravel()


def _confident(context: Context, pool: WindowPool) -> ConfidentWindows:
    options = context.config.selection
    return confident_windows(
        pool.cry_scores,
        positive_above=options.positive_above,
        negative_below=options.negative_below,
    )


def _weights(context: Context, pool: WindowPool) -> Weights | None:
    """Sampling weight of each window of `train_pool`, by its part; None if all are equal."""
    share = context.config.data.augmentation.weight
    rounds = context.train_rounds
    weights = [corpus.weight * (1 if n is None else share) for n, corpus, _ in rounds]
    used = {weight for weight, (_, _, clips) in zip(weights, rounds, strict=True) if clips}
    if context.config.student.memory:
        weights.append(context.config.data.streams.weight)
        used.add(weights[-1])
    if len(used) == 1:
        return None
    return np.repeat(np.repeat(weights, pool.parts), pool.counts)


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
    if context.config.teacher.judge:
        against = [label for by_id in contradicted(context).values() for label in by_id.values()]
        facts["contradicted_labels"] = dict(sorted(Counter(against).items()))
    return facts


def _by_source(pool: WindowPool, indices: Indices) -> dict[str, int]:
    counts = np.bincount(pool.clip_of[indices], minlength=len(pool.clips))
    found: Counter[str] = Counter()
    for clip in np.flatnonzero(counts).tolist():
        found[pool.clips[clip].source] += int(counts[clip])
    return dict(sorted(found.items()))


def _in_noncry_clips(pool: WindowPool, indices: Indices) -> int:
    noncry = np.array([clip.label == "noncry" for clip in pool.clips])
    return int(noncry[pool.clip_of[indices]].sum())
