"""Format help: command groups, an example each, and names of option values."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from typer.core import TyperGroup, TyperOption

GROUPS = {
    "Use": ("detect", "calibrate", "listen", "service", "review", "adapt"),
    "Train": (
        "run", "score", "select", "train", "quantize", "evaluate", "teacher", "corpora", "fetch",
        "ids", "captures",
    ),
    "Measure": ("night", "robustness", "promises", "adapt-homes", "profile"),
    "Ship": ("export", "bundle", "publish", "guard"),
    "Develop": (
        "nursery", "nights", "replay", "firmware-cost", "front-ends", "web-engine", "tables",
    ),
}  # fmt: skip
"""Commands by what a person is about to do."""

EXAMPLES = {
    "detect": "detect evening.wav --preset quiet",
    "calibrate": "calibrate evening.wav --per-night 1 --out room.json",
    "listen": "listen --settings room.json --clips ~/alerts",
    "service install": "service install -- rtsp://camera/live --settings room.json --mqtt broker",
    "service show": "service show",
    "service uninstall": "service uninstall",
    "review": "review ~/alerts",
    "adapt": "adapt ~/alerts --out ~/adapted",
    "run": "run configs/real.yaml --set training.epochs=5",
    "score": "score configs/real.yaml",
    "select": "select configs/real.yaml",
    "train": "train configs/real.yaml --set seed=1",
    "quantize": "quantize configs/real.yaml",
    "evaluate": "evaluate configs/real.yaml --no-night",
    "teacher fetch": "teacher fetch yamnet-relu6",
    "teacher record": "teacher record yamnet.h5 nursery_scores.npz",
    "corpora manifest": "corpora manifest recordings manifests",
    "corpora rebuild": "corpora rebuild data/manifests/dev.csv audio --from downloads",
    "fetch": "fetch esc-50",
    "ids curate": "ids curate eval_segments.csv balanced_train_segments.csv --out ids",
    "captures fingerprint": "captures fingerprint --captures ~/captures",
    "captures report": "captures report runs/real --shareable summary.json",
    "night": "night recordings --where split=dev --model runs/real --votes 5/9 --votes 3/5",
    "robustness": "robustness recordings --where split=dev --model runs/real --limit 200",
    "promises": "promises recordings --where split=train --homes 24",
    "adapt-homes": "adapt-homes recordings --where split=dev --homes 12",
    "profile": "profile runs/real --json",
    "export c": "export c build/student --settings room.json",
    "export esp-idf": "export esp-idf build/component --model runs/real",
    "export web": "export web listen.html --settings room.json",
    "export arduino": "export arduino ~/Arduino/libraries/crydistill",
    "export platformio": "export platformio lib/crydistill",
    "export zephyr": "export zephyr modules/crydistill",
    "export cmake": "export cmake external/crydistill --settings room.json",
    "export esphome": "export esphome ~/nursery --settings room.json",
    "bundle": "bundle runs/real build/bundle --licence mit",
    "publish": "publish build/bundle owner/name --push",
    "guard": "guard docs runs/real --fingerprints private.fingerprints",
    "nursery": "nursery audio --seed 1",
    "nights": "nights ~/home --days 2",
    "replay": "replay recordings --where split=train --out replay.npz",
    "firmware-cost": "firmware-cost firmware cost.json --model runs/real",
    "front-ends": "front-ends firmware recordings --where split=dev",
    "web-engine": "web-engine firmware src/crydistill/web",
    "tables add": "tables add runs/real-seed0 real-seed0",
    "tables compare": "tables compare a-b --ours runs/a-seed0 --against runs/b-seed0",
    "tables pareto": "tables pareto nano base --out pareto.png",
    "tables update": "tables update README.md",
}
"""An example of each command, without the program's name."""

_VALUES = {int: "NUMBER", float: "NUMBER", str: "TEXT", Path: "PATH", list[Path]: "PATH",
           list[str]: "TEXT", tuple[float, float]: "LOW HIGH"}  # fmt: skip
"""Names of options' values by their type."""


class Program(TyperGroup):
    """The commands, listed in groups."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        _complete(self.commands, ())

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands below the headings of `GROUPS`."""
        width = formatter.width - 6 - max(map(len, self.commands))
        for heading, names in GROUPS.items():
            rows = [(name, self.commands[name].get_short_help_str(width)) for name in names]
            with formatter.section(heading):
                formatter.write_dl(rows)


def _complete(commands: Mapping[str, Any], above: tuple[str, ...]) -> None:
    """Give every command its example, and every option a name for its value."""
    for name, command in commands.items():
        path = (*above, name)
        if isinstance(command, TyperGroup):
            _complete(command.commands, path)
        elif example := EXAMPLES.get(" ".join(path)):
            command.epilog = f"Example: crydistill {example}"
        for option in command.params:
            if isinstance(option, TyperOption) and not (option.metavar or option.is_flag):
                option.metavar = _VALUES.get(option.type_descriptor.annotation)
