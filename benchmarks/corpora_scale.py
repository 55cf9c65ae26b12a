"""Measure lists of millions of clips: listing, selecting, resuming, the ledger, an epoch's batches.

Everything is made in a temporary folder and deleted. Each figure is of a process of its own:
seconds on the clock and of processor time, and the most memory of its own. Frames and scores of the
training store are holes in sparse files, which take no room on the disk and no time to read from
it.

    .venv/bin/python benchmarks/corpora_scale.py docs/experiments/results/scale-corpora.json
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from crydistill.audio.windows import window_count
from crydistill.corpora.audioset import Segment, read_segments
from crydistill.corpora.ledger import Ledger, LedgerEntry, State, read_ledger, survivors_by_class
from crydistill.metrics.records import plain, write_record
from crydistill.provenance import git_commit
from crydistill.taxonomy import CLASSES, cry_indices
from crydistill.teacher.scores import WINDOW_SCORES, TeacherIdentity, open_for_writing

CLIPS, ROWS, WINDOWS = 1_000_000, 2_000_000, 5_000_000
_FRAMES_OF_TWO, _FRAMES_OF_TWENTY = 144, 1008
_EPOCH_PART = 20_000
"""Windows of an epoch whose batches are made where it is shuffled as a whole; else one stretch."""

_BATCH = 128
_APPENDS = 2_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("record", type=Path, help="JSON file to write, or to add to")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--measure", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    parser.add_argument("--share", type=float, default=1.0, help="of the sizes, for a quick look")
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measured(*arguments.measure)))
        return
    known = json.loads(arguments.record.read_text()) if arguments.record.is_file() else {}
    rows = {row["what"]: row for row in known.get("rows", [])}
    for part in arguments.parts:
        with tempfile.TemporaryDirectory(prefix="corpora-scale-") as name:
            make, names = PARTS[part]
            make(Path(name), arguments.share)
            for what in names:
                found = in_process(what, name, arguments.record)
                rows[found["what"]] = found
                print(found, flush=True)
    machine = f"{os.cpu_count()} processors, {os.getloadavg()[1]:.0f} processes waiting for them"
    record = {"rows": list(rows.values()), "machine": machine, "git_commit": git_commit()}
    write_record(arguments.record, record)


def in_process(what: str, folder: str, record: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, str(record), "--measure", what, folder]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measured(name: str, folder: str) -> dict[str, Any]:
    wall, processor = time.monotonic(), time.process_time()
    with own_memory() as most:
        what = MEASURES[name](Path(folder))
    return {
        "what": what,
        "seconds": plain(time.monotonic() - wall),
        "processor_seconds": plain(time.process_time() - processor),
        "own_gb": plain(max(most)),
    }


@contextmanager
def own_memory() -> Iterator[list[float]]:
    """Watch the memory that the system cannot take away: not the pages of mapped files.

    The list that it yields grows by a sample, in GB, every twentieth of a second.
    """
    done, most = threading.Event(), [status_gb()["RssAnon"]]

    def watch() -> None:
        while not done.wait(0.05):
            most.append(status_gb()["RssAnon"])

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield most
    finally:
        done.set()
        watcher.join()


def status_gb() -> dict[str, float]:
    """This process's anonymous memory and mapped file pages, by the kernel's names."""
    lines = (line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return {
        key: int(value.split()[0]) / 1e6 for key, value in lines if key in ("RssAnon", "RssFile")
    }


# --- a million clips, of two windows each


def make_listing(folder: Path, share: float) -> None:
    clips = round(share * CLIPS)
    for name, count in (("train", clips), ("test", 1000)):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["path", "label", "group", "category", "licence", "private"])
            for n in range(count):
                label = "cry" if n % 50 == 0 else "noncry"
                row = (label, f"{name}:{n // 4}", f"kind {n % 40}", "CC BY 4.0", "false")
                rows.writerow([f"{name}/{n // 1000:04d}/{n:07d}.flac", *row])
    (folder / "teacher.h5").write_bytes(b"its fingerprint is all that is used")
    config = {
        "stores": str(folder / "stores"),
        "teacher": {"path": str(folder / "teacher.h5")},
        "data": {
            "train": [{"path": str(folder / "train.csv")}],
            "test": [{"path": str(folder / "test.csv")}],
        },
    }
    (folder / "scale.yaml").write_text(json.dumps(config))
    store = opened(folder).store_directory(opened(folder).config.data.train[0])
    make_store(store, clips, lambda n: f"train/{n // 1000:04d}/{n:07d}.flac", _FRAMES_OF_TWO)
    rng = np.random.default_rng(0)
    with (store / "scores.f16").open("r+b") as file:
        for start in range(0, 2 * clips, 10_000):
            logits = np.full((min(10_000, 2 * clips - start), CLASSES), -9, dtype=np.float16)
            logits[:, cry_indices()[0]] = rng.normal(-6, 3, len(logits))
            file.write(logits.tobytes())


def make_store(folder: Path, clips: int, name: Callable[[int], str], frames: int) -> None:
    """A store whose frames and scores are holes."""
    windows = window_count(frames)
    with open_for_writing(folder, TeacherIdentity("none", "0" * 64), WINDOW_SCORES):
        pass
    with (folder / "index.jsonl").open("w") as file:
        for n in range(clips):
            entry = {
                "id": name(n),
                "sha256": f"{n:064x}",
                "duration": frames / 100,
                "frame_start": frames * n,
                "frames": frames,
                "window_start": windows * n,
                "windows": windows,
                "notes": (),
            }
            file.write(json.dumps(entry) + "\n")
    os.truncate(folder / "frames.f16", clips * frames * 128)
    os.truncate(folder / "scores.f16", clips * windows * 2 * CLASSES)


def opened(folder: Path) -> Any:
    from crydistill.experiment.load import load_config
    from crydistill.run_directory import RunDirectory
    from crydistill.stages.context import Context

    context = Context(load_config(folder / "scale.yaml"), RunDirectory(folder / "run"))
    context.run.start(context.config)
    return context


def listing(folder: Path) -> str:
    splits = opened(folder).splits
    clips = sum(len(c) for part in (splits.train, splits.validation) for _, c in part)
    return f"list and split {clips:,} clips of a manifest"


def selecting(folder: Path) -> str:
    from crydistill.stages.select import select

    context = opened(folder)
    select(context)
    windows = json.loads(context.run.selection.read_text())["windows"]
    return f"select from their scores, {windows:,} windows"


def selecting_again(folder: Path) -> str:
    selecting(folder)
    return "the same again: up to date"


# --- two million rows of AudioSet


def make_rows(folder: Path, share: float) -> None:
    labels = ('"/m/09x0r"', '"/m/03fwl,/m/04rlf,/m/09x0r"', '"/t/dd00002,/m/0463cq4"')
    with (folder / "unbalanced.csv").open("w") as file:
        file.write("# YTID, start_seconds, end_seconds, positive_labels\n")
        for n in range(round(share * ROWS)):
            file.write(f"-{n:010d}, {n % 40 * 10}.000, {n % 40 * 10 + 10}.000, {labels[n % 3]}\n")
    rows = read_segments(folder / "unbalanced.csv")
    # Nine in ten were tried before; half of these are there.
    with (folder / "ledger.jsonl").open("w") as file:
        for n, row in enumerate(rows):
            if n % 10:
                file.write(line_of(n, row) + "\n")


def line_of(n: int, row: Segment) -> str:
    state = State.DONE if n % 2 else State.REMOVED
    return json.dumps(
        {
            "youtube_id": row.youtube_id,
            "start": row.start,
            "end": row.end,
            "state": state,
            "time": 1.8e9 + n,
            "detail": "" if n % 2 else "Video unavailable. This video has been removed",
            "sha256": f"{n:064x}" if n % 2 else "",
            "seconds": 10.0 if n % 2 else 0.0,
            "level_dbfs": -20.5,
        }
    )


def reading_rows(folder: Path) -> str:
    return f"read a segment list of {len(read_segments(folder / 'unbalanced.csv')):,} rows"


def status(folder: Path) -> str:
    segments = read_segments(folder / "unbalanced.csv")
    survivors_by_class(read_ledger(folder), segments)
    return "`fetch audioset --status` of them"


def resuming(folder: Path) -> str:
    from crydistill.corpora.youtube import unsettled

    segments = read_segments(folder / "unbalanced.csv")
    with Ledger(folder) as ledger:
        waiting = unsettled(segments, folder, ledger)
    # There is no audio in the folder, so what the ledger calls done has to be fetched again.
    return f"resume `fetch audioset`: find the {len(waiting):,} rows that are left to fetch"


def appending(folder: Path) -> str:
    with Ledger(folder) as ledger:
        start = time.monotonic()
        for n in range(_APPENDS):
            row = (f"x{n:010d}", 0.0, 10.0, State.DONE, 1.8e9)
            ledger.append(LedgerEntry(*row, sha256="0" * 64))
        rate = _APPENDS / (time.monotonic() - start)
    return (
        f"open that ledger, then append {_APPENDS:,} outcomes, each safe on the disk, at "
        f"{rate:,.0f} a second"
    )


# --- five million windows


def make_windows(folder: Path, share: float) -> None:
    clips = round(share * WINDOWS) // window_count(_FRAMES_OF_TWENTY)
    make_store(folder / "store", clips, lambda n: f"{n:07d}", _FRAMES_OF_TWENTY)


def epoch(folder: Path) -> str:
    return _epoch(folder, 0)


def epoch_in_stretches(folder: Path) -> str:
    return _epoch(folder, 1 << 17)


def _epoch(folder: Path, at_once: int) -> str:
    from crydistill.corpora.clip import Clip, Label
    from crydistill.distill.feeds import WindowFeed
    from crydistill.selection.pool import window_pool
    from crydistill.selection.sampler import BalancedSampler
    from crydistill.selection.teacher_filter import ConfidentWindows
    from crydistill.teacher.scores import ScoreStore

    store = ScoreStore(folder / "store")
    clips = [Clip(name, Path(name), Label.NONCRY, "") for name in store.entries]
    pool = window_pool([(store, clips)])
    windows = np.arange(len(pool), dtype=np.int32)
    confident = ConfidentWindows(windows[::4], np.delete(windows, np.s_[::4]), 0)
    sampler = BalancedSampler(confident, ratio=3, resample=True, seed=0, at_once=at_once)
    feed = WindowFeed(pool, pool.logits, sampler, _BATCH)
    start = time.process_time()
    order = sampler.epoch(1)
    ordered = time.process_time() - start
    start = time.process_time()
    shown = 0
    for patches, _ in feed.batches(0):
        shown += len(patches)
        if shown >= (at_once or _EPOCH_PART):
            break
    rate = shown / (time.process_time() - start)
    how = f"in stretches of {at_once:,}" if at_once else "as a whole"
    memory = status_gb()
    return (
        f"an epoch of {len(order):,} windows shuffled {how}: its order {ordered:.1f} s, then "
        f"{rate:,.0f} windows a second of processor time; {memory['RssAnon']:.1f} GB of its own, "
        f"{memory['RssFile']:.1f} GB of the system's file cache"
    )


MEASURES = {
    "listing": listing,
    "selecting": selecting,
    "selecting_again": selecting_again,
    "reading_rows": reading_rows,
    "status": status,
    "resuming": resuming,
    "appending": appending,
    "epoch": epoch,
    "epoch_in_stretches": epoch_in_stretches,
}

PARTS: dict[str, tuple[Callable[[Path, float], None], tuple[str, ...]]] = {
    "clips": (make_listing, ("listing", "selecting", "selecting_again")),
    "ledger": (make_rows, ("reading_rows", "status", "resuming", "appending")),
    "windows": (make_windows, ("epoch", "epoch_in_stretches")),
}


if __name__ == "__main__":
    main()
