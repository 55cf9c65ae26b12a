"""Export a student as an ESP-IDF component, with an example application and a self-test.

`export_esp_idf` copies `firmware/esp-idf` and the library to a directory and adds the student: its
C source, golden vectors for the self-test, and, for the alternative backend on TensorFlow Lite
Micro, the `.tflite` with its operators and arena size.
"""

from pathlib import Path

import numpy as np

from crydistill import atomic
from crydistill.detector.vote import VoteSettings
from crydistill.device.c_text import DO_NOT_EDIT, array, include_guard
from crydistill.device.esp_nn import non_persistent_bytes
from crydistill.device.export import NO_PRESETS, default_preset, detector_settings, export_c
from crydistill.device.geometry import aligned
from crydistill.device.kernel_faults import ESP_NN, first_sound_version
from crydistill.device.library import (
    EXAMPLES,
    Say,
    copy_adapter,
    copy_library,
    copy_licence,
    copy_tree,
    firmware_directory,
)
from crydistill.device.selftest import write_selftest
from crydistill.device.vendors import OWN, find_vendor
from crydistill.errors import ConfigError
from crydistill.student.manifest import StudentManifest
from crydistill.tflite.file import TfliteFile, read_tflite
from crydistill.tflite.memory import memory_tensor

COMPONENT = "crydistill"
TFLM_COMPONENT = "crydistill_tflm"
_MANIFEST = "idf_component.yml"

KCONFIG_THRESHOLD_ONE = 10_000
"""Kconfig supports integers only."""

_MOST_BOOKKEEPING = 16_384
"""Size of TFLite Micro's own structures, if the manifest has no measured arena; bytes."""

_RESOLVER_METHODS = {
    "ADD": "AddAdd",
    "AVERAGE_POOL_2D": "AddAveragePool2D",
    "CONCATENATION": "AddConcatenation",
    "CONV_2D": "AddConv2D",
    "DEPTHWISE_CONV_2D": "AddDepthwiseConv2D",
    "FULLY_CONNECTED": "AddFullyConnected",
    "MEAN": "AddMean",
    "PAD": "AddPad",
    "RESHAPE": "AddReshape",
    "STRIDED_SLICE": "AddStridedSlice",
}


def export_esp_idf(
    tflite: bytes,
    manifest: StudentManifest,
    directory: str | Path,
    *,
    calibrated: VoteSettings | None = None,
    kernels: str = OWN,
    say: Say = lambda line: None,
) -> tuple[Path, ...]:
    """Write component, TensorFlow Lite Micro backend and example; return the files.

    Parameters
    ----------
    tflite : the student
    manifest : its `student.json`
    directory : created if missing; components of the same names are replaced, the example and the
        readme stay as they are
    calibrated : settings from `crydistill calibrate` for this student; become the default
    say : told of what is kept and differs
    kernels : `own` for the C library's; `esp-nn` for Espressif's, on which the component depends

    Raises
    ------
    ModelError, ConfigError
        as `export_c`; also if the package was installed without the C library.
    """
    directory = Path(directory)
    component, tflm = directory / COMPONENT, directory / TFLM_COMPONENT
    model = component / "model"
    vendor = find_vendor(kernels)
    if vendor and vendor.library != ESP_NN:
        raise ConfigError(f"kernels: {kernels!r} are not for ESP-IDF; choose esp-nn or own")
    made = export_c(tflite, manifest, model, calibrated=calibrated, kernels=kernels).files
    firmware = firmware_directory()
    texts = {
        tflm / "model" / "crydistill_tflite.h": _tflm_header(tflite, manifest),
        tflm / "model" / "crydistill_tflite.c": _tflm_source(tflite, manifest),
    }
    copies = (
        *copy_tree(
            firmware / "esp-idf",
            directory,
            _kconfig(_default_settings(manifest, calibrated)),
            keep={*EXAMPLES, "README.md"},
            say=say,
        ),
        *copy_library(component / "src"),
        *(copy_adapter(vendor.adapter, component / "src") if vendor else ()),
        *copy_tree(firmware / "selftest", component / "selftest"),
        *write_selftest(tflite, manifest, model),
        copy_licence(component),
    )
    if vendor:
        texts[component / _MANIFEST] = _with_esp_nn(firmware / "esp-idf" / COMPONENT / _MANIFEST)
    for path, text in texts.items():
        atomic.write_text(path, text)
    return tuple(dict.fromkeys((*copies, *made, *texts)))


def _with_esp_nn(manifest: Path) -> str:
    """A component's manifest with ESP-NN at the end of its dependencies."""
    text = manifest.read_text(encoding="utf-8")
    return f'{text}  espressif/esp-nn: ">={first_sound_version(ESP_NN)}"\n'


def tflm_arena_bytes(file: TfliteFile, manifest: StudentManifest) -> int:
    """Upper bound of the arena with TensorFlow Lite Micro and ESP-NN's kernels.

    The size measured with reference kernels on a 64-bit host (where pointers are larger), plus what
    ESP-NN's scratch buffers add to the plan according to its formulas. What a student with memory
    remembers lies in front, since the interpreter may use its inputs' bytes for other tensors.
    """
    memory = memory_tensor(file)
    planned = non_persistent_bytes(file, esp_nn=False)
    measured = planned + _MOST_BOOKKEEPING if manifest.arena is None else manifest.arena.size_bytes
    total = measured - planned + non_persistent_bytes(file, esp_nn=True)
    return aligned(total) + (0 if memory is None else aligned(memory.size))


def _default_settings(manifest: StudentManifest, calibrated: VoteSettings | None) -> VoteSettings:
    settings = detector_settings(manifest, calibrated)
    name = default_preset(settings)
    return NO_PRESETS if name is None else settings[name]


def _kconfig(settings: VoteSettings) -> dict[str, int]:
    """The detector's defaults for the template of Kconfig."""
    return {
        "THRESHOLD": round(settings.threshold * KCONFIG_THRESHOLD_ONE),
        "N": settings.n,
        "M": settings.m,
        "HOLD_MS": round(settings.hold_seconds * 1000),
    }


def _tflm_header(tflite: bytes, manifest: StudentManifest) -> str:
    file = read_tflite(tflite)
    names = sorted({operator.name for operator in file.operators})
    added = " && \\\n     ".join(
        f"(resolver).{_RESOLVER_METHODS[name]}() == kTfLiteOk" for name in names
    )
    body = (
        f"/* Student of sha256 {manifest.tflite.sha256}.\n * {DO_NOT_EDIT} */\n\n"
        "/* As measured with TensorFlow Lite Micro on a computer, with ESP-NN's scratch memory by\n"
        " * its formulas. */\n"
        f"#define CRYDISTILL_TFLM_ARENA_BYTES {tflm_arena_bytes(file, manifest)}\n"
        f"#define CRYDISTILL_TFLM_OPERATORS {len(names)}\n"
        f"#define CRYDISTILL_TFLM_ADD_OPERATORS(resolver) \\\n    ({added})\n\n"
        "#ifdef __cplusplus\n"
        'extern "C" {\n'
        "#endif\n"
        f"extern const unsigned char crydistill_tflite[{len(tflite)}];\n"
        "#ifdef __cplusplus\n"
        "}\n"
        "#endif\n"
    )
    return include_guard("CRYDISTILL_TFLITE_H", body)


def _tflm_source(tflite: bytes, manifest: StudentManifest) -> str:
    values = np.frombuffer(tflite, dtype=np.uint8)
    storage = "__attribute__((aligned(16))) const"
    return (
        f"/* Student of sha256 {manifest.tflite.sha256}.\n * {DO_NOT_EDIT} */\n"
        '#include "crydistill_tflite.h"\n\n'
        f"{array('unsigned char', 'crydistill_tflite', values, storage=storage)}"
    )
