"""Read JSON objects from files that a crash, another version or a person may have damaged."""

import json
from pathlib import Path
from typing import Any

from crydistill.errors import ConfigError, CrydistillError

_MAX_BYTES = 256 << 20


def read_json(
    path: str | Path,
    remedy: str,
    *,
    error: type[CrydistillError] = ConfigError,
    max_bytes: int = _MAX_BYTES,
) -> dict[str, Any]:
    """Read a JSON object.

    Parameters
    ----------
    remedy : what to do about a file that is missing or damaged; ends the message
    error : the exception to raise
    max_bytes : a larger file is refused unread

    Raises
    ------
    CrydistillError
        of type `error`, if the file cannot be read, or holds anything but a JSON object.
    """
    text = read_text(path, remedy, error=error, max_bytes=max_bytes)
    try:
        content = parse_json(text)
    except ValueError as cause:
        raise error(f"{path}: not valid JSON; {remedy}") from cause
    if not isinstance(content, dict):
        raise error(f"{path}: not a JSON object; {remedy}")
    return content


def parse_json(text: str | bytes) -> Any:
    """Parse JSON of any origin.

    Raises
    ------
    ValueError
        if it is not JSON, or nested deeper than Python follows.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def read_text(
    path: str | Path,
    remedy: str,
    *,
    error: type[CrydistillError] = ConfigError,
    max_bytes: int = _MAX_BYTES,
) -> str:
    """Read a UTF-8 text file; parameters and exceptions are those of `read_json`.

    A byte order mark in front, which editors and spreadsheets of Windows write, is dropped.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as cause:
        raise error(f"{path}: cannot be read ({cause.strerror}); {remedy}") from cause
    if len(data) > max_bytes:
        raise error(f"{path}: larger than {max_bytes:,} bytes; {remedy}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        raise error(f"{path}: not UTF-8 text; {remedy}") from cause
