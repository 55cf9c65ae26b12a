"""Figures of speed are of the code as it stands, and their pages are those of their records."""

import json
import os
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from benchmarks.__main__ import NAMES, main
from benchmarks.records import Benchmark, Comparison, Measured, page, staleness, summary
from benchmarks.sources import ROOT, fingerprint

from benchmarks import records

RECORDS = records.read_records()


def test_every_benchmark_has_a_record_and_describes_itself() -> None:
    assert sorted(RECORDS) == sorted(NAMES)
    pytest.importorskip("keras", reason="needs the full install")
    for name in NAMES:
        benchmark = import_module(f"benchmarks.{name}").BENCHMARK
        assert benchmark.name == name
        assert RECORDS[name]["code"]["files"] == list(benchmark.measures)


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_is_not_older_than_the_code_it_measures(name: str) -> None:
    stale = staleness(name, RECORDS[name])
    assert stale is None, stale


@pytest.mark.parametrize("name", RECORDS)
def test_a_page_is_that_of_its_record(name: str) -> None:
    text = (records.PAGES / f"{name}.md").read_text(encoding="utf-8")
    assert text == page(RECORDS[name])


def test_the_summary_is_that_of_the_records() -> None:
    assert records.SUMMARY.read_text(encoding="utf-8") == summary(RECORDS)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Records, pages and summary in a directory of their own."""
    monkeypatch.setattr(records, "RECORDS", tmp_path / "records")
    monkeypatch.setattr(records, "PAGES", tmp_path / "pages")
    monkeypatch.setattr(records, "SUMMARY", tmp_path / "results.md")
    return tmp_path


def made_up(**sides: list[float]) -> Measured:
    return Measured((Comparison("Walking", "steps", 12, sides, {"theirs": 4.0}),))


def write(measured: Measured, load: float = 0.5) -> None:
    measures = ("benchmarks/rounds.py",)
    benchmark = Benchmark("walking", "Walking about", "Up and down.", measures)
    records.write(benchmark, measured, code=fingerprint(measures), load=load, scale=0.5)


def test_a_record_becomes_a_page_with_ratios_by_round(elsewhere: Path) -> None:
    write(made_up(ours=[1.0, 2.0, 4.0], theirs=[6.0, 10.0, 16.0]))
    text = (elsewhere / "pages" / "walking.md").read_text(encoding="utf-8")
    assert "| ours | 6 (3 to 12) |  |" in text
    assert "| theirs | 1.2 (0.75 to 2) | 5 (4 to 6); at least 4 is wanted: met |" in text
    assert "`make benchmarks ONLY=walking SCALE=0.5`" in text
    assert "load average before it began 0.5" in text


def test_what_falls_short_says_so(elsewhere: Path) -> None:
    write(made_up(ours=[2.0], theirs=[6.0]))
    row = "| Walking | theirs | 3 (3 to 3); at least 4 is wanted: **not met** |"
    assert row in (elsewhere / "results.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("load", "busy"), [(0.4, False), (80.0, True)])
def test_figures_of_a_busy_machine_say_so(load: float, busy: bool, elsewhere: Path) -> None:
    cores = len(os.sched_getaffinity(0))
    write(made_up(ours=[1.0], theirs=[1.0]), load=load * cores)
    for name in ("pages/walking.md", "results.md"):
        assert ("**A trial" in (elsewhere / name).read_text(encoding="utf-8")) is busy


def test_a_record_holds_nothing_of_this_machine_but_what_it_is(elsewhere: Path) -> None:
    write(made_up(ours=[1.0], theirs=[1.0]))
    content: dict[str, Any] = json.loads((elsewhere / "records" / "walking.json").read_text())
    assert content["machine"].keys() == {"cores", "processor", "memory_gb", "load_before"}
    assert str(ROOT) not in json.dumps(content)


def test_a_changed_module_makes_its_record_stale(elsewhere: Path) -> None:
    (elsewhere / "code.py").write_text("x = 1\n")
    record = {"code": {"files": ["code.py"], "sha256": fingerprint(["code.py"], elsewhere)}}
    assert staleness("walking", record, elsewhere) is None
    (elsewhere / "code.py").write_text("x = 2\n")
    line = staleness("walking", record, elsewhere)
    assert line is not None
    assert "make benchmarks ONLY=walking" in line


@pytest.mark.parametrize("arguments", [["nothing"], ["front_end"]])
def test_what_cannot_run_is_one_line(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = str(tmp_path / "none")
    options = ["--audio", missing, "--teacher", missing, "--libraries", missing]
    assert main([*arguments, *options]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
