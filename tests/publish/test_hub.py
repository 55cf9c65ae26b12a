"""Publishing, against a server that speaks the hub's API."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from tests.hubserver import READ_TOKEN, TOKEN, Hub, serving_hub
from tests.publish.runs import COMMIT, write_run
from typer.testing import CliRunner

from crydistill.cli import app
from crydistill.errors import CheckFailed, HubError
from crydistill.publish.bundle import Bundle, check_bundle, make_bundle
from crydistill.publish.hub import Plan, check_access, plan_publication, publish

REPO = "somebody/cry-detector"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("bundle")
    return make_bundle(write_run(folder / "run"), folder / "bundle", code_commit=COMMIT)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    # The server does not speak the chunk store's protocol; retries need not be waited for.
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    with serving_hub(REPO) as hub:
        yield hub


def planned(bundle: Bundle, hub: Hub) -> Plan:
    return plan_publication(bundle, REPO, token=TOKEN, endpoint=hub.address)


def published(bundle: Bundle, hub: Hub, plan: Plan | None = None) -> str:
    plan = plan or planned(bundle, hub)
    return publish(bundle, plan, token=TOKEN, endpoint=hub.address)


def contents(bundle: Bundle) -> dict[str, bytes]:
    return {name: (bundle.directory / name).read_bytes() for name in bundle.files}


def failing(method: str, part: str, status: int) -> Callable[[str, str], int]:
    """Fail every request of a method on paths that hold a part."""
    return lambda verb, path: status if verb == method and part in path else 0


def test_one_commit_holds_the_bundle(bundle: Bundle, hub: Hub) -> None:
    parent = hub.head
    plan = planned(bundle, hub)
    assert plan.parent == parent
    assert set(plan.added) == set(bundle.files)
    assert not plan.changed
    commit = published(bundle, hub, plan)
    assert list(hub.commits) == [parent, commit]
    assert hub.files == contents(bundle) | {".gitattributes": hub.commits[parent][".gitattributes"]}
    downloads = {path for method, path in hub.requests if method == "GET"}
    assert {f"/{REPO}/resolve/{commit}/README.md"} <= downloads


def test_planning_writes_nothing(bundle: Bundle, hub: Hub) -> None:
    planned(bundle, hub)
    assert {method for method, _ in hub.requests} <= {"GET", "HEAD"}
    assert len(hub.commits) == 1


def test_the_same_bundle_again_makes_no_commit(bundle: Bundle, hub: Hub) -> None:
    first = published(bundle, hub)
    plan = planned(bundle, hub)
    assert plan.is_empty
    assert len(plan.unchanged) == len(bundle.files)
    assert published(bundle, hub, plan) == first
    assert len(hub.commits) == 2


def test_a_new_bundle_replaces_and_removes_the_old_one(
    bundle: Bundle, hub: Hub, tmp_path: Path
) -> None:
    old = make_bundle(
        write_run(tmp_path / "run"),
        tmp_path / "old",
        code_commit=COMMIT,
        licence="apache-2.0",
        library=Path(__file__).parents[2] / "firmware" / "src",
    )
    published(old, hub)
    hub.commit({"discussion.md": b"somebody else's file"})
    plan = planned(bundle, hub)
    assert "c/crydistill.h" in plan.removed
    assert "README.md" in plan.changed
    assert "student.tflite" in plan.unchanged
    published(bundle, hub, plan)
    others = {".gitattributes", "discussion.md"}
    assert hub.files.keys() == bundle.files.keys() | others
    assert len(hub.commits) == 4


def test_a_foreign_list_of_sums_is_replaced(bundle: Bundle, hub: Hub) -> None:
    hub.commit({"SHA256SUMS": b"something else", "notes.txt": b"theirs"})
    plan = planned(bundle, hub)
    assert plan.changed == ("SHA256SUMS",)
    assert not plan.removed


def test_a_parent_that_moved_is_refused(bundle: Bundle, hub: Hub) -> None:
    plan = planned(bundle, hub)
    moved = hub.commit({"other.txt": b"x"})
    with pytest.raises(HubError, match=f"the repository has commits after {plan.parent[:10]}"):
        published(bundle, hub, plan)
    assert hub.head == moved


def test_a_conflict_by_another_status_is_the_same(bundle: Bundle, hub: Hub) -> None:
    plan = planned(bundle, hub)
    hub.faults = failing("POST", "/commit/", 409)
    with pytest.raises(HubError, match="the repository has commits"):
        published(bundle, hub, plan)


@pytest.mark.parametrize(
    ("status", "message"),
    [(401, "does not accept the token"), (403, "write access"), (500, "status 500")],
)
def test_refusals_are_one_line(status: int, message: str, bundle: Bundle, hub: Hub) -> None:
    plan = planned(bundle, hub)
    hub.faults = failing("POST", "/preupload/", status)
    with pytest.raises(HubError, match=message) as raised:
        published(bundle, hub, plan)
    assert "\n" not in str(raised.value)
    assert TOKEN not in str(raised.value)
    assert len(hub.commits) == 1


def test_a_wrong_token_is_refused(bundle: Bundle, hub: Hub) -> None:
    with pytest.raises(HubError, match="HF_TOKEN"):
        plan_publication(bundle, REPO, token="hf_wrong", endpoint=hub.address)


def test_a_missing_repository_is_named(bundle: Bundle, hub: Hub) -> None:
    with pytest.raises(HubError, match="no such repository"):
        plan_publication(bundle, "somebody/else", token=TOKEN, endpoint=hub.address)
    with pytest.raises(HubError, match="owner/name"):
        plan_publication(bundle, "a/b/c", token=TOKEN, endpoint=hub.address)


@pytest.mark.parametrize(
    ("method", "part"),
    [
        ("POST", "/preupload/"),
        ("POST", "/objects/batch"),
        ("PUT", "/storage/"),
        ("POST", "/commit/"),
    ],
)
def test_a_connection_lost_before_the_commit_leaves_the_repository_as_it_was(
    method: str, part: str, bundle: Bundle, hub: Hub
) -> None:
    plan = planned(bundle, hub)
    hub.faults = failing(method, part, -1)
    with pytest.raises(HubError, match="commits are atomic"):
        published(bundle, hub, plan)
    assert len(hub.commits) == 1
    hub.faults = lambda method, path: 0
    assert published(bundle, hub) == hub.head


def test_a_commit_whose_answer_is_lost_is_found_and_compared(bundle: Bundle, hub: Hub) -> None:
    plan = planned(bundle, hub)
    hub.lose_answer = True
    with pytest.raises(HubError, match="commits are atomic"):
        published(bundle, hub, plan)
    hub.lose_answer = False
    again = planned(bundle, hub)
    assert again.is_empty
    assert published(bundle, hub, again) == hub.head
    assert len(hub.commits) == 2


def test_an_upload_that_fails_once_is_repeated(bundle: Bundle, hub: Hub) -> None:
    failures = [503]

    def once(method: str, path: str) -> int:
        return failures.pop() if failures and method == "PUT" else 0

    hub.faults = once
    assert published(bundle, hub) == hub.head


def test_a_connection_lost_while_comparing_says_so(bundle: Bundle, hub: Hub) -> None:
    plan = planned(bundle, hub)
    hub.faults = failing("HEAD", "/resolve/", -1)
    with pytest.raises(HubError, match="run the command again"):
        published(bundle, hub, plan)
    hub.faults = lambda method, path: 0
    assert planned(bundle, hub).is_empty


@pytest.mark.parametrize("path", ["student.json", "student.tflite"])
def test_what_comes_back_changed_is_noticed(path: str, bundle: Bundle, hub: Hub) -> None:
    plan = planned(bundle, hub)
    hub.tamper = path
    with pytest.raises(CheckFailed, match=f"{path} at commit .* not what was published"):
        published(bundle, hub, plan)


def test_a_file_that_changed_since_the_check_is_not_sent(
    bundle: Bundle, hub: Hub, tmp_path: Path
) -> None:
    copy = check_bundle(shutil.copytree(bundle.directory, tmp_path / "copy"))
    plan = planned(copy, hub)
    (copy.directory / "config.yaml").write_text("name: other\n", encoding="utf-8")
    with pytest.raises(CheckFailed, match=r"config\.yaml: changed since"):
        published(copy, hub, plan)
    assert len(hub.commits) == 1


def test_a_draft_is_never_published(hub: Hub, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    draft = make_bundle(run, tmp_path / "bundle", code_commit=None, draft=True)
    plan = planned(draft, hub)
    with pytest.raises(CheckFailed, match="draft"):
        published(draft, hub, plan)
    assert len(hub.commits) == 1


def test_no_token_is_taken_from_this_computer(
    bundle: Bundle, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.utils._headers, "get_token", lambda: TOKEN)
    with pytest.raises(HubError, match="does not accept the token"):
        plan_publication(bundle, REPO, endpoint=hub.address)
    with pytest.raises(HubError, match="set HF_TOKEN"):
        publish(bundle, planned(bundle, hub), token=None, endpoint=hub.address)


class TestCheckAccess:
    """What is wrong with this machine's settings is said before anything is sent."""

    @pytest.mark.parametrize("token", [TOKEN, READ_TOKEN])
    def test_a_dry_run_needs_no_more_than_reading(self, hub: Hub, token: str) -> None:
        check_access(token=token, endpoint=hub.address)
        assert hub.requests == [("GET", "/api/whoami-v2")]

    def test_without_a_token_nothing_is_sent(self, hub: Hub) -> None:
        check_access(token=None, endpoint=hub.address)
        with pytest.raises(HubError, match="set HF_TOKEN"):
            check_access(token=None, endpoint=hub.address, push=True)
        assert hub.requests == []

    def test_a_token_that_may_only_read_does_not_push(self, hub: Hub) -> None:
        check_access(token=TOKEN, endpoint=hub.address, push=True)
        with pytest.raises(HubError, match="may only read") as raised:
            check_access(token=READ_TOKEN, endpoint=hub.address, push=True)
        assert READ_TOKEN not in str(raised.value)

    def test_a_token_that_the_hub_does_not_know(self, hub: Hub) -> None:
        with pytest.raises(HubError, match="does not know this token") as raised:
            check_access(token="hf_expired", endpoint=hub.address)
        assert str(raised.value).startswith(hub.address)

    @pytest.mark.parametrize(
        ("token", "message"),
        [
            ("hf_abc def", "spaces, quotes"),
            ("hf_abc\nhf_def", "spaces, quotes"),
            ("'hf_abcdef'", "spaces, quotes"),
            ("<your token>", "spaces, quotes"),
            ("$HF_TOKEN", "spaces, quotes"),
            ("hf_ab\u200bc", "spaces, quotes"),
            ("password", "starts with hf_"),
        ],
    )
    def test_what_no_token_looks_like(self, token: str, message: str) -> None:
        with pytest.raises(HubError, match=message) as raised:
            check_access(token=token)
        assert token not in str(raised.value).replace("HF_TOKEN", "")

    def test_other_hubs_have_other_tokens(self, hub: Hub) -> None:
        with pytest.raises(HubError, match="does not know this token"):
            check_access(token="their-own", endpoint=hub.address)
        assert len(hub.requests) == 1

    @pytest.mark.parametrize(
        "endpoint",
        [
            "huggingface.co",
            "htps://huggingface.co",
            "https://",
            "https://hub:abc",
            "https://hub:99999",
            "https://hub .example",
            "https://[::1",
            "https://hub.example/?token=x",
            "file:///etc",
        ],
    )
    def test_what_is_no_hub_s_address(self, endpoint: str, bundle: Bundle) -> None:
        with pytest.raises(HubError, match="is not the URL of a hub") as raised:
            check_access(token=TOKEN, endpoint=endpoint)
        assert f"'{endpoint}'" in str(raised.value)
        with pytest.raises(HubError, match="is not the URL of a hub"):
            plan_publication(bundle, REPO, endpoint=endpoint)

    def test_a_password_in_the_address_is_not_repeated(self) -> None:
        with pytest.raises(HubError, match="holds a user name") as raised:
            check_access(token=TOKEN, endpoint="https://me:secret@hub.example")
        assert "secret" not in str(raised.value)

    def test_a_server_that_is_no_hub(self, hub: Hub) -> None:
        hub.faults = failing("GET", "/api/whoami-v2", 404)
        with pytest.raises(HubError, match="no Hugging Face hub; check HF_ENDPOINT"):
            check_access(token=TOKEN, endpoint=hub.address)

    def test_a_hub_that_is_not_there(self, hub: Hub) -> None:
        hub.faults = failing("GET", "/api/whoami-v2", -1)
        with pytest.raises(HubError, match=f"{hub.address}: the hub is unreachable"):
            check_access(token=TOKEN, endpoint=hub.address)

    def test_offline_mode_has_its_own_line(
        self, bundle: Bundle, hub: Hub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        with pytest.raises(HubError, match="offline mode, nothing is sent; unset HF_HUB_OFFLINE"):
            check_access(token=TOKEN, endpoint=hub.address)
        with pytest.raises(HubError, match="unset HF_HUB_OFFLINE"):
            planned(bundle, hub)
        assert hub.requests == []


@pytest.fixture
def command(hub: Hub, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The verb `publish` on the bundle."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    monkeypatch.delenv("CRYDISTILL_CAPTURES", raising=False)
    words = ["publish", str(bundle.directory), REPO]
    return lambda *options: CliRunner().invoke(app, [*words, *options])


def test_the_verb_only_plans_unless_told_to_push(command: Callable[..., Any], hub: Hub) -> None:
    result = command()
    assert result.exit_code == 0, result.exception
    assert "+ student.tflite" in result.output
    assert f"--push --parent {hub.head}" in result.output
    assert len(hub.commits) == 1
    pushed = command("--push", "--parent", hub.head)
    assert pushed.exit_code == 0, pushed.exception
    assert hub.head in pushed.output
    assert TOKEN not in result.output + pushed.output


def test_the_verb_checks_the_token_before_the_bundle(
    command: Callable[..., Any], hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreached(*_: Any, **__: Any) -> None:
        raise AssertionError

    monkeypatch.setenv("HF_TOKEN", READ_TOKEN)
    monkeypatch.setattr("crydistill.publish.bundle.check_bundle", unreached)
    assert "may only read" in str(command("--push").exception)
    assert hub.requests == [("GET", "/api/whoami-v2")]


def test_the_verb_refuses_another_parent(command: Callable[..., Any], hub: Hub) -> None:
    result = command("--push", "--parent", "f" * 40)
    assert isinstance(result.exception, CheckFailed)
    assert len(hub.commits) == 1


def test_the_token_is_written_nowhere(
    command: Callable[..., Any], hub: Hub, bundle: Bundle, tmp_path: Path
) -> None:
    assert command("--push").exit_code == 0
    assert not any(TOKEN.encode() in content for content in hub.files.values())
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(TOKEN.encode() in path.read_bytes() for path in written)
