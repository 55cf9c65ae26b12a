"""Settings from environment variables; no other module reads them.

The command line reads them here and passes them to library functions as arguments.

    CRYDISTILL_CACHE           directory for downloads and decoded corpora
    CRYDISTILL_CAPTURES        folder of private home recordings, outside the repository
    CRYDISTILL_MQTT_PASSWORD   password for `crydistill listen --mqtt-user`
    CRYDISTILL_STREAM          secret address of a camera or stream, for `crydistill listen`
    HF_TOKEN                   Hugging Face token with write access, for `crydistill publish`
    HF_ENDPOINT                URL of a hub other than huggingface.co
"""

import os
import sys
from pathlib import Path

CACHE_VARIABLE = "CRYDISTILL_CACHE"
CAPTURES_VARIABLE = "CRYDISTILL_CAPTURES"
MQTT_PASSWORD_VARIABLE = "CRYDISTILL_MQTT_PASSWORD"
STREAM_VARIABLE = "CRYDISTILL_STREAM"
HUB_TOKEN_VARIABLE = "HF_TOKEN"
HUB_ENDPOINT_VARIABLE = "HF_ENDPOINT"

_APP = "crydistill"


def cache_dir() -> Path:
    """Return the user's cache directory, without creating it.

    CRYDISTILL_CACHE if set, else `crydistill` in XDG_CACHE_HOME, else the platform's default.
    """
    chosen = _folder(CACHE_VARIABLE)
    if chosen is not None:
        return chosen
    # The XDG specification says to ignore relative paths.
    xdg = _folder("XDG_CACHE_HOME")
    if xdg is not None and xdg.is_absolute():
        return xdg / _APP
    return _platform_cache()


def audioset_dir() -> Path:
    """Return the folder for the audio of AudioSet segments; it may not exist yet."""
    return cache_dir() / "audioset"


def private_dir() -> Path:
    """Return the folder for everything derived from private captures; it may not exist yet."""
    return cache_dir() / "private"


def captures_dir() -> Path | None:
    """Return the folder of private captures, CRYDISTILL_CAPTURES; None if unset."""
    return _folder(CAPTURES_VARIABLE)


def mqtt_password() -> str | None:
    """Return the MQTT broker's password, CRYDISTILL_MQTT_PASSWORD; None if unset."""
    return os.environ.get(MQTT_PASSWORD_VARIABLE) or None


def stream_address() -> str | None:
    """Return the address of the stream to listen to, CRYDISTILL_STREAM; None if unset."""
    return os.environ.get(STREAM_VARIABLE, "").strip() or None


def hub_token() -> str | None:
    """Return the Hugging Face token, HF_TOKEN; None if unset. It is never written to disk."""
    return os.environ.get(HUB_TOKEN_VARIABLE, "").strip() or None


def hub_endpoint() -> str | None:
    """Return the hub's URL, HF_ENDPOINT; None if unset."""
    return os.environ.get(HUB_ENDPOINT_VARIABLE, "").strip().rstrip("/") or None


def environment_with(**more: str) -> dict[str, str]:
    """The environment of this process with more variables, for one that it starts."""
    return {**os.environ, **more}


def _platform_cache() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / _APP
    if sys.platform == "win32":
        local = _folder("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
        return local / _APP / "Cache"
    return Path.home() / ".cache" / _APP


def _folder(variable: str) -> Path | None:
    value = os.environ.get(variable, "").strip()
    return Path(value).expanduser() if value else None
