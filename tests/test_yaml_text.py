"""YAML with errors of one kind, each a line."""

import pytest

from crydistill.yaml_text import parse_yaml


def test_values_of_every_kind() -> None:
    text = "{a: 1, b: 2.5, c: text, d: [yes, null], e: 2026-11-30, f: 1_000}"
    found = parse_yaml(text)
    assert (found["a"], found["b"], found["c"], found["d"]) == (1, 2.5, "text", [True, None])
    assert found["e"].isoformat() == "2026-11-30"
    assert found["f"] == 1000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x: 1\nname: 2026-11-31", "'2026-11-31' is no valid timestamp.*line 2, column 7"),
        ("seed: " + "9" * 5000, "is no valid int"),
        ("seed: !!int many", "'many' is no valid int"),
        ("seed: !!int ''", "'' is no valid int"),
        ("seed: !!bool perhaps", "'perhaps' is no valid bool"),
        ("seed: !!timestamp soon", "'soon' is no valid timestamp"),
        ("- {x: 1, x: 2}", "the key 'x' is there twice"),
        ("x: " + "[" * 3000, "nested too deeply"),
        ("x: !!python/object:os.system {}", "could not determine a constructor"),
        ("x: *nothing", "undefined alias"),
        ("\tx: 1", "cannot start any token"),
    ],
)
def test_what_is_wrong_is_one_line(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        parse_yaml(text)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300
