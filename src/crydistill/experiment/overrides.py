"""Dotted overrides of a configuration, for `--set key=value`."""

from collections.abc import Mapping
from typing import Any

from crydistill.errors import ConfigError
from crydistill.yaml_text import parse_yaml


def set_key(raw: dict[str, Any], override: str) -> None:
    """Set one key of a configuration that is read but not yet validated, in place.

    Parameters
    ----------
    override : `key=value`; the key is dotted and counts list items from 0, the value is YAML

    Raises
    ------
    ConfigError
        if the override is malformed, or a part of the key does not exist.
    """
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {override}: write it as key=value, such as training.epochs=5")
    *parents, last = key.split(".")
    node: Any = raw
    for part in parents:
        node = _child(node, part, override)
    try:
        parsed = parse_yaml(value)
    except ValueError as error:
        raise ConfigError(f"--set {override}: the value is not valid YAML ({error})") from error
    if isinstance(node, list):
        node[_position(node, last, override)] = parsed
        return
    if last == "path":
        # What a config declares of some recordings is not true of others.
        node.pop("licence", None)
        node.pop("private", None)
    node[last] = parsed


def _child(node: Any, part: str, override: str) -> Any:
    if isinstance(node, list):
        return node[_position(node, part, override)]
    child = node.setdefault(part, {})
    if child is None:
        child = node[part] = {}
    if not isinstance(child, Mapping | list):
        raise ConfigError(f"--set {override}: '{part}' is a single value and has no keys below it")
    return child


def _position(node: list[Any], part: str, override: str) -> int:
    if not part.isdecimal() or int(part) >= len(node):
        raise ConfigError(f"--set {override}: '{part}' is not an index of that list of {len(node)}")
    return int(part)
