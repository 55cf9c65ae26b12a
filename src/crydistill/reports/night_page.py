"""The night view: one HTML file with the timeline of scores, votes, alerts and truth of a night.

Of several nights it shows the first; the tables and curves are of all.

The file is self-contained. All text from data (ids, categories, names) is escaped where it enters
the page: `escaped` in the tables, `_json` in the data, which the script only ever writes as text.
Audio around alerts is included if, and only if, it is public.
"""

import base64
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from crydistill import atomic
from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.audio.windows import WINDOW_HOP_SECONDS
from crydistill.detector.vote import WINDOW_SECONDS, Alert, Scores, Track
from crydistill.nights.alarms import DetCurve, Episode
from crydistill.nights.judge import ModelResult, NightResult
from crydistill.nights.night import Night
from crydistill.progress import Progress, silent
from crydistill.reports import page
from crydistill.reports.night_tables import Sheet, facts, sheets
from crydistill.reports.page import escaped

SNIPPETS = 40
"""Audio snippets in the page per network, false alarms first; about 20 KB each."""

SNIPPET_SECONDS = 10.0
_LEAD_SECONDS = 1.5
_MP3_COMPRESSION = 0.9
_SCORE_STEPS = 65_535

_PLOT_WIDTH, _PLOT_HEIGHT = 520, 340
_PLOT_LEFT, _PLOT_RIGHT, _PLOT_TOP, _PLOT_BOTTOM = 52, 12, 12, 44
_LEAST_PER_HOUR, _MOST_PER_HOUR = 0.05, 500.0
_PER_HOUR_TICKS = {_LEAST_PER_HOUR: "0", 0.125: "1 per night", 1: "1", 10: "10", 100: "100"}
COLOURS = ("#59636e", "#0072b2", "#d55e00", "#009e73", "#aa4499", "#b8860b")
"""Of the networks in a stand-alone picture; the page has its own for light and dark mode."""

Stretch = tuple[float, float]
"""Start and end in seconds."""


def write_night_view(
    path: str | Path,
    result: NightResult,
    record: Mapping[str, Any],
    *,
    progress: Progress = silent,
) -> None:
    """Write the page of a night.

    Parameters
    ----------
    record : the night's JSON (`NightResult.to_json`), provenance included

    Raises
    ------
    AudioError
        if the audio cannot be read any more.
    """
    stretches = list(_snippet_stretches(result))
    snippets = _snippets(result.first, stretches, progress)
    filled = page.fill(
        "night_page.html",
        title=escaped(result.first.title),
        private=page.PRIVATE if result.private else "",
        facts="".join(f'<p class="facts">{escaped(line)}</p>' for line in facts(record))
        + page.link_to_listen(path),
        tables="".join(_sheet(sheet) for sheet in sheets(record)),
        det=_det_section(result),
        provenance=_provenance(record),
        data=_json(_data(result, snippets)),
    )
    atomic.write_text(path, filled)


def det_svg(result: NightResult) -> str:
    """DET curves: missed episodes over false alarms per hour, each network at its shown (N, M).

    Uses the page's colours, or those for a white background in a stand-alone picture.
    """
    curves = [(model.name, shown_curve(model)) for model in result.models]
    body = "".join(_curve(number, name, curve) for number, (name, curve) in enumerate(curves))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_PLOT_WIDTH} {_PLOT_HEIGHT}" '
        'role="img" aria-label="DET curves" font-family="system-ui, sans-serif" font-size="12">'
        f"{_axes()}{body}</svg>"
    )


@dataclass(frozen=True)
class _ListEntry:
    """An entry of the page's lists: an alert from its onset, or a missed episode.

    raised : when the alert was raised
    """

    start: float
    raised: float
    end: float
    what: str
    clip: str
    score: float


def _snippet_stretches(result: NightResult) -> Iterator[Stretch]:
    for model in result.models:
        heard = model.nights[0]
        starts = [false.alert.onset for false in heard.false_alarms]
        # Misses are as informative as false alarms, and come before true alerts.
        starts += [episode.start for episode in heard.missed]
        starts += [alert.onset for alert in heard.true_alerts]
        for start in starts[:SNIPPETS]:
            yield _stretch(start)


def _stretch(onset: float) -> Stretch:
    start = max(0.0, round(onset - _LEAD_SECONDS, 2))
    return start, start + SNIPPET_SECONDS


def _snippets(night: Night, stretches: Sequence[Stretch], progress: Progress) -> dict[Stretch, str]:
    """Audio of the public stretches, as data URLs."""
    wanted = list(dict.fromkeys(stretches))
    found = {}
    with progress("audio around alerts", len(wanted), "pieces") as advance:
        for stretch, samples in zip(wanted, night.excerpts(wanted), strict=True):
            if samples is not None and len(samples):
                found[stretch] = _mp3(samples)
            advance(1)
    return found


def _mp3(samples: Samples) -> str:
    buffer = io.BytesIO()
    soundfile.write(
        buffer,
        samples,
        SAMPLE_RATE,
        format="MP3",
        subtype="MPEG_LAYER_III",
        compression_level=_MP3_COMPRESSION,
    )
    return f"data:audio/mpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _data(result: NightResult, snippets: Mapping[Stretch, str]) -> dict[str, Any]:
    night = result.first
    audio = list(snippets.values())
    number = {stretch: index for index, stretch in enumerate(snippets)}
    pairs = zip(night.episodes, night.episode_snr_db, strict=False)
    level = {episode: f"{snr:.0f} dB over the background" for episode, snr in pairs}
    return {
        "hop": WINDOW_HOP_SECONDS,
        "window": WINDOW_SECONDS,
        "seconds": night.seconds,
        "labelled": night.labelled,
        "soundings": [
            [round(s.start, 2), round(s.end, 2), s.what, s.clip, s.details, int(s.cry)]
            for s in night.sound_events
        ],
        "episodes": [[round(e.start, 2), round(e.end, 2), e.group] for e in night.episodes],
        "models": [_model(model, number, level) for model in result.models],
        "audio": audio,
    }


def _model(
    model: ModelResult, snippet: Mapping[Stretch, int], level: Mapping[Episode, str]
) -> dict[str, Any]:
    heard, shown = model.nights[0], model.shown
    scores = heard.scores
    top = max(1.0, float(np.nanmax(scores)))
    false = [
        _of_alert(false.alert, scores, what=false.what, clip=false.clip)
        for false in heard.false_alarms
    ]
    true = [_of_alert(alert, scores) for alert in heard.true_alerts]
    missed = [
        _ListEntry(e.start, e.start, e.end, level.get(e, ""), e.group, _peak(scores, e))
        for e in heard.missed
    ]
    return {
        "name": model.name,
        "because": model.shown_because,
        "threshold": shown.threshold,
        "votes": f"{shown.n} of {shown.m}",
        "top": top,
        "scores": _packed(scores, top),
        "voting": _runs(scores >= np.float32(shown.threshold)),
        "false": [_listed(one, snippet) for one in false],
        "true": [_listed(one, snippet) for one in true],
        "missed": [_listed(one, snippet) for one in missed],
    }


def _of_alert(alert: Alert, scores: Scores, *, what: str = "", clip: str = "") -> _ListEntry:
    end = len(scores) * WINDOW_HOP_SECONDS if alert.ended_at is None else alert.ended_at
    peak = float(np.nanmax(scores[alert.onset_window : alert.end_window]))
    return _ListEntry(alert.onset, alert.raised_at, end, what, clip, peak)


def _listed(one: _ListEntry, snippet: Mapping[Stretch, int]) -> list[Any]:
    audio = snippet.get(_stretch(one.start), -1)
    times = [round(time, 2) for time in (one.start, one.end, one.raised)]
    return [*times[:2], one.what, one.clip, round(one.score, 4), audio, times[2]]


def _peak(scores: Scores, episode: Episode) -> float:
    first = max(0, math.ceil((episode.start - WINDOW_SECONDS) / WINDOW_HOP_SECONDS))
    part = scores[first : math.floor(episode.end / WINDOW_HOP_SECONDS) + 1]
    return float(np.nanmax(part)) if len(part) else 0.0


def _packed(scores: Scores, top: float) -> str:
    """The scores as 16-bit steps, little-endian, in base64."""
    steps = np.rint(np.nan_to_num(scores) * (_SCORE_STEPS / top)).astype("<u2")
    return base64.b64encode(steps.tobytes()).decode()


def _runs(track: Track) -> list[list[int]]:
    """Start (inclusive) and end (exclusive) of each run of true values."""
    change = np.diff(track.astype(np.int8), prepend=0, append=0)
    starts, ends = np.flatnonzero(change == 1), np.flatnonzero(change == -1)
    return [[int(a), int(b)] for a, b in zip(starts, ends, strict=True)]


def shown_curve(model: ModelResult) -> DetCurve:
    """The curve of the (N, M) pair that is shown, or of the first one evaluated."""
    shown = model.vote(model.shown.n, model.shown.m) or model.votes[0]
    return shown.curve


def _det_section(result: NightResult) -> str:
    if not result.first.episodes:
        return ""
    legend = "".join(
        f'<span><i style="background: var(--model{number % len(COLOURS)})"></i>'
        f"{escaped(model.name)}</span>"
        for number, model in enumerate(result.models)
    )
    return (
        "<h2>Trade-off</h2>"
        '<p class="note">DET curve: missed episodes against false alarms per hour, over all '
        "thresholds, each chosen in hindsight on this audio.</p>"
        f'<div class="legend">{legend}</div><figure>{det_svg(result)}</figure>'
    )


def _axes() -> str:
    ink, grid = "var(--muted, #59636e)", "var(--grid, #d8dee4)"
    bottom, right = _PLOT_HEIGHT - _PLOT_BOTTOM, _PLOT_WIDTH - _PLOT_RIGHT
    parts = []
    for tick, name in _PER_HOUR_TICKS.items():
        x = _x(tick)
        parts.append(f'<path d="M{x:.1f} {_PLOT_TOP}V{bottom}" stroke="{grid}"/>')
        parts.append(
            f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle" fill="{ink}">{name}</text>'
        )
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = _y(share)
        parts.append(f'<path d="M{_PLOT_LEFT} {y:.1f}H{right}" stroke="{grid}"/>')
        parts.append(
            f'<text x="{_PLOT_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" fill="{ink}">'
            f"{share:.0%}</text>"
        )
    middle = (_PLOT_LEFT + right) / 2
    parts.append(
        f'<text x="{middle:.0f}" y="{_PLOT_HEIGHT - 8}" text-anchor="middle" fill="{ink}">'
        "false alarms per hour</text>"
        f'<text transform="translate(12 {(_PLOT_TOP + bottom) / 2:.0f}) rotate(-90)" '
        f'text-anchor="middle" fill="{ink}">episodes missed</text>'
    )
    return "".join(parts)


def _curve(number: int, name: str, curve: DetCurve) -> str:
    """A curve as steps, since there are no thresholds between its points."""
    points = [
        (_x(per_hour), _y(missed))
        for per_hour, missed in zip(curve.per_hour, curve.missed, strict=True)
        if math.isfinite(missed)
    ]
    if not points:
        return ""
    path = f"M{_PLOT_LEFT} {points[0][1]:.1f}" + "".join(f"H{x:.1f}V{y:.1f}" for x, y in points)
    index = number % len(COLOURS)
    return (
        f'<path d="{path}H{_PLOT_WIDTH - _PLOT_RIGHT}" fill="none" stroke-width="2" '
        f'stroke="var(--model{index}, {COLOURS[index]})"><title>{escaped(name)}</title></path>'
    )


def _x(per_hour: float) -> float:
    low, high = math.log(_LEAST_PER_HOUR), math.log(_MOST_PER_HOUR)
    value = math.log(min(max(per_hour, _LEAST_PER_HOUR), _MOST_PER_HOUR))
    return _PLOT_LEFT + (value - low) / (high - low) * (_PLOT_WIDTH - _PLOT_LEFT - _PLOT_RIGHT)


def _y(share: float) -> float:
    return _PLOT_TOP + (1 - share) * (_PLOT_HEIGHT - _PLOT_TOP - _PLOT_BOTTOM)


def _sheet(sheet: Sheet) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        words = sheet.text_columns
        return "".join(
            f"<{tag}{' class=text' if number < words else ''}>{page.cell(cell)}</{tag}>"
            for number, cell in enumerate(cells)
        )

    rows = "".join(f"<tr>{row(cells, 'td')}</tr>" for cells in sheet.rows)
    return (
        f'<h2>{escaped(sheet.title)}</h2><div class="scroll"><table><thead>'
        f"<tr>{row(sheet.columns, 'th')}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _provenance(record: Mapping[str, Any]) -> str:
    text = json.dumps(record.get("provenance", {}), ensure_ascii=False, indent=1)
    return f"<details><summary>Provenance</summary><pre>{escaped(text)}</pre></details>"


def _json(data: Mapping[str, Any]) -> str:
    """JSON in which no text can close the script element."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
