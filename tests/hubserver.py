"""A Hugging Face hub on the loopback address: a model repository, with the API that a commit uses.

It speaks what huggingface_hub 2 speaks: whose a token is, repository info with blobs, preupload,
the LFS batch API with PUT and verify, a commit as NDJSON with the parent's check, and resolve with
ETag and a redirect to another host for large files. Faults can be told to happen.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_a-token-that-may-write"
READ_TOKEN = "hf_a-token-that-may-read"
LFS_SUFFIXES = (".tflite", ".s16", ".i8")

Files = dict[str, bytes]


@dataclass
class Hub:
    """What a test sees of the hub, and may change.

    commits : files by commit, the newest last
    faults : called with method and path before an answer; a status other than 0 is answered
        instead, -1 cuts the connection
    tamper : path whose content is served with one byte changed
    lose_answer : make the commit, then cut the connection
    """

    address: str
    repo: str
    commits: dict[str, Files] = field(default_factory=dict)
    stored: Files = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    faults: Callable[[str, str], int] = lambda method, path: 0
    tamper: str = ""
    lose_answer: bool = False

    @property
    def head(self) -> str:
        return list(self.commits)[-1]

    @property
    def files(self) -> Files:
        return self.commits[self.head]

    def commit(self, changes: dict[str, bytes | None]) -> str:
        """Add a commit; None removes a file."""
        files = dict(self.files) if self.commits else {}
        for path, content in changes.items():
            if content is None:
                del files[path]
            else:
                files[path] = content
        name = hashlib.sha1(f"{len(self.commits)}{sorted(files)}".encode()).hexdigest()
        self.commits[name] = files
        return name


@contextmanager
def serving_hub(repo: str) -> Iterator[Hub]:
    """Serve a repository with a first commit."""
    hub: Hub

    class Handler(_Handler):
        def hub(self) -> Hub:
            return hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub = Hub(f"http://127.0.0.1:{server.server_port}", repo)
    hub.commit({".gitattributes": b"*.tflite filter=lfs diff=lfs merge=lfs -text\n"})
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def git_id(content: bytes) -> str:
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


def is_large(path: str) -> bool:
    return path.endswith(LFS_SUFFIXES)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def hub(self) -> Hub:
        raise NotImplementedError

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer("GET")

    def do_HEAD(self) -> None:
        self._answer("HEAD")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def _answer(self, method: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(self.path).path)
        hub = self.hub()
        hub.requests.append((method, path))
        fault = hub.faults(method, path)
        if fault == -1:
            self.close_connection = True
            self.connection.close()
        elif fault:
            self._json({"error": "told to fail"}, fault)
        elif path.startswith(("/storage/", "/cdn/")):
            self._storage(method, path, body)
        elif self.headers.get("Authorization") not in (f"Bearer {TOKEN}", f"Bearer {READ_TOKEN}"):
            self._json({"error": "Invalid username or password."}, 401)
        elif path == "/api/whoami-v2":
            role = "read" if READ_TOKEN in self.headers["Authorization"] else "write"
            self._json({"name": "somebody", "auth": {"accessToken": {"role": role}}})
        elif not path.startswith((f"/api/models/{hub.repo}/", f"/{hub.repo}", "/api/validate")):
            self._json({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
        else:
            self._api(method, path, body)

    def _api(self, method: str, path: str, body: bytes) -> None:
        hub = self.hub()
        if path == "/api/validate-yaml":
            ok = json.loads(body)["content"].startswith("---\n")
            self._json({"errors": [] if ok else [{"message": "no metadata"}], "warnings": []})
        elif path.startswith(f"/api/models/{hub.repo}/revision/"):
            self._info()
        elif path == f"/api/models/{hub.repo}/preupload/main":
            self._preupload(json.loads(body))
        elif path == f"/{hub.repo}.git/info/lfs/objects/batch":
            self._batch(json.loads(body))
        elif path == f"/api/models/{hub.repo}/commit/main":
            self._commit([json.loads(line) for line in body.splitlines()])
        elif path.startswith(f"/{hub.repo}/resolve/"):
            _, _, rest = path.partition("/resolve/")
            self._resolve(*rest.split("/", 1))
        else:
            self._json({"error": f"no {method} {path}"}, 404)

    def _info(self) -> None:
        hub = self.hub()
        assert parse_qs(urlsplit(self.path).query).get("blobs")
        siblings = []
        for path, content in hub.files.items():
            entry: dict[str, Any] = {
                "rfilename": path,
                "size": len(content),
                "blobId": git_id(content),
            }
            if is_large(path):
                digest = hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 130}
                entry["blobId"] = git_id(digest.encode())
            siblings.append(entry)
        self._json({"id": hub.repo, "modelId": hub.repo, "sha": hub.head, "siblings": siblings})

    def _preupload(self, request: Any) -> None:
        files = self.hub().files
        answers = []
        for entry in request["files"]:
            path = entry["path"]
            answer = {
                "path": path,
                "uploadMode": "lfs" if is_large(path) else "regular",
                "shouldIgnore": False,
            }
            if path in files and not is_large(path):
                answer["oid"] = git_id(files[path])
            answers.append(answer)
        self._json({"files": answers})

    def _batch(self, request: Any) -> None:
        objects = []
        for wanted in request["objects"]:
            answer = dict(wanted)
            if wanted["oid"] not in self.hub().stored:
                answer["actions"] = {
                    "upload": {"href": f"{self.hub().address}/storage/{wanted['oid']}"},
                    "verify": {"href": f"{self.hub().address}/storage/verify"},
                }
            objects.append(answer)
        self._json({"transfer": "basic", "objects": objects})

    def _storage(self, method: str, path: str, body: bytes) -> None:
        hub, oid = self.hub(), path.rsplit("/", 1)[-1]
        if method == "PUT":
            if hashlib.sha256(body).hexdigest() != oid:
                self._json({"error": "checksum"}, 400)
                return
            hub.stored[oid] = body
            self._bytes(b"", {})
        elif oid == "verify":
            known = json.loads(body)["oid"] in hub.stored
            self._json({}, 200 if known else 404)
        else:
            assert "Authorization" not in self.headers, "the token left the hub"
            tampered = hub.tamper and self._digest(hub.files[hub.tamper]) == oid
            self._bytes(_spoilt(hub.stored[oid]) if tampered else hub.stored[oid], {})

    def _commit(self, lines: list[Any]) -> None:
        hub = self.hub()
        header = next(line["value"] for line in lines if line["key"] == "header")
        if header.get("parentCommit") not in (None, hub.head):
            error = "A commit has happened since. Please refresh and try again."
            self._json({"error": error}, 412)
            return
        changes: dict[str, bytes | None] = {}
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                assert value["encoding"] == "base64"
                changes[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                changes[value["path"]] = hub.stored[value["oid"]]
            elif line["key"] == "deletedFile":
                changes[value["path"]] = None
        oid = hub.commit(changes)
        if hub.lose_answer:
            self.close_connection = True
            self.connection.close()
            return
        url = f"{hub.address}/{hub.repo}/commit/{oid}"
        self._json({"commitUrl": url, "commitOid": oid, "success": True})

    def _resolve(self, revision: str, path: str) -> None:
        hub = self.hub()
        files = hub.files if revision == "main" else hub.commits.get(revision, {})
        if path not in files:
            self._json({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound"})
            return
        content = files[path]
        headers = {"X-Repo-Commit": hub.head if revision == "main" else revision}
        if is_large(path):
            digest = self._digest(content)
            hub.stored.setdefault(digest, content)
            headers |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(content))}
            # The same server under another name: another host to the client.
            headers["Location"] = f"{hub.address.replace('127.0.0.1', 'localhost')}/cdn/{digest}"
            self._bytes(b"", headers, 302)
        else:
            headers["ETag"] = f'"{git_id(content)}"'
            self._bytes(_spoilt(content) if hub.tamper == path else content, headers)

    @staticmethod
    def _digest(content: bytes) -> str:
        return hashlib.sha256(content).hexdigest()

    def _json(self, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        content = json.dumps(value).encode()
        self._bytes(content, {"Content-Type": "application/json", **(headers or {})}, status)

    def _bytes(self, content: bytes, headers: dict[str, str], status: int = 200) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _spoilt(content: bytes) -> bytes:
    return bytes([content[0] ^ 1]) + content[1:]
