"""Resumable HTTP(S) downloads, verified before they get their final name.

Bytes go to `NAME.part`; `NAME.part.json` next to it stores the URL, the server's validator (strong
ETag or Last-Modified) and the size. If the process is killed, both remain and the next call resumes
after the last byte. Bytes of two different files are never joined: range requests carry If-Range,
the response's own validator and size are compared, and if the server sends no validator, a partial
file is resumed only if a sha256 will verify the result.
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
from crydistill.json_file import parse_json
from crydistill.lock import exclusive
from crydistill.members import open_binary
from crydistill.progress import Advance, Progress, silent

_BLOCK_BYTES = 1 << 16
_TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_PARTIAL = 206
_RANGE_NOT_SATISFIABLE = 416
_CONTENT_RANGE = re.compile(r"bytes (?:(?P<first>\d+)-\d+|\*)/(?P<total>\d+|\*)")


class DownloadError(CrydistillError):
    """Raised when a file cannot be downloaded, or is not the expected file."""


@dataclass(frozen=True)
class RetryPolicy:
    """Retries with exponential backoff.

    tries : consecutive requests without a new byte before giving up
    first_wait : seconds before the second request; doubles with every further one
    longest_wait : upper limit of a wait in seconds, also for a server's Retry-After
    timeout : seconds without a byte after which a connection is considered dead
    """

    tries: int = 5
    first_wait: float = 1.0
    longest_wait: float = 60.0
    timeout: float = 30.0


DEFAULT_RETRIES = RetryPolicy()


def download(
    url: str,
    path: str | Path,
    *,
    size: int | None = None,
    sha256: str | None = None,
    progress: Progress = silent,
    retries: RetryPolicy = DEFAULT_RETRIES,
) -> Path:
    """Download `url` to `path`, unless a file of that size and sha256 is already there.

    Raises
    ------
    DownloadError
        if the server returns a permanent error or keeps failing, or if the downloaded file has the
        wrong size or sha256 (it is then deleted).
    BusyError
        if another process is downloading the same file.
    """
    path = Path(path)
    expected = _Expected(url, size, sha256)
    if not url.startswith(("http://", "https://")):
        raise DownloadError(f"{url}: not an http or https URL")
    if path.is_file() and expected.mismatch(path) is None:
        return path
    part = _Part(path)
    with exclusive(part.file.with_name(f"{part.file.name}.lock")):
        _receive(expected, part, progress, retries)
        mismatch = expected.mismatch(part.file)
        if mismatch is not None:
            part.clear()
            raise DownloadError(
                f"{url}: {mismatch}; the download was deleted: try again; if it fails again, the "
                "file has changed at its source"
            )
        part.finish()
    return path


def sha256_of(path: str | Path) -> str:
    """Hexadecimal sha256 of a file, or of what is in a tar or parquet file (`members`)."""
    with open_binary(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class _Expected:
    """The requested file, as far as it is known in advance."""

    url: str
    size: int | None
    sha256: str | None

    def mismatch(self, path: Path) -> str | None:
        """Return what is wrong with the file at `path`, None if nothing."""
        found = path.stat().st_size
        if self.size is not None and found != self.size:
            return f"{found:,} bytes instead of {self.size:,}"
        if self.sha256 is not None and (digest := sha256_of(path)) != self.sha256:
            return f"sha256 is {digest} instead of {self.sha256}"
        return None


class _TransientError(Exception):
    """A failure that may go away on retry."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True)
class _Identity:
    """Which file a part belongs to; responses of different identities must not be joined."""

    url: str
    validator: str | None
    total: int | None


class _Part:
    """The partial file and the metadata that says which file it is a part of."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path.name
        self.file = path.with_name(f"{path.name}.part")
        self._metadata = path.with_name(f"{path.name}.part.json")

    def length(self) -> int:
        return self.file.stat().st_size if self.file.is_file() else 0

    def identity(self) -> _Identity | None:
        try:
            return _Identity(**parse_json(self._metadata.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def begin(self, identity: _Identity) -> None:
        # Metadata first: a part without it is never resumed.
        self.clear()
        atomic.write_text(self._metadata, json.dumps(vars(identity)))

    def clear(self) -> None:
        self.file.unlink(missing_ok=True)
        self._metadata.unlink(missing_ok=True)

    def finish(self) -> None:
        self.file.replace(self._path)
        self._metadata.unlink(missing_ok=True)


class _Meter:
    """A progress meter, opened once the size is known, that follows the part's length."""

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


def _receive(expected: _Expected, part: _Part, progress: Progress, retries: RetryPolicy) -> None:
    """Retry until the part is complete."""
    attempts, longest = 0, part.length()
    with _Meter(progress, f"download {part.name}") as meter:
        while True:
            try:
                return _request(expected, part, meter, retries.timeout)
            except _TransientError as error:
                attempts = 1 if part.length() > longest else attempts + 1
                longest = max(longest, part.length())
                if attempts >= retries.tries:
                    raise DownloadError(
                        f"{expected.url}: {error}, after {attempts} tries; run the same command "
                        "again to resume"
                    ) from error
                wait = max(error.wait, retries.first_wait * 2.0 ** (attempts - 1))
                time.sleep(min(wait, retries.longest_wait))


def _request(expected: _Expected, part: _Part, meter: _Meter, timeout: float) -> None:
    """Request the missing bytes once and append what arrives."""
    stored = part.identity()
    start = _resumable_bytes(expected, part, stored)
    headers = {"User-Agent": f"crydistill/{__version__}", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if stored is not None and stored.validator is not None:
            headers["If-Range"] = stored.validator
    try:
        response = _open(expected.url, headers, timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == _RANGE_NOT_SATISFIABLE and start:
            return _handle_range_not_satisfiable(error.headers, part, start)
        raise _http_error(expected.url, error) from error
    with response:
        if response.status == _PARTIAL:
            _check_resumes(response.headers, part, stored, start)
            total = _total_of(response.headers)
        else:
            start, total = 0, _length(response.headers)
            _check_size(expected, total)
            part.begin(_Identity(expected.url, _validator(response.headers), total))
        whole = total if total is not None else expected.size
        end = _append(response, part, start, lambda end: meter.at(end, whole))
    if whole is not None and end < whole:
        raise _TransientError(f"connection lost after {end:,} of {whole:,} bytes")


def _append(response: HTTPResponse, part: _Part, end: int, report: Callable[[int], None]) -> int:
    """Append the response body to the part, which is `end` bytes long; return its new length."""
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


def _resumable_bytes(expected: _Expected, part: _Part, stored: _Identity | None) -> int:
    if stored is None or stored.url != expected.url:
        return 0
    return part.length() if stored.validator or expected.sha256 else 0


def _handle_range_not_satisfiable(headers: Message, part: _Part, start: int) -> None:
    """Handle 416: the part is complete, or belongs to a different file."""
    if _total_of(headers) != start:
        part.clear()
        raise _TransientError("the file has changed on the server")


def _check_resumes(headers: Message, part: _Part, stored: _Identity | None, start: int) -> None:
    """Refuse a partial response that does not continue the part."""
    found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
    first = found["first"] if found else None
    same_file = stored is not None and (
        (_validator(headers) or stored.validator) == stored.validator
        and (stored.total is None or _total_of(headers) in (stored.total, None))
    )
    if first is None or int(first) != start or not same_file:
        part.clear()
        raise _TransientError("the file has changed on the server")


def _check_size(expected: _Expected, total: int | None) -> None:
    if total is not None and expected.size is not None and total != expected.size:
        raise DownloadError(
            f"{expected.url}: the server sends {total:,} bytes instead of {expected.size:,}; "
            "the file has changed at its source"
        )


def _validator(headers: Message) -> str | None:
    """Return a strong ETag or else Last-Modified, as If-Range may carry (RFC 9110, 13.1.5)."""
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
        raise _TransientError(f"no response ({_reason(error)})") from error
    return response


def _http_error(url: str, error: urllib.error.HTTPError) -> Exception:
    reason = f"the server returned {error.code} {error.reason}"
    if error.code in _TRANSIENT_STATUS:
        after = error.headers.get("Retry-After", "")
        return _TransientError(reason, float(after) if after.isdecimal() else 0.0)
    return DownloadError(f"{url}: {reason}")


def _blocks(response: HTTPResponse) -> Iterator[bytes]:
    """Yield bytes as they arrive, so that a kill loses almost nothing."""
    while True:
        try:
            block = response.read1(_BLOCK_BYTES)
        except (OSError, HTTPException) as error:
            raise _TransientError(f"connection lost ({_reason(error)})") from error
        if not block:
            return
        yield block


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
