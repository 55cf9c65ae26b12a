"""Detection rates within slices of the clips: by bandwidth, category and source."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from crydistill.corpora.clip import Label
from crydistill.evaluation.clips import EvaluatedClips
from crydistill.metrics import ranking
from crydistill.metrics.intervals import (
    Estimate,
    GroupBootstrap,
    Weights,
)
from crydistill.metrics.ranking import (
    FPR_BOUND,
    Floats,
    Ranking,
    ratio,
)
from crydistill.metrics.records import plain_estimate

NARROW_BAND_HZ = 8_000
"""Recordings of at most this native sample rate hold nothing above 4 kHz."""


@dataclass(frozen=True)
class Slice:
    """Share of a slice's clips detected at the threshold of 1 % false positives over all clips.

    kind : "band", "category" or "source"
    label : of the clips; `detected` is a recall for cries, a false-positive rate for non-cries
    clips, groups : how many there are; one group, and usually even two, is missing from too many
        resamples for `detected` to have an interval
    """

    kind: str
    name: str
    label: Label
    clips: int
    groups: int
    detected: Estimate

    def to_json(self) -> dict[str, Any]:
        rate = "recall" if self.label is Label.CRY else "false_positive_rate"
        return {
            "kind": self.kind,
            "name": self.name,
            "label": str(self.label),
            "clips": self.clips,
            "groups": self.groups,
            rate: plain_estimate(self.detected),
        }


def slices(
    ranked: Ranking, scores: Floats, clips: EvaluatedClips, bootstrap: GroupBootstrap
) -> tuple[Slice, ...]:
    parts = _parts(clips)
    members = np.stack([part.members for part in parts], axis=1).astype(np.float64)

    def statistic(weights: Weights) -> Floats:
        point = ranking.at_false_positive_rate(ranked.detections(weights), FPR_BOUND)
        detected = weights * (scores >= point.thresholds[:, None])
        return ratio(detected @ members, weights @ members)

    groups = np.asarray(clips.groups)
    slices = []
    for part, number in zip(parts, bootstrap.run(statistic), strict=True):
        size, count = int(part.members.sum()), len(np.unique(groups[part.members]))
        slices.append(Slice(part.kind, part.name, part.label, size, count, number.estimate()))
    return tuple(sorted(slices, key=_slice_order))


class _Part(NamedTuple):
    kind: str
    name: str
    label: Label
    members: npt.NDArray[np.bool_]


def _parts(clips: EvaluatedClips) -> list[_Part]:
    """Members of every slice that has any."""
    labels, sources = clips.labels, np.asarray(clips.sources)
    categories = np.asarray(clips.categories)
    rates = np.array([np.nan if rate is None else rate for rate in clips.native_rates])
    # A recording of unknown rate (NaN) is in neither band.
    parts = [
        _Part("band", "wide", Label.CRY, labels & (rates > NARROW_BAND_HZ)),
        _Part("band", "narrow", Label.CRY, labels & (rates <= NARROW_BAND_HZ)),
    ]
    for name in np.unique(categories):
        parts.append(_Part("category", str(name), Label.NONCRY, ~labels & (categories == name)))
    for name in np.unique(sources):
        parts.append(_Part("source", str(name), Label.CRY, labels & (sources == name)))
        parts.append(_Part("source", str(name), Label.NONCRY, ~labels & (sources == name)))
    return [part for part in parts if part.members.any()]


def _slice_order(part: Slice) -> tuple[int, float, int]:
    """Order bands, categories, sources; categories by most false alarms, then most clips."""
    kind = ("band", "category", "source").index(part.kind)
    if part.kind != "category" or np.isnan(part.detected.value):
        return kind, 0.0, 0
    return kind, -part.detected.value * part.clips, -part.clips


def source_auc(
    scores: Floats, clips: EvaluatedClips, bootstrap: GroupBootstrap
) -> dict[str, Estimate]:
    sources = np.asarray(clips.sources)
    parts = {}
    for name in np.unique(sources):
        mask = sources == name
        if clips.labels[mask].any() and not clips.labels[mask].all():
            parts[str(name)] = mask, Ranking(labels=clips.labels[mask], scores=scores[mask])
    if not parts:
        return {}

    def statistic(weights: Weights) -> Floats:
        columns = [
            ranking.roc_auc(part.detections(weights[:, mask])) for mask, part in parts.values()
        ]
        return np.stack(columns, axis=-1)

    numbers = bootstrap.run(statistic)
    return {name: number.estimate() for name, number in zip(parts, numbers, strict=True)}
