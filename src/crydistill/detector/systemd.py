"""A systemd service that listens.

Source: systemd's manual, systemd.service(5), systemd.exec(5) and systemd.syntax(7).
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from crydistill.errors import ConfigError

_SECRETS = """\
# Secrets of the service {name}, read by systemd; only its owner may read this file.
# CRYDISTILL_STREAM='rtsp://USER:PASSWORD@CAMERA/STREAM'
# CRYDISTILL_MQTT_PASSWORD='...'
"""


@dataclass(frozen=True)
class ListenService:
    """A service of systemd, for the whole system or for one user.

    name : letters, digits, `-` and `_`
    command : absolute path of the program, and its arguments
    system : of the whole system, not of the user who installs it
    run_as : of a system service: the user that it runs as; None for one made by systemd, who owns
        nothing but the service's state
    writable : folders that it writes to
    microphone : whether it needs the sound devices

    Raises
    ------
    ConfigError
        if the name has other characters.
    """

    name: str
    command: tuple[str, ...]
    system: bool = False
    run_as: str | None = None
    writable: tuple[Path, ...] = field(default=())
    microphone: bool = True

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", self.name):
            raise ConfigError(f"service name '{self.name}': use letters, digits, - and _ only")
        if self.run_as is not None and not re.fullmatch(r"[A-Za-z_][\w.-]*\$?", self.run_as):
            raise ConfigError(f"user '{self.run_as}': write the name of a user of this machine")

    @property
    def secrets(self) -> str:
        """The file of environment variables, as the unit names it."""
        return f"/etc/crydistill/{self.name}.env" if self.system else (
            f"%h/.config/crydistill/{self.name}.env"
        )  # fmt: skip

    @property
    def state(self) -> Path | None:
        """The folder that systemd makes for the service; None if it runs as a user with a home."""
        return Path("/var/lib", self.name) if self.system and self.run_as is None else None

    def unit(self) -> str:
        """Text of the unit."""
        lines = [
            "# Written by `crydistill service install`, which replaces it.",
            "[Unit]",
            f"Description=crydistill listens for a baby's cry ({self.name})",
            *(["Wants=network-online.target"] if self.system else []),
            *(["After=network-online.target sound.target"] if self.system else []),
            # Never give up: there may be nobody awake to start it again.
            "StartLimitIntervalSec=0",
            "",
            "[Service]",
            f"ExecStart={' '.join(_quoted(word) for word in self.command)}",
            f"EnvironmentFile=-{self.secrets}",
            "Environment=PYTHONUNBUFFERED=1",
            "Restart=always",
            "RestartSec=10",
            "",
            *self._hardening(),
            "",
            "[Install]",
            f"WantedBy={'multi-user' if self.system else 'default'}.target",
        ]
        return "\n".join(lines) + "\n"

    def first_secrets(self) -> str:
        """Text of the file of secrets before there are any."""
        return _SECRETS.format(name=self.name)

    def _hardening(self) -> list[str]:
        anywhere = [
            "NoNewPrivileges=yes",
            "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
            "RestrictNamespaces=yes",
            "RestrictRealtime=yes",
            "RestrictSUIDSGID=yes",
            "LockPersonality=yes",
            "SystemCallArchitectures=native",
            "SystemCallFilter=@system-service",
            "UMask=0077",
        ]
        # A user's manager lacks the rights to set up a view of the file system of its own.
        return [*self._identity(), *anywhere, *self._confinement()] if self.system else anywhere

    def _identity(self) -> list[str]:
        groups = ["SupplementaryGroups=audio"] if self.microphone else []
        if self.run_as is not None:
            return [f"User={self.run_as}", *groups]
        return ["DynamicUser=yes", f"StateDirectory={self.name}", *groups]

    def _confinement(self) -> list[str]:
        devices = (
            ["DevicePolicy=closed", "DeviceAllow=char-alsa rw"]
            if self.microphone
            else ["PrivateDevices=yes"]
        )
        owned = [path for path in self.writable if not _below(path, self.state)]
        return [
            "ProtectSystem=strict",
            "ProtectHome=read-only",
            *(f"ReadWritePaths={_quoted(str(path))}" for path in owned),
            "PrivateTmp=yes",
            *devices,
            "ProtectClock=yes",
            "ProtectControlGroups=yes",
            "ProtectHostname=yes",
            "ProtectKernelLogs=yes",
            "ProtectKernelModules=yes",
            "ProtectKernelTunables=yes",
            "ProtectProc=invisible",
            "CapabilityBoundingSet=",
            "AmbientCapabilities=",
            "RemoveIPC=yes",
        ]


def _quoted(word: str) -> str:
    """A word of a command line or list, as systemd reads it."""
    if re.search(r"[\x00-\x1f\x7f]", word):
        raise ConfigError(f"{word!r}: a control character cannot be in a service's command")
    word = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return word if re.fullmatch(r"[\w./:=@,+%$-]+", word) else f'"{word}"'


def _below(path: Path, folder: Path | None) -> bool:
    return folder is not None and (path == folder or folder in path.parents)
