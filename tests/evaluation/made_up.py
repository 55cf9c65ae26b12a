"""Made-up clips and models for the tests of evaluation and report."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crydistill.corpora.clip import Clip, Label
from crydistill.evaluation.clips import EvaluatedClips, ModelScores
from crydistill.evaluation.compare import METRICS
from crydistill.metrics.ranking import ClipScore

Floats = npt.NDArray[np.float64]


def clip(number: int, *, cry: bool, group: str | None = None, **more: object) -> Clip:
    label = Label.CRY if cry else Label.NONCRY
    return Clip(
        id=f"clip {number}",
        path=Path(f"{number}.wav"),
        label=label,
        group=group or f"group {number}",
        **more,  # type: ignore[arg-type]
    )


def nursery_clips(cries: int = 20, others: int = 60) -> EvaluatedClips:
    """Cries, every other one at 8 kHz; cats that are mixed among the fans; two sources."""
    return EvaluatedClips.from_clips(
        [
            clip(
                number,
                cry=number < cries,
                group=f"{number < cries} {number // 2}",
                category="baby" if number < cries else ("cat" if number % 4 == 0 else "fan"),
                source="home" if number % 3 else "street",
                native_rate=8_000 if number % 2 else 44_100,
            )
            for number in range(cries + others)
        ]
    )


def model(name: str, clips: EvaluatedClips, score: Callable[[bool, int], Floats]) -> ModelScores:
    """Make a model whose window scores are a function of a clip's label and number."""
    return ModelScores(
        name, [score(bool(label), number) for number, label in enumerate(clips.labels)]
    )


def noisy_model(name: str, clips: EvaluatedClips, *, noise: float, seed: int = 0) -> ModelScores:
    """Make a model that scores cries around 0.7 and the rest around 0.3, eight windows a clip.

    Models of one seed make the same mistakes, and the more so the less noise.
    """
    rng = np.random.default_rng(seed)

    def score(cry: bool, number: int) -> Floats:
        middle = (0.7 if cry else 0.3) + noise * rng.normal()
        return np.clip(middle + 0.1 * rng.normal(size=8), 0, 1)

    return model(name, clips, score)


def run_metrics(
    auc: float, *, private: bool = False, scores: Sequence[str] = tuple(ClipScore)
) -> dict[str, Any]:
    """Contents of a run's `metrics.json`; every metric of the student is `auc`."""

    def judged(value: float) -> dict[str, Any]:
        estimate = {"value": value, "low": value - 0.1, "high": value + 0.1}
        return {"metrics": dict.fromkeys(METRICS, estimate), "slices": [], "source_auc": {}}

    def model(value: float, agreement: Any) -> dict[str, Any]:
        return {"clip_scores": {how: judged(value) for how in scores}, "agreement": agreement}

    agreement = {
        "kl": {"value": 1.5, "low": None, "high": None},
        "frame_correlation_cries": {"value": 0.8, "low": 0.7, "high": 0.9},
    }
    return {
        "clips": {"clips": 10, "cries": 4, "groups": 6, "private": private},
        "intervals": {"method": "bootstrap", "replicates": 100, "seed": 0},
        "models": {"teacher": model(0.99, None), "student INT8": model(auc, agreement)},
        "provenance": {
            "student": {"size_bytes": 95312},
            "arena_bytes": 43168,
            "teacher": {"name": "yamnet"},
            "git_commit": "0123456789abcdef",
        },
    }
