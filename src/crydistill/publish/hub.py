"""A bundle on the Hugging Face hub: one commit, or none.

First a plan is made: which files the repository has at its newest commit, and what would change.
Publishing commits all changes at once on top of exactly that commit; had the repository moved on in
between, the hub refuses. Afterwards everything is downloaded again and compared.

The token is an argument and goes nowhere but into the requests' headers.
"""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crydistill.errors import CheckFailed, HubError, MissingExtraError, ModelError
from crydistill.progress import Progress, silent
from crydistill.publish.bundle import SUMS_NAME, Bundle, stated_sums

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_BRANCH = "main"
_CONFLICTS = (409, 412)
_UNAUTHORISED, _FORBIDDEN, _NOT_FOUND = 401, 403, 404


@dataclass(frozen=True)
class Plan:
    """What publishing would do.

    repo : `owner/name`
    parent : newest commit of the repository, on which the new one would be made
    added, changed, unchanged : paths in the bundle
    removed : paths of an earlier bundle that this one does not have; other files stay
    """

    repo: str
    parent: str
    added: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]
    removed: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether the repository holds the bundle already."""
        return not (self.added or self.changed or self.removed)


def plan_publication(
    bundle: Bundle, repo: str, *, token: str | None = None, endpoint: str | None = None
) -> Plan:
    """Compare a bundle with a repository; nothing is written anywhere.

    Parameters
    ----------
    repo : `owner/name` of a model repository that exists
    token : for private repositories
    endpoint : of another hub than huggingface.co

    Raises
    ------
    HubError
        if the repository cannot be read.
    """
    with _explained(repo):
        info = _api(token, endpoint).model_info(repo, revision=_BRANCH, files_metadata=True)
    if info.sha is None:
        raise HubError(f"{repo}: the hub names no commit; make the repository's first one there")
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
    """Commit a bundle, then download it again and compare.

    Parameters
    ----------
    bundle : as `check_bundle` found it
    plan : for this bundle
    message : of the commit; names the student if empty

    Returns
    -------
    The commit that holds the bundle.

    Raises
    ------
    CheckFailed
        if the bundle is a draft, its files changed since it was checked, or what comes back from
        the hub is not what was sent.
    HubError
        if the hub refuses or cannot be reached. The commit was made as a whole or not at all.
    """
    if bundle.draft:
        raise CheckFailed(f"{bundle.directory}: a draft, made with uncommitted code; bundle again")
    if not token:
        raise HubError("publishing needs a token that may write; set HF_TOKEN")
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
    with _explained(plan.repo, parent=plan.parent):
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
    """Download every file of the commit and compare its hash."""
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
        return set(stated_sums(text, SUMS_NAME))
    except ModelError:
        return set()  # somebody else's file of that name; it will be replaced


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
    """Whether the hub's copy has the same content; git knows small files by another hash."""
    if there.lfs is not None:
        return bool(there.lfs.sha256 == bundle.files[path])
    content = (bundle.directory / path).read_bytes()
    header = f"blob {len(content)}\0".encode()
    return bool(there.blob_id == hashlib.sha1(header + content).hexdigest())


def _message(bundle: Bundle) -> str:
    manifest = bundle.manifest
    return f"{manifest.name}: student {manifest.tflite.sha256[:10]}"


def _api(token: str | None, endpoint: str | None) -> "HfApi":
    try:
        from huggingface_hub import HfApi, utils
    except ImportError as error:
        raise MissingExtraError(
            "publishing needs huggingface_hub: pip install 'crydistill[hub]'"
        ) from error
    quiet: Any = utils  # re-exports without saying so
    quiet.disable_progress_bars()
    quiet.logging.set_verbosity_error()
    # False: not even a token that huggingface_hub has stored on this computer.
    return HfApi(endpoint=endpoint, token=token or False)


@contextmanager
def _explained(repo: str, parent: str | None = None) -> Iterator[None]:
    """Turn the library's errors into one line each; no response's text is repeated."""
    try:
        from huggingface_hub import errors
    except ImportError as error:
        raise MissingExtraError(
            "publishing needs huggingface_hub: pip install 'crydistill[hub]'"
        ) from error
    try:
        yield
    except errors.HFValidationError as error:
        raise HubError(f"{repo}: not the name of a repository; write it as owner/name") from error
    except errors.HfHubHTTPError as error:
        raise HubError(f"{repo}: {_refusal(error, parent)}") from error
    except (errors.LocalEntryNotFoundError, RuntimeError, ValueError, OSError) as error:
        raise HubError(f"{repo}: {_lost(error, parent)}") from error
    except Exception as error:
        # huggingface_hub's HTTP library, whose name has changed, raises errors of its own.
        if type(error).__module__.partition(".")[0] not in ("httpx", "httpx2", "httpcore"):
            raise
        raise HubError(f"{repo}: {_lost(error, parent)}") from error


def _refusal(error: Any, parent: str | None) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status == _UNAUTHORISED:
        return "the hub does not know the token, or there is no such repository; check HF_TOKEN"
    if status == _FORBIDDEN:
        return "the token may not do this; use one with write access to the repository"
    if status == _NOT_FOUND:
        return "no such repository or file; make the repository on the hub first"
    if status in _CONFLICTS and parent is not None:
        return (
            f"somebody committed after {parent[:10]}; nothing was published, look at what changed "
            "and plan again"
        )
    return f"the hub answers with status {status}; try again later"


def _lost(error: Exception, parent: str | None) -> str:
    what = f"the hub could not be reached, broke off or answered strangely ({type(error).__name__})"
    if parent is None:
        return f"{what}; check the connection and run it again"
    return f"{what}; a commit is made as a whole or not at all: run it without --push to see which"
