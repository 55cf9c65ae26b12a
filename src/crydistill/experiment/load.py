"""Load configuration files: resolve `extends`, apply overrides, report errors by key."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from crydistill.errors import ConfigError
from crydistill.experiment.overrides import set_key
from crydistill.experiment.schema import ExperimentConfig
from crydistill.pydantic_errors import explained

_RENAMED = {"training.aware": "training.qat"}
"""Keys of former versions."""

DEFAULT_CONFIG = "nursery"
"""The packaged configuration that `crydistill run` takes without arguments."""


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a mapping that names a key twice, of which YAML would drop the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            # A merge (<<) brings keys that others may replace.
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key '{key.value}' is there twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def load_config(path: str | Path | None, overrides: Sequence[str] = ()) -> ExperimentConfig:
    """Read a configuration file, the packaged default where `path` is None.

    A file may say `extends: OTHER.yaml` (or a list), relative to itself: the files are merged in
    order, mappings key by key, and this one comes last.

    Parameters
    ----------
    overrides : `key=value` strings; the key is dotted (`training.epochs=5`, `data.train.0.path=x`),
        the value is YAML

    Raises
    ------
    ConfigError
        naming the file and the offending key.

    Examples
    --------
    >>> config = load_config(None, ["training.epochs=2"])
    >>> config.name, config.training.epochs
    ('nursery', 2)
    >>> load_config(None, ["training.epoch=2"])
    Traceback (most recent call last):
        ...
    crydistill.errors.ConfigError: ...nursery.yaml: unknown key 'training.epoch'...
    """
    if path is None:
        path = Path(str(files("crydistill").joinpath(f"data/{DEFAULT_CONFIG}.yaml")))
    raw = _read_yaml(Path(path))
    for override in overrides:
        set_key(raw, override)
    try:
        config = ExperimentConfig.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{path}: {_explain(error)}") from error
    return config if config.name else config.model_copy(update={"name": Path(path).stem})


def _read_yaml(path: Path, heirs: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Read a config merged over those it extends; `heirs` are the configs that extend it."""
    if path.resolve() in heirs:
        raise ConfigError(f"{path}: extends: the configs extend each other in a circle")
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeys)
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such config file; see configs/") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{path}: not valid YAML ({_one_line(error)})") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: must be a mapping of keys to values")
    extended = raw.pop("extends", [])
    if isinstance(extended, str):
        extended = [extended]
    if not isinstance(extended, list) or not all(isinstance(name, str) for name in extended):
        raise ConfigError(f"{path}: extends: must name a config file, or several in a list")
    merged: dict[str, Any] = {}
    for name in extended:
        merged = _merged(merged, _read_yaml(path.parent / name, (*heirs, path.resolve())))
    # What another config says of itself need not be true of this one.
    merged.pop("description", None)
    return _merged(merged, raw)


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Merge one mapping over another: mappings merge key by key, anything else is replaced."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(merged.get(key), dict) and isinstance(value, dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _explain(error: ValidationError) -> str:
    for fault in error.errors(include_url=False):
        if fault["type"] == "extra_forbidden":
            key = ".".join(str(part) for part in fault["loc"])
            if key in _RENAMED:
                return f"the key '{key}' is now '{_RENAMED[key]}'"
            return f"unknown key '{key}'; see docs/configuration.md for all keys"
    return explained(error, "the config")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
