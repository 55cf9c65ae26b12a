"""Commands for a systemd service that listens: service install, show, uninstall."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crydistill.cli.common import tell
from crydistill.errors import ConfigError

if TYPE_CHECKING:
    from crydistill.detector.systemd import ListenService

app = typer.Typer()
service = typer.Typer(help="Listen at every start of this machine, as a systemd service.")
app.add_typer(service, name="service")

_PASS_ON = {"ignore_unknown_options": True, "allow_extra_args": True}

SystemOption = Annotated[
    bool, typer.Option("--system", help="For the whole system instead of your user; needs root.")
]
NameOption = Annotated[str, typer.Option(help="Name of the service.")]


@service.command(context_settings=_PASS_ON)
def install(
    context: typer.Context,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- LISTEN]...", help="Source and options of `listen`, after --."),
    ] = None,
    system: SystemOption = False,
    run_as: Annotated[
        str | None,
        typer.Option(
            metavar="USER", help="With --system: run as this user, not as one made by systemd."
        ),
    ] = None,
    name: NameOption = "crydistill",
    print_: Annotated[
        bool, typer.Option("--print", help="Print the unit and write nothing.")
    ] = False,
) -> None:
    """Write a service that runs `listen`; start and enable nothing."""
    from crydistill import atomic
    from crydistill.cli.listening import require_usable

    given = checked(arguments or [])
    made = _made(given, name, system, run_as)
    require_usable(given)
    if print_:
        print(made.unit(), end="")
        return
    path, secrets = _unit_path(name, system), _secrets_path(made)
    _require_systemd()
    _write_secrets(secrets, made.first_secrets())
    atomic.write_text(path, made.unit())
    manager = "systemctl" if system else "systemctl --user"
    print(f"{path}: written. To start it now and whenever this machine starts:")
    print(f"  {manager} daemon-reload")
    print(f"  {manager} enable --now {name}")
    if not system:
        tell("without you logged in it runs after: loginctl enable-linger")
    tell(f"passwords and secret addresses belong into {secrets}")


@service.command()
def show(system: SystemOption = False, name: NameOption = "crydistill") -> None:
    """Print the service's unit as it is installed."""
    path = _installed(name, system)
    tell(f"{path}:")
    print(path.read_text(encoding="utf-8"), end="")


@service.command()
def uninstall(system: SystemOption = False, name: NameOption = "crydistill") -> None:
    """Remove the service's unit, once it is disabled; secrets and pages stay."""
    path = _installed(name, system)
    enabled = path.parent / f"{'multi-user' if system else 'default'}.target.wants" / path.name
    manager = "systemctl" if system else "systemctl --user"
    if enabled.is_symlink():
        raise ConfigError(f"{name} is enabled; first: {manager} disable --now {name}")
    path.unlink()
    print(f"{path}: removed. To let systemd forget it:")
    print(f"  {manager} daemon-reload")


def checked(arguments: list[str]) -> dict[str, Any]:
    """Options of `listen` as given, parsed by `listen` itself."""
    from typer.core import TyperCommand

    from crydistill.cli import listening

    command = typer.main.get_command(listening.app)
    assert isinstance(command, TyperCommand)
    with command.make_context("listen", list(arguments)) as context:
        return {
            parameter.name or "": context.params[parameter.name or ""]
            for parameter in command.params
            if context.params.get(parameter.name or "") != parameter.get_default(context)
        }


def _made(given: dict[str, Any], name: str, system: bool, run_as: str | None) -> "ListenService":
    from crydistill.detector.systemd import ListenService

    if run_as is not None and not system:
        raise ConfigError("--run-as belongs to --system: a user's service runs as that user")
    source = _source(given.pop("source", ""))
    _require_files(_files(given))
    folders = [given[key].absolute() for key in ("clips", "nights") if key in given]
    program = (sys.executable, "-m", "crydistill", "listen")
    made = ListenService(
        name=name,
        command=(*program, *_words(given), *([source] if source else [])),
        system=system,
        run_as=run_as,
        writable=tuple(folders),
        microphone="://" not in source,
    )
    if made.state is not None:
        _require_readable([Path(sys.executable), *_files(given)])
        for folder in folders:
            if made.state != folder and made.state not in folder.parents:
                raise ConfigError(
                    f"{folder}: the service's own user owns {made.state} only; choose a folder "
                    "below it, or give --run-as USER"
                )
    return made


def _source(source: str) -> str:
    """A source that a service can have."""
    from crydistill.detector.sources import is_recording
    from crydistill.detector.stream_address import StreamAddress

    if source == "-":
        raise ConfigError("a service has no standard input; give a microphone or an address")
    if StreamAddress.looks_like(source):
        address = StreamAddress.parse(source)
        if address.secret:
            raise ConfigError(
                f"{address}: everybody can read a service's command, and this address may hold a "
                "password or key; leave it out, and write CRYDISTILL_STREAM='ADDRESS' into the "
                "file of secrets that is named after installing"
            )
    elif is_recording(source):
        raise ConfigError(f"{source}: a recording ends, and a service would begin it again")
    return source


def _words(given: dict[str, Any]) -> Iterator[str]:
    """Options as words of a command line."""
    for key, value in given.items():
        option = f"--{key.replace('_', '-')}"
        yield option
        if value is not True:
            yield str(value.absolute() if isinstance(value, Path) else value)


def _files(given: dict[str, Any]) -> list[Path]:
    """Files that `listen` reads."""
    return [given[key].absolute() for key in ("model", "settings", "mqtt_ca") if key in given]


def _require_files(paths: list[Path]) -> None:
    for path in paths:
        if not path.exists():
            raise ConfigError(f"{path}: no such file; `listen` would fail with it")


def _require_readable(paths: list[Path]) -> None:
    """Refuse what a user other than its owner cannot reach, as in a home."""
    for path in paths:
        for part in (*path.parents, path):
            if part.exists() and not part.stat().st_mode & (0o001 if part.is_dir() else 0o004):
                raise ConfigError(
                    f"{path}: other users cannot read it, and the service runs as one made by "
                    "systemd; move it to a place like /opt, or give --run-as USER"
                )


def _unit_path(name: str, system: bool) -> Path:
    folder = Path("/etc/systemd/system") if system else _config_home() / "systemd" / "user"
    return folder / f"{name}.service"


def _secrets_path(made: "ListenService") -> Path:
    return Path(made.secrets.replace("%h", str(Path.home())))


def _config_home() -> Path:
    return Path.home() / ".config"


def _installed(name: str, system: bool) -> Path:
    path = _unit_path(name, system)
    if not path.is_file():
        other = "without --system" if system else "with --system"
        raise ConfigError(f"{path}: there is no such service; was it installed {other}?")
    return path


def _require_systemd() -> None:
    if sys.platform != "linux":
        raise ConfigError("services are systemd's, which only Linux has; --print shows the unit")


def _write_secrets(path: Path, text: str) -> None:
    """Make the file of secrets, unless there is one: for its owner's eyes only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
