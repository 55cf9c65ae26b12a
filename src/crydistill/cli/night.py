"""The command `night`: evaluation on continuous audio."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crydistill.cli.common import columns, exit_if_left_out, parse_votes, tell
from crydistill.cli.listeners import (
    BedOption,
    ModelsOption,
    PrivateOption,
    chosen_kernels,
    open_scorers,
)
from crydistill.errors import ConfigError
from crydistill.experiment.streams import StreamOptions

if TYPE_CHECKING:
    from crydistill.corpora.folder import Where
    from crydistill.evaluation.scorers import Scorer
    from crydistill.nights.night import ClipNight, Night
    from crydistill.tflite.interpreters import Kernels

app = typer.Typer()

_PLAN_NAME, _PAGE_NAME, _SCORES_NAME = "plan.csv", "night.html", "scores"
_DEFAULTS = StreamOptions()

CorpusArgument = Annotated[
    list[Path] | None,
    typer.Argument(help="Folders of clips or manifests to compose a night from, together."),
]
NightWhereOption = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="COLUMN=VALUE",
        help="Use only these rows; repeatable: each column has to fit, with one of the values "
        "given for it. CORPUS:COLUMN=VALUE: of the folder CORPUS only.",
    ),
]
RecordingOption = Annotated[Path | None, typer.Option(help="Long recording to evaluate instead.")]
LabelsOption = Annotated[
    Path | None, typer.Option(help="Labels of the cries: Audacity label track, or CSV.")
]
PublicOption = Annotated[
    bool, typer.Option("--public", help="The recording may be published, including its audio.")
]
OutOption = Annotated[Path, typer.Option(help="Output folder.")]
TeachersOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--teacher",
        help="Also evaluate a teacher: YAMNet (.h5), .tflite, or EfficientAT (.pt); repeatable.",
    ),
]
Fp32Option = Annotated[
    bool, typer.Option("--fp32/--no-fp32", help="Also evaluate student.keras where it exists.")
]
KernelsOption = Annotated[
    str, typer.Option(help="reference (for published figures), optimized or xnnpack.")
]
VotesOption = Annotated[
    list[str] | None,
    typer.Option("--votes", metavar="N/M", help="Evaluate this N-of-M vote; repeatable."),
]
HoldOption = Annotated[
    float, typer.Option(help="Hold time: seconds without a vote that end an alert.")
]
AnnotateOption = Annotated[
    bool, typer.Option("--annotate", help="Write the presets' results to student.json.")
]
HoursOption = Annotated[
    float | None,
    typer.Option(help="Length in hours, repeating sounds. Default: every sound exactly once."),
]
EpisodesOption = Annotated[int, typer.Option(help="Number of crying episodes.")]
GapOption = Annotated[
    float, typer.Option(help="Mean gap between bouts in seconds, on top of 5.5 s.")
]
SnrOption = Annotated[
    tuple[float, float],
    typer.Option(help="Level range of cries and other sounds over the background, dB."),
]
RoomsOption = Annotated[int, typer.Option(help="Number of simulated rooms; 0: no reverberation.")]
GainOption = Annotated[tuple[float, float], typer.Option(help="Range of the microphone gain, dB.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Random seed of the first night.")]
SeedsOption = Annotated[
    int, typer.Option(min=1, help="Nights of the same clips, each with the next seed, pooled.")
]


@app.command()
def night(
    corpus: CorpusArgument = None,
    recording: RecordingOption = None,
    labels: LabelsOption = None,
    public: PublicOption = False,
    private: PrivateOption = False,
    out: OutOption = Path("runs/night"),
    model: ModelsOption = None,
    teacher: TeachersOption = None,
    fp32: Fp32Option = True,
    kernels: KernelsOption = "reference",
    votes: VotesOption = None,
    hold: HoldOption = 10.0,
    annotate: AnnotateOption = False,
    where: NightWhereOption = None,
    bed: BedOption = None,
    hours: HoursOption = _DEFAULTS.hours,
    episodes: EpisodesOption = _DEFAULTS.episodes,
    gap: GapOption = _DEFAULTS.mean_gap_seconds,
    snr: SnrOption = _DEFAULTS.snr_db,
    rooms: RoomsOption = _DEFAULTS.rooms,
    gain: GainOption = _DEFAULTS.microphone_db,
    seed: SeedOption = 0,
    seeds: SeedsOption = 1,
) -> None:
    """Measure false alarms per hour and detected episodes on continuous audio."""
    if annotate and (not corpus or not model or kernels != "reference"):
        raise typer.BadParameter(
            "needs a corpus, your own student (--model) and the reference kernels",
            param_hint="--annotate",
        )
    pairs = _pairs(votes, hold)
    chosen = chosen_kernels(kernels)
    scorers = open_scorers(model, teacher, chosen, fp32=fp32)
    left_out = 0
    nights: list[Night]
    if corpus and recording is None and labels is None:
        options = StreamOptions(
            hours=hours, episodes=episodes, mean_gap_seconds=gap, snr_db=snr, rooms=rooms,
            microphone_db=gain,
        )  # fmt: skip
        composed = _composed(corpus, where, bed, private, options, range(seed, seed + seeds))
        nights, left_out = [*composed], len(composed[0].unusable)
    elif recording is not None and not corpus:
        nights = [_recorded(recording, labels, public)]
    else:
        raise typer.BadParameter(
            "name a corpus, or a recording with --recording; --labels belongs to a recording"
        )
    _evaluate(nights, scorers, out, chosen, pairs, hold_seconds=hold, seed=seed, annotate=annotate)
    exit_if_left_out(left_out, len(scorers))


def _evaluate(
    nights: "list[Night]",
    scorers: "list[Scorer]",
    out: Path,
    kernels: "Kernels",
    votes: list[tuple[int, int]],
    *,
    hold_seconds: float,
    seed: int,
    annotate: bool,
) -> None:
    from crydistill.boundary import require_outside_work_tree
    from crydistill.nights.kept import score_nights
    from crydistill.progress import shown
    from crydistill.reports.night_files import annotate_presets, record_nights
    from crydistill.reports.night_tables import NIGHT_NAME

    if any(one.private for one in nights):
        require_outside_work_tree(out, "results on private recordings")
    if annotate:
        _require_annotatable(nights[0], scorers)
    result, record = record_nights(
        nights,
        score_nights(nights, scorers, out / _SCORES_NAME, how=kernels.value, progress=shown),
        out / NIGHT_NAME,
        plan=out / _PLAN_NAME,
        page=out / _PAGE_NAME,
        kernels=kernels,
        votes=votes,
        hold_seconds=hold_seconds,
        seed=seed,
        progress=shown,
    )
    _show(record)
    if annotate:
        for path, presets in annotate_presets(result).items():
            print(f"{path}: {len(presets)} presets annotated")
    print(f"night view: {out / _PAGE_NAME}")


def _pairs(votes: list[str] | None, hold: float) -> list[tuple[int, int]]:
    """Parse N/M options, to report errors before any long computation."""
    from crydistill.detector.vote import VoteSettings
    from crydistill.nights.judge import DEFAULT_VOTES

    pairs = []
    for n, m in map(parse_votes, votes) if votes else DEFAULT_VOTES:
        VoteSettings(threshold=0.0, n=n, m=m, hold_seconds=hold)
        pairs.append((n, m))
    return pairs


def _recorded(recording: Path, labels: Path | None, public: bool) -> "Night":
    from crydistill.nights.night import RecordedNight
    from crydistill.nights.spans import read_spans

    spans = read_spans(labels) if labels else None
    return RecordedNight(recording, spans, private=not public)


def _composed(
    corpora: list[Path],
    where: list[str] | None,
    bed: list[str] | None,
    private: bool,
    options: StreamOptions,
    seeds: range,
) -> "list[ClipNight]":
    from crydistill.corpora.folder import where_text
    from crydistill.nights.night import clip_nights, read_split
    from crydistill.progress import shown

    names = _names(corpora)
    chosen = _of_corpora(names, columns(where))
    clips = {}
    for name, path in zip(names, corpora, strict=True):
        stated = where_text(chosen[name])
        clips[f"{name} ({stated})" if stated else name] = read_split(
            path, where=chosen[name], private=private, say=tell
        )
    background = {**chosen[names[0]], **columns(bed, "--bed")}
    ambience = read_split(corpora[0], where=background, private=private) if bed else []
    built = clip_nights(clips, options=options, seeds=seeds, bed=ambience, progress=shown)
    for clip, reason in built[0].unusable.items():
        tell(f"skipped {clip}: {reason}")
    return built


def _names(corpora: list[Path]) -> list[str]:
    """The corpora's folders, by which they are told apart."""
    sources = [corpus.resolve() for corpus in corpora]
    names = [source.name if source.is_dir() else source.parent.name for source in sources]
    if len(set(names)) < len(names):
        raise typer.BadParameter(f"two corpora in folders of one name: {', '.join(names)}")
    return names


def _of_corpora(names: list[str], chosen: "Where") -> "dict[str, Where]":
    """Which rows of each corpus are chosen: `audio:split` names a column of one of them.

    For that one it holds instead of what is said of the column for all.
    """
    found: dict[str, dict[str, str | Sequence[str]]] = {name: {} for name in names}
    for column, value in chosen.items():
        corpus, colon, of_corpus = column.rpartition(":")
        if colon and corpus not in found:
            raise typer.BadParameter(
                f"'{column}': {corpus} is none of the corpora ({', '.join(names)})",
                param_hint="--where",
            )
        for name in [corpus] if colon else names:
            if colon or f"{name}:{column}" not in chosen:
                found[name][of_corpus] = value
    return {**found}


def _show(record: dict[str, Any]) -> None:
    from rich.console import Console

    from crydistill.reports.night_tables import facts, summary_table

    console = Console()
    for line in facts(record):
        console.print(line, markup=False, highlight=False)
    console.print(summary_table(record))


def _require_annotatable(night_audio: "Night", scorers: "list[Scorer]") -> None:
    if night_audio.private:
        raise ConfigError(
            f"{night_audio.title}: is private, but a manifest gets published; annotate with public "
            "clips"
        )
    for scorer in scorers:
        if scorer.manifest_path is not None and not scorer.presets:
            raise ConfigError(f"{scorer.manifest_path}: has no presets; evaluate the student first")
