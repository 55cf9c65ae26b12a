"""ESPHome component: a baby's cry as a binary sensor, from a student's C sources.

Checks the configuration, copies the student and the C library into the build, and sets up the
listener of cry_listener.h; number.py and select.py are controls of one. Several listeners may have
students of their own, whose names in C then begin with prefixes of their own. See README.md beside
the components folder.
"""

import re
from pathlib import Path

import esphome.codegen as cg
import esphome.config_validation as cv
import esphome.final_validate as fv
from esphome.components import binary_sensor, microphone, ota, sensor
from esphome.const import (
    CONF_ID,
    CONF_MICROPHONE,
    CONF_MODEL,
    CONF_THRESHOLD,
    DEVICE_CLASS_SOUND,
    PLATFORM_ESP32,
    STATE_CLASS_MEASUREMENT,
)
from esphome.core import CORE
from esphome.helpers import copy_file_if_changed

DEPENDENCIES = ["microphone"]
MULTI_CONF = True
AUTO_LOAD = ["binary_sensor", "sensor"]

DOMAIN = "crydistill"

CONF_CRYING = "crying"
CONF_SCORE = "score"
CONF_PRESET = "preset"
CONF_VOTES = "votes"
CONF_OF_WINDOWS = "of_windows"
CONF_HOLD = "hold"
CONF_PREFIX = "prefix"
CONF_CRYDISTILL_ID = "crydistill_id"

PREFIX = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
MOST_WINDOWS = 64
LONGEST_HOLD = cv.TimePeriod(hours=24)
SAMPLE_RATE = 16000

STUDENT = Path(__file__).parent / "student"
"""Student and library, if `crydistill export esphome` wrote this component."""

LIBRARY = ("crydistill.c", "crydistill.h", "crydistill_tables.c", "crydistill_tables.h")
"""Of the C library only what shows that it is there; all sources are copied."""

BUILD_FOLDER = "crydistill"
"""Below the build's src; the C++ includes "crydistill/crydistill.h"."""

# Not "crydistill": the C library has a struct of that name, and main.cpp opens namespace esphome.
cry_listener_ns = cg.esphome_ns.namespace("cry_listener")
CryListener = cry_listener_ns.class_("CryListener", cg.Component)


def _prefix(value: object) -> str:
    prefix = cv.string_strict(value)
    if not PREFIX.fullmatch(prefix):
        raise cv.Invalid(
            "a prefix is lower-case letters, digits and single underscores, a letter first"
        )
    return prefix


def name_in_c(preset: str) -> str:
    """A preset's name as it is in C."""
    return re.sub(r"\W", "_", preset)


def presets_of(folder: Path, prefix: str) -> list[str]:
    """Names in C of the presets that the student's header declares."""
    header = (folder / f"{prefix}_model.h").read_text(encoding="utf-8")
    return re.findall(rf"crydistill_settings {prefix}_preset_(\w+);", header)


def _folder(value: object) -> Path:
    if value == str(STUDENT) and not STUDENT.is_dir():
        raise cv.Invalid(
            "this component has no student in it; take one that `crydistill export esphome FOLDER` "
            "writes, or name a folder with a student"
        )
    return Path(cv.directory(value))


def _model_folder(config: dict) -> dict:
    folder, prefix = config[CONF_MODEL], config[CONF_PREFIX]
    student = (f"{prefix}_model.c", f"{prefix}_model.h")
    missing = [name for name in (*student, *LIBRARY) if not (folder / name).is_file()]
    if missing:
        raise cv.Invalid(
            f"{folder} has no {missing[0]}; make the folder with `crydistill bundle RUN BUNDLE` "
            "and name its c/ here, or with `crydistill export c FOLDER --prefix PREFIX`",
            path=[CONF_MODEL],
        )
    return config


def _known_preset(config: dict) -> dict:
    known = presets_of(config[CONF_MODEL], config[CONF_PREFIX])
    preset = config[CONF_PRESET]
    if name_in_c(preset) not in known:
        raise cv.Invalid(
            f"the student has no preset '{preset}'; it has {', '.join(known) or 'none'}",
            path=[CONF_PRESET],
        )
    return config


def _votes_of_windows(config: dict) -> dict:
    if (CONF_VOTES in config) != (CONF_OF_WINDOWS in config):
        raise cv.Invalid("give votes and of_windows together", path=[CONF_VOTES])
    if CONF_VOTES in config and config[CONF_VOTES] > config[CONF_OF_WINDOWS]:
        raise cv.Invalid("votes cannot be more than of_windows", path=[CONF_VOTES])
    return config


CONFIG_SCHEMA = cv.All(
    cv.Schema(
        {
            cv.GenerateID(): cv.declare_id(CryListener),
            cv.Required(CONF_MICROPHONE): microphone.microphone_source_schema(
                min_bits_per_sample=16,
                max_bits_per_sample=16,
            ),
            cv.Optional(CONF_MODEL, default=str(STUDENT)): _folder,
            cv.Optional(CONF_PREFIX, default="crydistill"): _prefix,
            cv.Optional(CONF_PRESET, default="balanced"): cv.string_strict,
            cv.Optional(CONF_THRESHOLD): cv.float_range(min=0.0),
            cv.Optional(CONF_VOTES): cv.int_range(1, MOST_WINDOWS),
            cv.Optional(CONF_OF_WINDOWS): cv.int_range(1, MOST_WINDOWS),
            cv.Optional(CONF_HOLD): cv.All(
                cv.positive_time_period_milliseconds, cv.Range(max=LONGEST_HOLD)
            ),
            cv.Optional(CONF_CRYING): binary_sensor.binary_sensor_schema(
                device_class=DEVICE_CLASS_SOUND
            ),
            cv.Optional(CONF_SCORE): sensor.sensor_schema(
                accuracy_decimals=3, state_class=STATE_CLASS_MEASUREMENT
            ),
        }
    ).extend(cv.COMPONENT_SCHEMA),
    _model_folder,
    _known_preset,
    _votes_of_windows,
    cv.only_on([PLATFORM_ESP32]),
)


def _one_student_a_prefix(config: dict) -> dict:
    """Two students of one name would be one in the build: the one that is copied last."""
    for other in fv.full_config.get()[DOMAIN]:
        same = other[CONF_PREFIX] == config[CONF_PREFIX]
        if same and Path(other[CONF_MODEL]) != Path(config[CONF_MODEL]):
            raise cv.Invalid(
                f"two students have the prefix '{config[CONF_PREFIX]}'; export one of them with "
                "another (`crydistill export c FOLDER --prefix PREFIX`)",
                path=[CONF_PREFIX],
            )
    return config


FINAL_VALIDATE_SCHEMA = cv.All(
    cv.Schema(
        {
            cv.Required(CONF_MICROPHONE): microphone.final_validate_microphone_source_schema(
                DOMAIN, sample_rate=SAMPLE_RATE
            ),
        },
        extra=cv.ALLOW_EXTRA,
    ),
    _one_student_a_prefix,
)


async def to_code(config: dict) -> None:
    """Write the C++ that sets the listener up."""
    for path in sorted(config[CONF_MODEL].glob("*.[ch]")):
        copy_file_if_changed(path, CORE.relative_src_path(BUILD_FOLDER, path.name))
    prefix, preset = config[CONF_PREFIX], name_in_c(config[CONF_PRESET])
    arena, arena_bytes = f"{config[CONF_ID]}_arena", f"{prefix.upper()}_ARENA_BYTES"
    cg.add_global(cg.RawStatement(f'#include "{BUILD_FOLDER}/{prefix}_model.h"'))
    cg.add_global(cg.RawStatement(f"CRYDISTILL_ALIGNED static int8_t {arena}[{arena_bytes}];"))
    parts = (f"{prefix}_student", f"{prefix}_preset_{preset}", arena, arena_bytes)
    listener = cg.new_Pvariable(config[CONF_ID], *map(cg.RawExpression, parts))
    await cg.register_component(listener, config)
    ota.request_ota_state_listeners()
    source = await microphone.microphone_source_to_code(config[CONF_MICROPHONE])
    cg.add(listener.set_microphone_source(source))
    if CONF_THRESHOLD in config:
        cg.add(listener.set_threshold(config[CONF_THRESHOLD]))
    if CONF_VOTES in config:
        cg.add(listener.set_votes(config[CONF_VOTES], config[CONF_OF_WINDOWS]))
    if CONF_HOLD in config:
        cg.add(listener.set_hold(config[CONF_HOLD]))
    if CONF_CRYING in config:
        cg.add(listener.set_crying(await binary_sensor.new_binary_sensor(config[CONF_CRYING])))
    if CONF_SCORE in config:
        cg.add(listener.set_score(await sensor.new_sensor(config[CONF_SCORE])))
