"""Write and check the model card: use, performance, limits and forbidden uses of a student.

Every figure comes from the run's JSON. The text is in `card.md`; the metadata, with the model
index, is written with huggingface_hub's card classes.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any

import yaml

from crydistill.audio.mel import SAMPLE_RATE
from crydistill.audio.windows import WINDOW_SAMPLES
from crydistill.corpora.folder import where_text
from crydistill.errors import CheckFailed, MissingExtraError, first_line
from crydistill.metrics.enough import MIN_GROUPS, TOO_LITTLE, clips_missing
from crydistill.metrics.records import markdown_table
from crydistill.roles import Role
from crydistill.student.manifest import (
    YAMNET_OUTPUTS,
    StudentManifest,
    TeacherInfo,
    ThresholdPreset,
)

if TYPE_CHECKING:
    from huggingface_hub import ModelCard

FILE_NAME = "README.md"
CLIP_SCORE = "mean"
TAGS = ("audio-classification", "baby-cry-detection", "tinyml", "tflite-micro", "int8", "esp32")

METRICS = {
    "roc_auc": ("roc_auc", "ROC AUC"),
    "average_precision": ("average_precision", "Average precision"),
    "recall_at_fpr_1pct": ("recall", "Recall at a false-positive rate of 1 %"),
    "recall_at_fpr_0.1pct": ("recall", "Recall at a false-positive rate of 0.1 %"),
    "f1_at_validation": ("f1", "F1 at the validated threshold"),
    "precision_at_validation": ("precision", "Precision at the validated threshold"),
    "recall_at_validation": ("recall", "Recall at the validated threshold"),
    "fpr_at_validation": ("false_positive_rate", "False-positive rate at the validated threshold"),
}
"""Figures to show, by their key in metrics.json: the hub's metric type and a title. Figures at
thresholds chosen on the test clips themselves are omitted."""

_REQUIRED_METADATA = ("license", "tags", "eval_results", "pipeline_tag")
_REQUIRED_WORDS = (
    "must not be used for",
    "not a medical device and not a safety device",
    "does not replace a person",
    "Calibrate",
    "Licences of the training clips",
    "## Limits",
)

_HARDEST = 3

Json = Mapping[str, Any]


@dataclass(frozen=True)
class CardSources:
    """Sources of a card's facts.

    manifest : `student.json`
    metrics : the run's `metrics.json`
    licence : the student's licence, as an identifier of the hub
    files : files of the bundle, with a description each
    draft : made from uncommitted code
    declared : licence of the undeclared recordings, as whoever publishes stated it, together with
        that none of them is private; None if nobody did
    """

    manifest: StudentManifest
    metrics: Json
    licence: str
    files: Mapping[str, str]
    draft: bool = False
    declared: str | None = None


def undeclared(manifest: StudentManifest, metrics: Json) -> str:
    """Name the recordings of which nobody stated licence and privacy; empty if there are none."""
    parts = [
        f"{count:,} training clips of {name}"
        for name, count in manifest.training.all_undeclared.items()
    ]
    if count := metrics.get("clips", {}).get("undeclared", 0):
        parts.append(f"{count} clips of the test data")
    return " and ".join(parts)


def require_complete(sources: CardSources) -> None:
    """Check that every fact the card needs is known.

    Raises
    ------
    CheckFailed
        listing everything that is missing.
    """
    manifest, missing = sources.manifest, []
    if not manifest.training.licences:
        missing.append("student.json: training.licences")
    if not manifest.training.summary:
        missing.append("student.json: training.summary")
    if not manifest.presets:
        missing.append("student.json: presets")
    missing += [
        f"student.json: presets.{name}.{field}"
        for name, preset in manifest.presets.items()
        for field in _lacking(preset)
    ]
    if manifest.arena is None:
        missing.append("student.json: arena")
    if not sources.licence:
        missing.append("the student's licence")
    missing += [f"metrics.json: {field}" for field in _missing_metrics(sources.metrics)]
    if missing:
        raise CheckFailed(
            f"{manifest.name}: the model card lacks {', '.join(missing)}; evaluate the run again "
            "with this release"
        )


def make_card(sources: CardSources) -> "ModelCard":
    """Write the card.

    Raises
    ------
    CheckFailed
        if facts are missing (`require_complete`).
    MissingExtraError
        if huggingface_hub is not installed.
    """
    model_card = _model_card_class()
    require_complete(sources)
    try:
        metadata, text = _card_data(sources).to_yaml(), _text(sources)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise CheckFailed(
            f"metrics.json: not in the format of `evaluate` ({error!r}); evaluate the run again"
        ) from error
    return model_card(f"---\n{metadata}\n---\n\n{text}")


def check_card(text: str) -> None:
    """Check that a card, perhaps edited by hand, still has all required parts.

    Raises
    ------
    CheckFailed
        naming what is missing.
    MissingExtraError
        if huggingface_hub is not installed.
    """
    model_card = _model_card_class()
    try:
        card = model_card(text)
    except (ValueError, TypeError, yaml.YAMLError) as error:
        raise CheckFailed(
            f"{FILE_NAME}: its metadata cannot be read ({first_line(error)})"
        ) from error
    missing = [field for field in _REQUIRED_METADATA if not getattr(card.data, field, None)]
    missing += [f"'{words}'" for words in _REQUIRED_WORDS if words not in card.text]
    if missing:
        raise CheckFailed(f"{FILE_NAME}: the model card lacks {', '.join(missing)}")


def _model_card_class() -> "type[ModelCard]":
    try:
        from huggingface_hub import ModelCard
    except ImportError as error:
        raise MissingExtraError(
            "a model card needs huggingface_hub: pip install 'crydistill[hub]'"
        ) from error
    return ModelCard


def _lacking(preset: ThresholdPreset) -> list[str]:
    """Fields of a preset without a value, unless it says that its audio was too little for one."""
    if preset.measured_on is not None and TOO_LITTLE in preset.measured_on:
        return []
    fields = ("recall", "false_alarms_per_hour", "measured_on")
    return [field for field in fields if getattr(preset, field) is None]


def _missing_metrics(metrics: Json) -> list[str]:
    try:
        figures = _figures(metrics, Role.INT8)
        have = {key for key in METRICS if figures.get(key, {}).get("low") is not None}
        corpora = _test_corpora(metrics)
        too_little = "clips" in metrics and _too_little(metrics)
    except (KeyError, TypeError, AttributeError) as error:
        return [f"{error.args[0]} (of the INT8 student)"]
    # Recall at a rate too low for the number of clips has no interval; the AUC always has one.
    wanted = () if too_little else ("roc_auc", "average_precision")
    missing = [key for key in wanted if key not in have]
    missing += [field for field in ("clips", "intervals", "provenance") if field not in metrics]
    return missing if corpora else [*missing, "provenance.config.data.test"]


def _card_data(sources: CardSources) -> Any:
    from huggingface_hub import EvalResult, ModelCardData

    metrics = sources.metrics
    name = _title(sources.manifest)
    intervals = metrics["intervals"]
    results = [
        EvalResult(
            task_type="audio-classification",
            task_name="Baby cry detection",
            dataset_type=_slug(_test_data(metrics)),
            dataset_name=_test_data(metrics),
            metric_type=kind,
            metric_name=title,
            metric_value=figure["value"],
            metric_args={
                "interval": [figure["low"], figure["high"]],
                "level": intervals["level"],
                "method": intervals["method"],
                "model": "int8",
            },
        )
        for (kind, title), figure in _shown_figures(metrics)
    ]
    return ModelCardData(
        license=sources.licence,
        library_name="tflite",
        pipeline_tag="audio-classification",
        tags=list(TAGS),
        metrics=sorted({kind for (kind, _), _ in _shown_figures(metrics)}),
        model_name=name,
        eval_results=results,
    )


def _text(sources: CardSources) -> str:
    manifest, metrics = sources.manifest, sources.metrics
    provenance, arena = manifest.provenance, manifest.arena
    assert arena is not None  # require_complete
    clips = metrics["clips"]
    parameters = f"{manifest.parameters:,}-parameter"
    return Template(_template()).substitute(
        title=_title(manifest),
        draft=_DRAFT if sources.draft else "",
        undeclared=_UNDECLARED if _open_question(sources) else "",
        pitch=(
            f"An int8 network of {manifest.tflite.size_bytes:,} bytes that detects a baby's cry on "
            f"a microcontroller. It is a {parameters} student ({manifest.architecture}) of "
            "Google's YAMNet, and comes with the detector in portable C."
        ),
        outputs=_outputs(manifest),
        context=_context(manifest),
        size=f"{manifest.tflite.size_bytes:,}",
        macs=f"{manifest.macs:,}",
        arena=(
            f"tensor arena of {arena.size_bytes:,} bytes in TFLite Micro (measured, "
            f"{arena.host_bits}-bit host, reference kernels); vendor kernels need more"
        ),
        ops=", ".join(f"{count} {name}" for name, count in manifest.ops.items()),
        teacher="; of the memory: ".join(
            f"{teacher.name}, sha256 `{teacher.sha256[:16]}...`" for teacher in _teachers(manifest)
        ),
        task=_task(manifest),
        taught=_taught(manifest),
        version=provenance.package_version,
        commit=provenance.git_commit or "unknown",
        usage=_USAGE + (_USAGE_WITH_MEMORY if manifest.memory else ""),
        files="\n".join(f"| `{name}` | {note} |" for name, note in sources.files.items()),
        evaluated=(
            f"Measured with the int8 model on {_test_data(metrics)}: {clips['clips']:,} clips, "
            f"{clips['cries']:,} of them with a cry, of {clips['groups']:,} separate people, "
            "households or recordings."
        ),
        metrics=_metrics(metrics),
        presets=_presets(manifest.presets),
        bands=_bands(metrics),
        hardest=_hardest(metrics),
        calibration=(
            f"{manifest.calibration.windows:,} windows of {manifest.calibration.corpus} "
            f"({manifest.calibration.split})"
        ),
        training=manifest.training.summary,
        licences="\n".join(
            f"| {name.replace('|', '/')} | {count:,} |"
            for name, count in manifest.training.licences.items()
        ),
        test_data=_test_data(metrics),
        privacy=privacy(sources),
        licence=f"The student: {sources.licence}",
    )


_DRAFT = """> **Draft.** Made from uncommitted code, so it cannot be reproduced. Not for
> publication.

"""

_UNDECLARED = """> **Undeclared recordings.** Nobody has stated licence and privacy of all
> recordings behind this student (see "How it was trained"). Not for publication.

"""

_USAGE = """On a computer:

    pip install crydistill
    crydistill detect night.wav --model .

On a microcontroller: compile the C99 sources in `c/` (no dependencies, no allocation), push 16 kHz
int16 samples, get alerts. In a browser:
`student_float.tflite` with LiteRT.js; it maps float32 log-mel values to float32 logits."""

_USAGE_WITH_MEMORY = """
Each call's second output is the next call's second input; at the start and after a gap in the
audio it is all zeros (int8: its zero point)."""


def _template() -> str:
    return files("crydistill").joinpath("publish/card.md").read_text(encoding="utf-8")


def _title(manifest: StudentManifest) -> str:
    return f"crydistill {manifest.name}"


def _outputs(manifest: StudentManifest) -> str:
    names = manifest.outputs
    count = manifest.output.shape[-1]
    cries = ", ".join(str(index) for index in manifest.cry_outputs)
    what = "YAMNet's AudioSet classes" if names == YAMNET_OUTPUTS else ", ".join(names)
    return (
        f"{count} int8 logits ({what}); {manifest.activation}; cry score: sum of outputs {cries} "
        "after it"
    )


def _task(manifest: StudentManifest) -> str:
    memory = manifest.memory
    if memory is None:
        return "does this second of audio contain a baby's cry?"
    seconds = memory.warm_up_seconds + WINDOW_SAMPLES / SAMPLE_RATE
    return f"is a baby crying, by the last {seconds:.1f} seconds of audio?"


def _teachers(manifest: StudentManifest) -> list[TeacherInfo]:
    return [teacher for teacher in (manifest.teacher, manifest.memory_teacher) if teacher]


def _taught(manifest: StudentManifest) -> str:
    windows, *memory = _teachers(manifest)
    if not memory:
        return f"the scores of {windows.name} on the training clips"
    return (
        f"the scores of {windows.name} for single windows and those of {memory[0].name} for the "
        "last seconds, on continuous audio composed of the training clips"
    )


def _context(manifest: StudentManifest) -> str:
    memory = manifest.memory
    if memory is None:
        return "none: each window is scored by itself"
    return (
        f"embeddings of the last {memory.windows} windows ({memory.warm_up_seconds:g} s), int8 "
        f"{list(memory.port.shape)}, second input and second output"
    )


def _figures(metrics: Json, model: str) -> Json:
    figures: Json = metrics["models"][model]["clip_scores"][CLIP_SCORE]["metrics"]
    return figures


def _too_little(metrics: Json) -> str:
    """Why the test clips are too few for figures; empty if they are enough."""
    clips = metrics["clips"]
    cry_groups = clips["cry_groups"]
    return clips_missing(clips["cries"], cry_groups, clips["groups"] - cry_groups)


def _shown_figures(metrics: Json) -> list[tuple[tuple[str, str], Json]]:
    if _too_little(metrics):
        return []
    figures = _figures(metrics, Role.INT8)
    return [
        (names, figures[key])
        for key, names in METRICS.items()
        if figures.get(key, {}).get("value") is not None
    ]


def _metrics(metrics: Json) -> str:
    """Tabulate the figures and explain them, or say that the clips are too few for any."""
    if reason := _too_little(metrics):
        return f"How well it works on such clips: **{TOO_LITTLE}** ({reason})."
    intervals = metrics["intervals"]
    table = markdown_table(
        ["metric", "value", f"{intervals['level']:.0%} interval".replace("%", " %")],
        [
            [title, f"{figure['value']:.3f}", _interval(figure)]
            for (_, title), figure in _shown_figures(metrics)
        ],
    )
    return (
        f"{table}\n\n"
        "The metrics are for single clips, scored by the mean over their windows. Intervals: "
        f'{intervals["method"]}, {intervals["replicates"]:,} resamples. "Validated" '
        "thresholds were chosen on other recordings, not on these. The intervals cover the "
        "variation between recordings of the same kind; they do not cover how much your room "
        f"differs from them.\n\n{_comparison(metrics)}"
    )


def _open_question(sources: CardSources) -> str:
    """The undeclared recordings, if whoever publishes has not declared them either."""
    return "" if sources.declared else undeclared(sources.manifest, sources.metrics)


def privacy(sources: CardSources) -> str:
    """What is known of private recordings behind the student, as the card says it."""
    which = undeclared(sources.manifest, sources.metrics)
    if not which:
        return "none are in the training data, by what the sources of all its clips state."
    if sources.declared:
        return (
            f"none are in the training data. Of {which}, the files state nothing; whoever "
            f"published this student declares that none of them is private, and their licence: "
            f"{sources.declared}."
        )
    return (
        f"**not known**. Nobody has stated licence and privacy of {which}. Until somebody "
        "has, this student must not be published."
    )


def _comparison(metrics: Json) -> str:
    """One sentence on the teacher, where it was judged on the same clips."""
    if Role.TEACHER not in metrics["models"]:
        return ""
    own, teacher = (_figures(metrics, model)["roc_auc"] for model in (Role.INT8, Role.TEACHER))
    return (
        f"On the same clips its teacher has a ROC AUC of {teacher['value']:.3f} "
        f"({_interval(teacher)}), the student {own['value']:.3f} ({_interval(own)})."
    )


def _presets(presets: Mapping[str, ThresholdPreset]) -> str:
    lines = [
        "| preset | threshold | N of M | hold time | cries detected | false alarms per hour |",
        "| --- | ---: | --- | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {name} | {preset.threshold:.4g} | {preset.n} of {preset.m} | {preset.hold_seconds:g} s "
        f"| {_told(preset.recall, '.1%')} | {_told(preset.false_alarms_per_hour, '.2f')} |"
        for name, preset in presets.items()
    ]
    audio = sorted({preset.measured_on or "" for preset in presets.values()})
    cautions = sorted({preset.caution for preset in presets.values() if preset.caution})
    caution = f" The thresholds were {'; '.join(cautions)}: calibrate." if cautions else ""
    return "\n".join(lines) + "\n\nMeasured on: " + "; ".join(audio) + "." + caution


def _told(figure: float | None, form: str) -> str:
    return TOO_LITTLE if figure is None else format(figure, form)


def _bands(metrics: Json) -> str:
    """Recall by bandwidth of the cries, if both kinds were tested."""
    recalls = [
        f"{_share(part, part['recall'])} {part['name']}-band cries"
        for part in _slices(metrics, "band")
        if part.get("recall")
    ]
    if len(recalls) < 2 or _too_little(metrics):
        return ""
    return (
        f" At a false-positive rate of 1 % it detects {' and '.join(recalls)} "
        "(narrow: recorded at 8 kHz)."
    )


def _slices(metrics: Json, kind: str) -> list[Json]:
    judged = metrics["models"][Role.INT8]["clip_scores"][CLIP_SCORE]
    return [part for part in judged.get("slices", []) if part["kind"] == kind]


def _hardest(metrics: Json) -> str:
    """Categories of sounds most often mistaken for a cry."""
    if _too_little(metrics):
        return ""
    wrong = [
        (part["false_positive_rate"]["value"], part["name"], part)
        for part in _slices(metrics, "category")
        if part["name"] and part.get("false_positive_rate")
    ]
    worst = [row for row in sorted(wrong, key=lambda row: row[:2], reverse=True) if row[0]]
    if not worst:
        return ""
    named = ", ".join(
        f"{name} ({_share(part, part['false_positive_rate'])} clips)"
        for _, name, part in worst[:_HARDEST]
    )
    return f" At a false-positive rate of 1 % over all clips, mistaken for a cry were: {named}."


def _share(part: Json, rate: Json) -> str:
    """A slice's rate with its interval, or a count where its clips are too few for a rate."""
    clips = part["clips"]
    if part["groups"] < MIN_GROUPS:
        return f"{round(rate['value'] * clips)} of {clips}"
    return f"{rate['value']:.0%} ({_interval(rate)}) of {clips}"


def _test_corpora(metrics: Json) -> Sequence[Json]:
    corpora: Sequence[Json] = (
        metrics.get("provenance", {}).get("config", {}).get("data", {}).get("test", [])
    )
    return corpora


def _test_data(metrics: Json) -> str:
    """Name the test corpora, without their folders."""
    names = []
    for corpus in _test_corpora(metrics):
        name = _corpus_name(corpus)
        where = where_text(corpus.get("where") or {})
        names.append(f"{name} ({where})" if where else name)
    return ", ".join(names)


def _corpus_name(corpus: Json) -> str:
    if named := corpus.get("name") or corpus.get("catalogue"):
        return str(named)
    places = (corpus.get(key) for key in ("path", "parquet", "webdataset", "audioset"))
    if place := next(filter(None, places), None):
        return re.split(r"[\\/]", str(place).rstrip("/"))[-1]
    return f"synthetic nursery {corpus.get('nursery_seed')}"


def _interval(figure: Json) -> str:
    if figure["low"] is None:
        return "too few clips"
    return f"{figure['low']:.3f} to {figure['high']:.3f}"


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
