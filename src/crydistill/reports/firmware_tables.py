"""Tables of the C library's cost on each core, from the record of `firmware-cost`."""

from crydistill.audio.windows import WINDOW_HOP_SECONDS
from crydistill.metrics.records import Record, markdown_table

_COUNTED = {
    "front_end_per_second": "front end, a second",
    "network_per_window": "network, a window",
    "score_per_window": "score, a window",
    "vote_per_window": "vote, a window",
}
_MEMORY = {
    "code": "code with this student's kernels",
    "libm": "libm functions",
    "tables": "tables of the front end",
    "student": "student",
    "arena": "arena (RAM)",
    "state": "`struct crydistill` (RAM)",
    "stack": "stack (RAM)",
}


def firmware_table(name: str, record: Record) -> str:
    """Tabulate a record of `device.firmware_cost.measure`.

    Parameters
    ----------
    name : "instructions" or "memory"
    """
    return {"instructions": _instructions, "memory": _memory}[name](record)


def _instructions(record: Record) -> str:
    student = record["student"]
    header = ["", *_COUNTED.values(), "network, per product", "all, millions a second"]
    rows = [
        [title, *_counts(core["instructions"], student["macs"])]
        for title, core in record["cores"].items()
    ]
    return (
        f"{markdown_table(header, rows)}\n\nStudent {student['sha256'][:10]}, "
        f"{student['macs']:,} multiply-accumulates (products) per window."
    )


def _counts(counts: dict[str, int], macs: int) -> list[str]:
    each = counts["network_per_window"] / macs
    return [*(f"{counts[part]:,}" for part in _COUNTED), f"{each:.2f}", _million_a_second(counts)]


def _million_a_second(counts: dict[str, int]) -> str:
    windows = sum(count for part, count in counts.items() if part.endswith("_per_window"))
    return f"{(counts['front_end_per_second'] + windows / WINDOW_HOP_SECONDS) / 1e6:.1f}"


def _memory(record: Record) -> str:
    rows = [
        [title, *(f"{core['bytes'][part]:,}" for part in _MEMORY)]
        for title, core in record["cores"].items()
    ]
    return markdown_table(["", *_MEMORY.values()], rows)
