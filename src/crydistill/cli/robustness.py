"""Commands that stress-test a student: robustness, promises."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from crydistill.cli.common import columns, exit_if_skipped, parse_votes, tell
from crydistill.cli.listeners import (
    BedOption,
    ModelsOption,
    PrivateOption,
    WhereOption,
    chosen_kernels,
    open_scorers,
)
from crydistill.cli.operating import chosen_student

if TYPE_CHECKING:
    from crydistill.corpora.clip import Clip
    from crydistill.corpora.folder import Where
    from crydistill.detector.vote import VoteSettings
    from crydistill.evaluation.scorers import Scorer
    from crydistill.student.manifest import StudentManifest

app = typer.Typer()

NURSERY = "nursery"

CorpusArgument = Annotated[
    Path | None,
    typer.Argument(help="clips.csv or folder of audio; default: the synthetic nursery."),
]
KernelsOption = Annotated[
    str,
    typer.Option(
        help="reference (for published figures), optimized (six times faster) or xnnpack."
    ),
]
OutOption = Annotated[Path, typer.Option(help="Output folder.")]
LimitOption = Annotated[
    int | None, typer.Option(min=2, help="Number of clips to use, drawn from all groups in turn.")
]
PerHourOption = Annotated[
    float, typer.Option(min=0, help="False alarms per hour at which recall is reported.")
]
VotesOption = Annotated[
    str | None,
    typer.Option("--votes", metavar="N/M", help="Votes among the last windows; default: its own."),
]
ReplicatesOption = Annotated[
    int, typer.Option(min=1, help="Bootstrap resamples for the intervals.")
]
HalfOption = Annotated[
    Literal["first", "second"] | None,
    typer.Option(
        metavar="HALF",
        help="first or second: half of the groups of clips that homes are of; default: all.",
    ),
]


@app.command()
def robustness(
    corpus: CorpusArgument = None,
    where: WhereOption = None,
    private: PrivateOption = False,
    model: ModelsOption = None,
    teacher: Annotated[
        Path | None, typer.Option(help="Also evaluate a teacher (YAMNet weights); slow.")
    ] = None,
    out: OutOption = Path("runs/robustness"),
    limit: LimitOption = None,
    per_hour: PerHourOption = 1.0,
    votes: VotesOption = None,
    kernels: KernelsOption = "reference",
    seed: Annotated[int, typer.Option(min=0, help="Random seed of clips, noise and rooms.")] = 0,
    replicates: ReplicatesOption = 1_000,
) -> None:
    """Measure robustness to noise, level, rooms and poor electronics; resumable."""
    from crydistill.evaluation.conditions import Noises
    from crydistill.evaluation.robustness import (
        PICTURE_NAME,
        RESULT_NAME,
        choose_clips,
        evaluate_conditions,
        robustness_record,
        score_clips,
    )
    from crydistill.lock import exclusive
    from crydistill.metrics.records import write_record
    from crydistill.progress import shown
    from crydistill.reports.robustness_page import picture

    scorers = open_scorers(
        model, [teacher] if teacher else None, chosen_kernels(kernels), fp32=False
    )
    every = _clips(corpus, columns(where), private, out)
    noises = Noises(every, seed)
    vote = _vote(scorers[0], votes)
    with exclusive(out / ".lock"):
        scored = score_clips(
            choose_clips(every, limit, seed=seed),
            scorers,
            out / f"scores-{kernels}.jsonl",
            noises=noises,
            vote=vote,
            progress=shown,
        )
        results = evaluate_conditions(
            scored, per_hour=per_hour, replicates=replicates, seed=seed, progress=shown
        )
        provenance = _provenance(corpus, where, kernels)
        record = robustness_record(
            scored, results, scorers=scorers, noises=noises, vote=vote, per_hour=per_hour,
            replicates=replicates, seed=seed, provenance=provenance,
        )  # fmt: skip
        write_record(out / RESULT_NAME, record)
        picture(record, out / PICTURE_NAME)
    _show(record, [scorer.name for scorer in scorers])
    print(f"{out / RESULT_NAME}\n{out / PICTURE_NAME}")
    exit_if_skipped(scored.unreadable, len(scored.clips))


def _show(record: dict[str, Any], scorers: list[str]) -> None:
    from rich.console import Console

    from crydistill.reports.robustness_page import terminal_table

    console = Console()
    for name in scorers:
        console.print(terminal_table(record, name))


@app.command()
def promises(
    corpus: CorpusArgument = None,
    where: WhereOption = None,
    bed: BedOption = None,
    private: PrivateOption = False,
    model: Annotated[
        Path | None,
        typer.Option(help="Run directory or student.tflite; default: the packaged student."),
    ] = None,
    out: OutOption = Path("runs/promises"),
    per_night: Annotated[float, typer.Option(help="Target false alarms in 8 hours.")] = 1.0,
    homes: Annotated[int, typer.Option(min=2, help="Number of simulated homes.")] = 24,
    home_clips: Annotated[int, typer.Option(min=20, help="Number of clips per home.")] = 300,
    kernels: KernelsOption = "reference",
    seed: Annotated[
        int, typer.Option(min=0, help="Random seed of the homes and their nights.")
    ] = 0,
) -> None:
    """Calibrate in many simulated homes and check whether the target rate is met."""
    from rich.console import Console

    from crydistill.detector.calibrate import highest_score
    from crydistill.detector.settings import reachable_score
    from crydistill.lock import exclusive
    from crydistill.metrics.records import write_record
    from crydistill.nights.homes import HomeOptions, draw_homes, score_homes
    from crydistill.nights.promises import (
        PICTURE_NAME,
        RESULT_NAME,
        promises_record,
        try_promises,
    )
    from crydistill.progress import shown
    from crydistill.reports.promises_page import picture, terminal_table

    scorer, manifest = _student(model, kernels)
    highest = highest_score(manifest)
    every = _clips(corpus, columns(where), private, out)
    beds = _clips(corpus, {**columns(where), **columns(bed, "--bed")}, private, out) if bed else []
    options = HomeOptions(homes=homes, clips=home_clips)
    drawn = draw_homes(every, beds, options, seed=seed)
    cries = [clip for clip in every if clip.is_cry]
    with exclusive(out / ".lock"):
        heard, unusable = score_homes(
            drawn, cries, scorer, out / f"homes-{kernels}", highest=highest, options=options,
            seed=seed, progress=shown,
        )  # fmt: skip
        cells = try_promises(
            heard, wanted_per_night=per_night, highest=highest,
            reachable=reachable_score(manifest), options=options,
            votes=_votes_tried(scorer), seed=seed, progress=shown,
        )  # fmt: skip
        record = promises_record(
            cells, drawn, scorer, unusable, wanted_per_night=per_night, options=options,
            seed=seed, provenance=_provenance(corpus, where, kernels),
        )  # fmt: skip
        write_record(out / RESULT_NAME, record)
        picture(record, out / PICTURE_NAME)
    Console().print(terminal_table(record))
    print(f"{out / RESULT_NAME}\n{out / PICTURE_NAME}")
    exit_if_skipped(unusable, len(heard))


@app.command("adapt-homes")
def adapt_homes(
    corpus: CorpusArgument = None,
    where: WhereOption = None,
    also: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FOLDER:COLUMN=VALUE,...", help="Add sounds of another corpus; repeatable."
        ),
    ] = None,
    out: OutOption = Path("runs/adapt-homes"),
    preset: Annotated[str, typer.Option(help="Operating point in all homes.")] = "sensitive",
    homes: Annotated[int, typer.Option(min=2, help="Number of simulated homes.")] = 12,
    half: HalfOption = None,
    replay: Annotated[
        Path | None, typer.Option(help="Replayed features; default: the package's.")
    ] = None,
    kernels: KernelsOption = "reference",
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the homes.")] = 0,
) -> None:
    """Adapt the packaged student in simulated homes, and observe other nights before and after."""
    from rich.console import Console

    from crydistill.detector.settings import vote_settings
    from crydistill.errors import ModelError
    from crydistill.feedback.replay import replay_for
    from crydistill.lock import exclusive
    from crydistill.metrics.records import write_record
    from crydistill.nights.adapting import RESULT_NAME, AdaptingOptions, Homes, adapting_record
    from crydistill.progress import shown
    from crydistill.reports.adapting_tables import terminal_table

    student = chosen_student(None, chosen_kernels(kernels))
    sha256 = student.manifest.tflite.sha256
    replayed = replay_for(sha256, replay)
    if replayed is None:
        raise ModelError("the package holds no replayed features of its student; give --replay")
    clips = _homes_clips(corpus, where, also, half, out)
    options = AdaptingOptions(homes=homes)
    with exclusive(out / ".lock"):
        lived = Homes(
            clips, student, replayed, vote_settings(student.manifest, preset), out / "homes",
            options, seed=seed, progress=shown,
        )  # fmt: skip
        record = adapting_record(
            lived, lived.adapt(progress=shown), preset=preset, options=options, seed=seed,
            provenance=_provenance(corpus, where, kernels)
            | {
                "also": [_named(text) for text in also or []],
                "half": half,
                "student": sha256,
                "replay": replayed.fingerprint,
            },
        )  # fmt: skip
        write_record(out / RESULT_NAME, record)
    Console().print(terminal_table(record))
    print(out / RESULT_NAME)
    exit_if_skipped(lived.unusable, len(clips))


def _homes_clips(
    corpus: Path | None,
    where: list[str] | None,
    also: list[str] | None,
    half: str | None,
    out: Path,
) -> "list[Clip]":
    """A corpus's clips and other corpora's sounds; of one half of the groups if a half is named."""
    from crydistill.nights.adapting import Half, half_of

    clips = _clips(corpus, columns(where), False, out)
    clips += [clip for text in also or [] for clip in _also(text)]
    return clips if half is None else half_of(clips, Half(half))


def _named(text: str) -> str:
    """The same with the folder's name only: a record tells no paths of this machine."""
    folder, _, chosen = text.partition(":")
    return f"{Path(folder).resolve().name}:{chosen}"


def _also(text: str) -> "list[Clip]":
    """Sounds of another corpus: FOLDER:COLUMN=VALUE,COLUMN=VALUE."""
    from crydistill.nights.night import read_split

    folder, _, chosen = text.partition(":")
    clips = read_split(Path(folder), where=columns(chosen.split(",")), private=False)
    return [clip for clip in clips if not clip.is_cry]


def _vote(scorer: "Scorer", votes: str | None = None) -> "VoteSettings":
    """The vote N/M given, or that of a student's default preset."""
    from crydistill.detector.settings import DEFAULT_PRESET
    from crydistill.detector.vote import VoteSettings

    if votes is None:
        return scorer.presets.get(DEFAULT_PRESET, VoteSettings(threshold=0.0))
    n, m = parse_votes(votes)
    return VoteSettings(threshold=0.0, n=n, m=m)


def _votes_tried(scorer: "Scorer") -> list[tuple[int, int]]:
    """The student's own vote, then fixed ones to compare."""
    from crydistill.nights.promises import VOTES

    own = _vote(scorer)
    return list(dict.fromkeys([(own.n, own.m), *VOTES]))


def _student(student: Path | None, kernels: str) -> "tuple[Scorer, StudentManifest]":
    from crydistill.student.manifest import load_manifest

    (scorer,) = open_scorers(
        [student] if student else None, None, chosen_kernels(kernels), fp32=False
    )
    assert scorer.manifest_path is not None  # students have one
    return scorer, load_manifest(scorer.manifest_path)


def _clips(corpus: Path | None, where: "Where", private: bool, out: Path) -> "list[Clip]":
    """List a corpus's clips; by default, render the synthetic nursery in `out`."""
    from crydistill.boundary import require_outside_work_tree
    from crydistill.nights.night import read_split
    from crydistill.progress import shown
    from crydistill.synthesis.nursery import write_nursery

    if private:
        require_outside_work_tree(out, "results on private recordings")
    if corpus is not None:
        return read_split(corpus, where=where, private=private, say=tell)
    manifest = write_nursery(out / NURSERY, seed=0, progress=shown)
    return read_split(manifest, where=where or {"split": "test"})


def _provenance(corpus: Path | None, where: list[str] | None, kernels: str) -> dict[str, Any]:
    from crydistill.provenance import made_by

    name = corpus.resolve().name if corpus else NURSERY
    return made_by(corpus=name, where=columns(where), kernels=kernels)
