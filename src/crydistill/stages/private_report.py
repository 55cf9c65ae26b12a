"""Compare teacher and student on private captures; never for training, never published."""

from pathlib import Path

from crydistill.boundary import require_outside_work_tree
from crydistill.corpora.captures import hold_out, read_captures
from crydistill.evaluation.pooled import student_scores
from crydistill.evaluation.private_report import CapturesReport, ScoredCaptures, captures_report
from crydistill.evaluation.scorers import student_networks
from crydistill.progress import Progress, silent
from crydistill.selection.pool import window_pool
from crydistill.teacher.load import load_teacher
from crydistill.teacher.scores import ScoreStore
from crydistill.teacher.scoring import score_corpus, unscored


def report_captures(
    folder: Path | None,
    model: Path,
    teacher: Path,
    private: Path,
    *,
    tiers: Path | None = None,
    progress: Progress = silent,
) -> CapturesReport:
    """Score the captures with teacher and student and compare.

    Parameters
    ----------
    folder : the recordings
    model : a run directory or a `.tflite`
    teacher : weights; should be those the student was distilled from
    private : directory for the captures' score store, outside any work tree

    Raises
    ------
    CorpusError
        if the folder is missing, or `private` is in a work tree.
    """
    require_outside_work_tree(private, "the scores of private captures")
    (int8,) = student_networks(model, fp32=False)
    captures = read_captures(folder, tiers=tiers)
    _, held = hold_out(captures)
    held_ids = {clip.id for clip in held}
    network = load_teacher(teacher)
    store = private / f"captures-{network.fingerprint[:8]}"
    failures = []
    if waiting := unscored(captures.clips, store):
        failures = list(score_corpus(waiting, network, store, progress=progress).failures)
    pool = window_pool([(ScoreStore(store), captures.clips)])
    student = student_scores(pool, int8, what="captures", progress=progress)
    scored = ScoredCaptures(
        ids=[clip.id for clip in pool.clips],
        tiers=[captures.tier.get(clip.id) for clip in pool.clips],
        hours=[captures.hour(clip) for clip in pool.clips],
        held_out=[clip.id in held_ids for clip in pool.clips],
        teacher=pool.per_clip(pool.cry_scores),
        student=student.windows,
        kl=student.kl,
    )
    unreadable = {**captures.unreadable, **{f.clip_id: f.reason for f in failures}}
    return captures_report(scored, unreadable=unreadable)
