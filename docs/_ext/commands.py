"""The directive `commands`: every verb of the command line with its own help, as sections."""

import re
from pathlib import Path

import typer
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import crydistill.cli


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class Commands(SphinxDirective):
    """A section for each verb, below it those of its sub-commands."""

    def run(self) -> list[nodes.Node]:
        for source in Path(crydistill.cli.__file__).parent.glob("*.py"):
            self.env.note_dependency(str(source))
        program = typer.main.get_command(crydistill.cli.app)
        return self._sections_below(program, _context(program, "crydistill", None))

    def _sections_below(self, group, context) -> list[nodes.Node]:
        return [
            self._section(command, _context(command, name, context))
            for name, command in group.commands.items()
            if not command.hidden
        ]

    def _section(self, command, context) -> nodes.section:
        path = context.command_path
        section = nodes.section(ids=[path.replace(" ", "-")], names=[path])
        section += nodes.title(path, path)
        for paragraph in re.split(r"\n\s*\n", (command.help or "").strip()):
            section += nodes.paragraph("", "", *_inline(" ".join(paragraph.split())))
        usage = " ".join([path, *command.collect_usage_pieces(context)])
        section += nodes.literal_block(usage, usage, language="text")
        parameters = [parameter.get_help_record(context) for parameter in command.params]
        section += _definitions([record for record in parameters if record])
        if command.epilog:
            section += nodes.paragraph("", "Example:")
            example = command.epilog.removeprefix("Example: ")
            section += nodes.literal_block(example, example, language="text")
        if hasattr(command, "commands"):
            section += self._sections_below(command, context)
        self.state.document.note_explicit_target(section)
        return section


def _context(command, name: str, parent):
    return command.context_class(command, info_name=name, parent=parent)


def _definitions(records: list[tuple[str, str]]) -> list[nodes.Node]:
    if not records:
        return []
    items = nodes.definition_list(classes=["options"])
    for name, explanation in records:
        items += nodes.definition_list_item(
            "",
            nodes.term("", "", nodes.literal(name, name)),
            nodes.definition("", nodes.paragraph("", "", *_inline(explanation))),
        )
    return [items]


def _inline(text: str) -> list[nodes.Node]:
    """Text with code in backticks."""
    return [
        nodes.literal(part, part) if odd else nodes.Text(part)
        for number, part in enumerate(text.split("`"))
        for odd in [number % 2]
        if part
    ]
