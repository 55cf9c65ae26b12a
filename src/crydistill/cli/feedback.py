"""Commands that let a student learn from a home: review, adapt; and what they need: replay."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crydistill.cli.common import columns, exit_if_skipped, tell
from crydistill.cli.listeners import WhereOption, chosen_kernels
from crydistill.cli.operating import ModelOption, PresetOption, chosen_student
from crydistill.errors import CheckFailed

if TYPE_CHECKING:
    from crydistill.feedback.adapt import Adapted

app = typer.Typer()

_SECONDS_BETWEEN_LOOKS = 0.5
"""How often a page that nobody asks looks whether it is to end."""

FolderArgument = Annotated[Path, typer.Argument(help="Folder that `listen --clips` writes.")]


@app.command()
def review(
    folder: FolderArgument,
    model: ModelOption = None,
    preset: PresetOption = None,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port of the page; 0: any that is free.")
    ] = 0,
) -> None:
    """Hear the clips that `listen` kept, on a page of this machine, and say what they are."""
    from crydistill.boundary import require_outside_work_tree
    from crydistill.cli.stop_signals import StopSignals
    from crydistill.detector.settings import DEFAULT_PRESET, vote_settings
    from crydistill.feedback.server import ReviewServer

    require_outside_work_tree(folder, "clips of a home (they are private)")
    student = chosen_student(model)
    vote = vote_settings(student.manifest, preset or DEFAULT_PRESET)
    with ReviewServer(folder, student, vote, port=port) as server, StopSignals() as stop:
        print(server.address, flush=True)
        tell("open this address in a browser on this machine; Ctrl-C ends")
        server.timeout = _SECONDS_BETWEEN_LOOKS
        while not stop.requested():
            server.handle_request()


@app.command()
def adapt(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of clips, reviewed with `review`.")
    ] = None,
    model: ModelOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the adapted student; private.")
    ] = None,
    undo: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Put the student from before back into an adapted student's folder."
        ),
    ] = None,
    preset: PresetOption = None,
    replay: Annotated[
        Path | None,
        typer.Option(help="Replayed features of your own student, made by `replay`."),
    ] = None,
) -> None:
    """Let a student learn from reviewed clips, so that what is not a cry raises no alert."""
    from crydistill.detector.settings import DEFAULT_PRESET
    from crydistill.feedback import adapt as adapting
    from crydistill.feedback.learn import Means
    from crydistill.processes import give_way
    from crydistill.progress import shown

    if undo is not None:
        if folder is not None or out is not None:
            raise typer.BadParameter("takes neither clips nor --out", param_hint="--undo")
        undone = adapting.undo(undo)
        print(f"{undo}: {'hears as before it was adapted' if undone else 'is not adapted'}")
        return
    if folder is None or out is None:
        raise typer.BadParameter("name a folder of clips, and --out DIR")
    # Minutes of computing, on a machine that may be listening to a child.
    give_way()
    done = adapting.adapt(
        folder, chosen_student(model), out, preset=preset or DEFAULT_PRESET, replay=replay,
        progress=shown,
    )  # fmt: skip
    _show(done)
    if done.learned.means is Means.NOTHING:
        tell(f"{out}: nothing was written")
        raise typer.Exit(CheckFailed.exit_code)
    print(f"to use it: crydistill listen --model {out}")
    print(f"to undo it: crydistill adapt --undo {out}")
    exit_if_skipped(done.unreadable, sum(done.clips.values()))


@app.command()
def replay(
    corpus: Annotated[list[Path], typer.Argument(help="Folders of public clips or manifests.")],
    out: Annotated[Path, typer.Option(help="File to write.")],
    where: WhereOption = None,
    model: ModelOption = None,
    kernels: Annotated[str, typer.Option(help="reference, optimized or xnnpack.")] = "reference",
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
) -> None:
    """Make the features of public clips that `adapt` replays, for a student of your own."""
    from crydistill.feedback.replay import save_replay
    from crydistill.nights.night import read_split
    from crydistill.nights.replay import make_replay
    from crydistill.progress import shown
    from crydistill.provenance import made_by

    chosen = columns(where)
    clips = [clip for path in corpus for clip in read_split(path, where=chosen, private=False)]
    names = ", ".join(path.resolve().name for path in corpus)
    student = chosen_student(model, chosen_kernels(kernels))
    origin = made_by(corpus=names, where=chosen, kernels=kernels)
    made = make_replay(clips, student, origin, seed=seed, progress=shown)
    save_replay(out, made)
    print(f"{out}: {len(made.embeddings):,} windows, {len(made.episodes)} episodes of crying")


def _show(done: "Adapted") -> None:
    """Say what was learned from, what changed and what it does."""
    learned = done.learned
    said = ", ".join(f"{count} '{label}'" for label, count in done.clips.items())
    print(f"reviewed clips: {said}")
    print(f"changed: {learned.means}" + (f" ({learned.why})" if learned.why else ""))
    _compare("'not a cry' that raise an alert", learned.before.alarms, learned.after.alarms)
    _compare("'cry' that raise an alert", learned.before.cries, learned.after.cries)
    before, after = learned.before.replay, learned.after.replay
    if before is not None and after is not None:
        _compare("replayed episodes of crying caught", before.caught, after.caught)
        _compare("replayed false alarms", before.false_alarms, after.false_alarms)


def _compare(what: str, before: int, after: int) -> None:
    print(f"  {what}: {before} before, {after} after")
