"""Commands for private captures: guard, fingerprints, report."""

from pathlib import Path
from typing import Annotated

import typer

from crydistill.cli.common import exit_if_left_out, known_fingerprints, tell
from crydistill.errors import CheckFailed
from crydistill.printable import printable

app = typer.Typer()
captures_app = typer.Typer(help="Private home recordings.", no_args_is_help=True)
app.add_typer(captures_app, name="captures")

CapturesOption = Annotated[
    Path | None,
    typer.Option("--captures", help="Folder of recordings; default: CRYDISTILL_CAPTURES."),
]


@app.command()
def guard(
    paths: Annotated[list[Path], typer.Argument(help="Files or folders to be published.")],
    fingerprints: Annotated[
        Path | None,
        typer.Option(help="Fingerprints of private clips; default: those in the captures folder."),
    ] = None,
    allow: Annotated[Path | None, typer.Option(help="Allowlist (sha256) of public audio.")] = None,
) -> None:
    """Scan the content of files for audio and private material before publication."""
    from crydistill.progress import shown
    from crydistill.publish.guard import files_below, read_allowed, scan

    known = known_fingerprints(fingerprints)
    allowed = read_allowed(allow) if allow else frozenset[str]()
    findings = [
        finding
        for path in paths
        for finding in scan(path, private=known, allowed=allowed, progress=shown)
    ]
    for finding in findings:
        print(printable(str(finding)))
    looked_at = sum(1 for path in paths for _ in files_below(path))
    against = "the fingerprints of private recordings" if known else "no fingerprints"
    tell(f"scanned {looked_at} files against {against}: {len(findings)} findings")
    if findings:
        raise CheckFailed(f"{len(findings)} findings; do not publish these files")


@captures_app.command("fingerprint")
def captures_fingerprint(captures: CapturesOption = None) -> None:
    """Fingerprint private recordings for the guard; the file is stored in their folder."""
    from crydistill.corpora.captures import read_captures
    from crydistill.progress import shown
    from crydistill.publish.fingerprints import FILE_NAME, fingerprint_private
    from crydistill.settings import captures_dir

    folder = captures or captures_dir()
    found = read_captures(folder)
    fingerprints = fingerprint_private(found.clips, progress=shown)
    assert folder is not None  # read_captures raises if it is None
    fingerprints.save(folder / FILE_NAME)
    print(f"{folder / FILE_NAME}: fingerprints of {len(found.clips)} recordings")
    unreadable = [f"{folder / name}: {reason}" for name, reason in found.unreadable.items()]
    left_out = [*unreadable, *fingerprints.unreadable]
    for reason in left_out:
        tell(f"left out: {reason}")
    exit_if_left_out(len(left_out), len(found.clips))


@captures_app.command("report")
def captures_report(
    model: Annotated[Path, typer.Argument(help="Run directory or student.tflite.")],
    teacher: Annotated[
        Path | None, typer.Option(help="Teacher weights; default: the official ones.")
    ] = None,
    tiers: Annotated[Path | None, typer.Option(help="CSV with the columns file and tier.")] = None,
    captures: CapturesOption = None,
    shareable: Annotated[Path, typer.Option(help="Output file for the shareable part.")] = Path(
        "captures_summary.json"
    ),
) -> None:
    """Compare teacher and student on private captures; the full report stays private."""
    from crydistill.progress import shown
    from crydistill.settings import cache_dir, captures_dir, private_dir
    from crydistill.stages.private_report import report_captures
    from crydistill.teacher.fetch import teacher_path

    full = private_dir() / "captures_report.json"
    report = report_captures(
        captures or captures_dir(),
        model,
        teacher or teacher_path(cache_dir()),
        private_dir(),
        tiers=tiers,
        progress=shown,
    )
    report.write_full(full)
    report.write_shareable(shareable)
    print(f"shareable: {shareable}\nprivate: {full}")
    if report.unusable:
        tell(f"{len(report.unusable)} recordings were left out; the private report names them")
    exit_if_left_out(len(report.unusable), done=1)
