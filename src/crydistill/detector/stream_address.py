"""The address of a camera or stream, which is shown without its secrets."""

import re
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import SplitResult, urlsplit

from crydistill.detector.byte_stream import decoding_pipe
from crydistill.errors import ConfigError

SCHEMES = ("rtsp", "rtsps", "http", "https")

_SPECIAL = "if its password has one of / # ? @ : in it, write these as %2F %23 %3F %40 %3A"


@dataclass(frozen=True)
class StreamAddress:
    """Where to find a stream.

    As text it is scheme, host and port: user name, password, path and query stay out, because
    cameras take passwords and keys in any of them.

    url : the whole address
    shown : as text
    password : whether there is one before the host
    secret : whether it holds a password, or a query, in which there may be one

    Raises
    ------
    ConfigError
        from `parse`, if it is none; the message has no more of the address than the scheme.

    Examples
    --------
    >>> print(StreamAddress.parse("rtsp://admin:1234@camera.local:554/stream1?key=5"))
    rtsp://camera.local:554
    >>> StreamAddress.parse("rtsp://me:a/b@camera/live")
    Traceback (most recent call last):
        ...
    crydistill.errors.ConfigError: stream address: its port is not a number from 0 to 65535; if \
its password has one of / # ? @ : in it, write these as %2F %23 %3F %40 %3A
    """

    url: str = field(repr=False)
    shown: str
    password: bool
    secret: bool

    @staticmethod
    def looks_like(text: str) -> bool:
        """Whether a source is meant to be an address."""
        return "://" in text

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an address."""
        try:
            url = _split(text)
            host, port = url.hostname or "", url.port
        except ValueError as error:
            raise ConfigError(f"stream address: {_safe(error)}; {_SPECIAL}") from None
        host = f"[{host}]" if ":" in host else host
        shown = f"{url.scheme}://{host}" + (f":{port}" if port else "")
        password = url.password is not None
        # FFmpeg knows a scheme in small letters only; telephones begin with a capital one.
        text = url.scheme + text[len(url.scheme) :]
        return cls(text, shown, password, password or bool(url.query))

    def __str__(self) -> str:
        return self.shown


def _split(text: str) -> SplitResult:
    if re.search(r"[\s\x00-\x1f]", text):
        raise ValueError("there is a blank or control character in it")
    scheme = text.partition("://")[0].lower()
    if scheme not in SCHEMES:
        raise ConfigError(
            f"stream address: '{scheme[:20]}://' is none that can be listened to; write rtsp://, "
            "rtsps://, http:// or https://, or pipe the sound in: "
            f"{decoding_pipe('ADDRESS')}"
        )
    url = urlsplit(text)
    if not re.fullmatch(r"[\w.:%-]+", url.hostname or ""):
        raise ValueError("there is no valid host name in it")
    return url


def _safe(error: ValueError) -> str:
    """The reason, without what Python quotes of the address."""
    return "its port is not a number from 0 to 65535" if "ort" in str(error) else str(error)
