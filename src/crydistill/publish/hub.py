"""Publish a bundle to the Hugging Face hub in a single commit.

A dry run first makes a plan: the files of the repository at its newest commit, and what would
change. Publishing commits all changes at once on top of exactly that commit; if the repository has
changed since, the hub refuses. Afterwards everything is downloaded and compared.

What can be wrong with this machine's settings is checked before the first request that needs them:
the endpoint and the token by their form, then the token by asking the hub whose it is.

The token is an argument and is only used in the requests' headers.
"""

import hashlib
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from crydistill.errors import CheckFailed, HubError, MissingExtraError, ModelError
from crydistill.progress import Progress, silent
from crydistill.publish.bundle import SUMS_NAME, Bundle, parse_sums

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_BRANCH = "main"
_CONFLICTS = (409, 412)
_UNAUTHORISED, _FORBIDDEN, _NOT_FOUND = 401, 403, 404

_PUBLIC_HUB = "https://huggingface.co"
_NO_LIBRARY = "publishing needs huggingface_hub: pip install 'crydistill[hub]'"
_NO_WRITE_TOKEN = "publishing needs a token with write access; set HF_TOKEN"


@dataclass(frozen=True)
class Plan:
    """Changes that publishing would make.

    repo : `owner/name`
    parent : newest commit of the repository, the parent of the new one
    added, changed, unchanged : paths in the bundle
    removed : paths of an earlier bundle that this one lacks; other files are kept
    """

    repo: str
    parent: str
    added: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]
    removed: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether the repository already has the bundle."""
        return not (self.added or self.changed or self.removed)


def check_access(*, token: str | None, endpoint: str | None = None, push: bool = False) -> None:
    """Check that the hub can be reached with these settings; writes nothing.

    Without a token, no request is sent.

    Parameters
    ----------
    token : access token; None for a dry run on a public repository
    endpoint : URL of a hub other than huggingface.co
    push : a token that may write will be needed

    Raises
    ------
    HubError
        if huggingface_hub is in offline mode, the endpoint is not the URL of a server, the token
        cannot be one, or the hub is unreachable, does not know the token, or lets it only read.
    """
    _check_settings(token, endpoint)
    if token is None:
        if push:
            raise HubError(_NO_WRITE_TOKEN)
        return
    where = endpoint or _PUBLIC_HUB
    with _explained(where, _refused_token):
        known = _api(token, endpoint).whoami()
    if push and _role(known) == "read":
        raise HubError(f"{where}: the token of HF_TOKEN may only read; make one with write access")


def plan_publication(
    bundle: Bundle, repo: str, *, token: str | None = None, endpoint: str | None = None
) -> Plan:
    """Compare a bundle with a repository, without writing anything (dry run).

    Parameters
    ----------
    repo : `owner/name` of an existing model repository
    token : access token, for private repositories
    endpoint : URL of a hub other than huggingface.co

    Raises
    ------
    HubError
        if the repository cannot be read.
    """
    _check_settings(token, endpoint)
    with _explained(repo):
        info = _api(token, endpoint).model_info(repo, revision=_BRANCH, files_metadata=True)
    if info.sha is None:
        raise HubError(f"{repo}: the repository has no commit; create its first one on the hub")
    there = {sibling.rfilename: sibling for sibling in info.siblings or ()}
    added, changed, unchanged = [], [], []
    for path in sorted(bundle.files):
        if path not in there:
            added.append(path)
        elif _is_same(bundle, path, there[path]):
            unchanged.append(path)
        else:
            changed.append(path)
    earlier = _files_of_earlier_bundle(repo, info.sha, there, token, endpoint)
    removed = sorted(earlier & there.keys() - bundle.files.keys())
    return Plan(repo, info.sha, tuple(added), tuple(changed), tuple(unchanged), tuple(removed))


def publish(
    bundle: Bundle,
    plan: Plan,
    *,
    token: str | None,
    endpoint: str | None = None,
    message: str = "",
    progress: Progress = silent,
) -> str:
    """Commit a bundle, then download it and compare.

    Parameters
    ----------
    bundle : result of `check_bundle`
    plan : plan for this bundle
    message : commit message; names the student if empty

    Returns
    -------
    The commit that holds the bundle.

    Raises
    ------
    CheckFailed
        if the bundle is a draft, its files changed since it was checked, or the downloaded files
        differ from what was sent.
    HubError
        if the hub refuses or cannot be reached. The commit is atomic.
    """
    if bundle.draft:
        raise CheckFailed(f"{bundle.directory}: a draft, made with uncommitted code; bundle again")
    if not token:
        raise HubError(_NO_WRITE_TOKEN)
    if plan.is_empty:
        commit = plan.parent
    else:
        commit = _commit(bundle, plan, token, endpoint, message or _message(bundle))
    _verify(bundle, plan.repo, commit, token, endpoint, progress)
    return commit


def _commit(bundle: Bundle, plan: Plan, token: str, endpoint: str | None, message: str) -> str:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    operations: list[Any] = [CommitOperationDelete(path) for path in plan.removed]
    for path in (*plan.added, *plan.changed):
        content = (bundle.directory / path).read_bytes()
        if hashlib.sha256(content).hexdigest() != bundle.files[path]:
            raise CheckFailed(f"{bundle.directory / path}: changed since it was checked")
        operations.append(CommitOperationAdd(path, content))
    with _explained(plan.repo, _refused, parent=plan.parent):
        made = _api(token, endpoint).create_commit(
            plan.repo,
            operations,
            commit_message=message,
            revision=_BRANCH,
            parent_commit=plan.parent,
        )
    return str(made.oid)


def _verify(
    bundle: Bundle,
    repo: str,
    commit: str,
    token: str,
    endpoint: str | None,
    progress: Progress,
) -> None:
    """Download every file of the commit and compare checksums."""
    with progress("comparing with the hub", len(bundle.files), "files") as advance:
        for path, wanted in bundle.files.items():
            content = _downloaded(repo, commit, path, token, endpoint)
            if hashlib.sha256(content).hexdigest() != wanted:
                raise CheckFailed(
                    f"{repo}: {path} at commit {commit[:10]} is not what was published; "
                    "revert that commit on the hub"
                )
            advance(1)


def _files_of_earlier_bundle(
    repo: str, commit: str, there: dict[str, Any], token: str | None, endpoint: str | None
) -> set[str]:
    if SUMS_NAME not in there:
        return set()
    text = _downloaded(repo, commit, SUMS_NAME, token, endpoint).decode("utf-8", "replace")
    try:
        return set(parse_sums(text, SUMS_NAME))
    except ModelError:
        return set()  # an unrelated file of that name; it will be replaced


def _downloaded(
    repo: str, commit: str, path: str, token: str | None, endpoint: str | None
) -> bytes:
    from huggingface_hub import hf_hub_download

    with tempfile.TemporaryDirectory(prefix="crydistill-") as folder, _explained(repo):
        file = hf_hub_download(
            repo,
            path,
            revision=commit,
            local_dir=folder,
            token=token or False,
            endpoint=endpoint,
            force_download=True,
        )
        return Path(file).read_bytes()


def _is_same(bundle: Bundle, path: str, there: Any) -> bool:
    """Whether the hub's copy has the same content; for small files it gives git's blob hash."""
    if there.lfs is not None:
        return bool(there.lfs.sha256 == bundle.files[path])
    content = (bundle.directory / path).read_bytes()
    header = f"blob {len(content)}\0".encode()
    return bool(there.blob_id == hashlib.sha1(header + content).hexdigest())


def _message(bundle: Bundle) -> str:
    manifest = bundle.manifest
    return f"{manifest.name}: student {manifest.tflite.sha256[:10]}"


def _role(known: Any) -> str | None:
    """What a token may do, by the hub's answer; None if a hub of another kind does not say."""
    for key in ("auth", "accessToken", "role"):
        known = known.get(key) if isinstance(known, dict) else None
    return known if isinstance(known, str) else None


def _check_settings(token: str | None, endpoint: str | None) -> None:
    """Check what can be checked without a request. The token is in no message."""
    try:
        from huggingface_hub import constants
    except ImportError as error:
        raise MissingExtraError(_NO_LIBRARY) from error
    if constants.is_offline_mode():
        raise HubError(
            "huggingface_hub is in offline mode, nothing is sent; unset HF_HUB_OFFLINE (and "
            "TRANSFORMERS_OFFLINE)"
        )
    if endpoint is not None:
        _check_endpoint(endpoint)
    if token is None:
        return
    if not re.fullmatch(r"[!-~]+", token) or re.search(r"[\"'`<>$]", token):
        raise HubError("HF_TOKEN holds spaces, quotes or other characters that no token has")
    if endpoint in (None, _PUBLIC_HUB) and not token.startswith("hf_"):
        raise HubError(
            "HF_TOKEN is not a token of huggingface.co, which starts with hf_; copy it from "
            f"{_PUBLIC_HUB}/settings/tokens"
        )


def _check_endpoint(endpoint: str) -> None:
    fault = f"HF_ENDPOINT '{endpoint}' is not the URL of a hub; write it as {_PUBLIC_HUB}"
    try:
        parts = urlsplit(endpoint)
        parts.port  # noqa: B018 - raises if it is not a port
    except ValueError as error:
        raise HubError(fault) from error
    if parts.username or parts.password:
        # Not in the message: it may be a password.
        raise HubError("HF_ENDPOINT holds a user name; the hub takes a token, in HF_TOKEN")
    extra = parts.query or parts.fragment or re.search(r"\s", endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or extra:
        raise HubError(fault)


def _api(token: str | None, endpoint: str | None) -> "HfApi":
    try:
        from huggingface_hub import HfApi, utils
    except ImportError as error:
        raise MissingExtraError(_NO_LIBRARY) from error
    quiet: Any = utils  # not declared as a re-export
    quiet.disable_progress_bars()
    quiet.logging.set_verbosity_error()
    # False: do not use a token that huggingface_hub has stored on this computer either.
    return HfApi(endpoint=endpoint, token=token or False)


def _refused(status: int | None, parent: str | None) -> str:
    """What a status means when a repository was asked for."""
    if status == _UNAUTHORISED:
        return "the hub does not accept the token, or there is no such repository; check HF_TOKEN"
    if status == _FORBIDDEN:
        return "the token lacks permission; use one with write access to the repository"
    if status == _NOT_FOUND:
        return "no such repository or file; create the repository on the hub first"
    if status in _CONFLICTS and parent is not None:
        return (
            f"the repository has commits after {parent[:10]}; nothing was published, review them "
            "and plan again"
        )
    return f"the hub responds with status {status}; try again later"


def _refused_token(status: int | None, _: str | None) -> str:
    """What a status means when the hub was asked whose the token is."""
    if status in (_UNAUTHORISED, _FORBIDDEN):
        return "the hub does not know this token; it may have expired, set HF_TOKEN to a new one"
    if status == _NOT_FOUND:
        return "this is no Hugging Face hub; check HF_ENDPOINT"
    return f"the hub responds with status {status}; try again later"


@contextmanager
def _explained(
    what: str,
    refused: Callable[[int | None, str | None], str] = _refused,
    parent: str | None = None,
) -> Iterator[None]:
    """Turn the library's errors into one line each, without the responses' text.

    what : the repository, or the hub's URL
    refused : what an HTTP status means
    parent : the commit that a new one was to follow
    """
    try:
        from huggingface_hub import errors
    except ImportError as error:
        raise MissingExtraError(_NO_LIBRARY) from error
    try:
        yield
    except errors.HFValidationError as error:
        raise HubError(f"{what}: not a repository name; write it as owner/name") from error
    except errors.HfHubHTTPError as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        raise HubError(f"{what}: {refused(status, parent)}") from error
    except (errors.LocalEntryNotFoundError, RuntimeError, ValueError, OSError) as error:
        raise HubError(f"{what}: {_connection_error(error, parent)}") from error
    except Exception as error:
        # huggingface_hub's HTTP library, which varies by version, raises errors of its own.
        if type(error).__module__.partition(".")[0] not in ("httpx", "httpx2", "httpcore"):
            raise
        raise HubError(f"{what}: {_connection_error(error, parent)}") from error


def _connection_error(error: Exception, parent: str | None) -> str:
    what = (
        f"the hub is unreachable, disconnected or sent an invalid response ({type(error).__name__})"
    )
    if parent is None:
        return f"{what}; check the connection and run the command again"
    return f"{what}; commits are atomic: run it without --push to see if it was made"
