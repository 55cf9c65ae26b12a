"""Read and write `student.json`, the manifest beside every `.tflite`.

A program that uses a student needs nothing but the two files: the manifest holds the front end's
parameters, the meaning of the outputs, how a cry score is formed, and the thresholds with the
performance measured at each.

This module imports neither TensorFlow nor an interpreter.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic import model_validator as validator

from crydistill import atomic
from crydistill.audio import mel
from crydistill.audio.windows import WINDOW_FRAMES, WINDOW_HOP_FRAMES, WINDOW_HOP_SECONDS
from crydistill.errors import ModelError
from crydistill.json_file import read_text
from crydistill.pydantic_errors import explained
from crydistill.student.activation import Activation
from crydistill.taxonomy import CLASSES

TFLITE_NAME = "student.tflite"
MANIFEST_NAME = "student.json"
YAMNET_OUTPUTS = "yamnet-521"
"""Stands for YAMNet's 521 class names, in YAMNet's order."""

NOT_STATED = "not stated"
"""Stands in `TrainingData.licences` for the licence of clips that have none."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelFile(_Part):
    """The file the manifest belongs to."""

    sha256: Sha256
    size_bytes: Annotated[int, Field(gt=0)]


class FrontEnd(_Part):
    """Parameters of the front end, which `crydistill.audio.mel` defines.

    `FrontEnd()` is the front end of this version of the package.
    """

    version: str = mel.FRONT_END_VERSION
    sample_rate_hz: int = mel.SAMPLE_RATE
    frame_length: int = mel.FRAME_LENGTH
    frame_hop: int = mel.FRAME_HOP
    fft_length: int = mel.FFT_LENGTH
    window: str = "periodic Hann, padded with zeros at its end"
    spectrum: str = "magnitude"
    mel_bands: int = mel.MEL_BANDS
    mel_min_hz: float = mel.MEL_MIN_HZ
    mel_max_hz: float = mel.MEL_MAX_HZ
    mel_scale: str = "HTK, triangles linear in mel, peak 1"
    log_offset: float = mel.LOG_OFFSET
    patch_frames: int = WINDOW_FRAMES
    patch_hop_frames: int = WINDOW_HOP_FRAMES


class Port(_Part):
    """An int8 tensor: real value = (step - zero_point) x scale.

    An input value becomes the step clamp(rint(value / scale) + zero_point, -128, 127).
    """

    shape: tuple[Annotated[int, Field(gt=0)], ...]
    scale: Annotated[float, Field(gt=0)]
    zero_point: Annotated[int, Field(ge=-128, le=127)]


class Memory(_Part):
    """What a student with memory carries from window to window: the last windows' embeddings.

    The network has a second input and a second output for it, int8 `[1, windows, size]`, oldest
    first, of one scale and zero point: real value = (step - zero_point) x scale. The output after
    one window is the input for the next. Scores count from the first window on; after `warm_up` of
    them they no longer depend on where the stream began.

    windows : how many windows it goes back
    size : numbers per window
    start : value of every entry before the first window: real 0, which means nothing heard
    gap : what to do where audio is missing between two windows: start anew
    warm_up_windows, warm_up_seconds : after how many windows nothing of the start is left
    """

    windows: Annotated[int, Field(gt=0)]
    size: Annotated[int, Field(gt=0)]
    scale: Annotated[float, Field(gt=0)]
    zero_point: Annotated[int, Field(ge=-128, le=127)]
    start: Literal["zero_point"] = "zero_point"
    gap: Literal["reset"] = "reset"
    warm_up_windows: Annotated[int, Field(gt=0)]
    warm_up_seconds: Annotated[float, Field(gt=0)]

    @classmethod
    def of(cls, shape: tuple[int, ...], scale: float, zero_point: int) -> Self:
        """Describe the memory of a network from its tensor, `[1, windows, size]`."""
        _, windows, size = shape
        return cls(
            windows=windows,
            size=size,
            scale=scale,
            zero_point=zero_point,
            warm_up_windows=windows,
            warm_up_seconds=_hops_in_seconds(windows),
        )

    @property
    def port(self) -> Port:
        """The tensor that goes in and comes out."""
        shape = (1, self.windows, self.size)
        return Port(shape=shape, scale=self.scale, zero_point=self.zero_point)

    @validator(mode="after")
    def _consistent(self) -> Self:
        stated = self.warm_up_windows, self.warm_up_seconds
        if stated != (self.windows, _hops_in_seconds(self.windows)):
            raise ValueError(
                f"the warm-up of {self.windows} windows is {_hops_in_seconds(self.windows)} s"
            )
        return self


def _hops_in_seconds(windows: int) -> float:
    return round(windows * WINDOW_HOP_SECONDS, 2)


class Arena(_Part):
    """Tensor arena, as measured with Google's TFLite Micro interpreter and reference kernels."""

    size_bytes: Annotated[int, Field(gt=0)]
    tflite_micro: str
    host_bits: Literal[32, 64]


class ThresholdPreset(_Part):
    """An operating point of the detector and its measured performance.

    threshold : a window votes when its cry score is at least this
    n, m : the alert goes on when at least n of the last m windows vote
    hold_seconds : hold time; the alert goes off after this long without a vote
    recall : fraction of the cries that raised an alert, 0 to 1
    false_alarms_per_hour : alerts per hour of audio without a cry
    measured_on : the audio that recall and false alarms were measured on; where it was too little
        to tell one of them (`crydistill.metrics.enough`), that one is None and this says why
    caution : why the threshold does not keep the rate its name stands for: it was chosen on too
        little audio; None if there was enough
    """

    threshold: Annotated[float, Field(ge=0)]
    n: Annotated[int, Field(ge=1)]
    m: Annotated[int, Field(ge=1)]
    hold_seconds: Annotated[float, Field(ge=0)]
    recall: Annotated[float, Field(ge=0, le=1)] | None = None
    false_alarms_per_hour: Annotated[float, Field(ge=0)] | None = None
    measured_on: str | None = None
    caution: str | None = Field(None, exclude_if=lambda value: value is None)

    @validator(mode="after")
    def _consistent(self) -> Self:
        if self.n > self.m:
            raise ValueError(f"n is {self.n}, more than m = {self.m} windows")
        measured = self.recall is not None or self.false_alarms_per_hour is not None
        if measured and not self.measured_on:
            raise ValueError("measured_on must name the audio the figures were measured on")
        return self


class TrainingData(_Part):
    """The data the student was trained on.

    summary : human-readable description
    licences : number of clips by licence
    private : some of the data is private, so nothing derived from it may be published
    undeclared : by corpus, number of clips of which nobody stated the licence, or whether they are
        private (`Clip.declared`)
    """

    summary: str
    licences: dict[str, Count]
    private: bool
    undeclared: dict[str, Count] = Field({}, exclude_if=lambda value: not value)

    @property
    def all_undeclared(self) -> dict[str, int]:
        """`undeclared`, also of manifests from before it: clips there without a stated licence."""
        unstated = self.licences.get(NOT_STATED, 0)
        if self.undeclared or not unstated:
            return self.undeclared
        return {self.summary.partition(":")[0]: unstated}


class TeacherInfo(_Part):
    """The model that the student was distilled from."""

    name: str
    sha256: Sha256


class Int8Calibration(_Part):
    """The windows that calibrated the int8 ranges."""

    corpus: str
    split: str
    windows: Annotated[int, Field(gt=0)]
    ids_sha256: Sha256


class Provenance(_Part):
    """How the student was made. `git_commit` is None outside a repository."""

    package_version: str
    git_commit: str | None
    config_sha256: Sha256
    seed: int


class Adaptation(_Part):
    """How a student was adapted to sound that a person reviewed, which is private.

    original_sha256 : of the `.tflite` that it was made from
    means : what changed: its last layers, or threshold and votes
    preset : the operating point at which the reviewed sounds were to be told apart
    cries, not_cries : number of clips reviewed as a cry and as none
    replay_windows : windows of public recordings replayed meanwhile; 0 without
    """

    original_sha256: Sha256
    means: Literal["refit", "threshold and votes"]
    preset: str
    cries: Count
    not_cries: Count
    replay_windows: Count
    package_version: str


class StudentManifest(_Part):
    """Manifest of one `.tflite`.

    format_version : 2 with a memory, 1 without: a program that knows only 1 refuses what it would
        run wrongly
    memory : None if each window is scored by itself
    activation : function that turns the network's outputs (logits) into scores
    outputs : class names, or "yamnet-521"
    cry_outputs : indices; a window's cry score is the sum of the activated outputs there
    ops : how often each TensorFlow Lite operator occurs
    macs : multiply-accumulates per window
    parameters : number of them in the network as trained, BatchNorm included
    arena : None where TFLite Micro was not available to measure it
    presets : detector settings by name
    memory_teacher : whose scores of the last seconds a student with memory learned as well
    minimum_runtimes : oldest release of each runtime known to run the file
    adaptation : None unless it was adapted to reviewed sound (`crydistill adapt`)
    """

    format_version: Literal[1, 2] = 1
    name: Annotated[str, Field(min_length=1)]
    architecture: str
    tflite: ModelFile
    front_end: FrontEnd
    input: Port
    output: Port
    memory: Memory | None = Field(None, exclude_if=lambda value: value is None)
    activation: Activation
    outputs: Literal["yamnet-521"] | tuple[str, ...]
    cry_outputs: Annotated[tuple[Count, ...], Field(min_length=1)]
    cry_score: Literal["sum of the activated outputs at cry_outputs"] = (
        "sum of the activated outputs at cry_outputs"
    )
    ops: dict[str, Count]
    macs: Count
    parameters: Count
    arena: Arena | None
    presets: dict[str, ThresholdPreset] = {}
    training: TrainingData
    teacher: TeacherInfo
    memory_teacher: TeacherInfo | None = Field(None, exclude_if=lambda value: value is None)
    calibration: Int8Calibration
    provenance: Provenance
    minimum_runtimes: dict[str, str] = {}
    adaptation: Adaptation | None = Field(None, exclude_if=lambda value: value is None)

    @validator(mode="before")
    @classmethod
    def _versioned(cls, fields: Any) -> Any:
        if isinstance(fields, dict) and "format_version" not in fields:
            return {"format_version": 2 if fields.get("memory") else 1, **fields}
        return fields

    @validator(mode="after")
    def _consistent(self) -> Self:
        if self.format_version != (2 if self.memory else 1):
            kind = "with a memory" if self.memory else "without memory"
            raise ValueError(f"format_version {self.format_version} does not go {kind}")
        named = CLASSES if self.outputs == YAMNET_OUTPUTS else len(self.outputs)
        if self.output.shape[-1:] != (named,):
            raise ValueError(f"outputs names {named} classes, output has shape {self.output.shape}")
        if len(set(self.cry_outputs)) != len(self.cry_outputs) or max(self.cry_outputs) >= named:
            raise ValueError(f"cry_outputs must be distinct indices below {named}")
        return self


def load_manifest(path: str | Path) -> StudentManifest:
    """Read a `student.json`.

    Raises
    ------
    ModelError
        naming the file and the field at fault.

    Examples
    --------
    >>> from crydistill.student.packaged import packaged_student
    >>> manifest = load_manifest(packaged_student() / "student.json")
    >>> manifest.activation, manifest.input.shape
    ('sigmoid', (1, 96, 64, 1))
    """
    text = read_text(path, "a student needs its manifest beside it", error=ModelError)
    try:
        return StudentManifest.model_validate_json(text)
    except ValidationError as error:
        raise ModelError(f"{path}: {explained(error, 'the manifest')}") from error


def save_manifest(path: str | Path, manifest: StudentManifest) -> None:
    """Write a `student.json` atomically."""
    atomic.write_text(path, manifest.model_dump_json(indent=2) + "\n")


def sha256_of_ids(ids: Iterable[str]) -> str:
    """Fingerprint of a list of ids, one per line, in the order given."""
    return hashlib.sha256("".join(f"{name}\n" for name in ids).encode()).hexdigest()
