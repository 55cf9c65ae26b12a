"""What networks catch at which rate of false alarms, as curves in SVG.

Both the night view and the picture of a night show them. Ink and grid are the page's colours, or
those for a white background in a stand-alone picture.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from crydistill.nights.alarms import DetCurve
from crydistill.nights.judge import ModelResult, NightResult
from crydistill.reports.lines import css_colour, dashes
from crydistill.reports.page import escaped
from crydistill.roles import Role

INK, MUTED, GRID = "var(--ink, #1b1f24)", "var(--muted, #59636e)", "var(--grid, #d8dee4)"

_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
_TICKS = {0.125: "1 in 8 h", 0.25: "1 in 4 h", 1.0: "1", 10.0: "10"}


@dataclass(frozen=True)
class Frame:
    """Where the curves are drawn, in pixels, and the false alarms per hour that they span.

    Lower rates are drawn at the left edge; what is beyond the right edge is not drawn.
    """

    left: float
    right: float
    top: float
    bottom: float
    least: float = 0.1
    most: float = 20.0
    ticks: Mapping[float, str] = field(default_factory=lambda: _TICKS)

    def across(self, per_hour: float) -> float:
        """Position of a rate of false alarms, on a logarithmic scale."""
        kept = min(max(per_hour, self.least), self.most)
        part = math.log(kept / self.least) / math.log(self.most / self.least)
        return self.left + part * (self.right - self.left)

    def up(self, share: float) -> float:
        """Position of a share of the episodes."""
        return self.bottom - share * (self.bottom - self.top)


def shown_curve(model: ModelResult) -> DetCurve:
    """The curve of the (N, M) pair that is shown, or of the first one evaluated."""
    shown = model.vote(model.shown.n, model.shown.m) or model.votes[0]
    return shown.curve


def lines_of(result: NightResult) -> range:
    """Which line each network has: the students those of a run's report, teacher or not."""
    first = list(Role).index(result.models[0].scorer.role)
    return range(first, first + len(result.models))


def drawn_curves(result: NightResult, frame: Frame) -> Iterator[str]:
    """Share of the episodes caught over false alarms per hour, each network at its shown vote."""
    yield from _grid(frame)
    for line, model in zip(lines_of(result), result.models, strict=True):
        yield from _steps(model, frame, line)


def text(
    x: float,
    y: float,
    words: str,
    *,
    ink: str = INK,
    anchor: str = "start",
    bold: bool = False,
    size: int = 13,
) -> str:
    """A line of text."""
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{ink}" text-anchor="{anchor}" '
        f'font-size="{size}"{weight}>{escaped(words)}</text>'
    )


def _grid(frame: Frame) -> Iterator[str]:
    for share in _SHARES:
        y = frame.up(share)
        yield f'<path d="M{frame.left} {y:.1f}H{frame.right}" stroke="{GRID}"/>'
        yield text(frame.left - 8, y + 4, f"{share:.0%}", ink=MUTED, anchor="end")
    for rate, name in frame.ticks.items():
        x = frame.across(rate)
        yield f'<path d="M{x:.1f} {frame.top}V{frame.bottom}" stroke="{GRID}"/>'
        yield text(x, frame.bottom + 18, name, ink=MUTED, anchor="middle")
    middle = (frame.left + frame.right) / 2
    yield text(middle, frame.bottom + 38, "false alarms per hour", ink=MUTED, anchor="middle")


def _steps(model: ModelResult, frame: Frame, line: int) -> Iterator[str]:
    """A curve as steps, since there are no thresholds between its points."""
    curve = shown_curve(model)
    points = [
        (frame.across(per_hour), frame.up(1 - missed))
        for per_hour, missed in zip(curve.per_hour, curve.missed, strict=True)
        if math.isfinite(missed) and per_hour <= frame.most
    ]
    if points:
        steps = "".join(f"H{x:.1f}V{y:.1f}" for x, y in points)
        yield (
            f'<path d="M{frame.left} {points[0][1]:.1f}{steps}H{frame.right}" fill="none" '
            f'stroke-width="2.2" stroke="{css_colour(line)}" '
            f'stroke-dasharray="{dashes(line)}"><title>{escaped(model.name)}</title></path>'
        )
