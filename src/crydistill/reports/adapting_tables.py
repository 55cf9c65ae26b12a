"""Results of adapting in simulated homes (`nights.adapting`) as tables, from the record alone."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from crydistill.metrics import records
from crydistill.metrics.records import Record, commit_text, estimate_text

if TYPE_CHECKING:
    from rich.table import Table

COLUMNS = ("nights", "measure", "before", "after", "difference")
_SOUND_COLUMNS = ("nights", "sound", "before", "after")
_SOUNDS_SHOWN = 8

_MEASURES = {
    "false_alarms_per_hour": ("false alarms an hour", "{:.2f}"),
    "caught": ("episodes caught", "{:.3f}"),
}


def terminal_table(record: Record) -> "Table":
    """False alarms and episodes, before and after."""
    from rich.table import Table

    table = Table(title="adapted in simulated homes", caption=_caption(record))
    for column in COLUMNS:
        table.add_column(column)
    for row in _rows(record):
        table.add_row(*(text.replace(" [", "\n\\[") for text in row))
    return table


def markdown_tables(record: Record) -> str:
    """The same for a document, and false alarms by sound."""
    figures = records.markdown_table(COLUMNS, list(_rows(record)), text_columns=2)
    sounds = records.markdown_table(_SOUND_COLUMNS, list(_sound_rows(record)), text_columns=2)
    return f"{figures}\n\n{_caption(record)}\n\n{sounds}"


def _rows(record: Record) -> Iterator[list[str]]:
    for nights, found in record["nights"].items():
        for measure, (name, form) in _MEASURES.items():
            yield [
                nights,
                name,
                *(estimate_text(found[measure][when], form) for when in COLUMNS[2:]),
            ]


def _sound_rows(record: Record) -> Iterator[list[str]]:
    """False alarms by sound in the same home; in other homes they are the same sounds."""
    sounds = record["nights"]["same home"]["by_sound"]
    for name in list(sounds)[:_SOUNDS_SHOWN]:
        before, after = sounds[name]
        yield ["same home", name, str(before), str(after)]
    rest = [sounds[name] for name in list(sounds)[_SOUNDS_SHOWN:]]
    if rest:
        before, after = (str(sum(pair[when] for pair in rest)) for when in (0, 1))
        yield ["same home", f"{len(rest)} other kinds", before, after]


def _caption(record: Record) -> str:
    homes, clips, reviewed = record["homes"], record["clips"], record["reviewed"]
    said = ", ".join(f"{count} '{label}'" for label, count in reviewed.items())
    ways = ", ".join(f"{count} by {name}" for name, count in record["means"].items())
    before, after = record["clip_alarms"]
    half = record["provenance"].get("half")
    groups = f" of the {half} half of the groups" if half else ""
    return (
        f"{homes['homes']} homes{groups} at the preset '{record['preset']}', "
        f"each of {homes['hard']} sounds that raised an alert when screened "
        f"({clips['raised_when_screened']} of "
        f"{clips['sounds']} did) and {homes['easy']} others; nights of {60 * homes['hours']:.0f} "
        f"minutes of recurring sounds with {homes['episodes']} episodes. Reviewed: {said}; "
        f"clips 'not a cry' that raise an alert: {before} before, {after} after. Adapted: {ways}. "
        f"In brackets: 95 % intervals over homes, of the difference paired. "
        f"{record['provenance']['kernels']} kernels; {commit_text(record['provenance'])}"
    )
