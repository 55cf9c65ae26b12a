"""The settings file of a calibrated detector: what `detect`, `listen` and the device export read.

It holds the vote's settings, what they promise and how that is known, and the student they belong
to. `detector.calibrate` finds them.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from crydistill import __version__, atomic
from crydistill.detector.vote import VoteSettings
from crydistill.errors import ConfigError
from crydistill.pydantic_errors import explained
from crydistill.student.manifest import Sha256


class Method(StrEnum):
    """How a threshold was found."""

    COUNTED = "counted"
    TAIL = "tail"
    MAX_MARGIN = "max-margin"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Range(_Part):
    """A number with its 95 % interval; both ends None where the data cannot tell."""

    value: float
    low: float | None = None
    high: float | None = None


class Peak(_Part):
    """A stretch of the recording that came close to an alert, or raised one.

    recording : index among the recordings
    seconds : where it begins, from the recording's start
    level : highest threshold at which it would raise an alert
    """

    recording: int
    seconds: float
    level: float


class Calibration(_Part):
    """A threshold and what it promises.

    vote : the detector's settings with the threshold found
    wanted_per_night : false alarms in 8 h that were asked for; None for max-margin
    expected_per_night : what to expect at the threshold found; None where nothing can be said
    threshold_range : thresholds that other recordings of this length and room would have given;
        None where nothing can be said
    hours : length of the recordings
    alerts : raised in the recordings at this threshold
    loudest : the highest peaks; a cry among them spoils the calibration
    warnings : what the user should know, one line each
    """

    vote: VoteSettings
    method: Method
    wanted_per_night: Annotated[float, Field(gt=0)] | None
    expected_per_night: Range | None
    threshold_range: tuple[float, float] | None
    hours: Annotated[float, Field(gt=0)]
    alerts: Annotated[int, Field(ge=0)]
    loudest: tuple[Peak, ...] = ()
    warnings: tuple[str, ...] = ()


class CryCheck(_Part):
    """What a setting makes of recordings of a cry.

    recordings, raised : how many there are, and in how many an alert is raised
    windows, voting : how many there are, and how many reach the threshold
    """

    recordings: int
    raised: int
    windows: int
    voting: int


class CalibratedSettings(_Part):
    """The settings file that `detect`, `listen` and the device export read.

    student_sha256 : of the `.tflite` whose scores were calibrated; a threshold means nothing to
        another student
    """

    format_version: Literal[1] = 1
    student: str
    student_sha256: Sha256
    calibration: Calibration
    cries: CryCheck | None = None
    package_version: str = __version__

    @property
    def vote(self) -> VoteSettings:
        """The detector's settings."""
        return self.calibration.vote


def save_settings(path: str | Path, settings: CalibratedSettings) -> None:
    """Write a settings file, all at once."""
    atomic.write_text(path, settings.model_dump_json(indent=2) + "\n")


def load_settings(path: str | Path, *, student_sha256: str | None = None) -> CalibratedSettings:
    """Read a settings file.

    Parameters
    ----------
    student_sha256 : of the student that will run; not compared if None

    Raises
    ------
    ConfigError
        naming the file and the field at fault, or if another student was calibrated.
    """
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}); `crydistill calibrate` writes it"
        ) from error
    try:
        settings = CalibratedSettings.model_validate_json(text)
    except ValidationError as error:
        raise ConfigError(f"{path}: {explained(error, 'the settings')}") from error
    except ConfigError as error:  # a vote setting out of its range
        raise ConfigError(f"{path}: calibration.vote.{error}") from error
    if student_sha256 not in (None, settings.student_sha256):
        raise ConfigError(
            f"{path}: was calibrated for the student {settings.student} "
            f"(sha256 {settings.student_sha256[:12]}), not for this one; calibrate again"
        )
    return settings
