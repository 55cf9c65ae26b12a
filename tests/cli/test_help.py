"""Help texts: groups, examples that parse, names of values."""

import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperOption
from typer.testing import CliRunner

from crydistill.cli import app
from crydistill.cli.help import EXAMPLES, GROUPS

PROGRAM: Any = typer.main.get_command(app)


def commands(group: Any, above: str = "") -> dict[str, Any]:
    """Every command by its words."""
    found = {}
    for name, command in group.commands.items():
        words = f"{above} {name}".strip()
        found |= commands(command, words) if hasattr(command, "commands") else {words: command}
    return found


COMMANDS = commands(PROGRAM)


def test_every_command_is_in_one_group() -> None:
    grouped = [name for names in GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(PROGRAM.commands)


def test_every_command_has_an_example_of_its_own() -> None:
    assert set(EXAMPLES) == set(COMMANDS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_parse(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Options exist, values have their types, and nothing is missing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "downloads").mkdir()
    words = shlex.split(EXAMPLES[name])
    depth = len(name.split())
    assert words[:depth] == name.split()
    command = COMMANDS[name]
    context = command.make_context(name, words[depth:], resilient_parsing=False)
    assert context.params


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_lists_groups(option: str) -> None:
    shown = CliRunner().invoke(app, [option])
    assert shown.exit_code == 0
    headings = [f"{heading}:" for heading in GROUPS]
    lines = shown.output.splitlines()
    assert [line for line in lines if line in headings] == headings


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_ends_with_its_example(name: str) -> None:
    shown = CliRunner().invoke(app, [*name.split(), "-h"])
    assert shown.exit_code == 0
    assert "<" not in shown.output.partition("Options:")[2].replace("<=", "").replace("0<", "")
    text = " ".join(shown.output.split())
    assert text.endswith(f"Example: crydistill {EXAMPLES[name]}")


def test_options_mean_one_thing() -> None:
    """An option of one name takes one kind of value, and a thing has one name."""
    kinds: dict[str, set[object]] = {}
    for command in COMMANDS.values():
        for parameter in command.params:
            if isinstance(parameter, TyperOption):
                for option in parameter.opts:
                    kinds.setdefault(option, set()).add(parameter.metavar or parameter.is_flag)
    assert not {"--student", "-n", "-m"} & set(kinds)
    assert {option: kind for option, kind in kinds.items() if len(kind) > 1} == {}
