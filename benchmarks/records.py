"""A benchmark's record, the page made of it, and whether it is of the code as it stands."""

import os
import platform
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.sources import ROOT, fingerprint
from crydistill import atomic
from crydistill.json_file import read_json
from crydistill.metrics.records import Record, commit_text, markdown_table, plain, write_record
from crydistill.provenance import made_by

RECORDS = ROOT / "benchmarks" / "records"
PAGES = ROOT / "benchmarks" / "pages"
SUMMARY = ROOT / "benchmarks" / "results.md"

_BUSY = (
    "A trial: the machine was busy with other work, which slows ways of one thread and of several "
    "by different factors."
)

COMMON = ("benchmarks/rounds.py", "benchmarks/material.py")
"""What every comparison rests on."""


@dataclass(frozen=True)
class Comparison:
    """Ways of doing the same, measured in turn.

    title : what is done
    unit : what is counted, in the plural
    units : how many of them one measurement does
    seconds : of each way by round; the first is this project's
    least : ways that the first is meant to be faster than by at least so many times
    """

    title: str
    unit: str
    units: float
    seconds: Mapping[str, Sequence[float]]
    least: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """A measurement with nothing beside it; its values by round."""

    what: str
    unit: str
    values: Sequence[float]


@dataclass(frozen=True)
class Table:
    """Counts, which are the same at each measurement."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Measured:
    """What a benchmark hands over to be recorded."""

    comparisons: Sequence[Comparison] = ()
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()


@dataclass(frozen=True)
class Benchmark:
    """A benchmark as its module describes itself.

    title, about : heading and text of its page
    measures : glob patterns of the code whose change makes its record stale
    """

    name: str
    title: str
    about: str
    measures: Sequence[str]


def write(
    benchmark: Benchmark, measured: Measured, *, code: str, load: float, scale: float
) -> None:
    """Write the record of a benchmark, and the pages.

    Parameters
    ----------
    code : fingerprint of the code as the measurement began
    load : programs that were running or waiting as it began, a minute's average
    scale : of the work in a round, where 1 is what `make benchmarks` does
    """
    provenance = made_by()
    provenance["versions"] |= _other_versions()
    scaled = "" if scale == 1 else f" SCALE={scale:g}"
    record = {
        "title": benchmark.title,
        "about": benchmark.about,
        "command": f"make benchmarks ONLY={benchmark.name}{scaled}",
        "machine": _machine() | {"load_before": plain(load)},
        **provenance,
        "code": {
            "files": list(benchmark.measures),
            "sha256": code,
        },
        **_rounded(asdict(measured)),
    }
    RECORDS.mkdir(exist_ok=True)
    write_record(RECORDS / f"{benchmark.name}.json", record)
    write_pages()


def write_pages() -> None:
    """Make all pages anew from the records."""
    PAGES.mkdir(exist_ok=True)
    records = read_records()
    for name, record in records.items():
        atomic.write_text(PAGES / f"{name}.md", page(record))
    atomic.write_text(SUMMARY, summary(records))


def read_records() -> dict[str, Record]:
    """All records by name."""
    return {
        path.stem: read_json(path, f"run `make benchmarks ONLY={path.stem}`")
        for path in sorted(RECORDS.glob("*.json"))
    }


def staleness(name: str, record: Record, root: Path = ROOT) -> str | None:
    """One line if the code that a record measured has changed since, else None."""
    code = record["code"]
    if fingerprint(code["files"], root) == code["sha256"]:
        return None
    return (
        f"benchmarks/records/{name}.json is older than the code it measures "
        f"({', '.join(code['files'])}); run `make benchmarks ONLY={name}` on a quiet machine"
    )


def page(record: Record) -> str:
    """A record as a Markdown page."""
    machine = record["machine"]
    named = ", ".join(f"{name} {number}" for name, number in record["versions"].items())
    parts = [
        f"# {record['title']}",
        record["about"],
        *([f"**{_BUSY}**"] if _was_busy(record) else []),
        *map(_comparison_text, record["comparisons"]),
        *([_figures_text(record["figures"])] if record["figures"] else []),
        *(markdown_table(table["columns"], table["rows"]) for table in record["tables"]),
        f"Command: `{record['command']}`. Machine: {machine['cores']} cores, "
        f"{machine['processor']}, {machine['memory_gb']} GB of memory; load average before it "
        f"began {machine['load_before']:.1f}. Commit {commit_text(record)}; {named}.",
    ]
    return "\n\n".join(parts) + "\n"


def summary(records: Mapping[str, Record]) -> str:
    """All ratios in one table, with links to the pages."""
    rows = []
    for name, record in records.items():
        # This path leads to the page from here and from docs, where the site includes this file.
        link = f"[{record['title']}](../benchmarks/pages/{name}.md)"
        for comparison in record["comparisons"]:
            for other in list(comparison["seconds"])[1:]:
                text = ratio_text(comparison, other) + _verdict(comparison, other)
                rows.append([link, comparison["title"], other, text])
        rows += [[link, each["what"], "", _figure_text(each)] for each in record["figures"]]
        rows += [[link, "", "", "counts"] for _ in record["tables"]]
    columns = ["benchmark", "what is done", "compared with", "so many times as fast"]
    busy = [record["title"] for record in records.values() if _was_busy(record)]
    doubt = f"**{_BUSY}** That holds for: {', '.join(busy)}.\n\n" if busy else ""
    return (
        "# Latest figures\n\n"
        "How many times as fast crydistill is as another way of doing the same, side by side in "
        "one run: the median of the rounds, and the lowest and highest. Below 1, the other way is "
        f"faster.\n\n{doubt}{markdown_table(columns, rows, 3)}\n"
    )


def ratios(comparison: Record, other: str) -> list[float]:
    """How many times as fast the first way was as another, by round."""
    first, *_ = comparison["seconds"].values()
    return [theirs / ours for ours, theirs in zip(first, comparison["seconds"][other], strict=True)]


def ratio_text(comparison: Record, other: str) -> str:
    """Median, lowest and highest ratio."""
    return spread_text(ratios(comparison, other))


def spread_text(values: Sequence[float]) -> str:
    """Median, lowest and highest of the rounds, with three digits."""
    low, middle, high = (f"{v:,.3g}" if v < 1000 else f"{v:,.0f}" for v in _spread(values))
    return f"{middle} ({low} to {high})"


def _spread(values: Sequence[float]) -> tuple[float, float, float]:
    return min(values), statistics.median(values), max(values)


def _verdict(comparison: Record, other: str) -> str:
    least = comparison["least"].get(other)
    if least is None:
        return ""
    met = statistics.median(ratios(comparison, other)) >= least
    return f"; at least {least:g} is wanted: {'met' if met else '**not met**'}"


def _comparison_text(comparison: Record) -> str:
    rows = []
    for number, (name, times) in enumerate(comparison["seconds"].items()):
        rates = spread_text([comparison["units"] / each for each in times])
        ratio = ratio_text(comparison, name) + _verdict(comparison, name) if number else ""
        rows.append([name, rates, ratio])
    columns = ["", f"{comparison['unit']} a second", "crydistill is so many times as fast"]
    rounds = len(next(iter(comparison["seconds"].values())))
    counted = f"{comparison['units']:,.0f} {comparison['unit']}, {rounds} rounds"
    return f"## {comparison['title']}\n\n{counted}.\n\n{markdown_table(columns, rows)}"


def _figures_text(figures: Sequence[Record]) -> str:
    rows = [[each["what"], _figure_text(each)] for each in figures]
    return markdown_table(["", "median (lowest to highest)"], rows)


def _other_versions() -> dict[str, str]:
    """Versions of what is compared with, as far as it took part in this process."""
    found = {"torch": version("torch")} if find_spec("torch") else {}
    librosa = sys.modules.get("librosa")
    return found | ({"librosa": str(librosa.__version__)} if librosa else {})


def _was_busy(record: Record) -> bool:
    machine = record["machine"]
    return bool(machine["load_before"] > machine["cores"] / 2)


def _figure_text(figure: Record) -> str:
    return f"{spread_text(figure['values'])} {figure['unit']}"


def _machine() -> dict[str, Any]:
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return plain(value)
    if isinstance(value, Mapping):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(each) for each in value]
    return value
