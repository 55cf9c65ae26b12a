"""Commands that maintain tables in documents."""

import re
from pathlib import Path
from typing import Annotated

import typer

from crydistill.errors import ConfigError
from crydistill.roles import Role

RecordsOption = Annotated[Path, typer.Option("--records", help="Folder of recorded runs.")]
DOCS = Path("docs")
EXPERIMENTS = DOCS / "experiments"
RECORDS = EXPERIMENTS / "results"

app = typer.Typer()
tables_app = typer.Typer(
    help="Maintain tables in documents from recorded runs.", no_args_is_help=True
)
app.add_typer(tables_app, name="tables")


@tables_app.command("add")
def tables_add(
    run: Annotated[Path, typer.Argument(help="Run directory, evaluated or only trained.")],
    name: Annotated[str, typer.Argument(help="Name used in documents, such as real-seed0.")],
    records: RecordsOption = RECORDS,
) -> None:
    """Record a run's metrics for the documents."""
    from crydistill.reports.documents import add_record

    print(add_record(run, records, _checked_name(name)))


@tables_app.command("compare")
def tables_compare(
    name: Annotated[str, typer.Argument(help="Name of the comparison in documents.")],
    ours: Annotated[list[Path], typer.Option(help="Run directory; repeat for every seed.")],
    against: Annotated[
        list[Path], typer.Option(help="Run directory of the other recipe; repeat for every seed.")
    ],
    role: Annotated[str, typer.Option(help="Model of each run to compare.")] = Role.INT8,
    against_role: Annotated[
        str | None, typer.Option(help="Model of the other recipe, if different.")
    ] = None,
    clip_score: Annotated[
        str, typer.Option(help="Pooling over a clip's windows: mean, max or top4.")
    ] = "mean",
    records: RecordsOption = RECORDS,
) -> None:
    """Compare two recipes, or two models of one, on the same test clips; record the result."""
    from crydistill.evaluation.paired import compare_recipes, load_scores, table, to_json
    from crydistill.metrics.ranking import ClipScore
    from crydistill.metrics.records import write_record
    from crydistill.run_directory import RunDirectory

    if clip_score not in list(ClipScore):
        raise typer.BadParameter(f"choose one of {', '.join(ClipScore)}", param_hint="--clip-score")
    how = ClipScore(clip_score)
    _checked_name(name)

    saved = [[load_scores(RunDirectory(path).scores) for path in side] for side in (ours, against)]
    found = compare_recipes(*saved, model=role, their_model=against_role, how=how)
    our_name, their_name = _recipe(ours), _recipe(against)
    if against_role:
        our_name, their_name = f"{role} of {our_name}", f"{against_role} of {their_name}"
    record = to_json(found, our_name, their_name, how)
    write_record(records / f"{name}.json", record)
    print(table(record))


def _checked_name(name: str) -> str:
    """A record's name: one word, which a document's block can hold, and no path."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name):
        raise ConfigError(
            f"name {name!r}: use letters, digits, ., - and _ only, such as real-seed0"
        )
    return name


def _recipe(runs: list[Path]) -> str:
    """Common name of the runs and number of seeds."""
    from crydistill.reports.run_tables import seed_count

    name = runs[0].name.rpartition("-seed")[0] or runs[0].name
    return f"{name}, {seed_count(len(runs))}"


@tables_app.command("pareto")
def tables_pareto(
    names: Annotated[list[str], typer.Argument(help="Experiments, as in a `zoo:` block.")],
    out: Annotated[Path, typer.Option(help=".png or .svg file to write.")] = DOCS
    / "images"
    / "pareto.png",
    records: RecordsOption = RECORDS,
) -> None:
    """Plot the students' ranking performance against their cost."""
    from crydistill.reports.student_tables import picture, read_zoo

    picture(read_zoo(names, records), out)
    print(out)


@tables_app.command("update")
def tables_update(
    documents: Annotated[
        list[Path] | None, typer.Argument(help="Markdown files; default: README and docs.")
    ] = None,
    records: RecordsOption = RECORDS,
) -> None:
    """Regenerate the tables of documents from the recorded runs."""
    from crydistill.reports.documents import update_document

    for path in documents or [Path("README.md"), *sorted(DOCS.rglob("*.md"))]:
        print(f"{path}: {'updated' if update_document(path, records) else 'up to date'}")
