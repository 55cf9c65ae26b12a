"""What an experiment is: a configuration, and the run directory it fills.

Adding an experiment is adding a YAML file. Every key has its default here; an unknown key is an
error that names it. Paths are relative to the directory the command runs in.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from crydistill import atomic
from crydistill.errors import ConfigError
from crydistill.validation import explained

DEFAULT_CONFIG = "nursery"
"""The packaged configuration that `crydistill run` takes without arguments."""

_HELD_OUT_SHARE = 0.15


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CorpusConfig(_Section):
    """One source of clips: path, catalogue, audioset, nursery_seed, formulas_seed or captures.

    name : names the corpus's score store; derived from the source where not given
    weight : how often its windows train, relative to the other corpora's
    vary : whether data.augmentation makes varied copies of its clips
    hold_out : whether data.validation.share holds some of its groups out
    path : a clips.csv, a folder with one, or a folder of audio
    where : column and value (or values) that select rows of the manifest at `path`
    catalogue : a public corpus fetched with `crydistill fetch NAME`
    audioset : a segment list whose audio was fetched with `crydistill fetch audioset`
    nursery_seed : render the synthetic nursery from this seed
    formulas_seed : render random sounds from this seed, see `crydistill.audio.formulas`
    formulas_clips : how many of them, 6 seconds each
    formulas_kind : any sounds, voices around the borders of what is a cry, or scenes of several
    captures : private home recordings, in the folder that CRYDISTILL_CAPTURES names
    """

    name: str = ""
    weight: float = Field(1.0, gt=0)
    vary: bool = True
    hold_out: bool = True
    path: Path | None = None
    where: dict[str, str | list[str]] = Field(default_factory=dict)
    catalogue: str | None = None
    audioset: Path | None = None
    nursery_seed: int | None = Field(None, ge=0)
    formulas_seed: int | None = Field(None, ge=0)
    formulas_clips: int = Field(600, ge=1)
    formulas_kind: Literal["sounds", "voices", "scenes"] = "sounds"
    captures: bool = False

    @model_validator(mode="after")
    def _one_source(self) -> "CorpusConfig":
        given = [name for name, value in self._sources.items() if value is not None]
        if len(given) != 1:
            found = ", ".join(given) or "none"
            raise ValueError(f"give exactly one of {', '.join(self._sources)}; found {found}")
        return self

    @property
    def store_name(self) -> str:
        """The name its score store goes by."""
        if self.name:
            return self.name
        if self.path:
            return self.path.resolve().name
        if self.audioset:
            return self.audioset.stem
        if self.formulas_seed is not None:
            kind = "formulas" if self.formulas_kind == "sounds" else self.formulas_kind
            return f"{kind}-{self.formulas_seed}-{self.formulas_clips}"
        return self.catalogue or ("captures" if self.captures else f"nursery-{self.nursery_seed}")

    @property
    def source(self) -> str:
        """Tells two sources apart, whatever their names."""
        named = ((k, v.resolve() if isinstance(v, Path) else v) for k, v in self._sources.items())
        source = ", ".join(f"{key} {value}" for key, value in named if value is not None)
        return source if self.formulas_kind == "sounds" else f"{source} {self.formulas_kind}"

    @property
    def _sources(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "catalogue": self.catalogue,
            "audioset": self.audioset,
            "nursery_seed": self.nursery_seed,
            "formulas_seed": self.formulas_seed,
            "captures": True if self.captures else None,
        }


class ValidationConfig(_Section):
    """Audio for choosing checkpoint and thresholds: held-out groups, corpora of its own, or both.

    corpora : clips that only validate
    share : share of the training corpora's groups to hold out; 0.15 where no corpora are named
    seed : of the draw of these groups, apart from the experiment's so that all seeds of a recipe
        are validated on the same clips
    """

    corpora: list[CorpusConfig] = Field(default_factory=list)
    share: float | None = Field(None, gt=0, lt=1)
    seed: int = Field(0, ge=0)

    @property
    def held_out_share(self) -> float:
        """Share of the training groups that validate; without corpora there must be some."""
        if self.share is None:
            return 0.0 if self.corpora else _HELD_OUT_SHARE
        return self.share


class AugmentationConfig(_Section):
    """Varied copies of the training clips: see `crydistill.audio.variation.Variation`.

    rounds : copies of each clip, every one varied anew; 0 trains on the clips as they are
    weight : how often a window of a varied copy trains, relative to one of the clip as it is
    seed : of the variations, apart from the experiment's so that all seeds share their stores
    noises : how many recordings without a cry are at hand to be mixed in, a round
    """

    rounds: int = Field(0, ge=0)
    weight: float = Field(1.0, gt=0)
    seed: int = Field(0, ge=0)
    noises: int = Field(300, ge=1)
    speed: float = Field(0.4, ge=0, le=1)
    speeds: tuple[float, float] = (0.8, 1.25)
    room: float = Field(0.4, ge=0, le=1)
    noise: float = Field(0.5, ge=0, le=1)
    snr_db: tuple[float, float] = (-5.0, 30.0)
    microphone: float = Field(0.5, ge=0, le=1)
    microphone_db: float = Field(6.0, ge=0)
    band_limit: float = Field(0.3, ge=0, le=1)
    band_limits_hz: tuple[float, float] = (3000.0, 7500.0)
    level: float = Field(0.8, ge=0, le=1)
    active_dbfs: tuple[float, float] = (-55.0, -3.0)
    bits: float = Field(0.15, ge=0, le=1)
    bit_depths: tuple[int, int] = (8, 12)


class DataConfig(_Section):
    """Which clips train, validate and test."""

    train: list[CorpusConfig] = Field(min_length=1)
    augmentation: AugmentationConfig = AugmentationConfig()
    validation: ValidationConfig = ValidationConfig()
    test: list[CorpusConfig] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_source_a_store(self) -> "DataConfig":
        # Clips of two folders may share ids; in one store they would overwrite each other.
        sources: dict[str, str] = {}
        for corpus in [*self.train, *self.validation.corpora, *self.test]:
            if sources.setdefault(corpus.store_name, corpus.source) != corpus.source:
                raise ValueError(
                    f"two corpora go by the name '{corpus.store_name}'; give one another name"
                )
        return self

    @model_validator(mode="after")
    def _private_clips_only_train(self) -> "DataConfig":
        # Checkpoints, thresholds and published figures come from public recordings alone.
        if any(corpus.captures for corpus in [*self.validation.corpora, *self.test]):
            raise ValueError("captures are private: they may train, not validate or test")
        if not self.validation.corpora and all(corpus.captures for corpus in self.train):
            raise ValueError("with captures alone in train, name public validation corpora")
        return self


class TeacherConfig(_Section):
    """Who scores.

    path : weights (`.h5`, `.tflite`); the official YAMNet from the cache where not given
    also : weights of further networks; the logits of all are averaged
    recorded : without a path, use the packaged scores of the synthetic nursery, not a network
    """

    path: Path | None = None
    also: list[Path] = []
    recorded: bool = False

    @model_validator(mode="after")
    def _networks_average(self) -> "TeacherConfig":
        if self.also and self.is_recording:
            raise ValueError("teacher.also averages networks; recorded scores are of one")
        return self

    @property
    def is_recording(self) -> bool:
        """Whether the packaged scores stand in for a network."""
        return self.recorded and self.path is None


class SelectionConfig(_Section):
    """Which windows train.

    method : `teacher_filter` takes windows the teacher is sure of, `random_windows` any
    positive_above, negative_below : teacher cry scores that count as sure, 0 to 2
    ratio : confident negatives per confident positive
    resample : draw the negatives afresh every epoch
    per_clip : windows per clip of `random_windows`
    hardness : how much more often the negatives train that the teacher comes closest to taking for
        a cry, see `crydistill.selection.sampler.harder`; 0 draws them all alike
    leave_out : sources none of whose windows train, to see what they are worth; as noise behind
        varied copies of other clips their recordings stay
    """

    method: Literal["teacher_filter", "random_windows"] = "teacher_filter"
    positive_above: float = Field(0.30, ge=0, le=2)
    negative_below: float = Field(0.05, ge=0, le=2)
    ratio: float = Field(3.0, gt=0)
    resample: bool = True
    per_clip: int = Field(4, ge=1)
    hardness: float = Field(0.0, ge=0, le=1)
    leave_out: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _ordered(self) -> "SelectionConfig":
        if self.negative_below > self.positive_above:
            raise ValueError("negative_below is above positive_above")
        return self


class StudentConfig(_Section):
    """Which network learns: a name from the student zoo, and options of its builder.

    outputs : what the device's network tells, as classes (MIDs) by output name; the first output
        is the cry score. Without any, it tells the teacher's 521 classes.
    """

    architecture: str = "dscnn"
    options: dict[str, Any] = Field(default_factory=dict)
    outputs: dict[str, list[str]] = Field(default_factory=dict)


class LearningRateConfig(_Section):
    """Learning rate over training: see `crydistill.distill.fit.LearningRate`."""

    schedule: Literal["step", "cosine", "constant"] = "step"
    initial: float = Field(1e-3, gt=0)
    final: float = Field(1e-4, gt=0)
    drop_epoch: int = Field(30, ge=0)
    warmup_epochs: float = Field(0.0, ge=0)


class AwareConfig(_Section):
    """Training that feels the rounding of int8: see `crydistill.quantize.aware`.

    epochs : after those of the training before it, which its student comes from; 0 does without,
        and the converter alone makes the student int8
    learning_rate : at the start; falls to 0 along half a cosine
    """

    epochs: int = Field(0, ge=0)
    learning_rate: float = Field(1e-4, gt=0)


class TrainingConfig(_Section):
    """How the student learns: see `crydistill.distill.fit.FitOptions`.

    loss : `kl_softmax` or `sigmoid_bce`
    temperature, class_weights : of `sigmoid_bce`; weights by MID, every other class weighs 1
    auxiliary_weight : of the mean loss over the teacher's 521 classes, which a student with
        outputs of its own learns in training only, beside the summed loss of these
    trust_negatives : clips labelled noncry teach that nothing in them is a cry, whatever the
        teacher says
    cry_floor : in clips labelled cry, the windows the teacher likes best teach at least this
    rival_floor : teach the odds of a cry against the other voices the teacher hears, which count
        for at least this; null teaches the teacher's cry score
    mask_frames, mask_bands : widest stretch of time and of mel bands to blank out in each patch
    mixup : windows are mixed in pairs, in shares of Beta(mixup, mixup); 0 leaves them alone; for
        students with outputs of their own, whose targets are probabilities
    hardest_share : of each batch, the windows with the greatest loss that count; 1 counts all
    average_decay : of the running average of the weights, per step, that becomes the student; 0
        keeps the last weights
    aware : goes on training with the rounding of int8 when the rest is done
    """

    loss: Literal["kl_softmax", "sigmoid_bce"] = "kl_softmax"
    temperature: float = Field(1.0, gt=0)
    class_weights: dict[str, float] = Field(default_factory=dict)
    auxiliary_weight: float = Field(20.0, ge=0)
    trust_negatives: bool = False
    cry_floor: float = Field(0.0, ge=0, le=1)
    rival_floor: float | None = Field(None, gt=0, le=1)
    mask_frames: int = Field(0, ge=0, le=96)
    mask_bands: int = Field(0, ge=0, le=64)
    mixup: float = Field(0.0, ge=0)
    hardest_share: float = Field(1.0, gt=0, le=1)
    average_decay: float = Field(0.0, ge=0, lt=1)
    epochs: int = Field(60, ge=1)
    batch_size: int = Field(128, ge=1)
    learning_rate: LearningRateConfig = LearningRateConfig()
    weight_decay: float = Field(1e-4, ge=0)
    best_metric: str = "average_precision"
    validate_every: int = Field(1, ge=1)
    patience: int | None = Field(None, ge=1)
    aware: AwareConfig = AwareConfig()


class QuantizationConfig(_Section):
    """How the student becomes INT8.

    calibration_split : whose public clips set the activation ranges; never the test clips
    calibration_windows : how many windows of them
    max_bytes : the largest `.tflite` that passes
    """

    calibration_split: Literal["train", "validation"] = "train"
    calibration_windows: int = Field(500, ge=10)
    max_bytes: int = Field(110_000, ge=1)


class EvaluationConfig(_Section):
    """How results are reported.

    replicates : bootstrap resamples of the groups behind every 95 % interval
    worst_mistakes : mistakes of each kind shown in the report
    episodes : of crying in the night made of the test clips
    """

    replicates: int = Field(1000, ge=100)
    worst_mistakes: int = Field(4, ge=0)
    episodes: int = Field(100, ge=1)


class ExperimentConfig(_Section):
    """A whole experiment.

    name : of the run directory; the config file's name where not given
    description : one line for the report
    seed : of everything random
    stores : directory that holds one score store per corpus and teacher
    """

    name: str = Field("", pattern=r"^[A-Za-z0-9._-]*$")
    description: str = ""
    seed: int = Field(0, ge=0)
    stores: Path = Path("stores")
    data: DataConfig
    teacher: TeacherConfig = TeacherConfig()
    selection: SelectionConfig = SelectionConfig()
    student: StudentConfig = StudentConfig()
    training: TrainingConfig = TrainingConfig()
    quantization: QuantizationConfig = QuantizationConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    @model_validator(mode="after")
    def _only_with_own_outputs(self) -> "ExperimentConfig":
        if self.student.outputs:
            return self
        if self.training.rival_floor is not None:
            raise ValueError("training.rival_floor is for students with student.outputs")
        if self.training.mixup:
            raise ValueError("training.mixup is for students with student.outputs")
        return self


def load_config(path: str | Path | None, overrides: Sequence[str] = ()) -> ExperimentConfig:
    """Read a configuration file, the packaged default where `path` is None.

    A file may say `extends: OTHER.yaml` (or a list), relative to itself: it is laid over them in
    turn, mapping by mapping.

    Parameters
    ----------
    overrides : `key=value` strings; the key is dotted (`training.epochs=5`, `data.train.0.path=x`),
        the value is YAML

    Raises
    ------
    ConfigError
        naming the file and the key at fault.
    """
    if path is None:
        path = Path(str(files("crydistill").joinpath(f"data/{DEFAULT_CONFIG}.yaml")))
    raw = _read_yaml(Path(path))
    for override in overrides:
        _override(raw, override)
    try:
        config = ExperimentConfig.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{path}: {_explain(error)}") from error
    return config if config.name else config.model_copy(update={"name": Path(path).stem})


def fingerprint(*values: Any) -> str:
    """Return a sha256 over JSON-able values and config sections: equal input, equal print."""
    plain = [v.model_dump(mode="json") if isinstance(v, BaseModel) else v for v in values]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class RunDirectory:
    """The files of one run, and which of its stages are up to date."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def training(self) -> Path:
        return self.path / "training"

    @property
    def selection(self) -> Path:
        return self.path / "selection.json"

    @property
    def student_fp32(self) -> Path:
        return self.path / "student.keras"

    @property
    def student(self) -> Path:
        return self.path / "student.tflite"

    @property
    def manifest(self) -> Path:
        return self.path / "student.json"

    @property
    def calibration(self) -> Path:
        return self.path / "calibration.csv"

    @property
    def check(self) -> Path:
        return self.path / "check.json"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.json"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def scores(self) -> Path:
        return self.path / "scores.npz"

    @property
    def figure(self) -> Path:
        return self.path / "summary.png"

    @property
    def night(self) -> Path:
        return self.path / "night.json"

    @property
    def night_page(self) -> Path:
        return self.path / "night.html"

    @property
    def night_plan(self) -> Path:
        return self.path / "night.csv"

    def start(self, config: ExperimentConfig) -> None:
        """Create the directory and write the resolved config into it."""
        text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
        atomic.write_text(self.config, text)

    def is_done(self, stage: str, key: str, outputs: Sequence[Path]) -> bool:
        """Whether a stage ran with this key before and its outputs are still there."""
        return self._stages().get(stage) == key and all(path.exists() for path in outputs)

    def mark_done(self, stage: str, key: str) -> None:
        """Remember that a stage finished with this key."""
        text = json.dumps({**self._stages(), stage: key}, indent=2)
        atomic.write_text(self._stages_file, text + "\n")

    def forget(self, stage: str) -> None:
        """Take back that a stage is done, before its outputs are made again."""
        stages = self._stages()
        if stages.pop(stage, None):
            atomic.write_text(self._stages_file, json.dumps(stages, indent=2) + "\n")

    @property
    def _stages_file(self) -> Path:
        return self.path / "stages.json"

    def _stages(self) -> dict[str, str]:
        if not self._stages_file.exists():
            return {}
        stages: dict[str, str] = json.loads(self._stages_file.read_text(encoding="utf-8"))
        return stages


def _read_yaml(path: Path, heirs: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Read a config over the ones it extends, `heirs` being those that extend it."""
    if path.resolve() in heirs:
        raise ConfigError(f"{path}: extends: the configs extend each other in a circle")
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such config file; see configs/") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML ({_one_line(error)})") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: must be a mapping of keys to values")
    extended = raw.pop("extends", [])
    if isinstance(extended, str):
        extended = [extended]
    if not isinstance(extended, list) or not all(isinstance(name, str) for name in extended):
        raise ConfigError(f"{path}: extends: must name a config file, or several in a list")
    merged: dict[str, Any] = {}
    for name in extended:
        merged = _merged(merged, _read_yaml(path.parent / name, (*heirs, path.resolve())))
    return _merged(merged, raw)


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Lay one mapping over another: mappings merge key by key, anything else replaces."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(merged.get(key), dict) and isinstance(value, dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _override(raw: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {override}: write it as key=value, such as training.epochs=5")
    *parents, last = key.split(".")
    node: Any = raw
    for part in parents:
        node = _child(node, part, override)
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override}: the value is not valid YAML") from error
    if isinstance(node, list):
        node[_position(node, last, override)] = parsed
    else:
        node[last] = parsed


def _child(node: Any, part: str, override: str) -> Any:
    if isinstance(node, list):
        return node[_position(node, part, override)]
    child = node.setdefault(part, {})
    if child is None:
        child = node[part] = {}
    if not isinstance(child, Mapping | list):
        raise ConfigError(f"--set {override}: '{part}' is a single value, it has no keys below it")
    return child


def _position(node: list[Any], part: str, override: str) -> int:
    if not part.isdigit() or int(part) >= len(node):
        raise ConfigError(
            f"--set {override}: '{part}' is not a position in that list of {len(node)}"
        )
    return int(part)


def _explain(error: ValidationError) -> str:
    for fault in error.errors(include_url=False):
        if fault["type"] == "extra_forbidden":
            key = ".".join(str(part) for part in fault["loc"])
            return f"unknown key '{key}'; see docs/configuration.md for the keys there are"
    return explained(error, "the config")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
