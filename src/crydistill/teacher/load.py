"""Load a teacher from a file of any supported format."""

from pathlib import Path
from typing import TYPE_CHECKING

from crydistill.errors import MissingExtraError, TeacherError
from crydistill.teacher.base import Teacher
from crydistill.tflite.file import IDENTIFIER

if TYPE_CHECKING:
    from crydistill.teacher.efficientat import EfficientAT

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_ZIP_MAGIC = b"PK\x03\x04"


def load_teacher(path: str | Path) -> Teacher:
    """Load YAMNet's HDF5 weights or a `.tflite` teacher, told apart by content.

    Raises
    ------
    TeacherError
        if the file does not exist or is neither, or scores no single windows.
    MissingExtraError
        if the file holds HDF5 weights and TensorFlow is not installed.

    Examples
    --------
    >>> from crydistill.teacher.load import load_teacher
    >>> load_teacher("yamnet.h5")
    Traceback (most recent call last):
    crydistill.errors.TeacherError: yamnet.h5: cannot be read (No such file or directory); run ...
    """
    path = Path(path)
    head = _head(path)
    if head == _HDF5_MAGIC:
        return _load_network(path)
    if head[4:] == IDENTIFIER:
        from crydistill.teacher.tflite import TfliteTeacher

        return TfliteTeacher(path)
    if head.startswith(_ZIP_MAGIC):
        raise TeacherError(
            f"{path}: a PyTorch checkpoint; EfficientAT scores the last seconds: it judges nights "
            "and teaches memory, but scores no single windows"
        )
    raise TeacherError(
        f"{path}: neither HDF5 weights (yamnet.h5) nor a .tflite model; run `crydistill teacher "
        "fetch` for the official weights"
    )


def is_efficientat(path: str | Path) -> bool:
    """Whether a file is a PyTorch checkpoint, as EfficientAT's weights are.

    Raises
    ------
    TeacherError
        if it cannot be read.
    """
    return _head(Path(path)).startswith(_ZIP_MAGIC)


def load_efficientat(path: str | Path) -> "EfficientAT":
    """Load a network of EfficientAT's family, a teacher that hears the last seconds.

    Raises
    ------
    TeacherError
        as `crydistill.teacher.efficientat.EfficientAT`.
    MissingExtraError
        if Keras is not installed.
    """
    try:
        from crydistill.teacher.efficientat import EfficientAT
    except ModuleNotFoundError as error:
        raise _missing(path, error) from error
    return EfficientAT(path)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(8)
    except OSError as error:
        raise TeacherError(
            f"{path}: cannot be read ({error.strerror}); run `crydistill teacher fetch` or use a "
            "local file"
        ) from error


def _load_network(path: Path) -> Teacher:
    try:
        from crydistill.teacher.network import KerasYamnet
    except ModuleNotFoundError as error:
        raise _missing(path, error) from error
    return KerasYamnet(path)


def _missing(path: str | Path, error: ModuleNotFoundError) -> MissingExtraError:
    return MissingExtraError(
        f"{path}: the FP32 teacher needs {error.name}: pip install 'crydistill[train]'"
    )
