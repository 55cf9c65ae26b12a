"""Figures of an evaluation: inline SVG in the page's colours, or a picture file.

A figure for the page is drawn in placeholder colours, which are then replaced by CSS variables, so
that one SVG serves light mode, dark mode and print.
"""

import hashlib
import html
import io
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
import scipy.special
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from crydistill import atomic
from crydistill.audio.mel import (
    FRAMES_PER_SECOND,
    MEL_BANDS,
    MEL_MAX_HZ,
    MEL_MIN_HZ,
    hertz_to_mel,
)
from crydistill.audio.windows import WINDOW_FRAMES, window_start_seconds
from crydistill.evaluation.compare import Evaluation
from crydistill.metrics import ranking
from crydistill.metrics.ranking import ClipScore, Detections, Floats, Ranking
from crydistill.metrics.reliability import reliability
from crydistill.reports import lines

Axes = Any
"""matplotlib ships no types that a strict check could use."""

_HISTOGRAM_BINS = 40
_DET_TICKS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.4)
_DET_LIMITS = (0.0007, 0.6)
_MARKED_RATES = (0.001, 0.01)
_SPECTROGRAM_COLUMNS = 500
_SPECTROGRAM_LEVELS = 40
_SPECTROGRAM_TICKS_HZ = (250, 1_000, 4_000)


@dataclass(frozen=True)
class Palette:
    """Colours of a figure; `models` holds the teacher's and then the students'."""

    ink: str
    muted: str
    grid: str
    models: tuple[str, ...]

    def model(self, number: int) -> str:
        return self.models[lines.colour_number(number)]


PAPER = Palette(
    ink="#1b1f24",
    muted="#59636e",
    grid="#d8dee4",
    models=lines.COLOURS,
)
"""For picture files, on white."""

_ON_PAGE = Palette(
    ink="#010a01",
    muted="#020a02",
    grid="#030a03",
    models=("#040a00", "#040a01", "#040a02", "#040a03", "#040a04", "#040a05"),
)
"""Placeholders, each replaced by the CSS variable that `_VARIABLES` names."""

_VARIABLES = {
    _ON_PAGE.ink: "var(--ink)",
    _ON_PAGE.muted: "var(--muted)",
    _ON_PAGE.grid: "var(--grid)",
} | {colour: f"var(--model{number})" for number, colour in enumerate(_ON_PAGE.models)}


def curves_of(evaluation: Evaluation, how: ClipScore) -> dict[str, Detections]:
    """Detections of each model at every threshold."""
    labels = evaluation.clips.labels
    return {
        name: Ranking(labels=labels, scores=model.by_score[how].clip_scores).detections()
        for name, model in evaluation.models.items()
    }


def roc_svg(curves: Mapping[str, Detections]) -> str:
    """ROC curves over a logarithmic false-positive rate."""
    return _svg("ROC curves", lambda axes, palette: _draw_roc(axes, curves, palette))


def precision_recall_svg(curves: Mapping[str, Detections]) -> str:
    """Precision-recall curves, with the share of cries as chance level."""
    return _svg("Precision-recall curves", lambda axes, palette: _draw_pr(axes, curves, palette))


def det_svg(curves: Mapping[str, Detections]) -> str:
    """Miss rate over false-positive rate, both on a normal-deviate scale."""
    return _svg("DET curves", lambda axes, palette: _draw_det(axes, curves, palette))


def histogram_svg(
    scores: Floats,
    labels: npt.NDArray[np.bool_],
    *,
    model: int,
    threshold: float | None,
    top: float,
) -> str:
    """Histogram of one model's clip scores by class.

    model : the model's number, for its colour
    threshold : marked by a line
    top : end of the score axis, the same for all models
    """

    def draw(axes: Axes, palette: Palette) -> None:
        bins = np.linspace(0, top, _HISTOGRAM_BINS + 1)
        axes.hist(scores[labels], bins, color=palette.model(model), alpha=0.75, linewidth=0)
        axes.hist(scores[~labels], bins, histtype="step", color=palette.ink, linewidth=1)
        if threshold is not None:
            axes.axvline(threshold, color=palette.muted, linewidth=1, linestyle=(0, (3, 2)))
        axes.set(xlabel="clip score", ylabel="clips", yscale="log", xlim=(0, top))
        axes.set_ylim(bottom=0.7)
        _number_ticks(axes.yaxis)

    return _svg("Histogram of clip scores", draw, size=(4.2, 2.5))


def reliability_svg(
    scores: Floats, labels: npt.NDArray[np.bool_], *, model: int, threshold: float = 0.5
) -> str:
    """Reliability diagram: share of cries over the clip score; the diagonal is calibrated."""

    def draw(axes: Axes, palette: Palette) -> None:
        found = reliability(labels, scores)
        axes.plot([0, 1], [0, 1], color=palette.muted, linewidth=1, linestyle=(0, (3, 2)))
        axes.plot(found.score, found.cries, color=palette.model(model), marker="o", markersize=4)
        for x, y, clips in zip(found.score, found.cries, found.clips, strict=True):
            axes.annotate(
                f"{clips:,}", (x, y), xytext=(4, -9), textcoords="offset points",
                color=palette.muted, fontsize=7,
            )  # fmt: skip
        axes.axvline(threshold, color=palette.grid, linewidth=1, zorder=0)
        axes.set(xlabel="clip score", ylabel="share of cries", xlim=(0, 1), ylim=(-0.02, 1.02))

    return _svg("Reliability of clip scores", draw, size=(3.2, 2.8))


def epochs_svg(
    history: Sequence[Mapping[str, float]], columns: Sequence[str], *, log: bool = False
) -> str:
    """Columns of the training history over epochs; epochs without a value are skipped."""

    def draw(axes: Axes, palette: Palette) -> None:
        for number, column in enumerate(columns):
            rows = [row for row in history if column in row]
            axes.plot(
                [row["epoch"] for row in rows],
                [row[column] for row in rows],
                color=palette.model(number + 1),
                dashes=_dashes(number + 1),
                linewidth=1.5,
                marker="o" if len(rows) == 1 else None,
            )
        axes.set(xlabel="epoch", yscale="log" if log else "linear")
        axes.margins(x=0.02)
        _number_ticks(axes.yaxis)

    return _svg(f"{', '.join(columns)} over epochs", draw, size=(4.2, 2.5))


def mistake_svg(
    frames: npt.NDArray[Any], teacher: npt.ArrayLike, student: npt.ArrayLike, *, model: int
) -> str:
    """Spectrogram of a clip above the two tracks of window scores, on one time axis.

    frames : log-mel frames, `[n, 64]`
    teacher, student : cry score of each window, drawn at the window's middle
    model : the student's number, for its colour
    """
    with _style():
        figure = Figure(figsize=(3.4, 2.4), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        decorate(above, _ON_PAGE)
        decorate(below, _ON_PAGE)
        _draw_spectrogram(above, frames)
        middle = WINDOW_FRAMES / FRAMES_PER_SECOND / 2
        top = 1.0
        for number, track in ((0, teacher), (model, student)):
            scores = np.asarray(track, dtype=np.float64)
            top = max(top, float(scores.max(initial=0.0)))
            below.plot(
                window_start_seconds(len(scores)) + middle,
                scores,
                color=_ON_PAGE.model(number),
                dashes=_dashes(number),
                linewidth=1.5,
                marker="o",
                markersize=2.5,
            )
        below.set(xlabel="seconds", ylabel="score", ylim=(-0.03 * top, 1.05 * top))
        return _as_svg(figure, "Spectrogram and window scores")


def summary_figure(
    evaluation: Evaluation, path: str | Path, *, how: ClipScore = ClipScore.MEAN
) -> None:
    """Write a picture of the ROC and DET curves; `path` ends in .png or .svg."""
    path = Path(path)
    curves = curves_of(evaluation, how)
    with _style():
        figure = Figure(figsize=(9, 4.2), layout="constrained", facecolor="white")
        left, right = figure.subplots(1, 2)
        for axes, draw, title in ((left, _draw_roc, "ROC"), (right, _draw_det, "DET")):
            decorate(axes, PAPER)
            draw(axes, curves, PAPER)
            axes.set_title(title, loc="left", color=PAPER.ink, fontweight="bold")
        drawn = left.get_lines()[: len(curves)]
        labels = [_legend_label(evaluation, name, how) for name in curves]
        figure.legend(drawn, labels, loc="outside lower center", ncols=2, frameon=False)
        with atomic.replacing(path) as temporary:
            metadata = {"Date": None} if path.suffix == ".svg" else {}
            figure.savefig(temporary, dpi=160, metadata=metadata)


def decorate(axes: Axes, palette: Palette, *, size: int = 8) -> None:
    """Give axes the palette's colours, a grid, and ticks of that size in points."""
    axes.set_facecolor("none")
    axes.grid(True, color=palette.grid, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=palette.muted, labelsize=size, length=2.5, width=0.6)
    axes.xaxis.label.set_color(palette.ink)
    axes.yaxis.label.set_color(palette.ink)
    for side, spine in axes.spines.items():
        spine.set_visible(side in {"left", "bottom"})
        spine.set_color(palette.muted)
        spine.set_linewidth(0.6)


def _draw_roc(axes: Axes, curves: Mapping[str, Detections], palette: Palette) -> None:
    negatives = max(int(next(iter(curves.values())).negatives[0]), 1)
    left = min(0.5 / negatives, _MARKED_RATES[0] / 2)
    for number, detections in enumerate(curves.values()):
        rates, recalls = ranking.roc_curve(detections)
        _line(axes, np.maximum(rates, left), recalls, number, palette)
    for rate in _MARKED_RATES:
        axes.axvline(rate, color=palette.muted, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
    axes.set(xlabel="false-positive rate", ylabel="recall", xscale="log")
    axes.set(xlim=(left, 1), ylim=(0, 1.02))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(_percent))
    axes.yaxis.set_major_formatter(FuncFormatter(_percent))


def _draw_pr(axes: Axes, curves: Mapping[str, Detections], palette: Palette) -> None:
    for number, detections in enumerate(curves.values()):
        recalls, precisions = ranking.precision_recall_curve(detections)
        _line(axes, recalls, precisions, number, palette)
    clips = next(iter(curves.values()))
    share = float(clips.positives[0] / (clips.positives[0] + clips.negatives[0]))
    axes.axhline(share, color=palette.muted, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.02))
    axes.xaxis.set_major_formatter(FuncFormatter(_percent))
    axes.yaxis.set_major_formatter(FuncFormatter(_percent))


def _draw_det(axes: Axes, curves: Mapping[str, Detections], palette: Palette) -> None:
    # Rates of 0 and 1 have no finite deviate: clip them outside the figure's limits.
    nearly = _DET_LIMITS[0] / 2
    for number, detections in enumerate(curves.values()):
        rates, misses = (
            scipy.special.ndtri(np.clip(rate, nearly, 1 - nearly))
            for rate in ranking.det_curve(detections)
        )
        _line(axes, rates, misses, number, palette)
    limits = scipy.special.ndtri(_DET_LIMITS)
    axes.set(xlabel="false-positive rate", ylabel="miss rate", xlim=limits, ylim=limits)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(FixedLocator(scipy.special.ndtri(_DET_TICKS)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda x, _: _percent(scipy.special.ndtr(x))))


def _draw_spectrogram(axes: Axes, frames: npt.NDArray[Any]) -> None:
    seconds = len(frames) / FRAMES_PER_SECOND
    axes.imshow(
        _shrunk(np.asarray(frames, dtype=np.float64)).T,
        origin="lower",
        aspect="auto",
        interpolation="none",
        cmap=matplotlib.colormaps["magma"].resampled(_SPECTROGRAM_LEVELS),
        extent=(0, seconds, 0, MEL_BANDS),
    )
    low, high = hertz_to_mel(MEL_MIN_HZ), hertz_to_mel(MEL_MAX_HZ)
    bands = (hertz_to_mel(_SPECTROGRAM_TICKS_HZ) - low) / (high - low) * MEL_BANDS
    axes.set_yticks(bands, [f"{hertz / 1000:g}" for hertz in _SPECTROGRAM_TICKS_HZ])
    axes.set(ylabel="kHz")
    axes.grid(False)


def _shrunk(frames: Floats) -> Floats:
    """Average neighbouring frames to reduce them to a small picture's columns."""
    step = -(-len(frames) // _SPECTROGRAM_COLUMNS)
    if step <= 1:
        return frames
    starts = np.arange(0, len(frames), step)
    counts = np.diff(np.append(starts, len(frames)))
    return np.asarray(np.add.reduceat(frames, starts, axis=0) / counts[:, None])


def _line(axes: Axes, x: Floats, y: Floats, number: int, palette: Palette) -> None:
    # The teacher is drawn below the students, and wider so that it still shows.
    axes.plot(
        x,
        y,
        color=palette.model(number),
        dashes=_dashes(number),
        linewidth=2.6 if number == 0 else 1.5,
        alpha=0.6 if number == 0 else 1.0,
        zorder=2 + 0.01 * number,
    )


def _dashes(number: int) -> tuple[float, ...]:
    # Matplotlib counts in widths of the line, of which most are 1.5 points.
    return tuple(float(length) / 2 for length in lines.dashes(number).split())


def _number_ticks(axis: Any) -> None:
    """Label ticks with plain numbers: on a logarithmic axis, matplotlib writes powers of ten."""
    axis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:,g}" if value >= 1 else f"{value:.3g}")
    )
    axis.set_minor_formatter(NullFormatter())


def _percent(rate: float, position: int = 0) -> str:
    return f"{100 * rate:.3g}%"


def _legend_label(evaluation: Evaluation, name: str, how: ClipScore) -> str:
    auc = evaluation.models[name].by_score[how].metrics["roc_auc"]
    return f"{name}: ROC AUC {auc}"


def _svg(
    label: str, draw: Callable[[Axes, Palette], None], size: tuple[float, float] = (4.2, 3.6)
) -> str:
    with _style():
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        decorate(axes, _ON_PAGE)
        draw(axes, _ON_PAGE)
        return _as_svg(figure, label)


def _style() -> AbstractContextManager[None]:
    style: AbstractContextManager[None] = matplotlib.rc_context(
        {
            "font.family": "sans-serif",
            "font.size": 9,
            # Model names and clip ids come from data: a dollar sign in them starts no formula.
            "text.parse_math": False,
            "svg.fonttype": "none",
            # Makes the ids of clip paths deterministic.
            "svg.hashsalt": "crydistill",
        }
    )
    return style


def _as_svg(figure: Figure, label: str) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # Different figures use the same ids; within a page they must be unique.
    own = f"f{hashlib.sha256(svg.encode()).hexdigest()[:8]}-"
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{own}", re.sub(r'<g id="[^"]*"', "<g", svg))
    for placeholder, variable in _VARIABLES.items():
        svg = svg.replace(placeholder, variable)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{html.escape(label)}" ', 1)
