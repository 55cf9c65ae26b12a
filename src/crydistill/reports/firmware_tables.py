"""Tables of the C library's cost on each core, from the record of `firmware-cost`."""

from crydistill.audio.windows import WINDOW_HOP_SECONDS
from crydistill.metrics.records import Record, markdown_table

_COUNTED = {
    "front_end_per_second": "front end, instructions per second of audio",
    "network_per_window": "network, instructions per window",
    "score_per_window": "score, instructions per window",
    "vote_per_window": "vote, instructions per window",
}
_MEMORY = {
    "code": "code of the library with this student's kernels",
    "libm": "libm functions used by it",
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
    cores = record["cores"]
    counts = [core["instructions"] for core in cores.values()]
    rows = [[title, *(f"{of[part]:,}" for of in counts)] for part, title in _COUNTED.items()]
    rows.append(["all, million instructions per second of audio", *map(_million_a_second, counts)])
    student = record["student"]
    return (
        f"{markdown_table(['', *cores], rows)}\n\nStudent {student['sha256'][:10]}, "
        f"{student['macs']:,} multiply-accumulates per window."
    )


def _million_a_second(counts: dict[str, int]) -> str:
    windows = sum(count for part, count in counts.items() if part.endswith("_per_window"))
    return f"{(counts['front_end_per_second'] + windows / WINDOW_HOP_SECONDS) / 1e6:.1f}"


def _memory(record: Record) -> str:
    cores = record["cores"]
    rows = [
        [title, *(f"{core['bytes'][part]:,}" for core in cores.values())]
        for part, title in _MEMORY.items()
    ]
    return markdown_table(["", *cores], rows)
