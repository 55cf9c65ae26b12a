"""The report of a run: one self-contained HTML file, for screen and print.

All text from data (names, ids, categories, provenance) is escaped where it enters the page:
`escaped` for words, `page.row` for cells. Figures hold no text from data but column names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crydistill import atomic
from crydistill.corpora.clip import Label
from crydistill.evaluation.compare import METRICS, Evaluation, ScoreEvaluation
from crydistill.evaluation.slices import Slice
from crydistill.metrics.enough import MIN_GROUPS, TOO_LITTLE
from crydistill.metrics.intervals import LEVEL, SIGNED, UNDEFINED, Estimate
from crydistill.metrics.ranking import FPR_BOUND, STRICT_FPR_BOUND, ClipScore
from crydistill.reports import figures, lines, page
from crydistill.reports.page import escaped
from crydistill.reports.summary import Section, summary_rows
from crydistill.student.manifest import TrainingData

_HEADLINE = ("recall_at_fpr_1pct", "recall_at_fpr_0.1pct", "roc_auc", "average_precision")
_AT_VALIDATED_THRESHOLD = ("f1_at_validation", "recall_at_validation", "fpr_at_validation")
_CATEGORIES_SHOWN = 12
_BANDS = {"wide": "wide band", "narrow": "narrow band (recorded at 8 kHz or less)"}


@dataclass(frozen=True, eq=False)
class WorstMistake:
    """A clip that a student gets badly wrong, with the data to show it.

    score : the student's clip score
    frames : log-mel frames, `[n, 64]`
    teacher, student : cry score of each window, `[windows]`
    model : the student's name in the evaluation
    """

    clip_id: str
    label: Label
    score: float
    frames: npt.NDArray[Any]
    teacher: npt.NDArray[Any]
    student: npt.NDArray[Any]
    model: str


def write_report(
    path: str | Path,
    *,
    title: str,
    evaluation: Evaluation,
    history: Sequence[Mapping[str, float]] = (),
    provenance: Mapping[str, Any] | None = None,
    worst: Sequence[WorstMistake] = (),
    limits: Sequence[str] = (),
    training: TrainingData | None = None,
    night: str | None = None,
    how: ClipScore = ClipScore.MEAN,
) -> None:
    """Write the report of an evaluation.

    Of clips too few to compare models on (`metrics.enough`) it shows only what is there to see:
    scores and mistakes, but no rates.

    Parameters
    ----------
    path : the HTML file
    history : one dict per epoch with "epoch", "learning_rate", "loss" and columns "val_...", as
        `distill.history.read_history` returns; epochs may lack columns
    provenance : what made the model: versions, commit, seeds, config; may be nested
    worst : mistakes to show, worst first (`compare.worst_mistakes` finds them)
    training : what the student was trained on
    night : URL of the page about continuous audio, relative to this one
    limits : sentences about the limits of these clips, in addition to those of every report
    how : clip score of the headline, figures and slices; the full table has every one
    """
    enough = not evaluation.too_little
    sections = [
        _headline(evaluation, title, how, training),
        page.link_to_listen(path),
        _headline_table(evaluation, how) if enough else "",
        _night(night),
        _curves(evaluation, how) if enough else "",
        _histograms(evaluation, how),
        _reliability(evaluation, how) if enough else "",
        slices(evaluation, how) if enough else "",
        _mistakes(evaluation, worst),
        _training(history),
        _all_metrics(evaluation) if enough else "",
        _limits(evaluation, limits),
        page.provenance(provenance or {}),
    ]
    body = "\n".join(filter(None, sections))
    atomic.write_text(path, page.fill("run_page.html", title=escaped(title), body=body))


def _headline(
    evaluation: Evaluation, title: str, how: ClipScore, training: TrainingData | None
) -> str:
    clips = evaluation.clips
    facts = (
        f"{len(clips):,} clips, {evaluation.cries:,} of them cries, from "
        f"{evaluation.cry_groups + evaluation.other_groups:,} groups of recordings. A clip's score "
        f"is the {how.words}."
    )
    if not evaluation.too_little:
        facts += (
            f" FPR: share of the non-cries detected. In brackets: {LEVEL:.0%} confidence intervals."
        )
    private = page.PRIVATE if clips.private else ""
    if evaluation.too_little:
        answers = [f"<b>{TOO_LITTLE.capitalize()}</b>: {escaped(evaluation.too_little)}."]
    else:
        answers = [_answer(evaluation, name, how) for name in evaluation.students]
    return (
        f'<header><h1>{escaped(title)}</h1>{_trained_on(training)}<p class="facts">{facts}</p>'
        f"{private}{page.answers(answers)}</header>"
    )


def _trained_on(training: TrainingData | None) -> str:
    if training is None:
        return ""
    licences = ", ".join(f"{name} ({count:,})" for name, count in training.licences.items())
    said = [f"Trained on {training.summary}. Licences, by clips: {licences}."]
    if training.all_undeclared:
        where = ", ".join(f"{name} ({n:,})" for name, n in training.all_undeclared.items())
        said.append(
            f"Nobody has declared licence and privacy of some of these clips: {where}. The student "
            "cannot be published until somebody has."
        )
    return "".join(f'<p class="facts">{escaped(line)}</p>' for line in said)


def _night(address: str | None) -> str:
    if address is None:
        return ""
    return (
        f'<p><a href="{escaped(address)}">The same clips as one long night</a>: scores, votes and '
        "alerts on a timeline, false alarms per hour, episodes caught.</p>"
    )


def _answer(evaluation: Evaluation, student: str, how: ClipScore) -> str:
    """Summarize the table in two sentences: what is found, and which model is the better one."""
    judged = evaluation.models[student].by_score[how]
    recall, teacher = (
        evaluation.models[name].by_score[how].metrics["recall_at_fpr_1pct"].value
        for name in (student, evaluation.reference)
    )
    return (
        f"<b>{escaped(student)}</b> finds <b>{recall:.1%}</b> of the cries at an FPR of "
        f"{FPR_BOUND:.0%}, {escaped(evaluation.reference)} {teacher:.1%}. "
        f"{_verdict(judged.differences['roc_auc'], evaluation.reference)}"
    )


def _verdict(difference: Estimate, reference: str) -> str:
    number = f"(difference in ROC AUC: {difference.text(SIGNED)})"
    if np.isnan(difference.low) or difference.low <= 0 <= difference.high:
        return (
            "Which of the two tells cries from other sounds better cannot be said from these clips "
            f"{number}."
        )
    word = "better" if difference.value > 0 else "worse"
    return (
        f"It tells cries from other sounds {word} than {escaped(reference)}, and most likely would "
        f"on other recordings of these kinds too {number}."
    )


def _headline_table(evaluation: Evaluation, how: ClipScore) -> str:
    models = list(evaluation.models.values())
    judged = [model.by_score[how] for model in models]
    validated = any("validation" in each.thresholds for each in judged)
    rows = [
        (METRICS[key], [str(each.metrics[key]) for each in judged])
        for key in (*_HEADLINE, *(_AT_VALIDATED_THRESHOLD if validated else ["best_f1"]))
    ]
    correlations = [
        str(m.agreement.correlation_cries if m.agreement else UNDEFINED) for m in models
    ]
    rows.append((f"Frame correlation with {evaluation.reference}, cries", correlations))
    loudest = [model.by_score[ClipScore.TOP4] for model in models]
    beside = [(METRICS[key], [str(each.metrics[key]) for each in loudest]) for key in _HEADLINE]
    sections = [Section("", rows), Section(f"By the {ClipScore.TOP4.words}", beside)]
    return _table(list(evaluation.models), sections)


def _curves(evaluation: Evaluation, how: ClipScore) -> str:
    curves = figures.curves_of(evaluation, how)
    plots = (
        _figure(figures.roc_svg(curves), "<b>ROC</b>, dotted: FPR 0.1 % and 1 %"),
        _figure(figures.precision_recall_svg(curves), "<b>Precision–recall</b>, dotted: chance"),
        _figure(figures.det_svg(curves), "<b>DET</b>, normal-deviate axes"),
    )
    legend = _legend(evaluation, list(evaluation.models))
    return f'<h2>Curves</h2>{legend}<div class="row">{"".join(plots)}</div>'


def _histograms(evaluation: Evaluation, how: ClipScore) -> str:
    judged = {name: model.by_score[how] for name, model in evaluation.models.items()}
    top = max(1.0, *(float(each.clip_scores.max()) for each in judged.values()))
    plots = []
    for number, (name, each) in enumerate(judged.items()):
        threshold = each.thresholds.get("validation")
        svg = figures.histogram_svg(
            each.clip_scores, evaluation.clips.labels, model=number, threshold=threshold, top=top
        )
        mark = "" if threshold is None else f", dashed: validation threshold {threshold:.3g}"
        plots.append(_figure(svg, f"<b>{escaped(name)}</b>{mark}"))
    return (
        '<h2>Scores</h2><p class="note">Filled: cries. Line: non-cries. The axis of clip counts '
        f'is logarithmic.</p><div class="row">{"".join(plots)}</div>'
    )


def _reliability(evaluation: Evaluation, how: ClipScore) -> str:
    plots = [
        _figure(
            figures.reliability_svg(
                model.by_score[how].clip_scores, evaluation.clips.labels, model=number
            ),
            f"<b>{escaped(name)}</b>, calibration error "
            f"{escaped(str(model.by_score[how].metrics['calibration_error']))}",
        )
        for number, (name, model) in enumerate(evaluation.models.items())
    ]
    return (
        '<h2>Calibration</h2><p class="note">Reliability diagram: share of cries among clips of '
        "similar score, with the number of clips; on the dashed line, scores are calibrated "
        "probabilities. The share depends on how common cries are in these clips.</p>"
        f'<div class="row">{"".join(plots)}</div>'
    )


def slices(evaluation: Evaluation, how: ClipScore) -> str:
    """The section on bandwidths, categories and sources, in HTML."""
    judged = [model.by_score[how] for model in evaluation.models.values()]
    # Categories are in the first student's order, those with most false alarms first.
    leader = judged[min(1, len(judged) - 1)]
    categories = sum(part.kind == "category" for part in leader.slices)
    shown = min(_CATEGORIES_SHOWN, categories)
    sections = []
    for heading, kind, label in (
        ("Recall by bandwidth", "band", Label.CRY),
        (f"FPR by category, worst {shown} of {categories}", "category", Label.NONCRY),
        ("Recall by source", "source", Label.CRY),
        ("FPR by source", "source", Label.NONCRY),
    ):
        parts = [part for part in leader.slices if (part.kind, part.label) == (kind, label)]
        rows = [_slice_row(part, judged) for part in parts[: shown if kind == "category" else None]]
        sections.append(Section(heading, rows))
    auc = [
        (name, [*_size(evaluation, name), *(str(each.source_auc[name]) for each in judged)])
        for name in leader.source_auc
    ]
    sections.append(Section("ROC AUC within a source", auc))
    table = _table(["clips", "groups", *evaluation.models], sections)
    return (
        '<h2>Where it fails</h2><p class="note">Recall and FPR at each model\'s own threshold of '
        f"FPR {FPR_BOUND:.0%} over all clips.</p>{table}"
    )


def _slice_row(part: Slice, judged: Sequence[ScoreEvaluation]) -> tuple[str, list[str]]:
    key = (part.kind, part.name, part.label)
    same = [
        next(other for other in each.slices if (other.kind, other.name, other.label) == key)
        for each in judged
    ]
    title = _BANDS[part.name] if part.kind == "band" else part.name or "(none given)"
    detected = [_detected(each) for each in same]
    return title, [f"{part.clips:,}", f"{part.groups:,}", *detected]


def _detected(part: Slice) -> str:
    """A slice's rate, or only the count of its clips where they are too few for a rate."""
    if part.groups >= MIN_GROUPS or np.isnan(part.detected.value):
        return str(part.detected)
    return f"{round(part.detected.value * part.clips)} of {part.clips}"


def _size(evaluation: Evaluation, source: str) -> list[str]:
    """Number of clips and of groups of a source."""
    clips = evaluation.clips
    groups = [g for g, s in zip(clips.groups, clips.sources, strict=True) if s == source]
    return [f"{len(groups):,}", f"{len(set(groups)):,}"]


def _mistakes(evaluation: Evaluation, worst: Sequence[WorstMistake]) -> str:
    parts = []
    for label, heading in (
        (Label.NONCRY, "Non-cries scored highest"),
        (Label.CRY, "Cries scored lowest"),
    ):
        plots = [_mistake(evaluation, mistake) for mistake in worst if mistake.label is label]
        if plots:
            parts.append(f'<h3>{heading}</h3><div class="row small">{"".join(plots)}</div>')
    if not parts:
        return ""
    names = [evaluation.reference, *dict.fromkeys(mistake.model for mistake in worst)]
    note = '<p class="note">Log-mel spectrogram; below it the score of each window.</p>'
    return f"<h2>Worst mistakes</h2>{note}{_legend(evaluation, names)}{''.join(parts)}"


def _mistake(evaluation: Evaluation, mistake: WorstMistake) -> str:
    number = list(evaluation.models).index(mistake.model)
    svg = figures.mistake_svg(mistake.frames, mistake.teacher, mistake.student, model=number)
    clip = evaluation.clips.ids.index(mistake.clip_id)
    kind = evaluation.clips.categories[clip] or evaluation.clips.sources[clip]
    caption = f"<b>{mistake.score:.3f} {escaped(kind)}</b><br>{escaped(mistake.clip_id)}"
    return _figure(svg, caption)


def _training(history: Sequence[Mapping[str, float]]) -> str:
    columns = list(dict.fromkeys(name for row in history for name in row))
    losses = [name for name in columns if name.endswith("loss")]
    validated = [name for name in columns if name.startswith("val_") and name not in losses]
    rates = [name for name in columns if name == "learning_rate"]
    plots = [
        _figure(figures.epochs_svg(history, names, log=names is rates), _columns_legend(names))
        for names in (losses, validated, rates)
        if names
    ]
    return f'<h2>Training</h2><div class="row">{"".join(plots)}</div>' if plots else ""


def _columns_legend(columns: Sequence[str]) -> str:
    return _swatches([(number, name) for number, name in enumerate(columns, start=1)])


def _all_metrics(evaluation: Evaluation) -> str:
    table = _table(list(evaluation.models), summary_rows(evaluation))
    note = (
        "FPR is the share of non-cries that are detected. Validation threshold: chosen on "
        "validation clips. Hindsight threshold: the one with the best F1 on these same clips. "
        f"Δ: paired difference, model minus {evaluation.reference}."
    )
    return f'<h2>All metrics</h2><p class="note">{escaped(note)}</p>{table}'


def _limits(evaluation: Evaluation, more: Sequence[str]) -> str:
    general = [
        "Labels apply to whole clips; most of a cry clip may be something else.",
        "A share of clips is not a rate over time: false alarms per hour need continuous audio and "
        "the detector's vote.",
    ]
    sentences = [] if evaluation.too_little else _limits_of_rates(evaluation)
    items = "".join(f"<li>{escaped(sentence)}</li>" for sentence in [*sentences, *general, *more])
    return f"<h2>Limits</h2><ul>{items}</ul>"


def _limits_of_rates(evaluation: Evaluation) -> list[str]:
    negatives = len(evaluation.clips) - evaluation.cries
    return [
        f"The {LEVEL:.0%} intervals come from {evaluation.replicates:,} bootstrap resamples (seed "
        f"{evaluation.seed}) of {evaluation.cry_groups:,} groups of recordings with cries and "
        f"{evaluation.other_groups:,} without, each drawn whole. They show how much the numbers "
        "would vary with other recordings of these kinds, but not with other rooms, microphones or "
        "training seeds, nor the effect of wrong labels.",
        "A number without brackets is not exact: it has no interval because it comes from a single "
        "group, or hardly any resample changes it, or many leave it undefined.",
        f"There are {negatives:,} non-cries: FPR 1 % allows {_allowed(negatives, FPR_BOUND)} of "
        f"them, FPR 0.1 % {_allowed(negatives, STRICT_FPR_BOUND)}. "
        "Recall at these rates depends on those few clips.",
        f"Counts such as 2 of 7 stand where clips of fewer than {MIN_GROUPS} groups are too few "
        "for a rate.",
    ]


def _allowed(negatives: int, bound: float) -> int:
    """Largest number of false positives within a bound on their rate, compared as in metrics."""
    return sum(count / negatives <= bound for count in range(1, negatives + 1))


def _legend(evaluation: Evaluation, names: Sequence[str]) -> str:
    models = list(evaluation.models)
    return _swatches([(models.index(name), name) for name in names])


def _swatches(named: Sequence[tuple[int, str]]) -> str:
    items = "".join(f"<span>{lines.swatch(line)}{escaped(name)}</span>" for line, name in named)
    return f'<div class="legend">{items}</div>'


def _figure(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption>{caption}</figcaption></figure>"


def _table(columns: Sequence[str], sections: Sequence[Section]) -> str:
    """One table of all sections, each with a heading row; empty ones are left out."""
    rows = []
    for section in sections:
        if section.rows:
            rows.append(page.heading_row([section.heading, *columns]))
            rows += [page.row(["", *columns], [title, *cells]) for title, cells in section.rows]
    return page.table(rows)
