"""Verbs that try a student hard: robustness, promises."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crydistill.cli.common import columns, tell
from crydistill.cli.listeners import (
    BedOption,
    PrivateOption,
    StudentsOption,
    WhereOption,
    chosen_kernels,
    open_scorers,
)

if TYPE_CHECKING:
    from crydistill.corpora.clip import Clip

app = typer.Typer()

NURSERY = "nursery"

CorpusArgument = Annotated[
    Path | None,
    typer.Argument(help="A clips.csv or a folder of audio; the synthetic nursery if left out."),
]
KernelsOption = Annotated[
    str, typer.Option(help="optimized, as `detect` runs; reference is six times slower; xnnpack.")
]


@app.command()
def robustness(
    corpus: CorpusArgument = None,
    where: WhereOption = None,
    private: PrivateOption = False,
    student: StudentsOption = None,
    teacher: Annotated[
        Path | None, typer.Option(help="YAMNet weights, to be heard beside: slow.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for what is found.")] = Path("runs/robustness"),
    clips: Annotated[
        int | None, typer.Option(min=2, help="Choose so many clips, from all groups by turns.")
    ] = None,
    per_hour: Annotated[
        float, typer.Option(help="False alarms an hour at which recall is reported.")
    ] = 1.0,
    n: Annotated[int, typer.Option("-n", help="Votes that raise an alert.")] = 5,
    m: Annotated[int, typer.Option("-m", help="Windows that vote.")] = 9,
    kernels: KernelsOption = "optimized",
    seed: Annotated[int, typer.Option(min=0, help="Of the choice of clips, noise, places.")] = 0,
    replicates: Annotated[int, typer.Option(min=1, help="Resamples of the intervals.")] = 1_000,
) -> None:
    """Measure what noise, level, rooms and poor electronics cost; goes on where it stopped."""
    from rich.console import Console

    from crydistill.detector.vote import VoteSettings
    from crydistill.evaluation.conditions import Noises
    from crydistill.evaluation.robustness import (
        PICTURE_NAME,
        RESULT_NAME,
        choose_clips,
        judge,
        report,
        score_clips,
    )
    from crydistill.lock import exclusive
    from crydistill.metrics.records import write_record
    from crydistill.progress import shown
    from crydistill.reports.robustness_page import picture, terminal_table

    scorers = open_scorers(student, teacher, chosen_kernels(kernels), fp32=False)
    every = _clips(corpus, where, private, out)
    noises = Noises(every, seed)
    vote = VoteSettings(threshold=0.0, n=n, m=m)
    with exclusive(out / ".lock"):
        heard = score_clips(
            choose_clips(every, clips, seed=seed),
            scorers,
            out / f"scores-{kernels}.jsonl",
            noises=noises,
            vote=vote,
            progress=shown,
        )
        verdicts = judge(heard, per_hour=per_hour, replicates=replicates, seed=seed, progress=shown)
        provenance = _provenance(corpus, where, kernels)
        record = report(
            heard, verdicts, scorers=scorers, noises=noises, vote=vote, per_hour=per_hour,
            replicates=replicates, seed=seed, provenance=provenance,
        )  # fmt: skip
        write_record(out / RESULT_NAME, record)
        picture(record, out / PICTURE_NAME)
    console = Console()
    for scorer in scorers:
        console.print(terminal_table(record, scorer.name))
    for clip, reason in heard.unreadable.items():
        tell(f"left out {clip}: {reason}")
    print(f"{out / RESULT_NAME}\n{out / PICTURE_NAME}")


@app.command()
def promises(
    corpus: CorpusArgument = None,
    where: WhereOption = None,
    bed: BedOption = None,
    private: PrivateOption = False,
    student: Annotated[
        Path | None, typer.Option(help="A run directory or student.tflite; packaged if none.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for what is found.")] = Path("runs/promises"),
    per_night: Annotated[float, typer.Option(help="False alarms wanted in 8 hours.")] = 1.0,
    homes: Annotated[int, typer.Option(min=2, help="Homes to simulate.")] = 24,
    clips: Annotated[int, typer.Option(min=20, help="Clips that sound in a home.")] = 300,
    kernels: KernelsOption = "optimized",
    seed: Annotated[int, typer.Option(min=0, help="Of the homes and their nights.")] = 0,
) -> None:
    """Calibrate in many simulated homes and see whether the promised rate comes true."""
    from rich.console import Console

    from crydistill.detector.calibrate import highest_score
    from crydistill.lock import exclusive
    from crydistill.metrics.records import write_record
    from crydistill.nights.homes import HomeOptions, draw_homes, hear_homes
    from crydistill.nights.promises import PICTURE_NAME, RESULT_NAME, report, try_promises
    from crydistill.progress import shown
    from crydistill.reports.promises_page import picture, terminal_table
    from crydistill.student.manifest import load_manifest

    (scorer,) = open_scorers(
        [student] if student else None, None, chosen_kernels(kernels), fp32=False
    )
    assert scorer.manifest_path is not None  # students have one
    highest = highest_score(load_manifest(scorer.manifest_path))
    every = _clips(corpus, where, private, out)
    ambience = columns(bed, "--bed")
    beds = _clips(corpus, [*(where or []), *(bed or [])], private, out) if ambience else []
    options = HomeOptions(homes=homes, clips=clips)
    drawn = draw_homes(every, beds, options, seed=seed)
    cries = [clip for clip in every if clip.is_cry]
    with exclusive(out / ".lock"):
        heard, unusable = hear_homes(
            drawn, cries, scorer, out / f"homes-{kernels}", highest=highest, options=options,
            seed=seed, progress=shown,
        )  # fmt: skip
        cells = try_promises(
            heard, wanted_per_night=per_night, highest=highest, options=options, seed=seed,
            progress=shown,
        )  # fmt: skip
        record = report(
            cells, drawn, scorer, unusable, wanted_per_night=per_night, options=options,
            seed=seed, provenance=_provenance(corpus, where, kernels),
        )  # fmt: skip
        write_record(out / RESULT_NAME, record)
        picture(record, out / PICTURE_NAME)
    Console().print(terminal_table(record))
    for clip, reason in unusable.items():
        tell(f"left out {clip}: {reason}")
    print(f"{out / RESULT_NAME}\n{out / PICTURE_NAME}")


def _clips(corpus: Path | None, where: list[str] | None, private: bool, out: Path) -> "list[Clip]":
    """List a corpus's clips; the synthetic nursery is rendered below `out` if need be."""
    from crydistill.boundary import require_outside_work_tree
    from crydistill.nights.night import read_split
    from crydistill.progress import shown
    from crydistill.synthesis.nursery import write_nursery

    if private:
        require_outside_work_tree(out, "what was heard in private recordings")
    if corpus is not None:
        return read_split(corpus, where=columns(where), private=private, say=tell)
    manifest = write_nursery(out / NURSERY, seed=0, progress=shown)
    return read_split(manifest, where=columns(where) or {"split": "test"})


def _provenance(corpus: Path | None, where: list[str] | None, kernels: str) -> dict[str, Any]:
    from crydistill.provenance import made_by

    name = corpus.resolve().name if corpus else NURSERY
    return made_by(corpus=name, where=columns(where), kernels=kernels)
