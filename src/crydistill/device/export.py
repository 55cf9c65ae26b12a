"""Export a student as C source for the portable library in `firmware/`.

`export_c` writes four files to compile with the library: `crydistill_tables.{h,c}` (the front end,
the same for every student) and `crydistill_model.{h,c}` (weights, layers, call sequence, detector
settings). With another prefix than `crydistill`, the names of the latter and all that they declare
begin with it, so that several students fit into one program. The library has kernels for all
allowlisted operators; the linker keeps only those in the students' kernel tables.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crydistill import atomic
from crydistill.detector.settings import DEFAULT_PRESET, vote_settings
from crydistill.detector.vote import VoteSettings
from crydistill.device.c_layers import Layer
from crydistill.device.c_student import (
    FORMAT_VERSION,
    Call,
    CStudent,
    settings_fields,
    student_in_c,
)
from crydistill.device.c_tables import tables_header, tables_source
from crydistill.device.c_text import DO_NOT_EDIT, array, float32, include_guard, struct
from crydistill.device.vendors import OWN, Vendor, find_vendor
from crydistill.errors import ConfigError, ModelError
from crydistill.student.manifest import StudentManifest

CALIBRATED_PRESET = "calibrated"
"""Preset name of settings from `crydistill calibrate`."""

NO_PRESETS = VoteSettings(threshold=0.5)
"""Where a device or page begins with a student without presets, until somebody sets it by hand."""

DEFAULT_PREFIX = "crydistill"

_PREFIX = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


@dataclass(frozen=True)
class CExport:
    """Result of `export_c`.

    files : in the order written
    arena_bytes : tensor arena of the network, with what a student with memory remembers; front end
        and detector have their own
    constant_bytes : weights, biases and requantization multipliers, which stay in flash
    kernels : C functions that the student needs
    presets : C name by preset name; includes `calibrated` if such settings were given
    notes : with a vendor's kernels: layers that stay with the library's or are slow, known faults
    """

    files: tuple[Path, ...]
    arena_bytes: int
    constant_bytes: int
    kernels: tuple[str, ...]
    presets: dict[str, str]
    notes: tuple[str, ...] = ()


def export_c(
    tflite: bytes,
    manifest: StudentManifest,
    directory: str | Path,
    *,
    calibrated: VoteSettings | None = None,
    prefix: str = DEFAULT_PREFIX,
    kernels: str = OWN,
) -> CExport:
    """Write a student as C source; deterministic, byte for byte.

    Parameters
    ----------
    tflite : the student
    manifest : its `student.json`
    directory : created if missing; files of the same names are replaced
    calibrated : settings from `crydistill calibrate` for this student; become the default
    prefix : of the student's files and of its names in C, in capitals of its macros
    kernels : `own` for the library's; `cmsis-nn` or `esp-nn` for those of a vendor, to be compiled
        with the adapter that `copy_adapter` copies

    Raises
    ------
    ModelError
        as `student_in_c` and `detector_settings`, or if two presets would have one name in C.
    ConfigError
        if a preset's settings are out of range, the prefix is no beginning of a name in C, or there
        are no kernels of that name.

    Examples
    --------
    >>> import tempfile
    >>> from crydistill.student.packaged import packaged_student
    >>> from crydistill.student.runtime import TfliteStudent
    >>> student = TfliteStudent.load(packaged_student())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = export_c(student.tflite, student.manifest, folder)
    >>> sorted(path.name for path in made.files)
    ['crydistill_model.c', 'crydistill_model.h', 'crydistill_tables.c', 'crydistill_tables.h']
    >>> made.arena_bytes
    27792
    >>> made.presets["balanced"]
    'crydistill_preset_balanced'
    """
    names = _Names(prefix)
    vendor = find_vendor(kernels)
    student = student_in_c(tflite, manifest, vendor)
    settings = detector_settings(manifest, calibrated)
    presets = _presets_in_c(manifest.name, settings, names)
    layers = [call.layer for call in student.calls]
    model = (
        _heading(manifest, names, vendor)
        + _constants(layers)
        + _kernel_table(layers)
        + _fits(student.calls)
        + _run(student)
        + _model(student, names)
        + _presets(settings, presets)
    )
    texts = {
        "crydistill_tables.h": tables_header(),
        "crydistill_tables.c": tables_source(),
        f"{names.file}.h": _model_header(student, presets, names),
        f"{names.file}.c": model,
    }
    paths = tuple(Path(directory) / name for name in texts)
    for path, text in zip(paths, texts.values(), strict=True):
        atomic.write_text(path, text)
    return CExport(
        paths,
        student.plan.size,
        sum(layer.constant_bytes for layer in layers),
        tuple(sorted({layer.kernel for layer in layers})),
        presets,
        vendor.notes(student.file) if vendor else (),
    )


@dataclass(frozen=True)
class _Names:
    """Names in C that belong to one student."""

    prefix: str

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix):
            raise ConfigError(
                f"prefix: {self.prefix!r} cannot begin a name in C; use lower-case letters, digits "
                "and single underscores, a letter first, such as bedroom"
            )

    @property
    def file(self) -> str:
        return f"{self.prefix}_model"

    @property
    def student(self) -> str:
        return f"{self.prefix}_student"

    def preset(self, name: str) -> str:
        return f"{self.prefix}_preset_{re.sub(r'[^A-Za-z0-9]', '_', name)}"

    def macro(self, name: str) -> str:
        return f"{self.prefix.upper()}_{name}"


def detector_settings(
    manifest: StudentManifest, calibrated: VoteSettings | None = None
) -> dict[str, VoteSettings]:
    """Settings that a firmware can choose from, by name.

    Raises
    ------
    ConfigError
        if a preset's settings are out of range.
    ModelError
        if calibrated settings are given and a preset has their name.
    """
    settings = {preset: vote_settings(manifest, preset) for preset in manifest.presets}
    if calibrated is not None:
        if CALIBRATED_PRESET in settings:
            raise ModelError(
                f"{manifest.name}: presets: '{CALIBRATED_PRESET}' is reserved for settings from "
                "`crydistill calibrate`; rename the preset"
            )
        settings[CALIBRATED_PRESET] = calibrated
    return settings


def default_preset(presets: Collection[str]) -> str | None:
    """Name of the firmware's default settings; None if there are none."""
    favourites = (CALIBRATED_PRESET, DEFAULT_PRESET, *presets)
    return next((name for name in favourites if name in presets), None)


def _heading(manifest: StudentManifest, names: _Names, vendor: Vendor | None) -> str:
    adapter = f'#include "{vendor.adapter}.h"\n' if vendor else ""
    return (
        f"/* Student of sha256 {manifest.tflite.sha256}.\n * {DO_NOT_EDIT} */\n"
        f'#include "{names.file}.h"\n{adapter}'
    )


def _constants(layers: list[Layer]) -> str:
    return "".join(f"\n{layer.definitions}" for layer in layers)


def _kernel_table(layers: list[Layer]) -> str:
    """An adapter's kernel, where there is one for some layer, also takes those that stay."""
    own = {layer.function: layer.kernel for layer in layers if layer.handover is None}
    adapters = {layer.function: layer.kernel for layer in layers if layer.handover is not None}
    places = dict(sorted({**own, **adapters}.items()))
    return f"\nstatic const struct crydistill_kernels kernels = {struct(places)};\n"


def _checks(calls: list[Call]) -> list[str]:
    """Expressions in C that compare a layer's scratch memory with what its vendor asks for."""
    return [
        f"{call.layer.kernel}_fits(&layer_{call.position})"
        for call in calls
        if call.layer.handover and call.layer.handover.scratch_bytes is not None
    ]


def _fits(calls: list[Call]) -> str:
    checks = _checks(calls)
    joined = " &&\n           ".join(checks)
    return f"\nstatic bool fits(void)\n{{\n    return {joined};\n}}\n" if checks else ""


def _run(student: CStudent) -> str:
    """The calls, one line per layer, and the function that makes them."""
    calls = []
    for call in student.calls:
        *inputs, output = (
            "CRYDISTILL_IN_PATCH" if place is None else str(place) for place in call.places
        )
        calls.append(
            f"    {{CRYDISTILL_CALL_{call.layer.function.upper()}, &layer_{call.position}, "
            f"{{{', '.join(inputs)}}}, {output}}},\n"
        )
    return (
        f"\nenum {{ CALLS = {len(calls)}, LOGITS = {student.logits} }};\n"
        f"\nstatic const struct crydistill_call calls[CALLS] = {{\n{''.join(calls)}}};\n"
        "\nstatic const int8_t *run(const struct crydistill_kernels *table, const int8_t *patch,\n"
        "                         int8_t *arena)\n{\n"
        "    crydistill_run(calls, CALLS, table, patch, arena);\n"
        "    return arena + LOGITS;\n}\n"
    )


def _model(student: CStudent, names: _Names) -> str:
    manifest, patch = student.manifest, student.facts.input
    cries = np.array(manifest.cry_outputs, dtype=np.uint16)
    fields = {
        "version": FORMAT_VERSION,
        "run": "run",
        "calls": "calls",
        "call_count": "CALLS",
        "logits": "LOGITS",
        "kernels": "&kernels",
        **({"fits": "fits"} if _checks(student.calls) else {}),
        "arena_bytes": names.macro("ARENA_BYTES"),
        **_memory(student),
        "input_scale": float32(patch.scale),
        "input_zero_point": patch.zero_point,
        "input_factor": student.input_factor,
        "outputs": student.outputs,
        "cry_outputs": "cry_outputs",
        "cry_output_count": len(cries),
        "softmax": "true" if manifest.activation == "softmax" else "false",
        "activation": "activation",
    }
    model = f"const struct crydistill_model {names.student} = {struct(fields)};\n"
    tables = (
        array("uint16_t", "cry_outputs", cries),
        array("float", "activation", student.activation_table),
    )
    return "".join(f"\n{text}" for text in (*tables, model))


def _memory(student: CStudent) -> dict[str, int]:
    if student.facts.memory is None:
        return {}
    return {
        "memory_bytes": student.plan.memory_bytes,
        "memory_zero_point": student.facts.memory.zero_point,
    }


def _model_header(student: CStudent, presets: dict[str, str], names: _Names) -> str:
    variables = [f"const struct crydistill_model {names.student}"]
    variables += [f"const struct crydistill_settings {name}" for name in presets.values()]
    body = (
        f"/* Student of sha256 {student.facts.sha256}.\n * {DO_NOT_EDIT} */\n"
        '#include "crydistill.h"\n\n'
        f"#if CRYDISTILL_FORMAT_VERSION != {FORMAT_VERSION}\n"
        '#error "library and student are of different versions: run `crydistill export` again"\n'
        "#endif\n\n"
        f"#define {names.macro('ARENA_BYTES')} {student.plan.size}\n"
        f"#define {names.macro('OUTPUTS')} {student.outputs}\n"
        f"{_default_preset(presets, names)}\n"
        "#ifdef __cplusplus\n"
        'extern "C" {\n'
        "#endif\n"
        + "".join(f"extern {variable};\n" for variable in variables)
        + "#ifdef __cplusplus\n}\n#endif\n"
    )
    return include_guard(names.macro("MODEL_H"), body)


def _default_preset(presets: dict[str, str], names: _Names) -> str:
    name = default_preset(presets)
    return "" if name is None else f"#define {names.macro('DEFAULT_PRESET')} {presets[name]}\n"


def _presets_in_c(student: str, presets: Iterable[str], names: _Names) -> dict[str, str]:
    found: dict[str, str] = {}
    for preset in presets:
        name = names.preset(preset)
        if name in found.values():
            raise ModelError(
                f"{student}: presets: '{preset}' and another would both be {name} in C; rename one"
            )
        found[preset] = name
    return found


def _presets(settings: dict[str, VoteSettings], names: dict[str, str]) -> str:
    return "".join(
        f"\nconst struct crydistill_settings {names[preset]} = {struct(settings_in_c(vote))};\n"
        for preset, vote in settings.items()
    )


def settings_in_c(vote: VoteSettings) -> dict[str, str | int | float]:
    """Return the initialisers of a `struct crydistill_settings`."""
    return {**settings_fields(vote), "threshold": float32(vote.threshold)}
