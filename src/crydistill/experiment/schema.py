"""The configuration of an experiment: every section and key, with defaults.

A new experiment is a new YAML file. Every key has its default here; an unknown key is an error
that names it. Paths are relative to the directory the command runs in; a ~ is the home folder.
"""

import operator
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

_HELD_OUT_SHARE = 0.15
_LONGEST_NAME = 100

FieldMeaning = Literal["audio", "label", "group", "category", "licence", "private", "mids"]

CAUGHT = "caught"
"""Validation metric of a memory: share of the episodes of a night that are caught."""


def _without_tilde(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError(f"whose home '{path}' means is not known; write the whole path") from error


_Path = Annotated[Path, AfterValidator(_without_tilde)]
"""No shell replaces the ~ of a path in a file."""


def _as_text(value: Any) -> Any:
    """What a manifest's cell says, of which YAML makes a number: `fold: 3`."""
    if isinstance(value, list):
        return [_as_text(each) for each in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):  # 1.50 or yes, of which YAML has forgotten how it was written
        raise ValueError(f"{value} is no text; put it into quotes")
    return value


_Cell = Annotated[str | list[str], BeforeValidator(_as_text)]
"""A value of a manifest's column, or several."""


def _folder_name(name: str) -> str:
    if name and not re.fullmatch(r"\.*[A-Za-z0-9_-][A-Za-z0-9._-]*", name):
        raise ValueError(f"'{name}' cannot name a run's folder: use letters, digits, ., - and _")
    if len(name) > _LONGEST_NAME:
        raise ValueError(f"it names a run's folder: at most {_LONGEST_NAME} letters")
    return name


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class CorpusConfig(_Section):
    """One source of clips: path, parquet, webdataset, catalogue, audioset, nursery_seed,
    formulas_seed or captures.

    name : of the corpus's score store; derived from the source if not given
    weight : sampling weight of its windows in training, relative to other corpora
    vary : whether data.augmentation makes varied copies of its clips
    hold_out : whether data.validation.share may hold out some of its groups
    path : a clips.csv, a folder with one, or a folder of audio
    where : column and value (or values) that select rows of the manifest at `path`
    without : column and value (or values) of rows to leave out of these
    parquet : a Hugging Face data set: a folder of parquet files, one, or a pattern
    webdataset : a folder of tar files with samples, one, or a pattern
    fields : of parquet and webdataset, by what they mean: names of the fields, see
        `crydistill.corpora.fields`
    cry : of parquet and webdataset: values of the label that are crying, all others are not
    catalogue : a public corpus fetched with `crydistill fetch NAME`
    audioset : a segment list whose audio was fetched with `crydistill fetch audioset`
    nursery_seed : render the synthetic nursery from this seed
    formulas_seed : render random sounds from this seed, see `crydistill.synthesis.formulas`
    formulas_clips : number of these sounds, 6 seconds each
    formulas_kind : `sounds` of any kind, `voices` close to the boundary between cries and others,
        `scenes` of several sounds, or
        `soundalikes` that are mistaken for cries: children, cartoons, singing, cats, eating
    captures : private home recordings, in the folder that CRYDISTILL_CAPTURES names
    licence : of the recordings of `path`, parquet or webdataset that state none themselves
    private : whether these recordings are private: true treats them like captures, false
        declares that they are not, null leaves it to the manifest
    """

    name: str = ""
    weight: float = Field(1.0, gt=0)
    vary: bool = True
    hold_out: bool = True
    path: _Path | None = None
    where: dict[str, _Cell] = Field(default_factory=dict)
    without: dict[str, _Cell] = Field(default_factory=dict, exclude_if=operator.not_)
    parquet: _Path | None = Field(None, exclude_if=lambda value: value is None)
    webdataset: _Path | None = Field(None, exclude_if=lambda value: value is None)
    fields: dict[FieldMeaning, str] = Field(default_factory=dict, exclude_if=operator.not_)
    cry: list[str] = Field(default_factory=list, exclude_if=operator.not_)
    catalogue: str | None = None
    audioset: _Path | None = None
    nursery_seed: int | None = Field(None, ge=0)
    formulas_seed: int | None = Field(None, ge=0)
    formulas_clips: int = Field(600, ge=1)
    formulas_kind: Literal["sounds", "voices", "scenes", "soundalikes"] = "sounds"
    captures: bool = False
    # Left out of the resolved config where not given, which so keeps its hash.
    licence: str = Field("", exclude_if=lambda value: not value)
    private: bool | None = Field(None, exclude_if=lambda value: value is None)

    @model_validator(mode="after")
    def _one_source(self) -> "CorpusConfig":
        given = [name for name, value in self._sources.items() if value is not None]
        if len(given) != 1:
            found = ", ".join(given) or "none"
            raise ValueError(f"give exactly one of {', '.join(self._sources)}; found {found}")
        return self

    @model_validator(mode="after")
    def _declares_a_path(self) -> "CorpusConfig":
        data_set = self.parquet or self.webdataset
        if not (self.path or data_set) and (self.licence or self.private is not None):
            raise ValueError(
                "licence and private declare the recordings of path, parquet or webdataset, of no "
                "other source"
            )
        if data_set is None and (self.fields or self.cry):
            raise ValueError("fields and cry are of parquet and webdataset, of no other source")
        if self.webdataset and "audio" in self.fields:
            raise ValueError("fields.audio is of parquet; a sample's recording is known by suffix")
        if self.where and (data_set or self.catalogue or self.audioset or self.captures):
            raise ValueError("where selects rows of a manifest, which this source has none of")
        if self.without and self.path is None:
            raise ValueError(
                "without leaves out rows of the manifest at `path`, of no other source"
            )
        return self

    @property
    def is_private(self) -> bool:
        """Whether all its recordings are private."""
        return self.captures or self.private is True

    @property
    def store_name(self) -> str:
        """Name of the corpus's score store."""
        if self.name:
            return self.name
        if self.path:
            return self.path.resolve().name
        if data_set := self.parquet or self.webdataset:
            return re.sub(r"[^A-Za-z0-9._-]+", "_", data_set.resolve().name)
        if self.audioset:
            return self.audioset.stem
        if self.formulas_seed is not None:
            kind = "formulas" if self.formulas_kind == "sounds" else self.formulas_kind
            return f"{kind}-{self.formulas_seed}-{self.formulas_clips}"
        return self.catalogue or ("captures" if self.captures else f"nursery-{self.nursery_seed}")

    @property
    def source(self) -> str:
        """Identifies the source, whatever the corpus's name."""
        named = ((k, v.resolve() if isinstance(v, Path) else v) for k, v in self._sources.items())
        source = ", ".join(f"{key} {value}" for key, value in named if value is not None)
        return source if self.formulas_kind == "sounds" else f"{source} {self.formulas_kind}"

    @property
    def _sources(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "parquet": self.parquet,
            "webdataset": self.webdataset,
            "catalogue": self.catalogue,
            "audioset": self.audioset,
            "nursery_seed": self.nursery_seed,
            "formulas_seed": self.formulas_seed,
            "captures": True if self.captures else None,
        }


class ValidationConfig(_Section):
    """Audio that selects checkpoint and thresholds: held-out groups, separate corpora, or both.

    corpora : clips used for validation only
    share : share of the training corpora's groups to hold out; 0.15 if no corpora are given
    seed : for drawing these groups; separate from the experiment's, so that all seeds of a recipe
        are validated on the same clips
    """

    corpora: list[CorpusConfig] = Field(default_factory=list)
    share: float | None = Field(None, gt=0, lt=1)
    seed: int = Field(0, ge=0)

    @property
    def held_out_share(self) -> float:
        """Share of the training groups held out for validation; above 0 if there are no corpora."""
        if self.share is None:
            return 0.0 if self.corpora else _HELD_OUT_SHARE
        return self.share


class AugmentationConfig(_Section):
    """Data augmentation by varied copies of the training clips.

    For the other keys see `crydistill.audio.variation.Variation`.

    rounds : copies of each clip, each with its own random variation; 0: no augmentation
    weight : sampling weight of a varied copy's windows, relative to those of the original clip
    seed : of the variations; separate from the experiment's, so that all seeds share their stores
    noises : how many recordings without a cry may be mixed in, per round
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
    # Left out of the keys of stores and configs at 0, where nothing is drawn for it.
    recorder: float = Field(0.0, ge=0, le=1, exclude_if=lambda value: not value)
    band_limit: float = Field(0.3, ge=0, le=1)
    band_limits_hz: tuple[float, float] = (3000.0, 7500.0)
    level: float = Field(0.8, ge=0, le=1)
    active_dbfs: tuple[float, float] = (-55.0, -3.0)
    bits: float = Field(0.15, ge=0, le=1)
    bit_depths: tuple[int, int] = (8, 12)


class StreamsConfig(_Section):
    """Continuous audio composed of the training clips, for a student with memory.

    streams : number of them, each of four minutes or so; 0: none
    seed : of their composition; separate from the experiment's, so that all seeds share them
    weight : sampling weight of their windows where single windows train, relative to other corpora
    vary_groups : whether every group of clips in a stream has a speed and a microphone of its own,
        and not only the whole stream
    """

    streams: int = Field(0, ge=0)
    weight: float = Field(1.0, gt=0)
    seed: int = Field(0, ge=0)
    vary_groups: bool = False


class DataConfig(_Section):
    """The clips for training, validation and test."""

    train: list[CorpusConfig] = Field(min_length=1)
    augmentation: AugmentationConfig = AugmentationConfig()
    streams: StreamsConfig = StreamsConfig()
    validation: ValidationConfig = ValidationConfig()
    test: list[CorpusConfig] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_source_a_store(self) -> "DataConfig":
        # Clips of two folders may share ids; in one store they would overwrite each other.
        sources: dict[str, str] = {}
        for corpus in [*self.train, *self.validation.corpora, *self.test]:
            if sources.setdefault(corpus.store_name, corpus.source) != corpus.source:
                raise ValueError(
                    f"two corpora are named '{corpus.store_name}'; give one another name"
                )
        return self

    @model_validator(mode="after")
    def _private_clips_only_train(self) -> "DataConfig":
        # Checkpoints, thresholds and published figures come from public recordings alone.
        for corpus in [*self.validation.corpora, *self.test]:
            if corpus.is_private:
                raise ValueError(
                    f"{'captures are' if corpus.captures else f'{corpus.store_name} is'} private: "
                    "use them for training, not to validate or test"
                )
        if not self.validation.corpora and all(corpus.is_private for corpus in self.train):
            raise ValueError("with only private clips in train, give public validation corpora")
        return self


class TeacherConfig(_Section):
    """The teacher: a network, an ensemble, or recorded scores.

    path : weights (`.h5`, `.tflite`); the official YAMNet from the cache if not given
    also : weights of further networks; the logits of all are averaged
    recorded : without a path, use the packaged scores of the synthetic nursery, not a network
    memory : weights of the network that teaches a student's memory, of EfficientAT's family
    judge : weights of a network of that family that judges the labels of clips for training
    context : seconds that these hear at once
    """

    path: _Path | None = None
    also: list[_Path] = []
    recorded: bool = False
    memory: _Path | None = None
    judge: _Path | None = None
    context: float = Field(5.0, ge=1, le=10)

    @model_validator(mode="after")
    def _networks_average(self) -> "TeacherConfig":
        if self.also and self.is_recording:
            raise ValueError("teacher.also averages networks; with recorded scores, leave it out")
        return self

    @property
    def is_recording(self) -> bool:
        """Whether the packaged scores are used instead of a network."""
        return self.recorded and self.path is None


class ScoresConfig(_Section):
    """What score stores keep; stores that exist stay as they are.

    frames : `keep` the log-mel frames, or `recompute` them from the recordings, with the same
        result, whenever a student is shown them
    logits : `all` of the teacher's, or so many of the highest besides those of the cries and their
        strongest rival, see `crydistill.teacher.reduced`
    """

    frames: Literal["keep", "recompute"] = "keep"
    logits: Literal["all"] | Annotated[int, Field(ge=1, le=256)] = "all"

    @property
    def top(self) -> int | None:
        """How many of the highest logits are kept; None: all."""
        return None if self.logits == "all" else self.logits


class JudgingConfig(_Section):
    """Which labels `teacher.judge` contradicts, by where it hears a cry most clearly in a clip.

    noncry_below : with this probability of a cry or a higher one, a clip labelled noncry is left
        out
    cry_above : with this probability or a lower one, a clip labelled cry is left out
    """

    noncry_below: float = Field(0.1, ge=0, le=1)
    cry_above: float = Field(0.05, ge=0, le=1)


class SelectionConfig(_Section):
    """Which windows are trained on.

    method : `teacher_filter` takes windows with a confident teacher, `random_windows` any
    positive_above, negative_below : teacher cry scores that count as confident, 0 to 2
    ratio : confident negatives per confident positive
    resample : draw new negatives every epoch
    per_clip : windows per clip with `random_windows`
    shuffle_windows : windows of an epoch that are shuffled together, see
        `crydistill.selection.sampler.shuffled`; 0: all of them
    hardness : how strongly to oversample hard negatives, those with higher teacher cry scores, see
        `crydistill.selection.sampler.harder`; 0 samples all negatives equally
    leave_out : sources whose windows are not trained on, for ablations; their recordings may still
        be mixed as noise into varied copies of other clips
    judging : whose windows are not trained on either, if there is a `teacher.judge`
    """

    method: Literal["teacher_filter", "random_windows"] = "teacher_filter"
    positive_above: float = Field(0.30, ge=0, le=2)
    negative_below: float = Field(0.05, ge=0, le=2)
    ratio: float = Field(3.0, gt=0)
    resample: bool = True
    per_clip: int = Field(4, ge=1)
    # Left out of keys at 0, so that former selections and trainings stay up to date.
    shuffle_windows: int = Field(0, ge=0, exclude_if=operator.not_)
    hardness: float = Field(0.0, ge=0, le=1)
    leave_out: list[str] = Field(default_factory=list)
    judging: JudgingConfig = Field(
        JudgingConfig(), exclude_if=lambda judging: judging == JudgingConfig()
    )

    @model_validator(mode="after")
    def _ordered(self) -> "SelectionConfig":
        if self.negative_below > self.positive_above:
            raise ValueError("negative_below is above positive_above")
        return self


class MemoryConfig(_Section):
    """A student's memory of past windows: see `crydistill.student.memory.Memory`."""

    windows: int = Field(12, ge=1, le=60)
    embedding: int = Field(12, ge=1, le=64)
    hidden: int = Field(20, ge=1, le=128)
    blend: float = Field(0.0, ge=0, le=10, exclude_if=operator.not_)

    @model_validator(mode="after")
    def _something_is_learned(self) -> "MemoryConfig":
        if self.blend and min(self.embedding, self.hidden) < 2:
            raise ValueError(
                "with blend, embedding and hidden need 2 or more: one of each serves it"
            )
        return self


class StudentConfig(_Section):
    """The student network: a name from the student zoo, and options of its builder.

    outputs : outputs of the exported network, as classes (MIDs) by output name; the first output
        is the cry score. Without any, its outputs are the teacher's 521 classes.
    memory : what it remembers of past windows; null: nothing
    """

    architecture: str = "dscnn"
    options: dict[str, Any] = Field(default_factory=dict)
    outputs: dict[str, list[str]] = Field(default_factory=dict)
    memory: MemoryConfig | None = Field(None, exclude_if=lambda memory: memory is None)


class LearningRateConfig(_Section):
    """Learning-rate schedule: see `crydistill.distill.fit.LearningRate`."""

    schedule: Literal["step", "cosine", "constant"] = "step"
    initial: float = Field(1e-3, gt=0)
    final: float = Field(1e-4, gt=0)
    drop_epoch: int = Field(30, ge=0)
    warmup_epochs: float = Field(0.0, ge=0)


class MemoryLearningRateConfig(LearningRateConfig):
    """The same for the memory, which trains for fewer epochs."""

    schedule: Literal["step", "cosine", "constant"] = "cosine"
    initial: float = Field(1e-3, gt=0)
    final: float = Field(1e-5, gt=0)
    warmup_epochs: float = Field(0.2, ge=0)


class QatConfig(_Section):
    """Quantization-aware training (QAT) of the trained student: see `crydistill.quantize.qat`.

    epochs : of QAT, after those of the training before it; 0: post-training quantization only
    learning_rate : initial value; cosine decay to 0
    """

    epochs: int = Field(0, ge=0)
    learning_rate: float = Field(1e-4, gt=0)


class MemoryTrainingConfig(_Section):
    """Training of a student with memory on streams, after `training.epochs` on single windows.

    epochs : over all streams
    target : what the memory learns: `context`, the teacher of several seconds at once;
        `best_windows`, the window teacher's three best of the last ten windows; `both`, the mean of
        their logits, the first counting twice; or `labels`, no teacher: crying wherever a clip not
        labelled noncry has just played, silent pauses included
    temperature : of the memory's loss
    trusted : where only clips labelled noncry have played, the memory's target is at most this
        logit; null: the teacher is always believed
    window_weight : of the window network's own loss, where the memory's has 1
    joint : whether the window network goes on learning, or only the memory
    length : windows in a stretch
    stretches : in a batch
    """

    epochs: int = Field(4, ge=1)
    target: Literal["context", "best_windows", "both", "labels"] = "both"
    temperature: float = Field(2.0, gt=0)
    trusted: float | None = -6.0
    window_weight: float = Field(0.3, ge=0)
    joint: bool = True
    length: int = Field(24, ge=2)
    stretches: int = Field(8, ge=1)
    learning_rate: MemoryLearningRateConfig = MemoryLearningRateConfig()


class ColouringConfig(_Section):
    """Colouring of what is shown in training: see `crydistill.distill.colouring.Colouring`."""

    level_db: float = Field(10.0, ge=0, le=30)
    response_db: float = Field(4.0, ge=0, le=12)
    hiss: float = Field(0.5, ge=0, le=1)
    hiss_db: tuple[float, float] = (-45.0, -10.0)


class TrainingConfig(_Section):
    """Training of the student: see also `crydistill.distill.fit.FitOptions`.

    loss : `kl_softmax` or `sigmoid_bce`
    temperature, class_weights : for `sigmoid_bce`; weights by MID, 1 for every other class
    auxiliary_weight : of the mean loss over the teacher's 521 classes, auxiliary outputs of a
        student with outputs of its own, relative to the summed loss over the latter
    trust_negatives : cry target 0 in clips labelled noncry, whatever the teacher's score
    cry_floor : lowest cry target of the highest-scoring windows of clips labelled cry
    rival_floor : the cry target is the teacher's cry score relative to the strongest other voice,
        cry / (cry + strongest other + rival_floor); null: the teacher's cry score
    mask_frames, mask_bands : SpecAugment: widest mask in frames and in mel bands of each patch
    mixup : mix pairs of windows in proportions from Beta(mixup, mixup); 0 disables it; for students
        with outputs of their own, whose targets are probabilities
    hardest_share : online hard example mining: share of each batch, those windows with the greatest
        loss, that counts; 1 counts all
    colouring : another level, microphone and hiss for each window or stretch of windows; null: none
    average_decay : per step, of the exponential moving average of the weights that becomes the
        student; 0 keeps the last weights
    precision : `mixed` computes the epochs on single windows in bfloat16 where there is a GPU
    qat : quantization-aware training after the epochs above
    memory : training of a student's memory after the epochs above
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
    colouring: ColouringConfig | None = Field(None, exclude_if=lambda colouring: colouring is None)
    average_decay: float = Field(0.0, ge=0, lt=1)
    precision: Literal["float32", "mixed"] = Field(
        "float32", exclude_if=lambda precision: precision == "float32"
    )
    epochs: int = Field(60, ge=1)
    batch_size: int = Field(128, ge=1)
    learning_rate: LearningRateConfig = LearningRateConfig()
    weight_decay: float = Field(1e-4, ge=0)
    best_metric: str = "average_precision"
    validate_every: int = Field(1, ge=1)
    patience: int | None = Field(None, ge=1)
    # `aware` was its name before 0.2: finished training runs keep their stage keys.
    qat: QatConfig = Field(QatConfig(), serialization_alias="aware")
    memory: MemoryTrainingConfig = Field(
        MemoryTrainingConfig(), exclude_if=lambda memory: memory == MemoryTrainingConfig()
    )


class QuantizationConfig(_Section):
    """Conversion of the student to INT8.

    calibration_split : the split whose public clips set the activation ranges; never the test clips
    calibration_windows : number of windows for this
    max_bytes : size limit of the `.tflite`
    """

    calibration_split: Literal["train", "validation"] = "train"
    calibration_windows: int = Field(500, ge=10)
    max_bytes: int = Field(110_000, ge=1)


class EvaluationConfig(_Section):
    """Evaluation and report.

    replicates : bootstrap resamples of groups for every 95 % confidence interval
    worst_mistakes : how many of the worst false alarms and misses the report shows
    episodes : number of crying episodes in the night composed of test clips
    """

    replicates: int = Field(1000, ge=100)
    worst_mistakes: int = Field(4, ge=0)
    episodes: int = Field(100, ge=1)


class ExperimentConfig(_Section):
    """A whole experiment.

    name : of the run directory, and no other, which `..` would be; the config file's name if not
        given
    description : one line for the report
    seed : for everything random
    stores : directory with one score store per corpus and teacher
    """

    name: Annotated[str, AfterValidator(_folder_name)] = ""
    description: str = ""
    seed: int = Field(0, ge=0, lt=1 << 32)
    stores: _Path = Path("stores")
    data: DataConfig
    teacher: TeacherConfig = TeacherConfig()
    # Left out of the resolved config at its default, which so keeps its hash.
    scores: ScoresConfig = Field(ScoresConfig(), exclude_if=lambda scores: scores == ScoresConfig())
    selection: SelectionConfig = SelectionConfig()
    student: StudentConfig = StudentConfig()
    training: TrainingConfig = TrainingConfig()
    quantization: QuantizationConfig = QuantizationConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    @property
    def best_metric(self) -> str:
        """Validation metric that selects the checkpoint: on clips, with a memory on a night."""
        return CAUGHT if self.student.memory else self.training.best_metric

    @model_validator(mode="after")
    def _only_with_own_outputs(self) -> "ExperimentConfig":
        if self.student.outputs:
            return self
        if self.training.rival_floor is not None:
            raise ValueError("training.rival_floor needs student.outputs")
        if self.training.mixup:
            raise ValueError("training.mixup needs student.outputs")
        return self

    @model_validator(mode="after")
    def _memory_is_complete(self) -> "ExperimentConfig":
        if self.student.memory is None:
            return self
        missing = {
            "student.outputs with a single output": len(self.student.outputs) == 1,
            "data.streams.streams above 0": self.data.streams.streams > 0,
            "teacher.memory": self.teacher.memory is not None,
            "a teacher that is a network (teacher.recorded false)": not self.teacher.is_recording,
        }
        for what, given in missing.items():
            if not given:
                raise ValueError(f"student.memory needs {what}")
        return self
