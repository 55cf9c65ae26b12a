"""Test whether the false alarm rate that a calibration promises is the rate observed afterwards.

In each of many simulated homes (`homes`) a threshold is calibrated on one night and observed on two
others:

- *same sounds*: the sounds of the calibration on another night. Only chance differs, so this tests
  the statistics of the promise;
- *new sounds*: the other half. Statistics cannot account for sounds not yet recorded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import pdtr, pdtrc

from crydistill.audio.windows import WINDOW_HOP_SECONDS
from crydistill.detector.calibrate import calibrate, calibrate_max_margin
from crydistill.detector.calibrated import Method, RoomCalibration
from crydistill.detector.levels import alert_levels, on_levels
from crydistill.detector.vote import Scores, VoteSettings
from crydistill.evaluation.scorers import Scorer
from crydistill.metrics.intervals import LEVEL, REPLICATES, mean_estimate
from crydistill.metrics.rates import HOURS_PER_NIGHT
from crydistill.metrics.records import plain, plain_estimate
from crydistill.nights.homes import Home, HomeOptions, ScoredHome
from crydistill.progress import Progress, silent
from crydistill.seeds import generator

RESULT_NAME, PICTURE_NAME = "promises.json", "promises.png"

CALIBRATION_HOURS = (1 / 6, 1.0, 8.0)
VOTES = ((5, 9), (3, 5), (1, 1))


class Sounds(StrEnum):
    """Which of a home's sounds the observed night contains."""

    SAME = "same sounds"
    NEW = "new sounds"


class Recipe(StrEnum):
    """How a threshold is calibrated."""

    RATE = "tail or counted"
    MAX_MARGIN = "max-margin"


@dataclass(frozen=True)
class Outcome:
    """One calibrated threshold in one home; rates are per 8 hours.

    method : that set the threshold in the end
    capped : whether the threshold was lowered to what cries can reach
    promised, low, high : rate expected by the calibration, with its interval
    observed : rate, by `Sounds`
    kept : by `Sounds`, whether the number of alerts is compatible (at 95 %) with some rate in the
        promised interval; None if nothing was promised
    caught : share of the episodes of crying
    """

    method: Method
    capped: bool
    threshold: float
    promised: float | None
    low: float | None
    high: float | None
    observed: Mapping[Sounds, float]
    kept: Mapping[Sounds, bool | None]
    caught: float


@dataclass(frozen=True)
class Cell:
    """Outcomes of one way to calibrate, in every home."""

    vote: tuple[int, int]
    hours: float
    recipe: Recipe
    outcomes: tuple[Outcome, ...]

    def to_json(self, *, seed: int) -> dict[str, Any]:
        """Plain values: means over homes with intervals, and the figures of every home."""
        methods = [outcome.method.value for outcome in self.outcomes]
        return {
            "n": self.vote[0],
            "m": self.vote[1],
            "hours": plain(self.hours),
            "recipe": self.recipe.value,
            "methods": {name: methods.count(name) for name in sorted(set(methods))},
            "capped": sum(outcome.capped for outcome in self.outcomes),
            "threshold": [plain(outcome.threshold) for outcome in self.outcomes],
            "promised": [
                {
                    "value": _known(outcome.promised),
                    "low": _known(outcome.low),
                    "high": _known(outcome.high),
                }
                for outcome in self.outcomes
            ],
            "caught": _mean([outcome.caught for outcome in self.outcomes], seed),
            "observed": {
                sounds.value: {
                    "mean": _mean([outcome.observed[sounds] for outcome in self.outcomes], seed),
                    "kept": _share_kept([outcome.kept[sounds] for outcome in self.outcomes]),
                    "homes": [plain(outcome.observed[sounds]) for outcome in self.outcomes],
                }
                for sounds in Sounds
            },
        }


def try_promises(
    homes: Sequence[ScoredHome],
    *,
    wanted_per_night: float,
    highest: float,
    reachable: float = np.inf,
    options: HomeOptions,
    votes: Sequence[tuple[int, int]] = VOTES,
    hours: Sequence[float] = CALIBRATION_HOURS,
    seed: int,
    progress: Progress = silent,
) -> list[Cell]:
    """Calibrate in every home in every way, and observe the false alarms afterwards.

    Parameters
    ----------
    wanted_per_night : target of false alarms per 8 hours
    highest, reachable : upper end of the student's scores, and the largest score that its output
        gives, as for `detector.calibrate.calibrate`
    hours : lengths of the calibration; a shorter one is the start of the longest
    """
    found: dict[tuple[tuple[int, int], float, Recipe], list[Outcome]] = {}
    with progress("calibrations", len(homes), "homes") as advance:
        for home in homes:
            rng = generator(seed, "nights", str(home.number))
            lengths = (max(hours), options.observed_hours, options.observed_hours)
            calibration, same, new = (
                part.night(length, options.mean_pause_seconds, highest, rng)
                for part, length in zip((home.parts[0], *home.parts), lengths, strict=True)
            )
            for n, m in votes:
                vote = VoteSettings(threshold=0.0, n=n, m=m)
                trial = _Trial(home, vote, {Sounds.SAME: same, Sounds.NEW: new}, options)
                for length in hours:
                    part = calibration[: round(length * 3600 / WINDOW_HOP_SECONDS)]
                    by_rate = calibrate(
                        [part], vote, wanted_per_night=wanted_per_night, highest=highest,
                        reachable=reachable,
                    )  # fmt: skip
                    by_margin = calibrate_max_margin(
                        [part], vote, highest=highest, reachable=reachable
                    )
                    for recipe, made in ((Recipe.RATE, by_rate), (Recipe.MAX_MARGIN, by_margin)):
                        found.setdefault(((n, m), length, recipe), []).append(trial.observe(made))
            advance(1)
    return [Cell(*key, tuple(outcomes)) for key, outcomes in found.items()]


def promises_record(
    cells: Sequence[Cell],
    homes: Sequence[Home],
    scorer: Scorer,
    unusable: Mapping[str, str],
    *,
    wanted_per_night: float,
    options: HomeOptions,
    seed: int,
    provenance: Mapping[str, Any],
) -> dict[str, Any]:
    """Return a run's results as plain values, for `promises.json`."""
    clips = {clip.id: clip for home in homes for part in home.parts for clip in part}
    beds = {clip.id: clip for home in homes for clip in home.bed}
    return {
        "kind": "promises",
        "clips": {
            "clips": len(clips),
            "groups": len({clip.group for clip in clips.values()}),
            "beds": len({clip.group for clip in beds.values()}),
            "unusable": len(unusable),
            "private": any(clip.private for clip in (*clips.values(), *beds.values())),
        },
        "student": {"name": scorer.name, "sha256": scorer.fingerprint},
        "wanted_per_night": wanted_per_night,
        "homes": asdict(options),
        "seed": seed,
        "intervals": {
            "level": LEVEL,
            "method": "percentile bootstrap over homes",
            "replicates": REPLICATES,
        },
        "cells": [cell.to_json(seed=seed) for cell in cells],
        "provenance": dict(provenance),
    }


class _Trial:
    """A home's nights under one vote, to observe any threshold."""

    def __init__(
        self,
        home: ScoredHome,
        vote: VoteSettings,
        nights: Mapping[Sounds, Scores],
        options: HomeOptions,
    ) -> None:
        self._levels = {sounds: alert_levels(night, vote) for sounds, night in nights.items()}
        on = on_levels(home.crying.scores, vote)
        self._caught = np.array([on[span].max() for span in home.crying.spans])
        self._nights = options.observed_hours / HOURS_PER_NIGHT

    def observe(self, made: RoomCalibration) -> Outcome:
        threshold = np.float32(made.vote.threshold)
        counts = {sounds: int(levels.counts(threshold)) for sounds, levels in self._levels.items()}
        expected = made.expected_per_night
        low, high = (expected.low, expected.high) if expected else (None, None)
        return Outcome(
            method=made.method,
            capped=made.capped,
            threshold=made.vote.threshold,
            # Max-margin has no target rate; its zero only describes its own recording.
            promised=expected.value if expected and made.wanted_per_night is not None else None,
            low=low,
            high=high,
            observed={sounds: count / self._nights for sounds, count in counts.items()},
            kept={sounds: self._is_kept(count, low, high) for sounds, count in counts.items()},
            caught=float((self._caught >= threshold).mean()),
        )

    def _is_kept(self, count: int, low: float | None, high: float | None) -> bool | None:
        if low is None or high is None:
            return None
        as_few = pdtr(count, low * self._nights)
        as_many = pdtrc(count - 1, high * self._nights) if count else 1.0
        return bool(min(as_few, as_many) >= (1 - LEVEL) / 2)


def _mean(values: Sequence[float], seed: int) -> dict[str, float | None]:
    homes = [str(number) for number in range(len(values))]
    return plain_estimate(mean_estimate(values, groups=homes, seed=seed))


def _share_kept(kept: Sequence[bool | None]) -> float | None:
    known: npt.NDArray[np.bool_] = np.array([one for one in kept if one is not None], dtype=bool)
    return plain(float(known.mean())) if len(known) else None


def _known(value: float | None) -> float | None:
    return None if value is None else plain(value)
