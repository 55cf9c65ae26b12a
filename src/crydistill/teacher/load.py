"""Load a teacher from a file of any supported format."""

from pathlib import Path

from crydistill.errors import MissingExtraError, TeacherError
from crydistill.teacher.base import Teacher
from crydistill.tflite.file import IDENTIFIER

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"


def load_teacher(path: str | Path) -> Teacher:
    """Load YAMNet's HDF5 weights or a `.tflite` teacher, told apart by content.

    Raises
    ------
    TeacherError
        if the file does not exist or is neither.
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
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise TeacherError(
            f"{path}: cannot be read ({error.strerror}); run `crydistill teacher fetch` or use a "
            "local file"
        ) from error
    if head == _HDF5_MAGIC:
        return _load_network(path)
    if head[4:] == IDENTIFIER:
        from crydistill.teacher.tflite import TfliteTeacher

        return TfliteTeacher(path)
    raise TeacherError(
        f"{path}: neither HDF5 weights (yamnet.h5) nor a .tflite model; run `crydistill teacher "
        "fetch` for the official weights"
    )


def _load_network(path: Path) -> Teacher:
    try:
        from crydistill.teacher.network import KerasYamnet
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"{path}: the FP32 teacher needs {error.name}: pip install 'crydistill[train]'"
        ) from error
    return KerasYamnet(path)
