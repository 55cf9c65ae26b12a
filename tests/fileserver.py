"""A web server on the loopback address with configurable faults."""

import hashlib
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Fault:
    """A faulty response.

    status : respond with this status and no file
    retry_after : Retry-After header of that response
    drop_after : send this many bytes of the body, then close the connection
    ignore_range : send the whole file with status 200 despite a Range header
    ignore_condition : honour the range although If-Range names another file
    pause : seconds between blocks of `block` bytes
    no_length : send no Content-Length
    """

    status: int = 0
    retry_after: str = ""
    drop_after: int | None = None
    ignore_range: bool = False
    ignore_condition: bool = False
    pause: float = 0.0
    block: int = 1 << 14
    no_length: bool = False


@dataclass
class Page:
    """A file on the server; each request uses up one of `faults`, later ones succeed."""

    body: bytes
    faults: list[Fault] = field(default_factory=list)
    validators: bool = True

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.body).hexdigest()}"'


@dataclass
class FileServer:
    """The server as seen by a test.

    requests : path and Range header of each request so far
    conditions : the If-Range header of each
    """

    address: str
    pages: dict[str, Page] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    conditions: list[str | None] = field(default_factory=list)
    bytes_sent: int = 0

    def put(self, name: str, body: bytes, *faults: Fault, validators: bool = True) -> str:
        """Serve `body` as `name`; return its URL."""
        self.pages[f"/{name}"] = Page(body, list(faults), validators)
        return f"{self.address}/{name}"

    def ranges(self) -> list[str | None]:
        """The Range header of every request so far."""
        return [asked for _, asked in self.requests]


@contextmanager
def file_server() -> Iterator[FileServer]:
    """Run a server during the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _answer(self, state)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # a client that was killed

    with Server(("127.0.0.1", 0), Handler) as server:
        state = FileServer(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()


def _answer(request: BaseHTTPRequestHandler, state: FileServer) -> None:
    asked = request.headers.get("Range")
    condition = request.headers.get("If-Range")
    state.requests.append((request.path, asked))
    state.conditions.append(condition)
    page = state.pages.get(request.path)
    if page is None:
        return _status(request, Fault(status=404))
    fault = page.faults.pop(0) if page.faults else Fault()
    if fault.status:
        return _status(request, fault)
    if fault.ignore_range or not (
        condition is None or condition == page.etag or fault.ignore_condition
    ):
        asked = None
    start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked else 0  # type: ignore[index]
    if start >= len(page.body) > 0:
        request.send_response(416)
        request.send_header("Content-Range", f"bytes */{len(page.body)}")
        request.send_header("Content-Length", "0")
        request.end_headers()
        return None
    _send_body(request, state, page, fault, start if asked else None)
    return None


def _status(request: BaseHTTPRequestHandler, fault: Fault) -> None:
    request.send_response(fault.status)
    if fault.retry_after:
        request.send_header("Retry-After", fault.retry_after)
    request.send_header("Content-Length", "0")
    request.end_headers()


def _send_body(
    request: BaseHTTPRequestHandler, state: FileServer, page: Page, fault: Fault, start: int | None
) -> None:
    body = page.body[start or 0 :]
    request.send_response(200 if start is None else 206)
    if start is not None:
        whole = len(page.body)
        request.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
    if page.validators:
        request.send_header("ETag", page.etag)
    if not fault.no_length:
        request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    for offset in range(0, len(body[: fault.drop_after]), fault.block):
        block = body[: fault.drop_after][offset : offset + fault.block]
        request.wfile.write(block)
        state.bytes_sent += len(block)
        time.sleep(fault.pause)
