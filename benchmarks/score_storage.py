"""What score stores cost and what is lost by storing less: `scores.logits` and `scores.frames`.

    .venv/bin/python benchmarks/score_storage.py AUDIO YAMNET.H5 RECORD.json [--where split=dev]

The teacher's float32 logits are what each way of storing them is compared with. Counts only: the
result does not depend on the machine's speed.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, log_softmax

from crydistill.audio.files import read_audio
from crydistill.audio.mel import MEL_BANDS, log_mel
from crydistill.audio.windows import WINDOW_HOP_FRAMES
from crydistill.corpora.folder import read_corpus
from crydistill.distill.targets import against_rivals
from crydistill.errors import AudioError
from crydistill.metrics.records import plain, write_record
from crydistill.progress import shown
from crydistill.provenance import made_by
from crydistill.selection.teacher_filter import confident_windows
from crydistill.taxonomy import CLASSES, cry_indices, cry_score
from crydistill.teacher.base import Recording
from crydistill.teacher.load import load_teacher
from crydistill.teacher.reduced import Reduction

Logits = npt.NDArray[np.float32]

TOPS = (64, 16, 4)
RIVAL_FLOOR = 0.05
CLIPS_AT_ONCE = 64


def scored(audio: Path, where: dict[str, str], weights: Path) -> tuple[Logits, int, Any]:
    """Float32 logits of all windows `[n, 521]`, the number of clips, and the teacher."""
    teacher = load_teacher(weights)
    clips = read_corpus(audio, where=where, name=audio.name)
    rows, read = [], 0
    with shown("scoring", len(clips), "clips") as advance:
        for start in range(0, len(clips), CLIPS_AT_ONCE):
            recordings = []
            for clip in clips[start : start + CLIPS_AT_ONCE]:
                try:
                    samples = read_audio(clip.path).samples
                except AudioError:
                    continue
                recordings.append(Recording(clip.id, samples, log_mel(samples)))
            rows += teacher.logits(recordings)
            read += len(recordings)
            advance(len(recordings))
    return np.concatenate(rows), read, teacher


def decisions(cry: npt.NDArray[np.float32]) -> npt.NDArray[np.int8]:
    """How selection takes each window: 1 as a cry, -1 as none, 0 not at all."""
    found = confident_windows(cry)
    taken = np.zeros(len(cry), dtype=np.int8)
    taken[found.positive], taken[found.negative] = 1, -1
    return taken


def loss(reference: Logits, stored: Logits) -> dict[str, float | int | None]:
    """How cry scores, targets and selected windows differ."""
    cries = list(cry_indices())
    scores = [expit(logits) for logits in (reference, stored)]
    cry = [cry_score(each[:, cries]) for each in scores]
    rival = [
        against_rivals(c, logits, RIVAL_FLOOR)
        for c, logits in zip(cry, (reference, stored), strict=True)
    ]
    exact, found = (log_softmax(logits, axis=1) for logits in (reference, stored))
    return {
        "cry_score_max_difference": plain(float(np.abs(cry[0] - cry[1]).max())),
        "cry_target_max_difference": plain(float(np.abs(rival[0] - rival[1]).max())),
        "class_targets_mean_difference": plain(float(np.abs(scores[0] - scores[1]).mean())),
        "class_targets_max_difference": plain(float(np.abs(scores[0] - scores[1]).max())),
        "softmax_kl": plain(float((np.exp(exact) * (exact - found)).sum(axis=1).mean())),
        "windows_selected_otherwise": int((decisions(cry[0]) != decisions(cry[1])).sum()),
    }


def main() -> None:
    """Measure and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("audio", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("record", type=Path)
    parser.add_argument("--where", default="split=dev")
    options = parser.parse_args()
    column, _, value = options.where.partition("=")
    reference, clips, teacher = scored(options.audio, {column: value}, options.weights)
    kept = [{"logits": "all", "bytes": 2 * CLASSES}]
    kept[0] |= loss(reference, reference.astype(np.float16).astype(np.float32))
    for top in TOPS:
        reduction = Reduction(top)
        stored = reduction.dense(reduction.reduced(reference)).astype(np.float32)
        kept.append({"logits": top, "bytes": 2 * reduction.width} | loss(reference, stored))
    record = {
        "clips": clips,
        "windows": len(reference),
        "audio": f"{options.audio.name} ({options.where.replace('=', ' ')})",
        "frames_bytes": 2 * MEL_BANDS * WINDOW_HOP_FRAMES,
        "kept": kept,
        "provenance": made_by(
            teacher={"name": teacher.name, "fingerprint": teacher.fingerprint},
            rival_floor=RIVAL_FLOOR,
        ),
    }
    write_record(options.record, record)


if __name__ == "__main__":
    main()
