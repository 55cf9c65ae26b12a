"""Numbers that change a listener's settings while it listens."""

import esphome.codegen as cg
import esphome.config_validation as cv
from esphome.components import number
from esphome.const import (
    CONF_ID,
    CONF_THRESHOLD,
    ENTITY_CATEGORY_CONFIG,
    UNIT_SECOND,
)

from . import (
    CONF_CRYDISTILL_ID,
    CONF_HOLD,
    CONF_OF_WINDOWS,
    CONF_VOTES,
    LONGEST_HOLD,
    MOST_WINDOWS,
    CryListener,
    cry_listener_ns,
)

DEPENDENCIES = ["crydistill"]

SettingNumber = cry_listener_ns.class_("SettingNumber", number.Number)
Setting = cry_listener_ns.enum("Setting", is_class=True)

RANGES = {
    CONF_THRESHOLD: (0.0, 1.0, 0.001),
    CONF_VOTES: (1, MOST_WINDOWS, 1),
    CONF_OF_WINDOWS: (1, MOST_WINDOWS, 1),
    CONF_HOLD: (0, LONGEST_HOLD.total_seconds, 1),
}
"""Of each setting: smallest, largest, step. A hold time is in seconds."""

_ICONS = {
    CONF_THRESHOLD: "mdi:gauge",
    CONF_VOTES: "mdi:vote",
    CONF_OF_WINDOWS: "mdi:window-open",
    CONF_HOLD: "mdi:timer-outline",
}


def _schema(setting: str) -> cv.Schema:
    unit = {"unit_of_measurement": UNIT_SECOND} if setting == CONF_HOLD else {}
    return number.number_schema(
        SettingNumber, icon=_ICONS[setting], entity_category=ENTITY_CATEGORY_CONFIG, **unit
    )


CONFIG_SCHEMA = cv.All(
    cv.Schema(
        {
            cv.GenerateID(CONF_CRYDISTILL_ID): cv.use_id(CryListener),
            **{cv.Optional(setting): _schema(setting) for setting in RANGES},
        }
    ),
    cv.has_at_least_one_key(*RANGES),
)


async def to_code(config: dict) -> None:
    """Make the numbers that are configured."""
    listener = await cg.get_variable(config[CONF_CRYDISTILL_ID])
    for setting, (smallest, largest, step) in RANGES.items():
        if setting not in config:
            continue
        made = cg.new_Pvariable(config[setting][CONF_ID], getattr(Setting, setting.upper()))
        await number.register_number(
            made, config[setting], min_value=smallest, max_value=largest, step=step
        )
        await cg.register_parented(made, listener)
        cg.add(listener.add_observer(made))
