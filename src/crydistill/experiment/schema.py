"""The configuration of an experiment: every section and key, with defaults.

Adding an experiment is adding a YAML file. Every key has its default here; an unknown key is an
error that names it. Paths are relative to the directory the command runs in.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

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
    formulas_seed : render random sounds from this seed, see `crydistill.synthesis.formulas`
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


class QatConfig(_Section):
    """Quantization-aware training (QAT) of the trained student: see `crydistill.quantize.qat`.

    epochs : of QAT after those of the training before it; 0 leaves quantization to the converter
        (post-training quantization)
    learning_rate : at the start; decays to 0 along half a cosine
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
    qat : quantization-aware training when the rest is done
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
    # Stage keys of before 0.2 know it as `aware`; a finished training keeps its key.
    qat: QatConfig = Field(QatConfig(), serialization_alias="aware")


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
