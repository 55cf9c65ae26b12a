"""Operating points of the N-of-M vote: chosen on one set of audio, measured on another.

The maximum of a clip's vote statistic is the highest threshold at which it would raise an alert.
Sorting it over clips without a cry gives the threshold for any share of false alarms, without a
grid. Clips are heard one by one: an alert that never ends would else count as one.

What the thresholds achieve is measured on clips (`measure`) or, as a parent meets them, on
continuous audio (`measure_presets`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crydistill.audio.windows import WINDOW_HOP_SECONDS
from crydistill.detector.vote import DEFAULT_HOLD_SECONDS, VoteSettings, vote_statistic
from crydistill.evaluation.alarms import (
    DetCurve,
    NightFigures,
    ScoredStream,
    det_curve,
    measure_nights,
)
from crydistill.evaluation.rates import HOURS_PER_NIGHT
from crydistill.student.manifest import StudentManifest, ThresholdPreset

Track = npt.NDArray[np.float32]
"""Cry score of each window of a clip, `[windows]`."""

SENSITIVE_SHARE = 0.01
"""Share of the validation clips without a cry that may raise an alert at the preset `sensitive`."""

QUIET_MARGIN = 0.05
"""How far `quiet` lies above `balanced`, the threshold at which no such clip raises an alert."""


PRESET_RATES = {"sensitive": 10.0, "balanced": 1.0, "quiet": 1 / HOURS_PER_NIGHT}
"""False alarms per hour that each preset may raise on continuous validation audio."""


@dataclass(frozen=True)
class Measured:
    """What a setting achieved on labelled clips, each heard by itself.

    recall : share of the cry clips that raise an alert, 0 to 1
    false_alarms : clips without a cry that raise an alert
    hours : length of all clips without a cry
    """

    recall: float
    false_alarms: int
    hours: float


def choose_presets(
    noncries: Sequence[Track], *, n: int, m: int, highest: float = 1.0
) -> dict[str, float]:
    """Choose the thresholds `sensitive`, `balanced` and `quiet` on clips without a cry.

    Parameters
    ----------
    highest : largest cry score the student can give (`detector.calibrate.highest_score`); `quiet`
        stays halfway below it where the margin would lead beyond, since a threshold that no score
        reaches is not quiet but deaf

    Raises
    ------
    ValueError
        if there is no clip.
    """
    if not noncries:
        raise ValueError("operating points need clips without a cry")
    falling = np.sort([highest_vote(track, n=n, m=m) for track in noncries])[::-1]
    balanced = _just_above(falling[0])
    return {
        "sensitive": _just_above(falling[int(SENSITIVE_SHARE * len(falling))]),
        "balanced": balanced,
        "quiet": _quieter(balanced, highest),
    }


def choose_presets_by_rate(
    streams: Sequence[ScoredStream],
    *,
    n: int,
    m: int,
    hold_seconds: float = DEFAULT_HOLD_SECONDS,
    rates: Mapping[str, float] = PRESET_RATES,
) -> dict[str, float]:
    """Choose thresholds on continuous audio: the lowest with no more than so many false alarms.

    Unlike a share of clips, a rate counts an alert that is on most of the time as the many it
    hides: the curve never falls below what a higher threshold has raised.

    Parameters
    ----------
    rates : false alarms per hour by preset; in less than 1 / rate hours, none is allowed

    Raises
    ------
    ValueError
        if the streams have no audio outside episodes.
    """
    settings = VoteSettings(threshold=0.0, n=n, m=m, hold_seconds=hold_seconds)
    curve = det_curve(streams, settings)
    if np.isnan(curve.per_hour).any():
        raise ValueError("operating points need audio without a cry")
    return {name: _lowest_threshold(curve, rate) for name, rate in rates.items()}


def measure(cries: Sequence[Track], noncries: Sequence[Track], settings: VoteSettings) -> Measured:
    """Apply a setting to clips it was not chosen on."""

    def raises(track: Track) -> bool:
        highest = highest_vote(track, n=settings.n, m=settings.m)
        return bool(highest >= np.float32(settings.threshold))

    return Measured(
        recall=float(np.mean([raises(track) for track in cries])) if cries else float("nan"),
        false_alarms=sum(raises(track) for track in noncries),
        hours=sum(len(track) for track in noncries) * WINDOW_HOP_SECONDS / 3600,
    )


def measure_presets(
    presets: Mapping[str, VoteSettings], streams: Sequence[ScoredStream], *, audio: str
) -> dict[str, ThresholdPreset]:
    """Say of each preset which share of episodes it catches and how often it is wrong an hour.

    Parameters
    ----------
    presets : by name, with thresholds chosen on other audio than the streams are made of
    streams : continuous audio without cries, or with episodes, as the INT8 student scored it
    audio : what the streams are made of, for people
    """
    return {
        name: annotated_preset(measure_nights(streams, settings), audio=audio)
        for name, settings in presets.items()
    }


def annotated_preset(figures: NightFigures, *, audio: str) -> ThresholdPreset:
    """Write the figures of a setting as a preset of a manifest."""
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


def highest_vote(scores: Track, *, n: int, m: int) -> float:
    """Highest threshold at which a clip raises an alert; 0 for one too short to vote."""
    return max(0.0, float(vote_statistic(scores, n, m).max()))


def _lowest_threshold(curve: DetCurve, per_hour: float) -> float:
    too_many = int(np.searchsorted(curve.per_hour, per_hour, side="right"))
    if too_many == len(curve.thresholds):
        return float(curve.thresholds[-1])
    return _just_above(curve.thresholds[too_many])


def _quieter(balanced: float, highest: float) -> float:
    margin = balanced + QUIET_MARGIN
    return min(margin, (balanced + highest) / 2) if balanced < highest else margin


def _just_above(score: float) -> float:
    return float(np.nextafter(np.float32(score), np.float32(np.inf), dtype=np.float32))
