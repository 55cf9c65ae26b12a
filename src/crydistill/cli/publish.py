"""Verbs for publishing: `bundle` and `publish`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crydistill.cli.common import tell
from crydistill.errors import CheckFailed

if TYPE_CHECKING:
    from crydistill.publish.fingerprints import PrivateFingerprints

app = typer.Typer()

PrivateOption = Annotated[
    Path | None,
    typer.Option(help="Fingerprints of private clips; those of the captures folder if any."),
]


@app.command()
def bundle(
    run: Annotated[Path, typer.Argument(help="A run directory that has been evaluated.")],
    directory: Annotated[Path, typer.Argument(help="The folder to make.")],
    licence: Annotated[str, typer.Option(help="Of the student, as the hub spells it.")] = "mit",
    library: Annotated[
        Path | None,
        typer.Option(help="Other sources of the C library than the package's own."),
    ] = None,
    private: PrivateOption = None,
    draft: Annotated[
        bool, typer.Option("--draft", help="Accept uncommitted code; not to be published.")
    ] = False,
) -> None:
    """Assemble everything that somebody needs to use a student, and check it."""
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
        library=library or firmware_directory() / "src",
        private=_fingerprints(private),
        progress=shown,
    )
    for name, digest in made.files.items():
        print(f"{digest}  {made.directory / name}")


@app.command()
def publish(
    directory: Annotated[Path, typer.Argument(help="A bundle.")],
    repo: Annotated[str, typer.Argument(help="owner/name of a model repository on the hub.")],
    push: Annotated[bool, typer.Option("--push", help="Really do it.")] = False,
    parent: Annotated[
        str | None, typer.Option(help="Commit that must still be the repository's newest.")
    ] = None,
    message: Annotated[str, typer.Option(help="Of the commit.")] = "",
    private: PrivateOption = None,
    allow: Annotated[
        Path | None, typer.Option(help="sha256 list of contents that the guard lets pass.")
    ] = None,
) -> None:
    """Check a bundle and say what publishing it would change; with --push, publish it.

    The hub's token comes from HF_TOKEN, another hub's address from HF_ENDPOINT.
    """
    from crydistill.progress import shown
    from crydistill.publish.bundle import check_bundle
    from crydistill.publish.guard import read_allowed
    from crydistill.publish.hub import plan_publication
    from crydistill.publish.hub import publish as push_bundle
    from crydistill.settings import hub_endpoint, hub_token

    allowed = read_allowed(allow) if allow else frozenset[str]()
    checked = check_bundle(
        directory, private=_fingerprints(private), allowed=allowed, progress=shown
    )
    tell(f"{directory}: {len(checked.files)} files, all in order")
    token, endpoint = hub_token(), hub_endpoint()
    plan = plan_publication(checked, repo, token=token, endpoint=endpoint)
    for mark, names in (("+", plan.added), ("~", plan.changed), ("-", plan.removed)):
        for name in names:
            print(f"{mark} {name}")
    print(f"{repo} at {plan.parent}; {len(plan.unchanged)} files unchanged")
    if parent is not None and parent != plan.parent:
        raise CheckFailed(f"{repo}: the newest commit is {plan.parent}, not {parent}")
    if not push:
        tell(f"nothing was sent; publish with --push --parent {plan.parent}")
        return
    commit = push_bundle(
        checked, plan, token=token, endpoint=endpoint, message=message, progress=shown
    )
    print(f"published as {commit}; downloaded again and compared")


def _fingerprints(path: Path | None) -> "PrivateFingerprints | None":
    from crydistill.publish.fingerprints import FILE_NAME, PrivateFingerprints
    from crydistill.settings import captures_dir

    folder = captures_dir()
    if path is None and folder is not None and (folder / FILE_NAME).is_file():
        path = folder / FILE_NAME
    return PrivateFingerprints.load(path) if path else None
