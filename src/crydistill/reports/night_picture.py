"""A night as one picture: what each network caught, missed and mistook, and its trade-off.

A stand-alone SVG on white, for documents; the night view is the page to look into.
"""

import math
from collections.abc import Iterator
from pathlib import Path

from crydistill import atomic
from crydistill.nights.judge import ModelResult, NightResult
from crydistill.reports.night_page import COLOURS, shown_curve
from crydistill.reports.page import escaped

_WIDTH, _LEFT, _RIGHT = 900, 24, 24
_TOP, _ROW, _BAR = 80, 58, 16
_CURVES_HEIGHT, _CURVES_LEFT, _LEGEND_WIDTH = 300, 64, 250
_LEAST_PER_HOUR, _MOST_PER_HOUR = 0.1, 20.0
_TICKS = {0.125: "1 in 8 h", 0.25: "1 in 4 h", 1.0: "1", 10.0: "10"}
_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
_LEAST_BAR = 1.6
"""Width of the shortest episode, which lasts for seconds of a night of hours."""

_INK, _MUTED, _GRID = "#1b1f24", "#59636e", "#d8dee4"
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
    yield _text(
        _LEFT, 22, f"One night of {night.seconds / 3600:.1f} hours{first}", bold=True, size=14
    )
    yield _text(_LEFT, 38, night.title, colour=_MUTED, size=11)
    x = _LEFT
    for colour, what in ((_CAUGHT, "crying caught"), (_MISSED, "crying missed")):
        yield f'<rect x="{x}" y="49" width="10" height="10" fill="{colour}"/>'
        yield _text(x + 15, 59, what, colour=_MUTED)
        x += 120
    yield _triangle(x + 5, 59)
    yield _text(x + 15, 59, "false alarm", colour=_MUTED)


def _strips(result: NightResult) -> Iterator[str]:
    """One strip of time for each network, and a scale below them."""
    seconds = result.first.seconds
    scale = (_WIDTH - _LEFT - _RIGHT) / seconds
    for number, model in enumerate(result.models):
        top = _TOP + _ROW * number
        heard = model.nights[0]
        yield _text(_LEFT, top + 14, model.name, bold=True)
        told = f"{_counts(result, model)} ({model.shown_because})"
        yield _text(_WIDTH - _RIGHT, top + 14, told, colour=_MUTED, anchor="end")
        bar = top + 30
        yield (
            f'<rect x="{_LEFT}" y="{bar}" width="{seconds * scale:.0f}" height="{_BAR}" '
            f'fill="{_GRID}" fill-opacity="0.5"/>'
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
        yield _text(_LEFT + hour * 3600 * scale, bottom + 8, f"{hour} h", colour=_MUTED, size=11)


def _curves(result: NightResult, top: int) -> Iterator[str]:
    """Share of the episodes caught over false alarms per hour, each network at its own vote."""
    high, low = top + 34, top + _CURVES_HEIGHT - 46
    right = _WIDTH - _RIGHT - _LEGEND_WIDTH
    reach = math.log(_MOST_PER_HOUR / _LEAST_PER_HOUR)

    def across(per_hour: float) -> float:
        kept = min(max(per_hour, _LEAST_PER_HOUR), _MOST_PER_HOUR)
        return _CURVES_LEFT + math.log(kept / _LEAST_PER_HOUR) / reach * (right - _CURVES_LEFT)

    def up(share: float) -> float:
        return low - share * (low - high)

    hours = sum(night.seconds for night in result.nights) / 3600
    yield _text(
        _LEFT, top + 16, f"Episodes caught, at thresholds chosen in hindsight, {hours:.0f} h",
        bold=True,
    )  # fmt: skip
    for share in _SHARES:
        yield f'<path d="M{_CURVES_LEFT} {up(share):.1f}H{right}" stroke="{_GRID}"/>'
        yield _text(_CURVES_LEFT - 8, up(share) + 4, f"{share:.0%}", colour=_MUTED, anchor="end")
    for rate, name in _TICKS.items():
        yield f'<path d="M{across(rate):.1f} {high}V{low}" stroke="{_GRID}"/>'
        yield _text(across(rate), low + 18, name, colour=_MUTED, anchor="middle")
    yield _text(
        (_CURVES_LEFT + right) / 2, low + 38, "false alarms per hour", colour=_MUTED,
        anchor="middle",
    )  # fmt: skip
    for number, model in enumerate(result.models):
        colour = COLOURS[number % len(COLOURS)]
        curve = shown_curve(model)
        points = [
            (across(per_hour), up(1 - missed))
            for per_hour, missed in zip(curve.per_hour, curve.missed, strict=True)
            if math.isfinite(missed) and per_hour <= _MOST_PER_HOUR
        ]
        steps = "".join(f"H{x:.1f}V{y:.1f}" for x, y in points)
        start = points[0][1] if points else low
        yield (
            f'<path d="M{_CURVES_LEFT} {start:.1f}{steps}H{right}" fill="none" stroke="{colour}" '
            'stroke-width="2.2"/>'
        )
        y = high + 12 + 44 * number
        yield f'<path d="M{right + 18} {y - 4}h22" stroke="{colour}" stroke-width="3"/>'
        yield _text(right + 46, y, model.name)
        vote = f"{model.shown.n} of {model.shown.m} windows"
        yield _text(right + 46, y + 16, vote, colour=_MUTED, size=11)


def _triangle(x: float, bottom: float) -> str:
    return f'<path d="M{x:.1f} {bottom}l-5 -9h10z" fill="{_FALSE}"/>'


def _text(
    x: float,
    y: float,
    text: str,
    *,
    colour: str = _INK,
    anchor: str = "start",
    bold: bool = False,
    size: int = 13,
) -> str:
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}" '
        f'font-size="{size}"{weight}>{escaped(text)}</text>'
    )
