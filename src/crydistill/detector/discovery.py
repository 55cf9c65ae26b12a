"""Topics of a detector at an MQTT broker, and what Home Assistant is told about them.

    crydistill/ID/alert            ON or OFF, retained; again every minute
    crydistill/ID/event            each event as JSON
    crydistill/ID/availability     online while there is sound, else offline; retained, and the last
                                   will, which the broker publishes if the connection is lost
    crydistill/ID/score            latest cry score; at most every five seconds
    crydistill/ID/today            episodes and minutes of crying since midnight as JSON, retained
    crydistill/ID/night            what the last night was as JSON, retained
    crydistill/ID/settings         operating point as JSON, retained
    crydistill/ID/threshold/set    command: another threshold
    crydistill/ID/preset/set       command: another preset
    crydistill/ID/publisher        who publishes here, as JSON, retained
    PREFIX/device/ID/config        Home Assistant's discovery, retained

Source: Home Assistant's documentation, "MQTT" (device discovery, migration from single components),
"MQTT binary sensor", "MQTT sensor", "MQTT number", "MQTT select"; Home Assistant 2024.11 or later.
"""

import re
from collections.abc import Sequence
from typing import Any

from crydistill import __version__
from crydistill.errors import ConfigError

DISCOVERY_PREFIX = "homeassistant"

HEARTBEAT_SECONDS = 60.0
"""The alert is published this often, changed or not."""

EXPIRE_SECONDS = 180
"""Without an alert message for this long, Home Assistant calls the detector unavailable."""

MIGRATE = {"migrate_discovery": True}
"""Asks Home Assistant to release an entity for another form of discovery, with its history."""


_ID = re.compile(r"[A-Za-z0-9_-]+")


def checked_id(id_: str) -> str:
    """The id, if it can be a level of a topic and an id of Home Assistant's discovery.

    Raises
    ------
    ConfigError
        if it has other characters than letters, digits, `-` and `_`.
    """
    if not _ID.fullmatch(id_):
        raise ConfigError(f"MQTT id '{id_}': use letters, digits, - and _ only")
    return id_


def topic(id_: str, what: str) -> str:
    """Topic of one of this detector's messages."""
    return f"crydistill/{id_}/{what}"


def discovery_topic(id_: str, prefix: str = DISCOVERY_PREFIX) -> str:
    """Topic of Home Assistant's discovery message for the detector."""
    return f"{prefix}/device/{_object_id(id_)}/config"


def former_discovery_topic(id_: str, prefix: str = DISCOVERY_PREFIX) -> str:
    """Topic of the discovery message that version 0.1.0 published."""
    return f"{prefix}/binary_sensor/{id_}/cry/config"


def discovery(id_: str, options: Sequence[str], reachable: float) -> dict[str, Any]:
    """Payload of Home Assistant's discovery message: the device and its entities.

    Parameters
    ----------
    options : the operating points to choose from
    reachable : largest threshold that can be set
    """
    entities = {
        "cry": _cry(id_),
        "threshold": _threshold(id_, reachable),
        "preset": _preset(id_, options),
        "score": _score(id_),
        "episodes": _episodes(id_),
        "crying": _crying(id_),
        "night_episodes": _night_episodes(id_),
        "night_crying": _night_crying(id_),
    }
    for key, entity in entities.items():
        entity["unique_id"] = f"{_object_id(id_)}_{key}"
    return {
        "dev": {
            "identifiers": [_object_id(id_)],
            "name": f"Cry detector {id_}",
            "manufacturer": "crydistill",
            "sw_version": __version__,
        },
        "o": {"name": "crydistill", "sw_version": __version__},
        "cmps": entities,
        "availability_topic": topic(id_, "availability"),
    }


def _object_id(id_: str) -> str:
    return f"crydistill_{id_}"


def _cry(id_: str) -> dict[str, Any]:
    return {
        "p": "binary_sensor",
        "name": "Baby cry",
        "device_class": "sound",
        "state_topic": topic(id_, "alert"),
        "payload_on": "ON",
        "payload_off": "OFF",
        "expire_after": EXPIRE_SECONDS,
        "json_attributes_topic": topic(id_, "event"),
    }


def _threshold(id_: str, reachable: float) -> dict[str, Any]:
    return {
        "p": "number",
        "name": "Threshold",
        **_setting(id_, "threshold"),
        "min": 0,
        "max": reachable,
        "step": 0.001,
        "mode": "box",
    }


def _preset(id_: str, options: Sequence[str]) -> dict[str, Any]:
    return {
        "p": "select",
        "name": "Preset",
        **_setting(id_, "preset"),
        "options": list(options),
    }


def _setting(id_: str, key: str) -> dict[str, Any]:
    """What every entity has that changes the detector."""
    return {
        "state_topic": topic(id_, "settings"),
        "value_template": f"{{{{ value_json.{key} }}}}",
        "command_topic": topic(id_, f"{key}/set"),
        "entity_category": "config",
        "qos": 1,
    }


def _score(id_: str) -> dict[str, Any]:
    return {
        "p": "sensor",
        "name": "Score",
        "state_topic": topic(id_, "score"),
        "state_class": "measurement",
        "suggested_display_precision": 2,
        "expire_after": EXPIRE_SECONDS,
        "entity_category": "diagnostic",
    }


_MINUTES = {
    "device_class": "duration",
    "unit_of_measurement": "min",
    "suggested_display_precision": 0,
}


def _episodes(id_: str) -> dict[str, Any]:
    return _of_today(id_, "Episodes today", "episodes")


def _crying(id_: str) -> dict[str, Any]:
    return {**_of_today(id_, "Crying today", "crying_min"), **_MINUTES}


def _night_episodes(id_: str) -> dict[str, Any]:
    return {
        **_count(id_, "Episodes last night", "night", "episodes"),
        "json_attributes_topic": topic(id_, "night"),
    }


def _night_crying(id_: str) -> dict[str, Any]:
    return {**_count(id_, "Crying last night", "night", "crying_min"), **_MINUTES}


def _of_today(id_: str, name: str, key: str) -> dict[str, Any]:
    """A count that begins at midnight."""
    return {**_count(id_, name, "today", key), "state_class": "total_increasing"}


def _count(id_: str, name: str, what: str, key: str) -> dict[str, Any]:
    return {
        "p": "sensor",
        "name": name,
        "state_topic": topic(id_, what),
        "value_template": f"{{{{ value_json.{key} }}}}",
    }
