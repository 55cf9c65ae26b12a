"""The verb of continuous audio: night."""

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
from crydistill.errors import ConfigError

if TYPE_CHECKING:
    from crydistill.evaluation.scorers import Scorer
    from crydistill.nights.night import Night

app = typer.Typer()

_PLAN_NAME, _PAGE_NAME = "plan.csv", "night.html"


@app.command()
def night(
    corpus: Annotated[
        Path | None, typer.Argument(help="A folder of clips or a manifest to build a night from.")
    ] = None,
    recording: Annotated[
        Path | None, typer.Option(help="A long recording to hear instead.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Where it cries: Audacity label track, or CSV.")
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="The recording may be published, audio included.")
    ] = False,
    private: PrivateOption = False,
    out: Annotated[Path, typer.Option(help="Folder for what is found.")] = Path("night"),
    student: StudentsOption = None,
    teacher: Annotated[
        Path | None, typer.Option(help="YAMNet weights (.h5), or a .tflite teacher, to hear too.")
    ] = None,
    fp32: Annotated[
        bool, typer.Option("--fp32/--no-fp32", help="Hear student.keras too where it is there.")
    ] = True,
    kernels: Annotated[
        str, typer.Option(help="reference, as published figures need; optimized; xnnpack.")
    ] = "reference",
    votes: Annotated[
        list[str] | None,
        typer.Option("--votes", metavar="N/M", help="Judge this vote; repeatable."),
    ] = None,
    hold: Annotated[float, typer.Option(help="Seconds without a vote that end an alert.")] = 10.0,
    annotate: Annotated[
        bool, typer.Option("--annotate", help="Write what the presets did into student.json.")
    ] = False,
    where: WhereOption = None,
    bed: BedOption = None,
    hours: Annotated[
        float | None,
        typer.Option(help="Length; sounds are heard again. If left out: every sound exactly once."),
    ] = None,
    episodes: Annotated[int, typer.Option(help="Episodes of crying.")] = 100,
    gap: Annotated[
        float,
        typer.Option(help="Mean seconds between sounds, beyond half a second."),
    ] = 0.0,
    snr: Annotated[
        tuple[float, float],
        typer.Option(help="Cries over the background, dB."),
    ] = (5.0, 30.0),
    rooms: Annotated[int, typer.Option(help="Different rooms; 0: all dry.")] = 8,
    gain: Annotated[
        tuple[float, float],
        typer.Option(help="Microphone gain, dB."),
    ] = (-6.0, 6.0),
    seed: Annotated[int, typer.Option(help="Of the night.")] = 0,
) -> None:
    """Measure false alarms an hour and episodes caught on continuous audio."""
    from crydistill.boundary import require_outside_work_tree
    from crydistill.nights.hearing import hear
    from crydistill.progress import shown
    from crydistill.reports.night_files import annotate_presets, record_night
    from crydistill.reports.night_tables import NIGHT_NAME

    if annotate and (corpus is None or not student or kernels != "reference"):
        raise typer.BadParameter(
            "needs a corpus, a student of yours (--student) and the reference kernels",
            param_hint="--annotate",
        )
    pairs = _pairs(votes, hold)
    chosen = chosen_kernels(kernels)
    scorers = open_scorers(student, teacher, chosen, fp32=fp32)
    heard_night: Night
    if corpus is not None and recording is None and labels is None:
        heard_night = _built(
            corpus, where, bed, private,
            hours=hours, episodes=episodes, mean_gap_seconds=gap, snr_db=snr, rooms=rooms,
            microphone_db=gain, seed=seed,
        )  # fmt: skip
    elif recording is not None and corpus is None:
        heard_night = _recorded(recording, labels, public)
    else:
        raise typer.BadParameter(
            "name a corpus, or a recording with --recording, which --labels belongs to"
        )
    if heard_night.private:
        require_outside_work_tree(out, "what was heard in private recordings")
    if annotate:
        _require_annotatable(heard_night, scorers)
    result, record = record_night(
        heard_night,
        hear(heard_night, scorers, progress=shown),
        out / NIGHT_NAME,
        plan=out / _PLAN_NAME,
        page=out / _PAGE_NAME,
        kernels=chosen,
        votes=pairs,
        hold_seconds=hold,
        seed=seed,
        progress=shown,
    )
    _show(record)
    if annotate:
        for path, presets in annotate_presets(result).items():
            print(f"{path}: {len(presets)} presets annotated")
    print(f"night view: {out / _PAGE_NAME}")


def _pairs(votes: list[str] | None, hold: float) -> list[tuple[int, int]]:
    """Read N/M options; a wrong one is told before anything takes time."""
    from crydistill.detector.vote import VoteSettings
    from crydistill.nights.judge import DEFAULT_VOTES

    pairs = []
    for text in votes or [f"{n}/{m}" for n, m in DEFAULT_VOTES]:
        n, slash, m = text.partition("/")
        if not (slash and n.isdecimal() and m.isdecimal()):
            raise typer.BadParameter(f"'{text}': write N/M, such as 5/9", param_hint="--votes")
        VoteSettings(threshold=0.0, n=int(n), m=int(m), hold_seconds=hold)
        pairs.append((int(n), int(m)))
    return pairs


def _recorded(recording: Path, labels: Path | None, public: bool) -> "Night":
    from crydistill.nights.night import RecordedNight
    from crydistill.nights.spans import read_spans

    spans = read_spans(labels) if labels else None
    return RecordedNight(recording, spans, private=not public)


def _built(
    corpus: Path,
    where: list[str] | None,
    bed: list[str] | None,
    private: bool,
    *,
    seed: int,
    **options: Any,
) -> "Night":
    from crydistill.nights.night import clip_night, read_split
    from crydistill.nights.streams import StreamOptions
    from crydistill.progress import shown

    chosen = columns(where)
    clips = read_split(corpus, where=chosen, private=private, say=tell)
    background = {**chosen, **columns(bed, "--bed")}
    ambience = read_split(corpus, where=background, private=private) if bed else []
    stated = ", ".join(f"{column} {value}" for column, value in chosen.items())
    source = corpus.resolve()
    name = source.name if source.is_dir() else source.parent.name
    built = clip_night(
        clips,
        corpus=f"{name} ({stated})" if stated else name,
        options=StreamOptions(**options),
        seed=seed,
        bed=ambience,
        progress=shown,
    )
    for clip, reason in built.unusable.items():
        tell(f"left out {clip}: {reason}")
    return built


def _show(record: dict[str, Any]) -> None:
    from rich.console import Console

    from crydistill.reports.night_tables import facts, summary_table

    console = Console()
    for line in facts(record):
        console.print(line, markup=False, highlight=False)
    console.print(summary_table(record))


def _require_annotatable(heard_night: "Night", scorers: "list[Scorer]") -> None:
    if heard_night.private:
        raise ConfigError(
            f"{heard_night.title}: is private, and what a manifest says is published; annotate "
            "with public clips"
        )
    for scorer in scorers:
        if scorer.manifest_path is not None and not scorer.presets:
            raise ConfigError(f"{scorer.manifest_path}: has no presets; evaluate the student first")
