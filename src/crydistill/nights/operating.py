"""Operating points of the N-of-M vote: chosen on one set of audio, measured on another.

Both count what a parent experiences: alerts per hour, and episodes of crying.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from crydistill.detector.vote import DEFAULT_HOLD_SECONDS, VoteSettings
from crydistill.metrics.enough import TOO_LITTLE, cries_missing, hours_missing
from crydistill.metrics.rates import HOURS_PER_NIGHT
from crydistill.nights.alarms import DetCurve, NightFigures, ScoredStream, det_curve
from crydistill.student.manifest import StudentManifest, ThresholdPreset

PRESET_RATES = {"sensitive": 10.0, "balanced": 1.0, "quiet": 1 / HOURS_PER_NIGHT}
"""Maximum false alarms per hour of each preset on continuous validation audio."""

VOTES = ((1, 1), (2, 3), (3, 5), (5, 9))
"""Votes (N, M) that a student's presets may use."""

CHOOSING_RATES = (1.0, 0.25)
"""False alarms an hour at which votes, and the checkpoints of a memory, are compared."""


def caught_at_rates(
    streams: Sequence[ScoredStream],
    n: int,
    m: int,
    *,
    hold_seconds: float = DEFAULT_HOLD_SECONDS,
    rates: Sequence[float] = CHOOSING_RATES,
) -> list[float]:
    """Share of the episodes caught by a vote at its lowest threshold that keeps to each rate."""
    settings = VoteSettings(threshold=0.0, n=n, m=m, hold_seconds=hold_seconds)
    curve = det_curve(streams, settings)
    return [1 - curve.at(rate)[1] for rate in rates]


def choose_vote(
    streams: Sequence[ScoredStream], votes: Sequence[tuple[int, int]] = VOTES
) -> tuple[int, int]:
    """Choose the vote that catches most episodes, on average over `CHOOSING_RATES`.

    Of equals the shortest, which is the fastest. Without episodes, the last.
    """
    if not any(stream.episodes for stream in streams):
        return votes[-1]
    return max(votes, key=lambda vote: (sum(caught_at_rates(streams, *vote)), -vote[1]))


def choose_presets(
    streams: Sequence[ScoredStream],
    *,
    n: int,
    m: int,
    hold_seconds: float = DEFAULT_HOLD_SECONDS,
    rates: Mapping[str, float] = PRESET_RATES,
    highest: float = math.inf,
) -> dict[str, float]:
    """Choose the lowest thresholds on continuous audio that keep to the false alarm rates.

    An alert that stays on most of the time does not count as few alarms: the curve never falls
    below the rate at a higher threshold.

    Parameters
    ----------
    streams : continuous audio, or clips, each scored on its own
    rates : false alarms per hour by preset; in less than 1 / rate hours, none is allowed
    highest : largest cry score the student can give (`detector.settings.reachable_score`); a
        threshold above it could never raise an alert

    Raises
    ------
    ValueError
        if the streams have no audio outside episodes.
    """
    settings = VoteSettings(threshold=0.0, n=n, m=m, hold_seconds=hold_seconds)
    curve = det_curve(streams, settings)
    if np.isnan(curve.per_hour).any():
        raise ValueError("operating points need audio without a cry")
    return {name: min(_lowest_threshold(curve, rate), highest) for name, rate in rates.items()}


def annotated_preset(
    figures: NightFigures, *, audio: str, groups: int, caution: str | None = None
) -> ThresholdPreset:
    """Make a manifest's preset of a setting's measured figures.

    A figure from too little audio (`metrics.enough`) is left out, and `measured_on` says why.

    Parameters
    ----------
    figures : of a threshold chosen on other audio
    audio : what the figures were measured on, for display
    groups : number of groups that the episodes of crying are of
    caution : of the preset as chosen (`too_little_to_choose`)
    """
    settings, crying = figures.settings, figures.episodes > 0
    episodes = f"{figures.episodes} episodes of crying; " if crying else ""
    few_cries = cries_missing(figures.episodes, groups) if crying else ""
    few_hours = hours_missing(figures.hours)
    reasons = "; ".join(filter(None, (few_cries, few_hours)))
    return ThresholdPreset(
        threshold=settings.threshold,
        n=settings.n,
        m=settings.m,
        hold_seconds=settings.hold_seconds,
        recall=round(figures.caught.value, 4) if crying and not few_cries else None,
        false_alarms_per_hour=None if few_hours else round(figures.per_hour.value, 3),
        measured_on=(
            f"continuous audio from {audio}: {episodes}{figures.false_alarms} false alarms in "
            f"{_times(figures)}{figures.hours:.2f} h"
            + (f"; {TOO_LITTLE} ({reasons})" if reasons else "")
        ),
        caution=caution,
    )


def too_little_to_choose(hours: float) -> str | None:
    """Say why thresholds chosen on so much audio keep no rates; None if they can.

    Parameters
    ----------
    hours : without a cry, that thresholds are chosen on
    """
    missing = hours_missing(hours)
    return f"chosen on too little audio to keep a rate ({missing})" if missing else None


def with_presets(
    manifest: StudentManifest, presets: Mapping[str, ThresholdPreset]
) -> StudentManifest:
    """Return the manifest with these presets added or replaced, validated."""
    complete = {**manifest.model_dump(), "presets": {**manifest.presets, **presets}}
    return StudentManifest.model_validate(complete)


def _times(figures: NightFigures) -> str:
    return f"{figures.passes} nights of the same clips, each " if figures.passes > 1 else ""


def _lowest_threshold(curve: DetCurve, per_hour: float) -> float:
    too_many = int(np.searchsorted(curve.per_hour, per_hour, side="right"))
    if too_many == len(curve.thresholds):
        return float(curve.thresholds[-1])
    return _just_above(curve.thresholds[too_many])


def _just_above(score: float) -> float:
    return float(np.nextafter(np.float32(score), np.float32(np.inf), dtype=np.float32))
