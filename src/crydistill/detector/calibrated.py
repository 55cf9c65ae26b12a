"""Read and write the settings file of a calibrated detector.

It holds the vote settings, the expected false-alarm rate and how it was estimated, and the student
they belong to. `detector.calibrate` computes it; `detect`, `listen` and the device export read it.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from crydistill import __version__, atomic
from crydistill.detector.vote import VoteSettings
from crydistill.errors import ConfigError
from crydistill.json_file import read_text
from crydistill.pydantic_errors import explained
from crydistill.student.manifest import Sha256


class Method(StrEnum):
    """How a threshold was chosen; see `detector.calibrate`."""

    COUNTED = "counted"
    TAIL = "tail"
    MAX_MARGIN = "max-margin"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Range(_Part):
    """A number with its 95 % confidence interval; both ends None if it cannot be estimated."""

    value: float
    low: float | None = None
    high: float | None = None


class Peak(_Part):
    """A part of the recording that raised an alert or came close to one.

    recording : index of the recording
    seconds : start of the peak, from the start of the recording
    level : highest threshold at which it would raise an alert
    """

    recording: int
    seconds: float
    level: float


class RoomCalibration(_Part):
    """A threshold and the false-alarm rate to expect at it.

    vote : the detector's settings with the threshold found
    wanted_per_night : target false alarms in 8 h; None for max-margin
    expected_per_night : false alarms in 8 h expected at the threshold; None if unknown
    threshold_range : 95 % confidence interval of the threshold, over recordings of this room and
        length; None if unknown
    hours : total length of the recordings
    alerts : number raised in the recordings at this threshold
    loudest : the highest peaks; a cry among them spoils the calibration
    capped : whether the threshold was lowered to what crying can reach, at the price of the rate
    warnings : for the user, one line each
    """

    vote: VoteSettings
    method: Method
    wanted_per_night: Annotated[float, Field(gt=0)] | None
    expected_per_night: Range | None
    threshold_range: tuple[float, float] | None
    hours: Annotated[float, Field(gt=0)]
    alerts: Annotated[int, Field(ge=0)]
    loudest: tuple[Peak, ...] = ()
    capped: bool = False
    warnings: tuple[str, ...] = ()


class CryCheck(_Part):
    """Result of detector settings on recordings of a cry.

    recordings, raised : number of recordings, and of those in which an alert is raised
    windows, voting : number of windows, and of those that reach the threshold
    """

    recordings: int
    raised: int
    windows: int
    voting: int


class CalibratedSettings(_Part):
    """Contents of a settings file.

    student_sha256 : checksum of the calibrated `.tflite`; a threshold is meaningless for another
        student
    """

    format_version: Literal[1] = 1
    student: str
    student_sha256: Sha256
    calibration: RoomCalibration
    cries: CryCheck | None = None
    package_version: str = __version__

    @property
    def vote(self) -> VoteSettings:
        """The detector's settings."""
        return self.calibration.vote


def save_settings(path: str | Path, settings: CalibratedSettings) -> None:
    """Write a settings file atomically."""
    atomic.write_text(path, settings.model_dump_json(indent=2) + "\n")


def load_settings(path: str | Path, *, student_sha256: str | None = None) -> CalibratedSettings:
    """Read a settings file.

    Parameters
    ----------
    student_sha256 : checksum of the student that will run; not compared if None

    Raises
    ------
    ConfigError
        naming the file and the field at fault, or if it belongs to another student.

    Examples
    --------
    >>> import tempfile
    >>> from crydistill.detector.calibrate import calibrate_max_margin
    >>> calibration = calibrate_max_margin(
    ...     [[0.1] * 500 + [0.3] * 9], VoteSettings(threshold=0.5), highest=1.0
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     settings = CalibratedSettings(
    ...         student="demo", student_sha256="0" * 64, calibration=calibration
    ...     )
    ...     save_settings(f"{folder}/room.json", settings)
    ...     round(load_settings(f"{folder}/room.json").vote.threshold, 2)
    0.35
    """
    text = read_text(path, "`crydistill calibrate` writes it")
    try:
        settings = CalibratedSettings.model_validate_json(text)
    except ValidationError as error:
        raise ConfigError(f"{path}: {explained(error, 'the settings')}") from error
    except ConfigError as error:  # a vote setting out of range
        raise ConfigError(f"{path}: calibration.vote.{error}") from error
    if student_sha256 not in (None, settings.student_sha256):
        raise ConfigError(
            f"{path}: was calibrated for the student {settings.student} "
            f"(sha256 {settings.student_sha256[:12]}), not for this one; calibrate again"
        )
    return settings
