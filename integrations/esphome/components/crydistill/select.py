"""A select of a student's presets, which changes the settings while it listens."""

import esphome.codegen as cg
import esphome.config_validation as cv
from esphome.components import select
from esphome.const import CONF_ID, CONF_MODEL, ENTITY_CATEGORY_CONFIG
from esphome.core import CORE

from . import (
    CONF_CRYDISTILL_ID,
    CONF_PREFIX,
    CONF_PRESET,
    DOMAIN,
    CryListener,
    cry_listener_ns,
    name_in_c,
    presets_of,
)

DEPENDENCIES = ["crydistill"]

PresetSelect = cry_listener_ns.class_("PresetSelect", select.Select)

CONFIG_SCHEMA = cv.Schema(
    {
        cv.GenerateID(CONF_CRYDISTILL_ID): cv.use_id(CryListener),
        cv.Required(CONF_PRESET): select.select_schema(
            PresetSelect, icon="mdi:ear-hearing", entity_category=ENTITY_CATEGORY_CONFIG
        ),
    }
)


async def to_code(config: dict) -> None:
    """Make the select, with the presets that the student's header declares as options."""
    listener = await cg.get_variable(config[CONF_CRYDISTILL_ID])
    (its,) = (c for c in CORE.config[DOMAIN] if c[CONF_ID] == config[CONF_CRYDISTILL_ID])
    presets = presets_of(its[CONF_MODEL], its[CONF_PREFIX])
    made = await select.new_select(config[CONF_PRESET], options=presets)
    await cg.register_parented(made, listener)
    pointers = [cg.RawExpression(f"&{its[CONF_PREFIX]}_preset_{name}") for name in presets]
    cg.add(listener.set_presets(pointers, presets.index(name_in_c(its[CONF_PRESET]))))
    cg.add(listener.add_observer(made))
