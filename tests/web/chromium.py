"""A headless Chromium that tests drive over the DevTools protocol."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_PATIENCE_SECONDS = 60
_TICK_SECONDS = 0.05


class Page:
    """A tab with an open page."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._number = 0
        self.problems: list[str] = []
        self.requests: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network", "DOM"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> Any:
        """Call a method of the protocol; events that arrive meanwhile are noted."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv(timeout=_PATIENCE_SECONDS))
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self._note(answer.get("method"), answer.get("params", {}))

    def _note(self, method: str | None, event: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(event["exceptionDetails"])[:2000])
        elif method == "Log.entryAdded" and event["entry"]["level"] == "error":
            self.problems.append(event["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(event["request"]["url"])

    def open(self, url: str) -> None:
        self.send("Page.navigate", url=url)
        self.wait_for("document.readyState === 'complete'")

    def evaluate(self, expression: str) -> Any:
        """Value of a JavaScript expression."""
        found = self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait_for(self, expression: str, seconds: float = _PATIENCE_SECONDS) -> None:
        """Wait until an expression is true."""
        deadline = time.monotonic() + seconds
        while not self.evaluate(expression):
            assert not self.problems, self.problems
            assert time.monotonic() < deadline, f"{expression} never came true"
            time.sleep(_TICK_SECONDS)

    def text(self, name: str) -> str:
        return str(self.evaluate(f"document.getElementById({json.dumps(name)}).textContent"))

    def click(self, name: str) -> None:
        """Click an element, as a person does: some things need it."""
        box = f"document.getElementById({json.dumps(name)})"
        self.evaluate(f"{box}.scrollIntoView({{block: 'center'}})")
        middle = "({x, y, width, height}) => ({x: x + width / 2, y: y + height / 2})"
        where = self.evaluate(f"({middle})({box}.getBoundingClientRect())")
        for kind in ("mousePressed", "mouseReleased"):
            press = {"type": kind, "button": "left", "clickCount": 1}
            self.send("Input.dispatchMouseEvent", **press, **where)

    def press(self, key: str) -> None:
        text = {"text": key} if len(key) == 1 else {}
        self.send("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.send("Input.dispatchKeyEvent", type="keyUp", key=key)

    def choose_file(self, name: str, path: Path) -> None:
        """Choose a file in a file input."""
        root = self.send("DOM.getDocument")["root"]["nodeId"]
        node = self.send("DOM.querySelector", nodeId=root, selector=f"#{name}")["nodeId"]
        self.send("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def downloaded(self, into: Path, name: str, start: Callable[[], None]) -> Any:
        """Content of the JSON file that something downloads."""
        self.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(into))
        start()
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not (into / name).is_file():
            assert time.monotonic() < deadline, f"{name} was not downloaded"
            time.sleep(_TICK_SECONDS)
        return json.loads((into / name).read_text(encoding="utf-8"))

    def size(self, width: int, height: int, scheme: str) -> None:
        """Be a screen of this size, light or dark."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.send("Emulation.setEmulatedMedia", features=[feature])


@contextmanager
def chromium(profile: Path, *options: str) -> Iterator[Page]:
    """Start Chromium with a new profile and end it."""
    connect = pytest.importorskip("websockets.sync.client").connect
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs chromium (.ci/packages.sh)")
    command = [
        program,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--remote-debugging-port=0",
        f"--user-data-dir={profile}",
        *options,
        "about:blank",
    ]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            address = _address(profile, process)
            with (
                connect(address, max_size=None) as browser,
                connect(_tab(browser, address), max_size=None) as socket,
            ):
                yield Page(socket)
        finally:
            process.terminate()


def _address(profile: Path, process: subprocess.Popen[bytes]) -> str:
    file = profile / "DevToolsActivePort"
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not (file.is_file() and len(lines := file.read_text().split()) == 2):
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.skip("chromium does not start here")
        time.sleep(_TICK_SECONDS)
    return f"ws://127.0.0.1:{lines[0]}{lines[1]}"


def _tab(browser: Any, address: str) -> str:
    browser.send(json.dumps({"id": 1, "method": "Target.getTargets"}))
    while (answer := json.loads(browser.recv(timeout=_PATIENCE_SECONDS))).get("id") != 1:
        pass
    (target,) = [t for t in answer["result"]["targetInfos"] if t["type"] == "page"]
    return f"{address.partition('/devtools/')[0]}/devtools/page/{target['targetId']}"
