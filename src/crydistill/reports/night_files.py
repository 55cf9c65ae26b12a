"""Write a night's record, plan, page and picture, and its results into the manifests' presets."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crydistill.detector.vote import DEFAULT_HOLD_SECONDS
from crydistill.metrics.intervals import REPLICATES
from crydistill.metrics.records import write_record
from crydistill.nights.hearing import ScoredNight
from crydistill.nights.judge import DEFAULT_VOTES, NightResult, evaluate_nights
from crydistill.nights.night import ClipNight, Night
from crydistill.nights.operating import annotated_preset, with_presets
from crydistill.nights.streams import write_plan
from crydistill.progress import Progress, silent
from crydistill.provenance import made_by
from crydistill.reports.night_page import write_night_view
from crydistill.reports.night_picture import write_picture
from crydistill.roles import Role
from crydistill.student.manifest import ThresholdPreset, load_manifest, save_manifest
from crydistill.tflite.interpreters import Kernels


def record_nights(
    nights: Sequence[Night],
    scored: Sequence[Sequence[ScoredNight]],
    path: str | Path,
    *,
    plan: str | Path,
    page: str | Path,
    kernels: Kernels,
    votes: Sequence[tuple[int, int]] = DEFAULT_VOTES,
    hold_seconds: float = DEFAULT_HOLD_SECONDS,
    replicates: int = REPLICATES,
    seed: int = 0,
    progress: Progress = silent,
) -> tuple[NightResult, dict[str, Any]]:
    """Evaluate nights and write the results.

    Parameters
    ----------
    nights, scored : as for `evaluate_nights`
    path, plan, page : files for the results (JSON), the plan of the clips (CSV, only for a
        `ClipNight`; of several nights all but the first have their seed in the name) and the night
        view (HTML); with episodes, its picture (SVG) lies beside it
    kernels : that the students were run with

    Returns
    -------
    the result, and the record that was written.

    Raises
    ------
    ConfigError, AudioError
        as `evaluate_nights` and `write_night_view`.
    """
    result = evaluate_nights(
        nights, scored, votes=votes, hold_seconds=hold_seconds, replicates=replicates, seed=seed,
        progress=progress,
    )  # fmt: skip
    provenance = made_by(
        kernels=kernels.value, seed=seed, hold_seconds=hold_seconds, replicates=replicates
    )
    record = {**result.to_json(), "provenance": provenance}
    write_record(path, record)
    first = Path(plan)
    for number, night in enumerate(nights):
        if isinstance(night, ClipNight):
            name = f"{first.stem}-seed{night.seed}{first.suffix}" if number else first.name
            write_plan(night.plan, first.with_name(name))
    write_night_view(page, result, record, progress=progress)
    if result.first.episodes:
        write_picture(Path(page).with_suffix(".svg"), result)
    return result, record


def annotate_presets(result: NightResult) -> dict[Path, dict[str, ThresholdPreset]]:
    """Write the presets' results into the manifests of the INT8 students.

    Returns
    -------
    the presets as written, by manifest.

    Raises
    ------
    ModelError
        if a manifest can no longer be read.
    """
    annotated = {}
    groups = len({episode.group for night in result.nights for episode in night.episodes})
    for model in result.models:
        path = model.scorer.manifest_path
        if model.scorer.role is not Role.INT8 or path is None:
            continue
        manifest = load_manifest(path)
        annotated[path] = {
            name: annotated_preset(
                figures,
                audio=result.first.source,
                groups=groups,
                caution=manifest.presets[name].caution if name in manifest.presets else None,
            )
            for name, figures in model.presets.items()
        }
        save_manifest(path, with_presets(manifest, annotated[path]))
    return annotated
