"""A night as one picture: what each network caught, missed and mistook, and its trade-off.

A stand-alone SVG on white, for documents; the night view is the page to look into.
"""

import math
from collections.abc import Iterator
from pathlib import Path

from crydistill import atomic
from crydistill.nights.judge import ModelResult, NightResult
from crydistill.reports.lines import css_colour, dashes
from crydistill.reports.night_curves import GRID, MUTED, Frame, drawn_curves, lines_of, text
from crydistill.reports.page import escaped

_WIDTH, _LEFT, _RIGHT = 900, 24, 24
_TOP, _ROW, _BAR = 80, 58, 16
_CURVES_HEIGHT, _CURVES_LEFT, _LEGEND_WIDTH = 300, 64, 250
_LEAST_BAR = 1.6
"""Width of the shortest episode, which lasts for seconds of a night of hours."""

_CAUGHT, _MISSED, _FALSE = "#0072b2", "#d55e00", "#1b1f24"


def write_picture(path: str | Path, result: NightResult) -> None:
    """Write the picture of the nights: the first as a strip for each network, the curves of all."""
    strips = _TOP + _ROW * len(result.models) + 30
    height = strips + _CURVES_HEIGHT
    body = "".join([*_heading(result), *_strips(result), *_curves(result, strips)])
    atomic.write_text(
        path,
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="{escaped(_summary(result))}" font-family="system-ui, sans-serif" '
        f'font-size="13"><rect width="{_WIDTH}" height="{height}" fill="white"/>{body}</svg>\n',
    )


def _summary(result: NightResult) -> str:
    """The picture in words, for those who cannot see it."""
    told = (f"{model.name} {_counts(result, model)}" for model in result.models)
    return f"A night of {result.first.seconds / 3600:.1f} hours: {'; '.join(told)}"


def _counts(result: NightResult, model: ModelResult) -> str:
    heard = model.nights[0]
    caught, episodes = sum(heard.caught), len(result.first.episodes)
    alarms = len(heard.false_alarms)
    return f"{caught} of {episodes} caught, {alarms} false alarm{'' if alarms == 1 else 's'}"


def _heading(result: NightResult) -> Iterator[str]:
    night = result.first
    first = f", the first of {len(result.nights)}" if len(result.nights) > 1 else ""
    yield text(
        _LEFT, 22, f"One night of {night.seconds / 3600:.1f} hours{first}", bold=True, size=14
    )
    yield text(_LEFT, 38, night.title, ink=MUTED, size=11)
    x = _LEFT
    for fill, what in ((_CAUGHT, "crying caught"), (_MISSED, "crying missed")):
        yield f'<rect x="{x}" y="49" width="10" height="10" fill="{fill}"/>'
        yield text(x + 15, 59, what, ink=MUTED)
        x += 120
    yield _triangle(x + 5, 59)
    yield text(x + 15, 59, "false alarm", ink=MUTED)


def _strips(result: NightResult) -> Iterator[str]:
    """One strip of time for each network, and a scale below them."""
    seconds = result.first.seconds
    scale = (_WIDTH - _LEFT - _RIGHT) / seconds
    for number, model in enumerate(result.models):
        top = _TOP + _ROW * number
        heard = model.nights[0]
        yield text(_LEFT, top + 14, model.name, bold=True)
        told = f"{_counts(result, model)} ({model.shown_because})"
        yield text(_WIDTH - _RIGHT, top + 14, told, ink=MUTED, anchor="end")
        bar = top + 30
        yield (
            f'<rect x="{_LEFT}" y="{bar}" width="{seconds * scale:.0f}" height="{_BAR}" '
            f'fill="{GRID}" fill-opacity="0.5"/>'
        )
        for episode, caught in zip(result.first.episodes, heard.caught, strict=True):
            width = max(_LEAST_BAR, (episode.end - episode.start) * scale)
            yield (
                f'<rect x="{_LEFT + episode.start * scale:.1f}" y="{bar}" width="{width:.1f}" '
                f'height="{_BAR}" fill="{_CAUGHT if caught else _MISSED}"/>'
            )
        for false in heard.false_alarms:
            yield _triangle(_LEFT + false.alert.raised_at * scale, bar)
    bottom = _TOP + _ROW * len(result.models)
    for hour in range(math.floor(seconds / 3600) + 1):
        yield text(_LEFT + hour * 3600 * scale, bottom + 8, f"{hour} h", ink=MUTED, size=11)


def _curves(result: NightResult, top: int) -> Iterator[str]:
    """The curves of all nights, with a legend beside them."""
    frame = Frame(
        left=_CURVES_LEFT,
        right=_WIDTH - _RIGHT - _LEGEND_WIDTH,
        top=top + 34,
        bottom=top + _CURVES_HEIGHT - 46,
    )
    hours = sum(night.seconds for night in result.nights) / 3600
    title = f"Episodes caught, at thresholds chosen in hindsight, {hours:.0f} h"
    yield text(_LEFT, top + 16, title, bold=True)
    yield from drawn_curves(result, frame)
    for number, (line, model) in enumerate(zip(lines_of(result), result.models, strict=True)):
        y = frame.top + 12 + 44 * number
        left = frame.right + 18
        yield (
            f'<path d="M{left} {y - 4}h34" stroke="{css_colour(line)}" stroke-width="3" '
            f'stroke-dasharray="{dashes(line)}"/>'
        )
        yield text(left + 42, y, model.name)
        vote = f"{model.shown.n} of {model.shown.m} windows"
        yield text(left + 42, y + 16, vote, ink=MUTED, size=11)


def _triangle(x: float, bottom: float) -> str:
    return f'<path d="M{x:.1f} {bottom}l-5 -9h10z" fill="{_FALSE}"/>'
