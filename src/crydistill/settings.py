"""What the environment says: the one module that reads environment variables.

The command line asks here and hands the answers to library functions as arguments.

    CRYDISTILL_CACHE      where downloads and decoded corpora are kept
    CRYDISTILL_CAPTURES   the folder of private home recordings, outside the repository
    CRYDISTILL_MQTT_PASSWORD   for `crydistill listen --mqtt-user`
    HF_TOKEN              for `crydistill publish`: a token of the Hugging Face hub that may write
    HF_ENDPOINT           another hub than huggingface.co
"""

import os
import sys
from pathlib import Path

CACHE_VARIABLE = "CRYDISTILL_CACHE"
CAPTURES_VARIABLE = "CRYDISTILL_CAPTURES"
MQTT_PASSWORD_VARIABLE = "CRYDISTILL_MQTT_PASSWORD"
HUB_TOKEN_VARIABLE = "HF_TOKEN"
HUB_ENDPOINT_VARIABLE = "HF_ENDPOINT"

_APP = "crydistill"


def cache_dir() -> Path:
    """The user's cache directory; not created here.

    CRYDISTILL_CACHE if set, else `crydistill` below XDG_CACHE_HOME, else the platform's usual
    place.
    """
    chosen = _folder(CACHE_VARIABLE)
    if chosen is not None:
        return chosen
    # The XDG specification has a relative path ignored.
    xdg = _folder("XDG_CACHE_HOME")
    if xdg is not None and xdg.is_absolute():
        return xdg / _APP
    return _platform_cache()


def audioset_dir() -> Path:
    """Where the audio of AudioSet segments lies, or will."""
    return cache_dir() / "audioset"


def private_dir() -> Path:
    """Where everything derived from private captures lies, or will."""
    return cache_dir() / "private"


def captures_dir() -> Path | None:
    """The folder of private captures named by CRYDISTILL_CAPTURES, None where it is not set."""
    return _folder(CAPTURES_VARIABLE)


def mqtt_password() -> str | None:
    """The MQTT broker's password, CRYDISTILL_MQTT_PASSWORD; None where it is not set."""
    return os.environ.get(MQTT_PASSWORD_VARIABLE) or None


def hub_token() -> str | None:
    """The Hugging Face hub's token, HF_TOKEN; None where it is not set. It is never written."""
    return os.environ.get(HUB_TOKEN_VARIABLE, "").strip() or None


def hub_endpoint() -> str | None:
    """The hub's address, HF_ENDPOINT; None where it is not set."""
    return os.environ.get(HUB_ENDPOINT_VARIABLE, "").strip().rstrip("/") or None


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
