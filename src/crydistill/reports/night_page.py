"""The night view: one HTML file with the timeline of scores, votes, alerts and truth of a night.

Of several nights it shows the first; the tables and curves are of all.

The file is self-contained. All text from data (ids, categories, names) is escaped where it enters
the page: `escaped` in the tables, `_json` in the data, which the script only ever writes as text.
Audio around alerts is included if, and only if, it is public.
"""

import base64
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crydistill import atomic
from crydistill.audio.encoding import encoded
from crydistill.audio.mel import Samples
from crydistill.audio.windows import WINDOW_HOP_SECONDS
from crydistill.detector.vote import WINDOW_SECONDS, Alert, Scores, Track
from crydistill.nights.alarms import Episode
from crydistill.nights.judge import ModelResult, NightResult
from crydistill.nights.night import Night
from crydistill.progress import Progress, silent
from crydistill.reports import lines, page
from crydistill.reports.night_curves import Frame, drawn_curves, lines_of
from crydistill.reports.night_tables import Answer, Sheet, answers, facts, sheets
from crydistill.reports.page import escaped

SNIPPETS = 40
"""Audio snippets in the page per network, false alarms first; about 20 KB each."""

SNIPPET_SECONDS = 10.0
_LEAD_SECONDS = 1.5
_MP3_COMPRESSION = 0.9
_SCORE_STEPS = 65_535

_PLOT_WIDTH, _PLOT_HEIGHT = 620, 360
_PLOT = Frame(left=52, right=608, top=12, bottom=310, most=100.0)

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
        answers=page.answers([_answer(one) for one in answers(record)]),
        facts="".join(f'<p class="facts">{escaped(line)}</p>' for line in facts(record))
        + page.link_to_listen(path),
        tables="".join(_sheet(sheet) for sheet in sheets(record)),
        curves=_curves_section(result),
        provenance=page.provenance(record.get("provenance", {})),
        data=_json(_data(result, snippets)),
    )
    atomic.write_text(path, filled)


def curves_svg(result: NightResult) -> str:
    """Episodes caught over false alarms per hour, each network at its shown (N, M)."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_PLOT_WIDTH} {_PLOT_HEIGHT}" '
        'role="img" aria-label="Episodes caught over false alarms per hour" '
        f'font-family="system-ui, sans-serif">{"".join(drawn_curves(result, _PLOT))}</svg>'
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
    mp3 = encoded(samples, form="MP3", subtype="MPEG_LAYER_III", compression=_MP3_COMPRESSION)
    return f"data:audio/mpeg;base64,{base64.b64encode(mp3).decode()}"


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
        "models": [
            {"line": line, **_model(model, number, level)}
            for line, model in zip(lines_of(result), result.models, strict=True)
        ],
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


def _curves_section(result: NightResult) -> str:
    if not result.first.episodes:
        return ""
    legend = "".join(
        f"<span>{lines.swatch(line)}{escaped(model.name)}</span>"
        for line, model in zip(lines_of(result), result.models, strict=True)
    )
    return (
        "<h2>Trade-off</h2>"
        '<p class="note">Episodes caught over false alarms per hour, at all thresholds, each '
        "chosen in hindsight on this audio.</p>"
        f'<div class="legend">{legend}</div><figure>{curves_svg(result)}</figure>'
    )


def _answer(one: Answer) -> str:
    return f"<b>{escaped(one.network)}</b>, {escaped(one.setting)}: {escaped(one.told)}"


def _sheet(sheet: Sheet) -> str:
    rows = (page.row(sheet.columns, cells, words=sheet.text_columns) for cells in sheet.rows)
    table = page.table([page.heading_row(sheet.columns, words=sheet.text_columns), *rows])
    note = f'<p class="note">{escaped(sheet.note)}</p>' if sheet.note else ""
    return f"<h2>{escaped(sheet.title)}</h2>{note}{table}"


def _json(data: Mapping[str, Any]) -> str:
    """JSON in which no text can close the script element."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
