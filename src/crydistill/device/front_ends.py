"""Compare the C library's integer front end with its float one, by detection performance.

Both are built for the host and process the same clips; the same int8 student scores their output. A
clip's score is the mean over its windows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crydistill.audio.files import read_audio
from crydistill.audio.mel import MEL_BANDS
from crydistill.audio.windows import window_count, windows
from crydistill.corpora.clip import Clip, Label
from crydistill.device.c_tables import PCM_FULL_SCALE
from crydistill.device.export import export_c
from crydistill.device.tools import require, run, run_raw
from crydistill.errors import AudioError, CorpusError
from crydistill.metrics.intervals import REPLICATES, GroupBootstrap, Weights
from crydistill.metrics.ranking import Floats, Ranking, roc_auc
from crydistill.metrics.records import (
    Record,
    commit_text,
    estimate_text,
    markdown_table,
    number_text,
    plain,
    plain_estimate,
)
from crydistill.progress import Progress, silent
from crydistill.student.manifest import StudentManifest
from crydistill.student.runtime import TfliteStudent
from crydistill.tflite.interpreters import Int8, dequantize

RESULT_NAME = "front_ends.json"

FLOATS, INTEGERS = "floats", "integers"
_SETTINGS = {FLOATS: "FIXED=", INTEGERS: "FIXED=1"}

FrontEnd = Callable[[npt.NDArray[np.int16]], Int8]
"""Function from PCM to log-mel frames, quantized for the network's int8 input, `[n, 64]`."""


@dataclass(frozen=True)
class FrontEndScores:
    """Clips with the student's scores for either front end.

    scores : score of each clip, `[clips]`, by front end
    windows : number of windows
    values : number of int8 values in all frames
    other_values : number of values that differ between the front ends
    largest_step : largest difference, in quantization steps
    unreadable : reason for each skipped clip, by id
    """

    clips: tuple[Clip, ...]
    scores: dict[str, Floats]
    windows: int
    values: int
    other_values: int
    largest_step: int
    unreadable: dict[str, str]


def build_front_ends(
    tflite: bytes, manifest: StudentManifest, firmware: str | Path, build: Path
) -> dict[str, FrontEnd]:
    """Compile both front ends for the host.

    Parameters
    ----------
    firmware : the project's `firmware/` folder
    build : build directory, needed as long as the front ends are used

    Raises
    ------
    ConfigError
        if `make`, the compiler or the sources are missing, or compiling fails.
    """
    require("make", "cc")
    export_c(tflite, manifest, build / "model")
    made = {}
    for name, setting in _SETTINGS.items():
        folder = build / name
        settings = (f"MODEL={build / 'model'}", f"BUILD={folder}", setting)
        run("make", "-C", str(Path(firmware).resolve()), *settings, "all")
        made[name] = _front_end(folder / "host")
    return made


def score_front_ends(
    clips: Sequence[Clip],
    student: TfliteStudent,
    front_ends: dict[str, FrontEnd],
    *,
    progress: Progress = silent,
) -> FrontEndScores:
    """Score clips with either front end.

    Parameters
    ----------
    clips : unlabelled ones are skipped

    Raises
    ------
    CorpusError
        if there are no clips with a cry, or none without.
    """
    labelled = [clip for clip in clips if clip.label is not Label.UNLABELLED]
    if len({clip.label for clip in labelled}) < 2:
        raise CorpusError("comparing needs clips labelled cry and clips labelled noncry")
    scored: list[Clip] = []
    unreadable: dict[str, str] = {}
    scores: dict[str, list[float]] = {name: [] for name in front_ends}
    count, values, other, largest = 0, 0, 0, 0
    with progress("listening", len(labelled), "clips") as advance:
        for clip in labelled:
            advance(1)
            try:
                pcm = _pcm(clip.path)
            except AudioError as error:
                unreadable[clip.id] = str(error)
                continue
            frames = {name: front_end(pcm) for name, front_end in front_ends.items()}
            scored.append(clip)
            for name, steps in frames.items():
                scores[name].append(_clip_score(student, steps))
            apart = np.abs(frames[INTEGERS].astype(np.int16) - frames[FLOATS])
            count += window_count(len(apart))
            values, other = values + apart.size, other + int((apart > 0).sum())
            largest = max(largest, int(apart.max()))
    found = {name: np.array(column) for name, column in scores.items()}
    return FrontEndScores(tuple(scored), found, count, values, other, largest, unreadable)


def front_ends_record(
    scored: FrontEndScores,
    manifest: StudentManifest,
    *,
    provenance: Record,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[str, Any]:
    """Record of the AUC with either front end and their difference, with confidence intervals."""
    labels = [clip.is_cry for clip in scored.clips]
    rankings = [Ranking(labels=labels, scores=scored.scores[name]) for name in (FLOATS, INTEGERS)]

    def areas(weights: Weights) -> Floats:
        columns = [roc_auc(ranking.detections(weights)) for ranking in rankings]
        return np.stack(columns, axis=-1)

    groups = [clip.group for clip in scored.clips]
    bootstrap = GroupBootstrap(groups=groups, labels=labels, replicates=replicates, seed=seed)
    floats, integers = bootstrap.run(areas)
    return {
        "clips": {
            "clips": len(labels),
            "cries": sum(labels),
            "groups": len(set(groups)),
            "unreadable": len(scored.unreadable),
            "private": any(clip.private for clip in scored.clips),
        },
        "windows": scored.windows,
        "roc_auc": {
            FLOATS: plain_estimate(floats.estimate()),
            INTEGERS: plain_estimate(integers.estimate()),
            "difference": plain_estimate((integers - floats).estimate()),
        },
        "other_values": plain(scored.other_values / scored.values),
        "largest_step": scored.largest_step,
        "student": {"name": manifest.name, "sha256": manifest.tflite.sha256},
        "provenance": dict(provenance),
    }


def markdown(record: Record) -> str:
    """Format the record as a Markdown table."""
    auc, clips, student = record["roc_auc"], record["clips"], record["student"]
    rows = [
        ["in floats", estimate_text(auc[FLOATS], "{:.5f}")],
        ["in integers", estimate_text(auc[INTEGERS], "{:.5f}")],
        ["difference", estimate_text(auc["difference"], "{:+.5f}")],
    ]
    share = number_text(100 * record["other_values"], "{:.3f} %")
    return (
        f"{markdown_table(('front end', 'clip ROC AUC'), rows)}\n\n"
        f"{clips['clips']:,} clips, {clips['cries']:,} cries, {clips['groups']:,} groups, "
        f"{record['windows']:,} windows; 95 % intervals by drawing groups. {share} of the int8 "
        f"values are another step, by at most {record['largest_step']}. Student "
        f"{student['name']}, sha256 {student['sha256'][:10]}; commit "
        f"{commit_text(record['provenance'])}."
    )


def _front_end(program: Path) -> FrontEnd:
    source = program.with_suffix(".pcm")

    def frames(pcm: npt.NDArray[np.int16]) -> Int8:
        source.write_bytes(pcm.tobytes())
        printed = run_raw(str(program), "steps", str(source), "0")
        return np.frombuffer(printed, dtype=np.int8).reshape(-1, MEL_BANDS)

    return frames


def _clip_score(student: TfliteStudent, frames: Int8) -> float:
    port = student.facts.input
    # Dequantized to log-mel, which the student quantizes back to exactly the same steps.
    patches = windows(dequantize(frames, port.scale, port.zero_point))
    return float(student.cry_scores(patches).mean())


def _pcm(path: Path) -> npt.NDArray[np.int16]:
    """Convert a recording to 16-bit PCM, as an ADC would deliver it."""
    steps = np.rint(read_audio(path).samples * np.float32(PCM_FULL_SCALE))
    clipped = np.clip(steps, -PCM_FULL_SCALE, PCM_FULL_SCALE - 1)
    return np.asarray(clipped, dtype=np.int16)
