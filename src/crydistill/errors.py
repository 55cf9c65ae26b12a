"""The exceptions that crydistill raises on purpose.

Each message is one line: which file, row or field, what is wrong, what to do. The command line
prints it and exits with `CrydistillError.exit_code`; anything else that escapes is a bug.
"""


class CrydistillError(Exception):
    """Base of all deliberate errors; the command could not go on."""

    exit_code = 2


class AudioError(CrydistillError):
    """Raised when a recording cannot be decoded or holds no usable samples."""


class CorpusError(CrydistillError):
    """Raised when a manifest, segment list or folder of recordings is malformed or missing."""


class ConfigError(CrydistillError):
    """Raised when a configuration has an unknown key, a wrong value or contradicts itself."""


class TeacherError(CrydistillError):
    """Raised when teacher weights are missing, damaged or of an unknown network."""


class StoreError(CrydistillError):
    """Raised when a score store is damaged or was made by another teacher or front end."""


class ModelError(CrydistillError):
    """Raised when a `.tflite` or its manifest is not one this program can vouch for."""


class HubError(CrydistillError):
    """Raised when the model hub cannot be reached, refuses, or has moved on meanwhile."""


class MissingExtraError(CrydistillError):
    """Raised when a command needs the full install: `pip install 'crydistill[train]'`."""


class CheckFailed(CrydistillError):  # noqa: N818 - the command ran; it is the artefact that failed
    """Raised when a command ran to its end and what it made or examined did not pass."""

    exit_code = 1
