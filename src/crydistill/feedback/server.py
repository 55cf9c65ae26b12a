"""A page on this machine to hear the kept clips and say what they are.

It listens on the loopback address only, and every path begins with a random token, so that neither
other users of the machine nor pages in the browser can guess one. A request must name this machine
as its host (a page elsewhere whose name suddenly means this machine cannot), and one that changes
something must be JSON and not come from another origin. Nothing is loaded from elsewhere.
"""

import json
import re
import secrets
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import unquote, urlsplit

from crydistill.detector.clip_folder import (
    ClipLabel,
    KeptClip,
    delete_clip,
    kept_clips,
    set_label,
)
from crydistill.detector.stream import WindowScorer
from crydistill.detector.vote import VoteSettings
from crydistill.errors import ConfigError, CrydistillError
from crydistill.feedback.clip_picture import clip_picture
from crydistill.json_file import parse_json
from crydistill.style_sheet import style_sheet

ADDRESS = "127.0.0.1"
MOST_BODY_BYTES = 4_096
_TOKEN_BYTES = 16
_TIMEOUT_SECONDS = 30
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_CHUNK = 1 << 16

_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


class _RefusedError(Exception):
    """Ends a request with a status and a line."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class ReviewServer(ThreadingHTTPServer):
    """Serves the page for a folder of clips until it is shut down.

    Parameters
    ----------
    scorer : whose scores the page draws
    vote : its threshold is drawn
    port : 0 to have one chosen

    Raises
    ------
    ConfigError
        if the folder cannot be read or the port is taken.
    """

    daemon_threads = True

    def __init__(
        self, folder: str | Path, scorer: WindowScorer, vote: VoteSettings, *, port: int = 0
    ) -> None:
        self.folder, self.scorer, self.vote = Path(folder), scorer, vote
        kept_clips(self.folder)
        self.token = secrets.token_urlsafe(_TOKEN_BYTES)
        one_at_a_time = Lock()

        @lru_cache(maxsize=256)
        def picture(clip: KeptClip) -> bytes:
            with one_at_a_time:
                return _json(clip_picture(clip, scorer))

        self.picture: Callable[[KeptClip], bytes] = picture
        try:
            super().__init__((ADDRESS, port), _Handler)
        except OSError as error:
            raise ConfigError(
                f"port {port}: cannot be used ({error.strerror}); choose another with --port"
            ) from error

    @property
    def address(self) -> str:
        """Where the page is, with its token."""
        return f"http://{ADDRESS}:{self.server_port}/{self.token}/"


class _Handler(BaseHTTPRequestHandler):
    server: ReviewServer
    server_version = "crydistill"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = _TIMEOUT_SECONDS

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def log_message(self, format: str, *values: object) -> None:
        """Say nothing: names of clips are times of a home."""

    def _answer(self, respond: Callable[[list[str]], None]) -> None:
        try:
            respond(self._checked())
        except _RefusedError as refused:
            self.close_connection = True  # there may be a body that nobody has read
            self._send(refused.status, "text/plain; charset=utf-8", f"{refused}\n".encode())
        except CrydistillError as error:
            status = HTTPStatus.UNPROCESSABLE_ENTITY
            self._send(status, "text/plain; charset=utf-8", f"{error}\n".encode())
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        except OSError as error:  # the disk's
            self.close_connection = True
            why = f"{self.server.folder}: {error.strerror}\n".encode()
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", why)

    def _checked(self) -> list[str]:
        """The parts of the path behind the token, of a request that may be answered."""
        host = (self.headers.get("Host") or "").rpartition(":")
        if (host[0] or host[2]) not in (ADDRESS, "localhost"):
            raise _RefusedError(HTTPStatus.FORBIDDEN, "this page is for this machine only")
        _, token, *parts = [unquote(part) for part in urlsplit(self.path).path.split("/")] + [""]
        if not secrets.compare_digest(token.encode(), self.server.token.encode()):
            raise _RefusedError(HTTPStatus.FORBIDDEN, "open the address that was printed")
        return parts

    def _get(self, parts: list[str]) -> None:
        match [part for part in parts if part]:
            case []:
                self._page()
            case ["clips"]:
                self._send_json(self._clips())
            case ["audio", name]:
                self._audio(self._clip(name))
            case ["picture", name]:
                body = self.server.picture(replace(self._clip(name), label=None))
                self._send(HTTPStatus.OK, "application/json", body)
            case _:
                raise _RefusedError(HTTPStatus.NOT_FOUND, "there is nothing here")

    def _post(self, parts: list[str]) -> None:
        asked = self._body()
        match [part for part in parts if part]:
            case ["label", name]:
                label = asked.get("label")
                if label is not None and label not in tuple(ClipLabel):
                    raise _RefusedError(HTTPStatus.BAD_REQUEST, "no such label")
                clip = self._clip(name)
                set_label(self.server.folder, clip.name, label and ClipLabel(label))
            case ["delete", name]:
                delete_clip(self.server.folder, self._clip(name).name)
            case _:
                raise _RefusedError(HTTPStatus.NOT_FOUND, "there is nothing here")
        self._send_json(self._clips())

    def _body(self) -> dict[str, Any]:
        """The JSON object of a request that changes something."""
        origin = self.headers.get("Origin")
        if origin is not None and origin != f"http://{self.headers['Host']}":
            raise _RefusedError(HTTPStatus.FORBIDDEN, "this page is for itself only")
        if self.headers.get_content_type() != "application/json":
            raise _RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send JSON")
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            raise _RefusedError(HTTPStatus.LENGTH_REQUIRED, "say how long the request is")
        if int(length) > MOST_BODY_BYTES:
            raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too long")
        try:
            asked = parse_json(self.rfile.read(int(length)))
        except ValueError:
            asked = None
        if not isinstance(asked, dict):
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "not a JSON object")
        return asked

    def _clip(self, name: str) -> KeptClip:
        """The clip of that name: compared with those of the folder, never joined to its path."""
        found = next((one for one in kept_clips(self.server.folder) if one.name == name), None)
        if found is None or found.path.is_symlink():
            raise _RefusedError(HTTPStatus.NOT_FOUND, "there is no such clip any more")
        return found

    def _clips(self) -> dict[str, Any]:
        return {
            "folder": str(self.server.folder),
            "threshold": self.server.vote.threshold,
            "votes": f"{self.server.vote.n} of {self.server.vote.m}",
            "clips": [
                {"name": clip.name, "kind": clip.kind, "label": clip.label, "kept": clip.kept}
                for clip in reversed(kept_clips(self.server.folder))
                if not clip.path.is_symlink()
            ],
        }

    def _page(self) -> None:
        nonce = secrets.token_urlsafe(_TOKEN_BYTES)
        page = files("crydistill.feedback").joinpath("review.html").read_text(encoding="utf-8")
        page = page.replace("$nonce", nonce).replace("$style", style_sheet())
        policy = (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
            "connect-src 'self'; media-src 'self'; img-src data:; base-uri 'none'; "
            "form-action 'none'; frame-ancestors 'none'"
        )
        headers = {"Content-Security-Policy": policy}
        self._send(HTTPStatus.OK, "text/html; charset=utf-8", page.encode(), headers)

    def _audio(self, clip: KeptClip) -> None:
        """A clip's bytes, or the range of them that was asked for: players seek by ranges."""
        try:
            file = clip.path.open("rb")
        except OSError:
            raise _RefusedError(HTTPStatus.NOT_FOUND, "there is no such clip any more") from None
        with file:
            size = file.seek(0, 2)
            first, last, partial = self._range(size)
            headers = {"Accept-Ranges": "bytes"}
            if partial:
                headers["Content-Range"] = f"bytes {first}-{last}/{size}"
            status = HTTPStatus.PARTIAL_CONTENT if partial else HTTPStatus.OK
            self._head(status, "audio/wav", last - first + 1, headers)
            file.seek(first)
            left = last - first + 1
            while left > 0 and (chunk := file.read(min(_CHUNK, left))):
                self.wfile.write(chunk)
                left -= len(chunk)

    def _range(self, size: int) -> tuple[int, int, bool]:
        """First and last byte wanted, and whether that is a part; a wrong range is all of it."""
        match = _RANGE.fullmatch(self.headers.get("Range", ""))
        if match is None or match.group() == "bytes=-":
            return 0, size - 1, False
        begin, end = match.groups()
        first = int(begin) if begin else max(0, size - int(end))
        last = min(size - 1, int(end)) if begin and end else size - 1
        if not first <= last:
            raise _RefusedError(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "no such range")
        return first, last, True

    def _send_json(self, content: dict[str, Any]) -> None:
        self._send(HTTPStatus.OK, "application/json", _json(content))

    def _send(
        self, status: HTTPStatus, kind: str, body: bytes, headers: dict[str, str] | None = None
    ) -> None:
        self._head(status, kind, len(body), headers or {})
        self.wfile.write(body)

    def _head(self, status: HTTPStatus, kind: str, size: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        connection = {"Connection": "close"} if self.close_connection else {}
        about = {"Content-Type": kind, "Content-Length": str(size)}
        for name, value in {**_HEADERS, **about, **connection, **headers}.items():
            self.send_header(name, value)
        self.end_headers()


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content).encode()
