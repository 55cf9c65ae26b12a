"""Stage 4: quantize the student, check it as a device would run it, write its manifest."""

import csv
import io
from collections import Counter
from collections.abc import Sequence

import keras
import numpy as np

from crydistill import __version__, atomic
from crydistill.distill.recipe import activation_of
from crydistill.download import sha256_of
from crydistill.experiment.schema import CorpusConfig
from crydistill.provenance import git_commit
from crydistill.quantize.int8 import quantize_ptq
from crydistill.run_directory import fingerprint
from crydistill.selection.pool import Indices, WindowPool
from crydistill.stages.context import Context
from crydistill.stages.select import calibration_windows
from crydistill.stages.streams import memory_teacher
from crydistill.stages.train import train_key
from crydistill.student.heads import Heads
from crydistill.student.manifest import (
    NOT_STATED,
    YAMNET_OUTPUTS,
    Arena,
    FrontEnd,
    Int8Calibration,
    Memory,
    ModelFile,
    Port,
    Provenance,
    StudentManifest,
    TeacherInfo,
    TrainingData,
    load_manifest,
    save_manifest,
    sha256_of_ids,
)
from crydistill.tflite.check import CheckReport, check_tflite

WindowName = tuple[str, str, int]
"""Store, clip id and index of a window."""

CHECKED_WINDOWS = 200
"""Validation windows on which TFLite Micro and LiteRT's reference kernels are compared."""


def quantize_key(context: Context) -> str:
    """Key of the INT8 student: trained student and quantization options."""
    return fingerprint(train_key(context), context.config.quantization)


def quantize(context: Context) -> None:
    """Write `student.tflite`, its manifest, the check's report and the list of calibration windows.

    Raises
    ------
    CheckFailed
        if the result is too large or would run differently on a device.
    ConfigError
        if no student was trained with this config.
    """
    run, config = context.run, context.config
    key = quantize_key(context)
    if run.is_done("quantize", key, [run.student, run.manifest, run.calibration, run.check]):
        context.say("the INT8 student is up to date")
        _declare_again(context)
        return
    context.require("train", train_key(context), run.student_fp32)
    model = keras.saving.load_model(run.student_fp32, compile=False)
    validation = context.pool(context.splits.validation)
    pool, chosen = calibration_windows(context)
    tflite = quantize_ptq(model, pool.patches(chosen))
    remembers = config.student.memory is not None
    checked = _checked_windows(validation, remembers=remembers, seed=config.seed)
    report = check_tflite(
        tflite, validation.patches(checked), size_limit=config.quantization.max_bytes
    )
    atomic.write_bytes(run.student, tflite)
    atomic.write_text(run.check, report.to_json())
    names = [_window_name(pool, index) for index in chosen]
    _write_calibration(context, names)
    save_manifest(run.manifest, _manifest(context, report, names, model.count_params()))
    run.mark_done("quantize", key)
    context.say(
        f"INT8 student: {report.facts.size_bytes:,} bytes, arena {report.arena_bytes:,} bytes, "
        f"{report.facts.macs:,} MACs; int8 outputs of TFLite Micro and LiteRT differ by at "
        f"most {report.largest_difference} on {report.windows} windows"
    )


def _checked_windows(pool: WindowPool, *, remembers: bool, seed: int) -> Indices:
    """Draw the windows of the check: any, or for a student with memory those of whole clips."""
    generator = np.random.default_rng(seed)
    if not remembers:
        return generator.permutation(len(pool))[:CHECKED_WINDOWS]
    place = generator.permutation(len(pool.clips))[pool.clip_of]
    return np.argsort(place, kind="stable")[:CHECKED_WINDOWS].astype(np.int64)


def _window_name(pool: WindowPool, index: int) -> WindowName:
    clip = pool.clip_of[index]
    return pool.stores[clip].directory.name, pool.clips[clip].id, pool.window_of(index)


def _write_calibration(context: Context, names: list[WindowName]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["store", "clip", "window"])
    writer.writerows(names)
    atomic.write_text(context.run.calibration, text.getvalue())


def _declare_again(context: Context) -> None:
    """Bring what the manifest says of the training data up to date; it takes no training."""
    manifest, training = load_manifest(context.run.manifest), _training_data(context)
    if manifest.training != training:
        declared = manifest.model_copy(update={"training": training})
        save_manifest(context.run.manifest, declared)
        context.say(f"{context.run.manifest}: licences and privacy of the training data updated")


def _training_data(context: Context) -> TrainingData:
    pool = context.pool(context.splits.train)
    minutes = sum(s.entries[c.id].duration for c, s in zip(pool.clips, pool.stores, strict=True))
    return TrainingData(
        summary=f"{_names(context.config.data.train)}: {len(pool.clips)} clips, "
        f"{minutes / 60:.0f} minutes",
        licences=dict(sorted(Counter(c.licence or NOT_STATED for c in pool.clips).items())),
        private=any(clip.private for clip in pool.clips),
        undeclared=_undeclared(context, pool),
    )


def _undeclared(context: Context, pool: WindowPool) -> dict[str, int]:
    names = {context.store_directory(c): c.store_name for c, _ in context.splits.train}
    return dict(
        Counter(
            names[store.directory]
            for clip, store in zip(pool.clips, pool.stores, strict=True)
            if not clip.declared
        )
    )


def _manifest(
    context: Context,
    report: CheckReport,
    calibration: list[WindowName],
    parameters: int,
) -> StudentManifest:
    config, facts = context.config, report.facts
    heads = Heads.from_mids(config.student.outputs)
    corpora = _names(config.data.train)
    split = config.quantization.calibration_split
    calibrated = config.data.train if split == "train" else config.data.validation.corpora
    return StudentManifest(
        name=config.name,
        architecture=config.student.architecture,
        tflite=ModelFile(sha256=facts.sha256, size_bytes=facts.size_bytes),
        front_end=FrontEnd(),
        input=Port(**vars(facts.input)),
        output=Port(**vars(facts.output)),
        memory=Memory.of(**vars(facts.memory)) if facts.memory else None,
        activation=activation_of(config.training),
        outputs=heads.names or YAMNET_OUTPUTS,
        cry_outputs=heads.cry_outputs,
        ops=facts.ops,
        macs=facts.macs,
        parameters=parameters,
        arena=Arena(
            size_bytes=report.arena_bytes,
            tflite_micro=report.tflite_micro,
            host_bits=report.host_bits,
        ),
        training=_training_data(context),
        teacher=TeacherInfo(
            name=context.pool(context.splits.train).stores[0].identity.name,
            sha256=context.teacher_fingerprint,
        ),
        memory_teacher=_memory_teacher(context),
        calibration=Int8Calibration(
            corpus=_names(calibrated) or f"held out of {corpora}",
            split=split,
            windows=len(calibration),
            ids_sha256=sha256_of_ids("\t".join(map(str, name)) for name in calibration),
        ),
        provenance=Provenance(
            package_version=__version__,
            git_commit=git_commit(),
            config_sha256=fingerprint(config),
            seed=config.seed,
        ),
        minimum_runtimes={"tensorflow-lite": facts.min_runtime} if facts.min_runtime else {},
    )


def _memory_teacher(context: Context) -> TeacherInfo | None:
    if context.config.student.memory is None:
        return None
    path, seconds = memory_teacher(context), context.config.teacher.context
    return TeacherInfo(name=f"{path.stem}, {seconds:g} s", sha256=sha256_of(path))


def _names(corpora: Sequence[CorpusConfig]) -> str:
    return ", ".join(corpus.store_name for corpus in corpora)
