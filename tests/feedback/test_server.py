"""The review page's server, asked as a browser does and as somebody else would."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from tests.detector.sounds import LoudnessScorer, loud, quiet
from tests.feedback.toys import put

from crydistill.detector.clip_folder import ClipLabel, kept_clips, read_labels
from crydistill.detector.vote import VoteSettings
from crydistill.errors import ConfigError
from crydistill.feedback import server as serving
from crydistill.feedback.server import MOST_BODY_BYTES, ReviewServer

VOTE = VoteSettings(threshold=0.4, n=2, m=3)
NAME = "alert-1.wav"
Headers = dict[str, str]
WAIT_SECONDS = 60


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    put(tmp_path / "clips", NAME, np.concatenate([quiet(1), loud(2), quiet(1)]))
    put(tmp_path, "outside.wav", quiet(1))
    return tmp_path / "clips"


@pytest.fixture
def server(folder: Path) -> Iterator[ReviewServer]:
    with ReviewServer(folder, LoudnessScorer(), VOTE) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


class Answer:
    """What the server says to one request."""

    def __init__(
        self, server: ReviewServer, method: str, path: str, headers: Headers, body: bytes
    ) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, WAIT_SECONDS)
        connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        self.status, self.headers = answer.status, answer.headers
        self.body = answer.read()
        connection.close()


def get(server: ReviewServer, path: str = "", **headers: str) -> Answer:
    return Answer(server, "GET", f"/{server.token}/{path}", headers, b"")


def post(server: ReviewServer, path: str, body: Any, **headers: str) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    usual = {"Content-Type": "application/json", "Content-Length": str(len(data))}
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(server, "POST", f"/{server.token}/{path}", usual | given, data)


def test_it_listens_on_the_loopback_address_alone(server: ReviewServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    parts = urlsplit(server.address)
    assert (parts.hostname, parts.path) == ("127.0.0.1", f"/{server.token}/")
    assert len(server.token) >= 20


def test_the_page_loads_nothing_from_elsewhere(server: ReviewServer) -> None:
    page = get(server)
    assert page.status == 200
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    nonce = policy.partition("'nonce-")[2].partition("'")[0]
    text = page.body.decode()
    assert f'<script nonce="{nonce}">' in text
    assert "$" not in text.partition("<script")[0].replace("$(", "")
    assert "http" not in text.replace("http-equiv", "")
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert "Access-Control-Allow-Origin" not in page.headers


@pytest.mark.parametrize(
    "path", ["/", "/wrong/", "/wrong/clips", f"/wrong/audio/{NAME}", "//clips"]
)
def test_without_the_token_nothing_is_told(path: str, server: ReviewServer) -> None:
    answer = Answer(server, "GET", path, {}, b"")
    assert answer.status == 403
    assert NAME.encode() not in answer.body


def test_without_the_token_nothing_is_changed(server: ReviewServer, folder: Path) -> None:
    headers = {"Content-Type": "application/json", "Content-Length": "2"}
    for path in (f"/wrong/delete/{NAME}", f"/delete/{NAME}"):
        assert Answer(server, "POST", path, headers, b"{}").status == 403
    assert [clip.name for clip in kept_clips(folder)] == [NAME]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_another_name_for_this_machine_is_refused(host: str, server: ReviewServer) -> None:
    assert get(server, "clips", Host=host).status == 403


@pytest.mark.parametrize("host", ["127.0.0.1:9000", "localhost:1234", "localhost"])
def test_a_forwarded_port_works(host: str, server: ReviewServer) -> None:
    assert get(server, "clips", Host=host).status == 200


@pytest.mark.parametrize(
    "name",
    [
        "../outside.wav",
        "..%2Foutside.wav",
        "%2e%2e/outside.wav",
        "labels.csv",
        "%00",
        "a/../" + NAME,
    ],
)
def test_no_path_leads_out_of_the_folder(name: str, server: ReviewServer, tmp_path: Path) -> None:
    assert get(server, f"audio/{name}").status == 404
    assert post(server, f"delete/{name}", {}).status == 404
    assert (tmp_path / "outside.wav").exists()


def test_a_link_out_of_the_folder_is_no_clip(
    server: ReviewServer, folder: Path, tmp_path: Path
) -> None:
    (folder / "alert-link.wav").symlink_to(tmp_path / "outside.wav")
    assert get(server, "audio/alert-link.wav").status == 404
    assert [clip["name"] for clip in json.loads(get(server, "clips").body)["clips"]] == [NAME]


def test_a_clip_is_heard_whole_and_in_parts(server: ReviewServer, folder: Path) -> None:
    data = (folder / NAME).read_bytes()
    whole = get(server, f"audio/{NAME}")
    assert (whole.status, whole.body) == (200, data)
    assert whole.headers["Accept-Ranges"] == "bytes"
    for asked, part in (("0-1", data[:2]), ("44-", data[44:]), ("-100", data[-100:])):
        answer = get(server, f"audio/{NAME}", Range=f"bytes={asked}")
        assert (answer.status, answer.body) == (206, part)
        first = data.index(part) if asked != "44-" else 44
        if asked == "-100":
            first = len(data) - 100
        last = first + len(part) - 1
        assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(data)}"
    assert get(server, f"audio/{NAME}", Range=f"bytes={len(data)}-").status == 416
    assert get(server, f"audio/{NAME}", Range="bytes=5-2").status == 416
    assert get(server, f"audio/{NAME}", Range="lines=1-2").body == data


def test_a_picture_shows_scores_and_pitch(server: ReviewServer) -> None:
    picture = json.loads(get(server, f"picture/{NAME}").body)
    assert picture["seconds"] == 4.0
    assert max(picture["scores"]) == 1.0
    assert min(picture["scores"]) == 0.0
    assert picture["columns"] > 100


def test_what_was_said_is_written_at_once(server: ReviewServer, folder: Path) -> None:
    answer = post(server, f"label/{NAME}", {"label": "not a cry"})
    assert json.loads(answer.body)["clips"][0]["label"] == "not a cry"
    assert read_labels(folder) == {NAME: ClipLabel.NOT_A_CRY}
    post(server, f"label/{NAME}", {"label": None})
    assert read_labels(folder) == {}
    assert post(server, f"label/{NAME}", {"label": "perhaps"}).status == 400


def test_a_clip_is_deleted(server: ReviewServer, folder: Path) -> None:
    answer = post(server, f"delete/{NAME}", {})
    assert json.loads(answer.body)["clips"] == []
    assert kept_clips(folder) == []
    assert post(server, f"delete/{NAME}", {}).status == 404


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ({}, {"Origin": "http://evil.example"}, 403),
        ({}, {"Origin": "null"}, 403),
        ({}, {"Content_Type": "text/plain"}, 415),
        (b"{", {}, 400),
        (b"[]", {}, 400),
        (b"[" * 4000, {}, 400),
        (b"x" * (MOST_BODY_BYTES + 1), {}, 413),
        ({}, {"Content_Length": "many"}, 411),
    ],
)
def test_requests_that_no_page_of_ours_makes_are_refused(
    body: Any, headers: Headers, status: int, server: ReviewServer, folder: Path
) -> None:
    assert post(server, f"delete/{NAME}", body, **headers).status == status
    assert [clip.name for clip in kept_clips(folder)] == [NAME]


def test_a_damaged_clip_is_named_and_the_page_goes_on(server: ReviewServer, folder: Path) -> None:
    (folder / "near-1.wav").write_bytes(b"RIFF, or so it says")
    answer = get(server, "picture/near-1.wav")
    assert answer.status == 422
    assert b"near-1.wav" in answer.body
    assert get(server, f"picture/{NAME}").status == 200
    assert post(server, "delete/near-1.wav", {}).status == 200


def test_a_disk_that_refuses_is_named(
    server: ReviewServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(serving, "set_label", full)
    answer = post(server, f"label/{NAME}", {"label": "cry"})
    assert (answer.status, b"No space left" in answer.body) == (500, True)
    assert get(server, "clips").status == 200


def test_a_connection_ends_when_its_client_says_so(server: ReviewServer) -> None:
    answer = post(server, f"label/{NAME}", {"label": "cry"}, Connection="close")
    assert (answer.status, answer.headers["Connection"]) == (200, "close")


def test_the_body_of_what_is_refused_is_no_request(server: ReviewServer) -> None:
    inner = f"GET /{server.token}/clips HTTP/1.1\r\nHost: localhost\r\n\r\n"
    length = f"Content-Length: {len(inner)}"
    asked = f"POST / HTTP/1.1\r\nHost: evil.example\r\n{length}\r\n\r\n{inner}"
    with socket.create_connection(("127.0.0.1", server.server_port), WAIT_SECONDS) as other:
        other.sendall(asked.encode())
        said = b"".join(iter(lambda: other.recv(1000), b""))
    assert said.count(b"HTTP/1.1 ") == 1
    assert said.startswith(b"HTTP/1.1 403 ")


def test_nonsense_ends_only_its_own_connection(server: ReviewServer) -> None:
    for data in (b"\0\1\2\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", server.server_port), WAIT_SECONDS) as other:
            other.sendall(data)
            other.recv(1000)
    assert get(server, "clips").status == 200


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none: cannot be read"):
        ReviewServer(tmp_path / "none", LoudnessScorer(), VOTE)


def test_a_port_that_is_taken_is_named(server: ReviewServer, folder: Path) -> None:
    with pytest.raises(ConfigError, match=f"port {server.server_port}: cannot be used"):
        ReviewServer(folder, LoudnessScorer(), VOTE, port=server.server_port)


def test_a_picture_is_drawn_once(server: ReviewServer) -> None:
    get(server, f"picture/{NAME}")
    post(server, f"label/{NAME}", {"label": "cry"})
    before = len(server.scorer.given)  # type: ignore[attr-defined]
    get(server, f"picture/{NAME}")
    assert len(server.scorer.given) == before  # type: ignore[attr-defined]
