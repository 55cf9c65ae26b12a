"""Resumable HTTP(S) downloads that appear whole, checked, or not at all.

Bytes go to `NAME.part`; `NAME.part.json` beside it keeps the URL, the server's validator (strong
ETag or Last-Modified) and the size. A kill at any moment leaves these two, and the next call goes
on from the last byte. What is appended always belongs to the same file: the range is asked for
under If-Range, the answer's own validator and size are compared, and where the server gives no
validator a part is only continued if a sha256 will judge the result.
"""

import hashlib
import json
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Self

from crydistill import __version__, atomic
from crydistill.errors import CrydistillError
from crydistill.lock import exclusive
from crydistill.progress import Advance, Progress, silent

_BLOCK_BYTES = 1 << 16
_TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_PARTIAL = 206
_RANGE_NOT_SATISFIABLE = 416
_CONTENT_RANGE = re.compile(r"bytes (?:(?P<first>\d+)-\d+|\*)/(?P<total>\d+|\*)")


class DownloadError(CrydistillError):
    """Raised when a file cannot be had, or is not the file that was expected."""


@dataclass(frozen=True)
class Patience:
    """How long to put up with a bad connection.

    tries : requests in a row that bring no new byte before giving up
    first_wait : seconds before the second request; each further wait is twice as long
    longest_wait : seconds, also the most that a server's Retry-After is obeyed
    timeout : seconds without a byte after which a connection counts as dead
    """

    tries: int = 5
    first_wait: float = 1.0
    longest_wait: float = 60.0
    timeout: float = 30.0


PATIENT = Patience()


def download(
    url: str,
    path: str | Path,
    *,
    size: int | None = None,
    sha256: str | None = None,
    progress: Progress = silent,
    patience: Patience = PATIENT,
) -> Path:
    """Fetch `url` to `path`; return at once if a file of that size and sha256 is there already.

    Raises
    ------
    DownloadError
        if the server refuses for good, keeps failing, or what arrived has another size or sha256
        (it is deleted then).
    BusyError
        if another process is fetching the same file.
    """
    path = Path(path)
    wanted = _Wanted(url, size, sha256)
    if not url.startswith(("http://", "https://")):
        raise DownloadError(f"{url}: not an http or https address")
    if path.is_file() and wanted.fault(path) is None:
        return path
    part = _Part(path)
    with exclusive(part.file.with_name(f"{part.file.name}.lock")):
        _receive(wanted, part, progress, patience)
        fault = wanted.fault(part.file)
        if fault is not None:
            part.clear()
            raise DownloadError(
                f"{url}: {fault}; what arrived was deleted: try again, and if that does not help "
                "the file has changed at its source"
            )
        part.finish()
    return path


def sha256_of(path: str | Path) -> str:
    """Hexadecimal sha256 of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class _Wanted:
    """The file that was asked for, as far as it is known beforehand."""

    url: str
    size: int | None
    sha256: str | None

    def fault(self, path: Path) -> str | None:
        """What is wrong with the file at `path`, None if nothing."""
        found = path.stat().st_size
        if self.size is not None and found != self.size:
            return f"{found:,} bytes instead of {self.size:,}"
        if self.sha256 is not None and (digest := sha256_of(path)) != self.sha256:
            return f"sha256 is {digest} instead of {self.sha256}"
        return None


class _TransientError(Exception):
    """A failure that another request may cure."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True)
class _Identity:
    """Which file a part belongs to: two answers with different ones must not be glued."""

    url: str
    validator: str | None
    total: int | None


class _Part:
    """The unfinished file and the note that says what it is a part of."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path.name
        self.file = path.with_name(f"{path.name}.part")
        self._note = path.with_name(f"{path.name}.part.json")

    def length(self) -> int:
        return self.file.stat().st_size if self.file.is_file() else 0

    def identity(self) -> _Identity | None:
        try:
            return _Identity(**json.loads(self._note.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def begin(self, identity: _Identity) -> None:
        # The note goes first: a part without its note is never continued.
        self.clear()
        atomic.write_text(self._note, json.dumps(vars(identity)))

    def clear(self) -> None:
        self.file.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def finish(self) -> None:
        self.file.replace(self._path)
        self._note.unlink(missing_ok=True)


class _Meter:
    """A progress meter that opens when the size is known and follows the part's length."""

    def __init__(self, progress: Progress, task: str) -> None:
        self._progress = progress
        self._task = task
        self._stack = ExitStack()
        self._advance: Advance | None = None
        self._position = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def at(self, position: int, total: int | None) -> None:
        if self._advance is None:
            meter = self._progress(self._task, total or 0, "bytes")
            self._advance = self._stack.enter_context(meter)
        self._advance(position - self._position)
        self._position = position


def _receive(wanted: _Wanted, part: _Part, progress: Progress, patience: Patience) -> None:
    """Ask again and again until the part is complete."""
    fruitless, furthest = 0, part.length()
    with _Meter(progress, f"download {part.name}") as meter:
        while True:
            try:
                return _request(wanted, part, meter, patience.timeout)
            except _TransientError as error:
                fruitless = 1 if part.length() > furthest else fruitless + 1
                furthest = max(furthest, part.length())
                if fruitless >= patience.tries:
                    raise DownloadError(
                        f"{wanted.url}: {error}, after {fruitless} tries; run the same command "
                        "again, it goes on from where it stopped"
                    ) from error
                wait = max(error.wait, patience.first_wait * 2.0 ** (fruitless - 1))
                time.sleep(min(wait, patience.longest_wait))


def _request(wanted: _Wanted, part: _Part, meter: _Meter, timeout: float) -> None:
    """Make one request for what the part lacks and append what comes."""
    before = part.identity()
    start = _resumable_bytes(wanted, part, before)
    headers = {"User-Agent": f"crydistill/{__version__}", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if before is not None and before.validator is not None:
            headers["If-Range"] = before.validator
    try:
        response = _open(wanted.url, headers, timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == _RANGE_NOT_SATISFIABLE and start:
            return _settle_unsatisfiable(error.headers, part, start)
        raise _refusal(wanted.url, error) from error
    with response:
        if response.status == _PARTIAL:
            _check_continues(response.headers, part, before, start)
            total = _total_of(response.headers)
        else:
            start, total = 0, _length(response.headers)
            _check_size(wanted, total)
            part.begin(_Identity(wanted.url, _validator(response.headers), total))
        whole = total if total is not None else wanted.size
        end = _append(response, part, start, lambda end: meter.at(end, whole))
    if whole is not None and end < whole:
        raise _TransientError(f"the connection broke off at {end:,} of {whole:,} bytes")


def _append(response: HTTPResponse, part: _Part, end: int, report: Callable[[int], None]) -> int:
    """Append the answer's body to the part, which is `end` bytes long; return its new length."""
    report(end)
    with part.file.open("ab") as file:
        for block in _blocks(response):
            try:
                file.write(block)
                file.flush()
            except OSError as error:
                raise DownloadError(f"{part.file}: cannot be written ({error.strerror})") from error
            end += len(block)
            report(end)
    return end


def _resumable_bytes(wanted: _Wanted, part: _Part, before: _Identity | None) -> int:
    if before is None or before.url != wanted.url:
        return 0
    return part.length() if before.validator or wanted.sha256 else 0


def _settle_unsatisfiable(headers: Message, part: _Part, start: int) -> None:
    """The server has no byte beyond the part: it is complete, or belongs to another file."""
    if _total_of(headers) != start:
        part.clear()
        raise _TransientError("the file has changed on the server")


def _check_continues(headers: Message, part: _Part, before: _Identity | None, start: int) -> None:
    """Refuse a partial answer that is not the rest of the part."""
    found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
    first = found["first"] if found else None
    same_file = before is not None and (
        (_validator(headers) or before.validator) == before.validator
        and (before.total is None or _total_of(headers) in (before.total, None))
    )
    if first is None or int(first) != start or not same_file:
        part.clear()
        raise _TransientError("the file has changed on the server")


def _check_size(wanted: _Wanted, total: int | None) -> None:
    if total is not None and wanted.size is not None and total != wanted.size:
        raise DownloadError(
            f"{wanted.url}: the server offers {total:,} bytes instead of {wanted.size:,}; "
            "the file has changed at its source"
        )


def _validator(headers: Message) -> str | None:
    """A strong ETag, else the modification time: what If-Range may carry (RFC 9110, 13.1.5)."""
    etag = headers.get("ETag")
    if etag and not etag.startswith("W/"):
        return str(etag)
    modified = headers.get("Last-Modified")
    return str(modified) if modified else None


def _length(headers: Message) -> int | None:
    value = headers.get("Content-Length", "")
    return int(value) if value.isdecimal() else None


def _total_of(headers: Message) -> int | None:
    found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
    return int(found["total"]) if found and found["total"] != "*" else None


def _open(url: str, headers: dict[str, str], timeout: float) -> HTTPResponse:
    try:
        response: HTTPResponse = urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=timeout
        )
    except urllib.error.HTTPError:
        raise
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise DownloadError(
                f"{url}: the server's certificate cannot be verified ({error.reason})"
            ) from error
        raise _TransientError(f"no connection ({error.reason})") from error
    except (OSError, HTTPException) as error:
        raise _TransientError(f"no answer ({_reason(error)})") from error
    return response


def _refusal(url: str, error: urllib.error.HTTPError) -> Exception:
    reason = f"the server answers {error.code} {error.reason}"
    if error.code in _TRANSIENT_STATUS:
        after = error.headers.get("Retry-After", "")
        return _TransientError(reason, float(after) if after.isdecimal() else 0.0)
    return DownloadError(f"{url}: {reason}")


def _blocks(response: HTTPResponse) -> Iterator[bytes]:
    """Yield what arrives as it arrives, so that a kill loses next to nothing."""
    while True:
        try:
            block = response.read1(_BLOCK_BYTES)
        except (OSError, HTTPException) as error:
            raise _TransientError(f"the connection broke off ({_reason(error)})") from error
        if not block:
            return
        yield block


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
