"""Options and loading of networks, shared by the commands that score audio."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from crydistill.evaluation.scorers import Scorer
    from crydistill.tflite.interpreters import Kernels

WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMN=VALUE",
        help="Use only these rows of the manifest; repeatable: each column has to fit, with one of "
        "the values given for it.",
    ),
]
BedOption = Annotated[
    list[str] | None,
    typer.Option(metavar="COLUMN=VALUE", help="Rows among these to use as background; repeatable."),
]
PrivateOption = Annotated[
    bool,
    typer.Option(
        "--private", help="Mark the clips as private: nothing derived from them may be published."
    ),
]
ModelsOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--model",
        help="Run directory or student.tflite; repeatable. Default: the packaged student.",
    ),
]


def chosen_kernels(name: str) -> "Kernels":
    """Parse --kernels."""
    from crydistill.tflite.interpreters import Kernels

    if name not in tuple(Kernels):
        raise typer.BadParameter(f"choose one of {', '.join(Kernels)}", param_hint="--kernels")
    return Kernels(name)


def open_scorers(
    students: list[Path] | None, teachers: list[Path] | None, kernels: "Kernels", *, fp32: bool
) -> "list[Scorer]":
    """Load the teachers, if given, and the students; by default the packaged one."""
    from crydistill.evaluation.scorers import student_scorers, teacher_scorer, with_unique_names
    from crydistill.student.packaged import packaged_student

    scorers = [teacher_scorer(teacher) for teacher in teachers or []]
    for path in students or [packaged_student()]:
        scorers += student_scorers(path, kernels=kernels, fp32=fp32)
    return with_unique_names(scorers)
