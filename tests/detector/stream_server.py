"""A web server that streams sound, connection by connection as a test says, with faults."""

import struct
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

RATE = 16_000


def wav_header(rate: int = RATE) -> bytes:
    """Header of a WAV file of unknown length, 16-bit mono."""
    fmt = struct.pack("<HHIIHH", 1, 1, rate, 2 * rate, 2, 16)
    return b"RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00" + fmt + b"data\xff\xff\xff\xff"


@dataclass
class Answer:
    """What one connection gets.

    parts : bytes, or seconds to wait; the connection is closed after the last
    status, kind : of the response
    asks : for a user name and a password first
    """

    parts: Sequence[bytes | float]
    status: int = 200
    kind: str = "audio/wav"
    asks: bool = False


@dataclass
class StreamServer:
    """The server as seen by a test: each connection takes the next of `answers`.

    Without any left, connections are refused with 503.
    """

    address: str
    answers: list[Answer] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)


@contextmanager
def stream_server() -> Iterator[StreamServer]:
    """Run a server during the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = state.answers.pop(0) if state.answers else Answer([], 503)
            if answer.asks and "Authorization" not in self.headers:
                state.answers.insert(0, answer)
                answer = Answer([], 401)
            state.authorizations.append(self.headers.get("Authorization"))
            self.send_response(answer.status)
            if answer.status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.send_header("Content-Type", answer.kind)
            if not answer.kind.startswith("audio/"):  # a page, of which the length is known
                length = sum(len(part) for part in answer.parts if isinstance(part, bytes))
                self.send_header("Content-Length", str(length))
            self.end_headers()
            for part in answer.parts:
                if isinstance(part, float):
                    time.sleep(part)
                else:
                    self.wfile.write(part)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # the listener hung up

    server = Server(("127.0.0.1", 0), Handler)
    state = StreamServer(f"http://127.0.0.1:{server.server_address[1]}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
