"""Turn modules and settings into what Zephyr's build makes of them.

    configure.py OUT MODULE.. -- SETTINGS..

checks each module's `zephyr/module.yml`, and writes `autoconf.h`, `config.cmake` and
`modules.cmake` to OUT. A warning of Kconfig's is an error.
"""

import os
import sys
from pathlib import Path

import kconfiglib
import pykwalify.core
import yaml

HERE = Path(__file__).parent


def checked(module: Path) -> dict:
    """A module's metadata."""
    path = module / "zephyr" / "module.yml"
    schema = str(HERE / "module-schema.yml")
    found: dict = pykwalify.core.Core(str(path), [schema]).validate(raise_exception=True)
    return found


def configured(modules: dict[Path, dict], settings: list[str], out: Path) -> kconfiglib.Kconfig:
    """The settings, with the modules' Kconfig files in place."""
    lines = [f'osource "{path / meta["build"]["kconfig"]}"\n' for path, meta in modules.items()]
    (out / "Kconfig.modules").write_text("".join(lines), encoding="utf-8")
    os.environ["MODULES"] = str(out / "Kconfig.modules")
    config = kconfiglib.Kconfig(str(HERE / "Kconfig"), warn_to_stderr=False)
    for number, path in enumerate(settings):
        config.load_config(path, replace=number == 0)
    if config.warnings:
        sys.exit("\n".join(config.warnings))
    return config


def main() -> None:
    """Write the files."""
    out, *rest = sys.argv[1:]
    between = rest.index("--")
    modules = {path: checked(path) for path in map(Path, rest[:between])}
    config = configured(modules, rest[between + 1 :], Path(out))
    config.write_autoconf(str(Path(out) / "autoconf.h"))
    lines = [
        f'set(CONFIG_{name} "{symbol.str_value}")\n'
        for name, symbol in config.syms.items()
        if symbol.str_value not in ("", "n") and symbol.nodes
    ]
    (Path(out) / "config.cmake").write_text("".join(lines), encoding="utf-8")
    lines = [
        f'add_subdirectory("{path / meta["build"]["cmake"]}" module{number})\n'
        for number, (path, meta) in enumerate(modules.items())
    ]
    (Path(out) / "modules.cmake").write_text("".join(lines), encoding="utf-8")
    print(yaml.safe_dump({name: symbol.str_value for name, symbol in config.syms.items()}))


if __name__ == "__main__":
    main()
