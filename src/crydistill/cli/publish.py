"""Commands for publishing: bundle, publish."""

from pathlib import Path
from typing import Annotated

import typer

from crydistill.cli.common import known_fingerprints, tell
from crydistill.errors import CheckFailed

app = typer.Typer()

FingerprintsOption = Annotated[
    Path | None,
    typer.Option(help="Fingerprints of private clips; default: those in the captures folder."),
]


@app.command()
def bundle(
    run: Annotated[Path, typer.Argument(help="Evaluated run directory.")],
    directory: Annotated[Path, typer.Argument(help="Folder to create.")],
    licence: Annotated[
        str | None,
        typer.Option(
            help="The student's licence, as an identifier of the hub; default: mit, or unknown "
            "if nobody stated licence and privacy of the recordings."
        ),
    ] = None,
    sources: Annotated[
        Path | None,
        typer.Option(help="Sources of the C library; default: the package's own."),
    ] = None,
    fingerprints: FingerprintsOption = None,
    draft: Annotated[
        bool,
        typer.Option("--draft", help="Accept uncommitted code; the bundle cannot be published."),
    ] = False,
) -> None:
    """Assemble and check a bundle: all files needed to use a student."""
    from crydistill.device.library import firmware_directory
    from crydistill.progress import shown
    from crydistill.provenance import git_commit
    from crydistill.publish.bundle import make_bundle

    made = make_bundle(
        run,
        directory,
        code_commit=git_commit(),
        licence=licence,
        draft=draft,
        library=sources or firmware_directory() / "src",
        private=known_fingerprints(fingerprints),
        progress=shown,
    )
    for name, digest in made.files.items():
        print(f"{digest}  {made.directory / name}")
    if made.undeclared:
        tell(
            f"nobody has stated licence and privacy of {made.undeclared}: the card says so, and "
            "`crydistill publish` wants them declared"
        )


@app.command()
def publish(
    directory: Annotated[Path, typer.Argument(help="Bundle to publish.")],
    repo: Annotated[str, typer.Argument(help="owner/name of a model repository on the hub.")],
    push: Annotated[bool, typer.Option("--push", help="Publish; without it, a dry run.")] = False,
    parent: Annotated[
        str | None, typer.Option(help="Commit that must be the repository's newest.")
    ] = None,
    message: Annotated[str, typer.Option(help="Commit message.")] = "",
    declare: Annotated[
        str | None,
        typer.Option(
            metavar="LICENCE",
            help="State that the undeclared recordings have this licence and that none of them is "
            "private; recorded in the bundle and its card.",
        ),
    ] = None,
    fingerprints: FingerprintsOption = None,
    allow: Annotated[Path | None, typer.Option(help="Allowlist (sha256) for the guard.")] = None,
) -> None:
    """Check a bundle and show what publishing it would change; with --push, publish it.

    The hub's token is read from HF_TOKEN, the URL of another hub from HF_ENDPOINT.
    """
    from crydistill.progress import shown
    from crydistill.publish.bundle import check_bundle
    from crydistill.publish.bundle import declare as record_declaration
    from crydistill.publish.guard import read_allowed
    from crydistill.publish.hub import check_access, plan_publication
    from crydistill.publish.hub import publish as push_bundle
    from crydistill.settings import hub_endpoint, hub_token

    token, endpoint = hub_token(), hub_endpoint()
    check_access(token=token, endpoint=endpoint, push=push)
    allowed = read_allowed(allow) if allow else frozenset[str]()
    if declare is not None:
        record_declaration(directory, declare)
    checked = check_bundle(
        directory, private=known_fingerprints(fingerprints), allowed=allowed, progress=shown
    )
    tell(f"{directory}: {len(checked.files)} files, all checks passed")
    plan = plan_publication(checked, repo, token=token, endpoint=endpoint)
    for mark, names in (("+", plan.added), ("~", plan.changed), ("-", plan.removed)):
        for name in names:
            print(f"{mark} {name}")
    print(f"{repo} at {plan.parent}; {len(plan.unchanged)} files unchanged")
    if parent is not None and parent != plan.parent:
        raise CheckFailed(f"{repo}: the newest commit is {plan.parent}, not {parent}")
    if not push:
        tell(f"dry run, nothing was sent; publish with --push --parent {plan.parent}")
        return
    commit = push_bundle(
        checked, plan, token=token, endpoint=endpoint, message=message, progress=shown
    )
    print(f"published as {commit}; downloaded and verified")
