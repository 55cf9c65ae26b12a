import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crydistill.corpora.audioset import Segment
from crydistill.corpora.ledger import (
    FINAL,
    GONE,
    Ledger,
    LedgerEntry,
    State,
    read_ledger,
    survivors_by_class,
)
from crydistill.errors import CorpusError

CRY = Segment("-_aaaaaaaaa", 30.0, 40.0, ("/t/dd00002",))
SPEECH = Segment("bbbbbbbbbbb", 0.0, 10.0, ("/m/09x0r",))


def entry(segment: Segment, state: State, time: float = 1.0, **fields: object) -> LedgerEntry:
    return LedgerEntry(segment.youtube_id, segment.start, segment.end, state, time, **fields)  # type: ignore[arg-type]


def test_the_last_line_counts(tmp_path: Path) -> None:
    first, last = entry(CRY, State.NETWORK), entry(CRY, State.DONE, 2.0, seconds=10.0)
    with Ledger(tmp_path) as ledger:
        ledger.append(first)
        ledger.append(entry(SPEECH, State.REMOVED, detail="an “em” dash — and a\nnew line"))
        ledger.append(last)
        assert ledger.of(CRY) == last
    assert read_ledger(tmp_path) == {
        CRY.youtube_id: last,
        SPEECH.youtube_id: entry(SPEECH, State.REMOVED, detail="an “em” dash — and a\nnew line"),
    }
    assert len((tmp_path / "ledger.jsonl").read_text(encoding="utf-8").splitlines()) == 3


def test_no_ledger_yet(tmp_path: Path) -> None:
    assert read_ledger(tmp_path) == {}


@settings(deadline=None)  # the disk may be busy
@given(st.integers(0, 400))
def test_cut_anywhere_it_keeps_its_whole_lines(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("ledger")
    path = folder / "ledger.jsonl"
    with Ledger(folder) as ledger:
        for number in range(3):
            ledger.append(entry(SPEECH, State.NETWORK, float(number), detail="é" * number))
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    kept = whole[:cut].count(b"\n")
    with Ledger(folder) as ledger:
        assert len(ledger.last) == min(kept, 1)
        ledger.append(entry(CRY, State.DONE))
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == kept + 1
    assert read_ledger(folder)[CRY.youtube_id] == entry(CRY, State.DONE)


@pytest.mark.parametrize(
    "line",
    ["", "{}", "[1]", "null", '{"state": "done"}', "done", '{"state": "vanished", "time": 1}'],
)
def test_malformed_lines_are_named(tmp_path: Path, line: str) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.append(entry(CRY, State.DONE))
    path = tmp_path / "ledger.jsonl"
    path.write_text(f"{path.read_text()}{line}\n")
    for read in (read_ledger, Ledger):
        with pytest.raises(CorpusError, match=r"ledger\.jsonl:2: not a line of a download ledger"):
            read(tmp_path)


def test_another_stretch_of_a_video_is_another_segment(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.append(entry(CRY, State.DONE))
        assert ledger.of(Segment(CRY.youtube_id, 50.0, 60.0, CRY.mids)) is None


def test_unavailable_since_the_first_time(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        assert ledger.unavailable_since(CRY) is None
        ledger.append(entry(CRY, State.UNAVAILABLE, 100.0))
        ledger.append(entry(CRY, State.NETWORK, 200.0))
        ledger.append(entry(CRY, State.UNAVAILABLE, 300.0))
    with Ledger(tmp_path) as ledger:
        assert ledger.unavailable_since(CRY) == 100.0


def test_survivors_by_class() -> None:
    segments = [Segment(f"cry{n:08}", 0.0, 10.0, CRY.mids) for n in range(len(State) + 1)]
    ledger = {
        segment.youtube_id: entry(segment, state)
        for segment, state in zip(segments, State, strict=False)
    }
    cry, speech = survivors_by_class(ledger, [*segments, SPEECH])
    assert (cry.class_name, cry.listed, cry.done) == ("cry", len(State) + 1, 1)
    assert cry.gone == len(GONE)
    assert cry.waiting == len(State) - len(FINAL) + 1
    assert (speech.class_name, speech.listed, speech.waiting) == ("speech", 1, 1)


def test_lines_are_json(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.append(entry(CRY, State.AGE_RESTRICTED, 5.5, detail="x"))
    found = json.loads((tmp_path / "ledger.jsonl").read_text())
    assert found["state"] == "age-restricted"
    assert found["youtube_id"] == "-_aaaaaaaaa"
