"""What the verbs that let networks listen share: their options, and opening the networks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from crydistill.evaluation.scorers import Scorer
    from crydistill.tflite.interpreters import Kernels

WhereOption = Annotated[
    list[str] | None,
    typer.Option(metavar="COLUMN=VALUE", help="Take these rows of the manifest only."),
]
BedOption = Annotated[
    list[str] | None,
    typer.Option(metavar="COLUMN=VALUE", help="Of these, play those in the background."),
]
PrivateOption = Annotated[
    bool, typer.Option("--private", help="Nothing made from these clips may be published.")
]
StudentsOption = Annotated[
    list[Path] | None,
    typer.Option(help="A run directory or student.tflite; repeatable; packaged if none."),
]


def chosen_kernels(name: str) -> "Kernels":
    """Read --kernels."""
    from crydistill.tflite.interpreters import Kernels

    if name not in tuple(Kernels):
        raise typer.BadParameter(f"choose one of {', '.join(Kernels)}", param_hint="--kernels")
    return Kernels(name)


def open_scorers(
    students: list[Path] | None, teacher: Path | None, kernels: "Kernels", *, fp32: bool
) -> "list[Scorer]":
    """Open the teacher, if one is named, and the students; the packaged one if none is."""
    from crydistill.evaluation.scorers import student_scorers, teacher_scorer, with_unique_names
    from crydistill.student.packaged import packaged_student

    scorers = [teacher_scorer(teacher)] if teacher else []
    for path in students or [packaged_student()]:
        scorers += student_scorers(path, kernels=kernels, fp32=fp32)
    return with_unique_names(scorers)
