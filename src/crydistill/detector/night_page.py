"""A night as an HTML page, by the local clock: figures, a bar for each hour, the episodes."""

import html
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from importlib.resources import files
from string import Template

from crydistill.detector.night import Episode, Night, NightSummary
from crydistill.detector.night_hours import NightHours
from crydistill.style_sheet import style_sheet

_HEARD_SECONDS = 30
"""A minute of which more was heard is drawn as heard."""

_ROW = timedelta(hours=1)
_NONE = "–"

_Span = tuple[datetime, datetime]


def night_page(night: Night, hours: NightHours) -> str:
    """The page of a night, over or not."""
    summary = night.summary(hours)
    template = files("crydistill.detector").joinpath("night_page.html").read_text(encoding="utf-8")
    quiet = '<span><i class="still"></i>quietest hour</span>' if summary.quietest else ""
    return Template(template).substitute(
        style=style_sheet(),
        title=html.escape(_title(summary)),
        facts=html.escape(_facts(summary, reported=night.reported)),
        figures="".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in
                        _figures(summary)),
        described=html.escape(_described(summary)),
        hours="".join(_rows(night, hours, summary.quietest)),
        quiet_legend=quiet,
        episodes=_episodes(night, hours),
    )  # fmt: skip


def _title(summary: NightSummary) -> str:
    begin, end = summary.begin, summary.end
    if begin.date() == end.date():
        return f"{begin:%A}, {begin.day} {begin:%B %Y}"
    first = f"{begin.day}" if begin.month == end.month else f"{begin.day} {begin:%B}"
    return f"Night of {first} to {end.day} {end:%B %Y}"


def _facts(summary: NightSummary, *, reported: bool) -> str:
    parts = [
        f"{summary.begin:%H:%M} to {summary.end:%H:%M}, {summary.begin:%Z}",
        f"listened to for {_length(60 * summary.listened)}",
    ]
    return "; ".join(parts) + ("" if reported else "; the night is not over, or was not told")


def _figures(summary: NightSummary) -> Iterator[tuple[str, str]]:
    quiet = summary.quietest
    yield "Episodes", str(summary.episodes)
    yield "Crying", _length(60 * summary.crying)
    yield "First began", _clock(summary.first)
    yield "Last ended", _clock(summary.last)
    yield "Quietest hour", _NONE if quiet is None else f"{quiet:%H:%M}–{quiet + _ROW:%H:%M}"


def _described(summary: NightSummary) -> str:
    if not summary.episodes:
        return "no episodes"
    plural = "" if summary.episodes == 1 else "s"
    return (
        f"{summary.episodes} episode{plural}, {_length(60 * summary.crying)} of crying, the first "
        f"from {_clock(summary.first)}, the last until {_clock(summary.last)}"
    )


def _rows(night: Night, hours: NightHours, quietest: datetime | None) -> Iterator[str]:
    start = night.begin
    while start < night.end:
        spans = [*_spans("heard", _heard(night), start), *_spans("cry", _crying(night), start)]
        if quietest is not None:
            spans += _spans("still", [(quietest, quietest + _ROW)], start)
        bars = "".join(spans)
        yield f'<div class="hour"><b>{hours.local(start):%H:%M}</b><div>{bars}</div></div>\n'
        start += _ROW


def _heard(night: Night) -> Iterator[_Span]:
    """Stretches of minutes that were heard."""
    begin: int | None = None
    for minute, seconds in enumerate([*night.heard, 0.0]):
        if seconds >= _HEARD_SECONDS:
            begin = minute if begin is None else begin
        elif begin is not None:
            start, end = (night.begin + timedelta(minutes=each) for each in (begin, minute))
            yield start, end
            begin = None


def _crying(night: Night) -> list[_Span]:
    return [(episode.begin, episode.end) for episode in night.episodes]


def _spans(kind: str, spans: Iterable[_Span], start: datetime) -> list[str]:
    """The parts of some stretches that lie in the row that begins at `start`."""
    found = []
    for begin, end in spans:
        left, right = max(begin, start), min(end, start + _ROW)
        if left < right:
            at, width = 100 * ((left - start) / _ROW), 100 * ((right - left) / _ROW)
            found.append(f'<i class="{kind}" style="left:{at:.2f}%;width:{width:.2f}%"></i>')
    return found


def _episodes(night: Night, hours: NightHours) -> str:
    if not night.episodes:
        return "<p>None.</p>"
    rows = "".join(_episode(episode, hours) for episode in night.episodes)
    columns = "<th>ended</th><th>length</th><th>highest score</th>"
    head = f'<tr class="section"><th scope="row">began</th>{columns}</tr>'
    return f'<div class="scroll"><table>{head}{rows}</table></div>'


def _episode(episode: Episode, hours: NightHours) -> str:
    begin, end = (hours.local(at) for at in (episode.begin, episode.end))
    return (
        f'<tr><th scope="row">{begin:%H:%M:%S}</th><td>{end:%H:%M:%S}</td>'
        f"<td>{_length(episode.seconds)}</td><td>{episode.score:.2f}</td></tr>"
    )


def _clock(moment: datetime | None) -> str:
    return _NONE if moment is None else f"{moment:%H:%M}"


def _length(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
