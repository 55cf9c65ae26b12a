"""Teachers that hear several seconds at once, for stages: files, kind and name of their scores."""

from pathlib import Path

from crydistill.download import sha256_of
from crydistill.errors import CorpusError
from crydistill.stages.context import Context
from crydistill.teacher.scores import Kind
from crydistill.teacher.work import TeacherFiles


def existing(path: Path, key: str) -> Path:
    """A teacher's weights, by the key of the config that names them.

    Raises
    ------
    CorpusError
        if they are not there.
    """
    if not path.is_file():
        raise CorpusError(f"{path}: no such teacher file; set {key}")
    return path


def context_teacher(context: Context, path: Path) -> TeacherFiles:
    """EfficientAT's cry over `teacher.context` seconds, to be loaded by whoever needs it."""
    from crydistill.teacher.efficientat import BABY_CRY  # loads Keras

    return TeacherFiles((path,), context=context.config.teacher.context, classes=(BABY_CRY,))


def context_kind(context: Context) -> Kind:
    """What stores of its scores hold: a logit of each window."""
    from crydistill.teacher.efficientat import BABY_CRY, causal_kind  # loads Keras

    return causal_kind([context.config.teacher.context], [BABY_CRY])


def store_suffix(context: Context, path: Path) -> str:
    """Ends the names of these stores."""
    return f"{sha256_of(path)[:8]}-{context.config.teacher.context:g}s"
