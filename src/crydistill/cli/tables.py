"""Verbs of the documents."""

from pathlib import Path
from typing import Annotated

import typer

RecordsOption = Annotated[Path, typer.Option("--records", help="Folder of recorded runs.")]
DOCS = Path("docs")
EXPERIMENTS = DOCS / "experiments"
RECORDS = EXPERIMENTS / "results"

app = typer.Typer()
tables_app = typer.Typer(help="Tables in documents, from recorded runs.", no_args_is_help=True)
app.add_typer(tables_app, name="tables")


@tables_app.command("add")
def tables_add(
    run: Annotated[Path, typer.Argument(help="A run directory that has been evaluated.")],
    name: Annotated[str, typer.Argument(help="What documents call it, such as real-seed0.")],
    records: RecordsOption = RECORDS,
) -> None:
    """Record a run's figures for the documents."""
    from crydistill.evaluation.documents import add_record

    print(add_record(run, records, name))


@tables_app.command("update")
def tables_update(
    documents: Annotated[
        list[Path] | None, typer.Argument(help="Markdown files; README and docs if none.")
    ] = None,
    records: RecordsOption = RECORDS,
) -> None:
    """Write the tables of documents anew from the recorded runs."""
    from crydistill.evaluation.documents import update_document

    pages = (*sorted(DOCS.glob("*.md")), *sorted(EXPERIMENTS.glob("*.md")))
    for path in documents or [Path("README.md"), *pages]:
        print(f"{path}: {'updated' if update_document(path, records) else 'up to date'}")
