"""Tables of a night's results, for the terminal, the night view and the documents.

All are made from the JSON that `crydistill night` writes, so that they agree.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crydistill.errors import ConfigError
from crydistill.json_file import read_json
from crydistill.metrics.enough import MIN_GROUPS, TOO_LITTLE, cries_missing, hours_missing
from crydistill.metrics.intervals import NOTHING
from crydistill.metrics.rates import HOURS_PER_NIGHT
from crydistill.metrics.records import (
    Record,
    commit_text,
    estimate_text,
    markdown_table,
    number_text,
)
from crydistill.nights.judge import FORMAT
from crydistill.reports.run_tables import keep_record, over_seeds, seed_count

if TYPE_CHECKING:
    from rich.table import Table

NIGHT_NAME = "night.json"
"""The results in the output folder of `crydistill night`."""

_HEADLINE_RATES = (1.0, 0.25, 0.125)
_COMPARED_RATES = (1.0, 0.25)
_KINDS_SHOWN = 12
_SETTINGS_NOTE = (
    "In brackets: 95 % intervals. Hindsight: threshold chosen on this same audio. If independent: "
    "the false alarms that the share of windows above the threshold would give if every window "
    "erred by itself. Windows do not: a siren fools many in a row, then none for hours. What "
    "counts is the measured rate; the difference shows why votes are simulated, not calculated."
)


@dataclass(frozen=True)
class Sheet:
    """A table of text.

    text_columns : number of leading columns that hold words
    note : what the columns mean, for the page
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    text_columns: int = 1
    note: str = ""


@dataclass(frozen=True)
class Answer:
    """What a network did at the setting whose alerts are shown, in words."""

    network: str
    setting: str
    told: str


def sheets(record: Record) -> list[Sheet]:
    """Tabulate nights: presets and hindsight thresholds, differences, votes, what was missed."""
    found = [
        _settings_sheet(record),
        _pairs_sheet(record),
        *(_votes_sheet(record, per_hour) for per_hour in _COMPARED_RATES),
        _parts_sheet(record, "by_snr", "Episodes caught by level over the background"),
        _parts_sheet(record, "by_source", "Episodes caught and false alarms by source"),
        _parts_sheet(record, "by_corpus", "Episodes caught and false alarms by corpus"),
        _sounds_sheet(record),
    ]
    return [sheet for sheet in found if sheet.rows]


def facts(record: Record) -> list[str]:
    """Describe a night's content in sentences."""
    night = record["night"]
    if night["kind"] == "recording":
        labelled = (
            f"{night['episodes']} labelled episodes of crying."
            if night["labelled"]
            else "No labels: every alert counts as false, which is only correct if nobody cried."
        )
        return [f"{night['hours']:.2f} h, recorded. {labelled}"]
    again, nights = night["sounds_heard_again"], night["nights"]
    seeds = ", ".join(map(str, night["seeds"]))
    sounds = (
        f"{night['sounds']:,} sounds ({night['sound_hours']:.2f} h), "
        + (f"{again:,} of them repeats, which add no evidence" if again else "each once")
        + f"; {round(night['episodes'] / nights)} episodes of crying from "
        f"{night['crying_groups']} groups."
    )
    if nights == 1:
        return [f"{night['hours']:.2f} h from {night['corpus']}, seed {seeds}: {sounds}"]
    return [
        f"{nights} nights of the same clips ({night['hours']:.2f} h), from {night['corpus']}, "
        f"seeds {seeds}. Each: {sounds} False alarms are of all nights, intervals of one: another "
        "order is no new evidence."
    ]


def answers(record: Record) -> list[Answer]:
    """Sum up each network at the setting whose alerts are shown."""
    found = []
    for name, model in record["models"].items():
        shown = model["shown"]
        if (figures := _at(model, shown["settings"])) is not None:
            found.append(Answer(name, shown["because"], _told(record, figures)))
    return found


def _at(model: Record, settings: Record) -> Record | None:
    """A network's figures at a setting."""
    figures = [*model["presets"].values()]
    for vote in model["votes"]:
        figures += vote["in_hindsight"]
    return next((each for each in figures if each["settings"] == settings), None)


def _told(record: Record, figures: Record) -> str:
    count, delay = figures["false_alarms"], figures["delay_s"]["median"]
    rate = alarms_text(figures, "false_alarms_per_hour", "{:.2f}")
    parts = [f"{count} false alarm{'' if count == 1 else 's'}"]
    parts.append("too little audio for a rate" if rate == TOO_LITTLE else f"{rate} an hour")
    if record["night"]["episodes"]:
        parts.append(f"episodes caught: {caught_text(figures, groups_of(record))}")
    if delay is not None:
        parts.append(f"half of these within {delay:.1f} s")
    return ", ".join(parts)


def summary_table(record: Record) -> "Table":
    """Return a table that fits a terminal: each network at its settings."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(caption="hindsight: threshold chosen on this same audio")
    table.add_column("")
    for column in ("threshold", "false alarms/h", "caught", "delay", "in alert"):
        table.add_column(column, justify="right")
    for name, model in record["models"].items():
        table.add_row(escape(name), style="bold")
        for setting, figures in _headline(model):
            table.add_row(
                setting,
                f"{figures['settings']['threshold']:.4f}",
                escape(alarms_text(figures, "false_alarms_per_hour", "{:.1f}")),
                escape(caught_text(figures, groups_of(record))),
                number_text(figures["delay_s"]["median"], "{:.1f} s"),
                number_text(figures["time_in_alert"], "{:.1%}"),
            )
        table.add_section()
    return table


def night_table(record: Record) -> str:
    """All tables of a night in Markdown: `<!-- night: NAME -->` of `reports.documents`."""
    parts = [*facts(record), *(_markdown(sheet) for sheet in sheets(record)), _made_by(record)]
    return "\n\n".join(parts)


def night_summary(record: Record) -> str:
    """Each network at its settings, in few columns: `<!-- night-summary: NAME -->`."""
    columns = (
        "network", "setting", "votes", "false alarms/h", "episodes caught", "delay s", "in alert",
    )  # fmt: skip
    rows = [
        [
            name,
            setting,
            _votes_text(figures),
            alarms_text(figures, "false_alarms_per_hour", "{:.1f}"),
            caught_text(figures, groups_of(record)),
            number_text(figures["delay_s"]["median"], "{:.1f}"),
            number_text(figures["time_in_alert"], "{:.1%}"),
        ]
        for name, setting, figures in _headlines(record)
    ]
    return "\n\n".join([*facts(record), markdown_table(columns, rows, text_columns=2)])


def night_presets(record: Record) -> str:
    """What students do at their presets, and nothing else: `<!-- night-presets: NAME -->`."""
    columns = ("preset", "false alarms an hour", "episodes caught", "delay, s")
    rows = [
        [
            preset,
            alarms_text(figures, "false_alarms_per_hour", "{:.1f}"),
            caught_text(figures, groups_of(record)),
            number_text(figures["delay_s"]["median"], "{:.1f}"),
        ]
        for model in record["models"].values()
        for preset, figures in model["presets"].items()
    ]
    return markdown_table(columns, rows)


def night_seeds(record: Record) -> str:
    """Means over the seeds of one recipe: `<!-- night-seeds: NAME -->`.

    All students of the night count as its seeds. Presets are shown if all have some; in hindsight
    all vote as the first does.

    Raises
    ------
    ConfigError
        if the night has none.
    """
    students = [model for model in record["models"].values() if model["kind"].startswith("student")]
    if not students:
        raise ConfigError("a night without students has no seeds; give `night` some with --model")
    found: dict[str, list[Record]] = {}
    vote = students[0]["shown"]["settings"]
    for model in students:
        for setting, figures in _headline(model, vote):
            found.setdefault(setting, []).append(figures)
    columns = ("setting", "false alarms/h", "episodes caught", "of the seeds", "delay s")
    rows = [
        [
            setting,
            _mean_text([each["false_alarms_per_hour"]["value"] for each in figures], "{:.1f}"),
            _mean_text(caught := [each["caught"]["value"] for each in figures], "{:.2f}"),
            _extremes_text(caught, "{:.2f}"),
            _mean_text([each["delay_s"]["median"] for each in figures], "{:.1f}"),
        ]
        for setting, figures in found.items()
        if len(figures) == len(students)
    ]
    note = (
        f"Means of {seed_count(len(students))}, in brackets their 95 % intervals over seeds; "
        f"{vote['n']} of {vote['m']} votes."
    )
    return "\n\n".join([*facts(record), markdown_table(columns, rows), note])


def _mean_text(values: Sequence[float | None], form: str) -> str:
    """Mean of the seeds that have a figure, with its interval over them."""
    known = [value for value in values if value is not None]
    return over_seeds(known).text(form) if known else NOTHING


def _extremes_text(values: Sequence[float | None], form: str) -> str:
    known = [value for value in values if value is not None]
    return f"{form.format(min(known))} to {form.format(max(known))}" if known else NOTHING


def _votes_text(figures: Record) -> str:
    return f"{figures['settings']['n']} of {figures['settings']['m']}"


def add_night(folder: str | Path, records: str | Path, name: str) -> Path:
    """Copy a night's JSON, without the figures at fixed thresholds, into the folder of records.

    Raises
    ------
    ConfigError
        if there is no night, or it holds anything private.
    """
    record = read_night(Path(folder) / NIGHT_NAME)
    if record["night"]["private"]:
        raise ConfigError(f"{folder}: made from private audio; its figures may not be published")
    for model in record["models"].values():
        for vote in model["votes"]:
            del vote["at_thresholds"]
    return keep_record(record, records, name)


def read_night(path: str | Path) -> dict[str, Any]:
    """Read the figures of a night.

    Raises
    ------
    ConfigError
        if they cannot be read, or are of a night composed by an earlier version.
    """
    record = read_json(path, "run `crydistill night`")
    if "night" not in record or "models" not in record:
        raise ConfigError(f"{path}: not the JSON of a night; run `crydistill night`")
    if record.get("format") != FORMAT:
        raise ConfigError(
            f"{path}: format {record.get('format')} of a night, not {FORMAT}: nights are composed "
            "differently now; run `crydistill night` again"
        )
    return record


def _settings_sheet(record: Record) -> Sheet:
    columns = (
        "network", "setting", "votes", "threshold", "false alarms", "per hour", "per 8 h",
        "if independent, per hour", "episodes caught", "delay s, median (90 %)", "time in alert",
    )  # fmt: skip
    rows = [
        [name, setting, *_figures_cells(figures, groups_of(record))]
        for name, setting, figures in _headlines(record)
    ]
    return Sheet("Settings", columns, rows, text_columns=2, note=_SETTINGS_NOTE)


def _headlines(record: Record) -> Iterator[tuple[str, str, Record]]:
    """Network, setting and figures of every setting that is shown."""
    for name, model in record["models"].items():
        for setting, figures in _headline(model):
            yield name, setting, figures


def _headline(model: Record, vote: Record | None = None) -> Iterator[tuple[str, Record]]:
    """Settings of a network and its figures; in hindsight by this vote, or the one shown."""
    for name, figures in model["presets"].items():
        yield f"preset {name}", figures
    shown, votes = vote or model["shown"]["settings"], model["votes"]
    same = [each for each in votes if (each["n"], each["m"]) == (shown["n"], shown["m"])]
    for figures in (same or votes)[0]["in_hindsight"]:
        if figures["wanted_per_hour"] in _HEADLINE_RATES:
            yield f"{_rate(figures['wanted_per_hour'])}, hindsight", figures


def _rate(per_hour: float) -> str:
    if per_hour == 1 / HOURS_PER_NIGHT:
        return "1 per night"
    return f"{per_hour:g} per hour" if per_hour >= 1 else f"1 in {1 / per_hour:g} hours"


def _figures_cells(figures: Record, groups: int | None) -> list[str]:
    delay = figures["delay_s"]
    independent = figures["if_windows_were_independent"]
    return [
        _votes_text(figures),
        f"{figures['settings']['threshold']:.4f}",
        str(figures["false_alarms"]),
        alarms_text(figures, "false_alarms_per_hour", "{:.2f}"),
        alarms_text(figures, "false_alarms_per_night", "{:.1f}"),
        _small(independent["false_alarms_per_hour"]),
        caught_text(figures, groups),
        f"{number_text(delay['median'], '{:.1f}')} ({number_text(delay['p90'], '{:.1f}')})",
        number_text(figures["time_in_alert"], "{:.2%}"),
    ]


def alarms_text(figures: Record, rate: str, form: str) -> str:
    """A rate of false alarms, unless it is from too little audio to tell."""
    return TOO_LITTLE if hours_missing(figures["hours"]) else estimate_text(figures[rate], form)


def groups_of(record: Record) -> int | None:
    """Number of groups that the episodes of a night are from; None for a labelled recording."""
    groups: int | None = record["night"].get("crying_groups")
    return groups


def caught_text(figures: Record, groups: int | None) -> str:
    """The share of episodes caught, or a count of too few of them for a share.

    Parameters
    ----------
    groups : of the episodes; None where a night does not know them
    """
    caught, episodes = figures["caught"], figures["episodes"]
    if caught["value"] is None or not cries_missing(
        episodes, MIN_GROUPS if groups is None else groups
    ):
        return estimate_text(caught, "{:.2f}")
    return f"{round(caught['value'] * episodes)} of {episodes}"


def _pairs_sheet(record: Record) -> Sheet:
    """Differences between networks at the same rate of false alarms."""
    rows = [
        [
            f"{pair['ours']} against {pair['theirs']}",
            _rate(pair["wanted_per_hour"]),
            *(estimate_text(pair[share], "{:.2f}") for share in ("our_share", "their_share")),
            estimate_text(pair["difference"], "{:+.2f}"),
        ]
        for pair in record["pairs"]
        if not cries_missing(record["night"]["episodes"], groups_of(record) or 0)
    ]
    columns = ("networks", "false alarms", "caught", "caught by the other", "difference")
    return Sheet("Differences at equal rates, hindsight", columns, rows, text_columns=2)


def _votes_sheet(record: Record, per_hour: float) -> Sheet:
    """Episodes caught at a rate of false alarms, by (N, M) and network."""
    models = record["models"]
    pairs = [(vote["n"], vote["m"]) for vote in next(iter(models.values()))["votes"]]
    rows = [
        [
            f"{n} of {m}",
            *(
                cell
                for model in models.values()
                for cell in _vote_cells(model, (n, m, per_hour), groups_of(record))
            ),
        ]
        for n, m in pairs
        if record["night"]["episodes"]
    ]
    columns = ["votes"]
    for name in models:
        columns += [f"{name}: caught", "delay s", "threshold"]
    title = f"Hindsight thresholds for at most {_rate(per_hour)}, by votes"
    return Sheet(title, columns, rows)


def _vote_cells(model: Record, wanted: tuple[int, int, float], groups: int | None) -> list[str]:
    for vote in model["votes"]:
        for figures in vote["in_hindsight"]:
            if (vote["n"], vote["m"], figures["wanted_per_hour"]) == wanted:
                return [
                    caught_text(figures, groups),
                    number_text(figures["delay_s"]["median"], "{:.1f}"),
                    f"{figures['settings']['threshold']:.4f}",
                ]
    return [NOTHING] * 3


def _parts_sheet(record: Record, key: str, title: str) -> Sheet:
    """Episodes caught, and false alarms, by part of the nights, at the settings shown."""
    parts = [model["shown"][key] for model in record["models"].values()]
    rows = [[_part_name(same[0]), *map(_part_text, same)] for same in zip(*parts, strict=True)]
    # One corpus is the whole night.
    return Sheet(title, _shown_columns(record), rows if key != "by_corpus" or len(rows) > 1 else [])


def _part_name(part: Record) -> str:
    hours = "" if part["hours"] is None else f" ({part['hours']:.2f} h)"
    return f"{part['name'] or NOTHING}{hours}"


def _part_text(part: Record) -> str:
    caught = f"{part['caught']} of {part['episodes']}" if part["episodes"] else ""
    alarms = "" if part["false_alarms"] is None else f"{part['false_alarms']} false"
    return "; ".join(filter(None, (caught, alarms)))


def _shown_columns(record: Record) -> list[str]:
    return ["", *(f"{name}, {m['shown']['because']}" for name, m in record["models"].items())]


def _sounds_sheet(record: Record) -> Sheet:
    """False alarms by kind of sound, the most of any network first."""
    models = record["models"]
    counts = {name: model["shown"]["false_alarms_by_sound"] for name, model in models.items()}
    kinds = sorted(
        {kind for found in counts.values() for kind in found},
        key=lambda kind: (-max(found.get(kind, 0) for found in counts.values()), kind),
    )
    rows = [[kind, *(str(found.get(kind, 0)) for found in counts.values())] for kind in kinds]
    shown, title = rows[:_KINDS_SHOWN], "False alarms by kind of sound"
    if len(rows) > len(shown):
        title += f", the worst {len(shown)} of {len(rows)} kinds"
    return Sheet(title, _shown_columns(record), shown)


def _small(value: float | None) -> str:
    """Two significant digits of a number that may be tiny."""
    return number_text(value, "{:.1f}" if value and value >= 10 else "{:.2g}")


def _markdown(sheet: Sheet) -> str:
    table = markdown_table(sheet.columns, sheet.rows, sheet.text_columns)
    return f"**{sheet.title}**\n\n{table}"


def _made_by(record: Record) -> str:
    made = record.get("provenance", {})
    networks = ", ".join(f"{name} {m['sha256'][:12]}" for name, m in record["models"].items())
    return (
        f"Networks by sha256: {networks}. Kernels: {made.get('kernels', '?')}; commit "
        f"{commit_text(made)}."
    )
