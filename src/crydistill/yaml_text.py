"""Parse YAML that a person wrote, with one kind of error for all that may be wrong with it."""

from typing import Any

import yaml

_SHOWN = 40


def parse_yaml(text: str) -> Any:
    """Parse a YAML document of plain values.

    Raises
    ------
    ValueError
        with one line that says what is wrong and where: invalid syntax, a mapping that names a key
        twice, a value that is none of its kind (`2026-11-31`), values nested without end.

    Examples
    --------
    >>> from crydistill.yaml_text import parse_yaml
    >>> parse_yaml("epochs: 3")
    {'epochs': 3}
    >>> parse_yaml("name: 2026-11-31")
    Traceback (most recent call last):
        ...
    ValueError: '2026-11-31' is no valid timestamp; put text into quotes in ... line 1, column 7...
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
    except RecursionError as error:
        raise ValueError("values are nested too deeply") from error


class _Loader(yaml.SafeLoader):
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

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError) as error:
            # PyYAML lets through what int(), datetime() and its own tables say.
            kind = str(node.tag).rpartition(":")[2]
            raise yaml.constructor.ConstructorError(
                None,
                None,
                f"'{str(node.value)[:_SHOWN]}' is no valid {kind}; put text into quotes",
                node.start_mark,
            ) from error
