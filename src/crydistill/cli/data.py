"""Commands that download or generate audio."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crydistill.cli.common import complain, exit_if_left_out, tell

if TYPE_CHECKING:
    from crydistill.corpora.rebuild import Missing

AUDIOSET = "audioset"
"""Name for which `fetch` uses segment lists instead of a catalogue entry."""

IDS = Path("data/ids")
MANIFESTS = Path("data/manifests")

app = typer.Typer()
ids_app = typer.Typer(help="AudioSet segment lists.", no_args_is_help=True)
app.add_typer(ids_app, name="ids")
corpora_app = typer.Typer(invoke_without_command=True)
app.add_typer(corpora_app, name="corpora")

_NAMED = 10
"""Largest number of missing recordings to list individually."""


@ids_app.command("curate")
def ids_curate(
    eval_csv: Annotated[Path, typer.Argument(help="AudioSet's eval_segments.csv.")],
    balanced_csv: Annotated[Path, typer.Argument(help="AudioSet's balanced_train_segments.csv.")],
    out: Annotated[Path, typer.Option(help="Output folder for the lists.")] = IDS,
) -> None:
    """Draw the frozen test, train and val lists from AudioSet's metadata."""
    from crydistill.corpora.audioset import class_counts, read_segments, write_lists

    for name, path in write_lists(eval_csv, balanced_csv, out).items():
        counts = class_counts(read_segments(path))
        drawn = ", ".join(f"{count} {kind}" for kind, count in counts.items())
        print(f"{path}: {name}, {sum(counts.values())} segments: {drawn}")


@app.command()
def fetch(
    name: Annotated[
        str, typer.Argument(help="audioset, or a corpus of the catalogue (see `corpora`).")
    ],
    ids: Annotated[
        list[Path] | None,
        typer.Option(help="audioset: segment list; repeatable. Default: the three frozen lists."),
    ] = None,
    per_hour: Annotated[
        float, typer.Option(help="audioset: rate limit in videos per hour.")
    ] = 300.0,
    workers: Annotated[int, typer.Option(help="audioset: parallel downloads.")] = 4,
    status: Annotated[
        bool, typer.Option("--status", help="audioset: only show available segments by class.")
    ] = False,
) -> None:
    """Download a public corpus, or AudioSet segments by id; resumable."""
    lists = ids or [IDS / f"audioset_{split}.csv" for split in ("train", "val", "test")]
    if name != AUDIOSET:
        _fetch_corpus(name)
    elif status:
        _print_survivors(lists)
    else:
        _fetch_audioset(lists, per_hour, workers)


@corpora_app.callback()
def corpora(context: typer.Context) -> None:
    """List the catalogue of public corpora: downloaded or not, duration, licence."""
    if context.invoked_subcommand is None:
        _print_catalogue()


@corpora_app.command("manifest")
def corpora_manifest(
    audio: Annotated[Path, typer.Argument(help="Folder of recordings with a clips.csv.")],
    out: Annotated[Path, typer.Argument(help="Output folder for the manifests.")] = MANIFESTS,
    prefix: Annotated[str, typer.Option(help="Put this before the manifests' names.")] = "",
) -> None:
    """Write manifests of public names for a folder: base-train.csv, validation.csv, dev.csv."""
    from crydistill.corpora.public_names import write_manifests
    from crydistill.progress import shown

    for path, count in write_manifests(audio, out, prefix=prefix, progress=shown).items():
        print(f"{path}: {count:,} recordings")


@corpora_app.command("rebuild")
def corpora_rebuild(
    manifest: Annotated[
        Path, typer.Argument(help="Manifest, such as data/manifests/base-train.csv.")
    ],
    folder: Annotated[
        Path, typer.Argument(help="Output folder for the audio; manifests may share it.")
    ],
    copies: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            exists=True,
            file_okay=False,
            help="Local copy of a public repository to search first; repeatable.",
        ),
    ] = None,
) -> None:
    """Rebuild a manifest's audio from the downloaded public corpora; resumable."""
    from crydistill.corpora.rebuild import rebuild
    from crydistill.progress import shown
    from crydistill.settings import cache_dir

    done = rebuild(manifest, folder, cache_dir(), copies=copies or (), progress=shown)
    print(f"{folder}: {done.made:,} made, {done.kept:,} were here, {len(done.missing):,} missing")
    if done.missing:
        _tell_missing(done.missing)
    exit_if_left_out(len(done.missing), done.made + done.kept)


def _tell_missing(missing: Sequence["Missing"]) -> None:
    for lack in missing[:_NAMED]:
        tell(str(lack))
    if len(missing) > _NAMED:
        tell(f"and {len(missing) - _NAMED:,} more")
    by_corpus = Counter(lack.corpus or "unknown corpus" for lack in missing)
    tell("missing: " + ", ".join(f"{name} {count:,}" for name, count in by_corpus.items()))


def _print_catalogue() -> None:
    from rich.console import Console
    from rich.table import Table

    from crydistill.corpora.catalogue import installed
    from crydistill.corpora.public import CATALOGUE
    from crydistill.settings import cache_dir

    here = {row.name: row for row in installed(cache_dir())}
    table = Table("corpus", "here", "clips", "cries", "minutes", "licence")
    for name, corpus in CATALOGUE.items():
        row = here.get(name)
        figures = (f"{row.clips:,}", f"{row.cries:,}", f"{row.minutes:,.0f}") if row else ("",) * 3
        table.add_row(name, "yes" if row else "", *figures, corpus.licence)
    Console().print(table)


@app.command()
def nursery(
    directory: Annotated[Path, typer.Argument(help="Output directory.")],
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the recordings.")] = 0,
) -> None:
    """Render the synthetic nursery: ten minutes of labelled, fully synthetic audio."""
    from crydistill.progress import shown
    from crydistill.synthesis.nursery import write_nursery

    print(write_nursery(directory, seed=seed, progress=shown))


@app.command()
def nights(
    folder: Annotated[Path, typer.Argument(help="Output folder, outside any git work tree.")],
    days: Annotated[
        int, typer.Option(min=1, help="Number of days, with about 90 captures each.")
    ] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the home.")] = 0,
    seconds: Annotated[float, typer.Option(help="Length of a capture in seconds.")] = 40.0,
) -> None:
    """Render synthetic home captures over several days, with tiers, in place of real ones."""
    from crydistill.progress import shown
    from crydistill.synthesis.home import write_captures

    print(write_captures(folder, days, seed, seconds=seconds, progress=shown))


def _fetch_corpus(name: str) -> None:
    from crydistill.corpora.catalogue import fetch_corpus
    from crydistill.progress import shown
    from crydistill.settings import cache_dir

    found = fetch_corpus(name, cache_dir(), progress=shown)
    print(f"{found.name}: {found.clips:,} clips, {found.minutes:,.0f} minutes, {found.licence}")
    if found.unreadable:
        tell(f"{found.unreadable:,} of its files cannot be read and are left out")
    exit_if_left_out(found.unreadable, found.clips)


def _fetch_audioset(lists: list[Path], per_hour: float, workers: int) -> None:
    from crydistill.corpora.audioset import read_segments
    from crydistill.corpora.ledger import GONE, State
    from crydistill.corpora.youtube import Pace, fetch_segments
    from crydistill.corpora.ytdlp import find_tools
    from crydistill.progress import shown
    from crydistill.settings import audioset_dir
    from crydistill.synthesis.segments import render_segment

    segments = [segment for path in lists for segment in read_segments(path)]
    online = any(not segment.synthetic for segment in segments)
    report = fetch_segments(
        segments,
        audioset_dir(),
        find_tools() if online else None,
        pace=Pace(per_hour=per_hour, workers=workers),
        render=render_segment,
        progress=shown,
    )
    for state, count in sorted(report.states.items()):
        print(f"{state}: {count}")
    if report.stopped:
        complain(report.stopped)
    gone = sum(report.states.get(state, 0) for state in GONE)
    if gone:
        tell(f"{gone} segments are no longer public and stay left out")
    if report.waiting:
        tell(f"{report.waiting} segments are still pending; run the same command again in an hour")
    exit_if_left_out(gone + report.waiting, report.states.get(State.DONE, 0))


def _print_survivors(lists: list[Path]) -> None:
    from rich.console import Console
    from rich.table import Table

    from crydistill.corpora.audioset import read_segments
    from crydistill.corpora.ledger import read_ledger, survivors_by_class
    from crydistill.settings import audioset_dir

    segments = [segment for path in lists for segment in read_segments(path)]
    table = Table("class", "listed", "downloaded", "unavailable", "pending")
    for row in survivors_by_class(read_ledger(audioset_dir()), segments):
        table.add_row(row.class_name, *map(str, (row.listed, row.done, row.gone, row.waiting)))
    Console().print(table)
