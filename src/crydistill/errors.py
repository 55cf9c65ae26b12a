"""Exceptions that crydistill raises deliberately.

Each message is one line: which file, row or field, what is wrong, what to do. The command line
prints it and exits with `CrydistillError.exit_code`; any other uncaught exception is a bug. What
each exit code means is in docs/commands.md.
"""

import os


class CrydistillError(Exception):
    """Base class of all deliberate errors: the command could not continue."""

    exit_code = 2


class AudioError(CrydistillError):
    """Raised when a recording cannot be decoded or holds no usable samples."""


class CorpusError(CrydistillError):
    """Raised when a manifest, segment list or folder of recordings is malformed or missing."""


class ConfigError(CrydistillError):
    """Raised when a configuration has an unknown key or invalid value, or is inconsistent."""


class TeacherError(CrydistillError):
    """Raised when teacher weights are missing, damaged or of an unknown network."""


class StoreError(CrydistillError):
    """Raised when a score store is damaged or was made by another teacher or front end."""


class ModelError(CrydistillError):
    """Raised when a `.tflite` or its manifest is invalid or unsupported."""


class HubError(CrydistillError):
    """Raised when the model hub is unreachable, rejects a request, or has changed meanwhile."""


class SetupError(CrydistillError):
    """Raised when a program that a command needs is missing or broken on this machine."""


class MissingExtraError(SetupError):
    """Raised when a command needs the full install: `pip install 'crydistill[train]'`."""


class CheckFailed(CrydistillError):  # noqa: N818 - the command ran; it is the artefact that failed
    """Raised when a command completed, but a check did not pass or something was left out."""

    exit_code = 1


def first_line(error: BaseException) -> str:
    """What a library's exception says, as far as it fits into a message of one line.

    The first line that is not blank; the kind of exception where there is none.
    """
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__)


def what_failed(error: Exception) -> str:
    """What went wrong, in a line: of a file that the system refused, its name and why."""
    if not isinstance(error, OSError) or not error.strerror:
        return first_line(error)
    place = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    return f"{place}{error.strerror}"
