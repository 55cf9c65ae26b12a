"""Operating points of the N-of-M vote: chosen on one set of audio, measured on another.

Both are counted as a parent meets them: alerts an hour, and episodes of crying.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from crydistill.detector.vote import DEFAULT_HOLD_SECONDS, VoteSettings
from crydistill.metrics.rates import HOURS_PER_NIGHT
from crydistill.nights.alarms import DetCurve, NightFigures, ScoredStream, det_curve
from crydistill.student.manifest import StudentManifest, ThresholdPreset

Track = npt.NDArray[np.float32]
"""Cry score of each window of a clip, `[windows]`."""

PRESET_RATES = {"sensitive": 10.0, "balanced": 1.0, "quiet": 1 / HOURS_PER_NIGHT}
"""False alarms per hour that each preset may raise on continuous validation audio."""


def choose_presets(
    streams: Sequence[ScoredStream],
    *,
    n: int,
    m: int,
    hold_seconds: float = DEFAULT_HOLD_SECONDS,
    rates: Mapping[str, float] = PRESET_RATES,
    highest: float = math.inf,
) -> dict[str, float]:
    """Choose thresholds on continuous audio: the lowest with no more than so many false alarms.

    Unlike a share of clips, a rate counts an alert that is on most of the time as the many it
    hides: the curve never falls below what a higher threshold has raised.

    Parameters
    ----------
    streams : continuous audio, or clips, each heard by itself
    rates : false alarms per hour by preset; in less than 1 / rate hours, none is allowed
    highest : largest cry score the student can give (`detector.calibrate.highest_score`): a
        threshold that no score reaches is not quiet but deaf

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


def annotated_preset(figures: NightFigures, *, audio: str) -> ThresholdPreset:
    """Write the figures of a setting as a preset of a manifest.

    Parameters
    ----------
    figures : of a threshold chosen on other audio
    audio : what the figures were measured on, for people
    """
    settings, crying = figures.settings, figures.episodes > 0
    episodes = f"{figures.episodes} episodes of crying; " if crying else ""
    return ThresholdPreset(
        threshold=settings.threshold,
        n=settings.n,
        m=settings.m,
        hold_seconds=settings.hold_seconds,
        recall=round(figures.caught.value, 4) if crying else None,
        false_alarms_per_hour=round(figures.per_hour.value, 3) if figures.hours else None,
        measured_on=(
            f"continuous audio from {audio}: {episodes}{figures.false_alarms} false alarms in "
            f"{figures.hours:.2f} h"
        ),
    )


def with_presets(
    manifest: StudentManifest, presets: Mapping[str, ThresholdPreset]
) -> StudentManifest:
    """Return the manifest with these presets in the place of those of the same names, validated."""
    complete = {**manifest.model_dump(), "presets": {**manifest.presets, **presets}}
    return StudentManifest.model_validate(complete)


def _lowest_threshold(curve: DetCurve, per_hour: float) -> float:
    too_many = int(np.searchsorted(curve.per_hour, per_hour, side="right"))
    if too_many == len(curve.thresholds):
        return float(curve.thresholds[-1])
    return _just_above(curve.thresholds[too_many])


def _just_above(score: float) -> float:
    return float(np.nextafter(np.float32(score), np.float32(np.inf), dtype=np.float32))
