"""Tests of running yt-dlp. The messages in `data/yt_dlp_messages.json` are from issue threads
(`seen_in`) or from yt-dlp's source."""

import importlib.metadata
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fake_ytdlp import HAS, header

from crydistill.corpora.audioset import Segment
from crydistill.corpora.ledger import GONE, State
from crydistill.corpora.ytdlp import (
    FetchFailedError,
    Tools,
    YtDlp,
    check_tools,
    classify,
    find_tools,
)
from crydistill.errors import MissingExtraError, SetupError

MESSAGES = json.loads(
    (Path(__file__).parent / "data" / "yt_dlp_messages.json").read_text(encoding="utf-8")
)
SEGMENT = Segment("-_aaaaaaaaa", 23.5, 33.5, ("/t/dd00002",))


def program(folder: Path, source: str) -> Tools:
    """A fake yt-dlp with the given Python source."""
    path = folder / "tool.py"
    path.write_text(source, encoding="utf-8")
    return Tools((sys.executable, "-I", "-S", str(path)), folder / "ffmpeg")


def attempt(tools: Tools, folder: Path, timeout: float = 20.0) -> FetchFailedError:
    work = folder / "work"
    work.mkdir()
    with pytest.raises(FetchFailedError) as caught:
        YtDlp(tools, "http://127.0.0.1/{id}", timeout).fetch(SEGMENT, work)
    return caught.value


@pytest.mark.parametrize("recorded", MESSAGES, ids=lambda recorded: recorded["stderr"][:60])
def test_recorded_messages(recorded: dict[str, str], tmp_path: Path) -> None:
    """Each message as the standard error of a failing process."""
    source = f"import sys; sys.stderr.buffer.write({recorded['stderr'].encode()!r}); sys.exit(1)"
    failure = attempt(program(tmp_path, source), tmp_path)
    assert failure.state == recorded["state"]
    assert "\n" not in str(failure)


def test_every_state_that_a_message_can_mean_was_recorded() -> None:
    assert {recorded["state"] for recorded in MESSAGES} == set(State) - {State.DONE}


def test_a_request_to_sign_in_that_gives_a_reason_is_about_the_video() -> None:
    assert classify("This is a private video. Please sign in to verify that you may see it.") is (
        State.PRIVATE
    )
    assert classify("Please sign in to confirm your age.") is State.AGE_RESTRICTED
    assert classify("Please sign in.") is State.RATE_LIMITED


@given(st.text())
def test_chance_text_is_not_a_takedown(text: str) -> None:
    assert classify(f"ERROR: [youtube] {text}") not in GONE


def test_limits_in_the_lines_before_the_error_count(tmp_path: Path) -> None:
    """ffmpeg's messages and yt-dlp's warnings count if its error message is unspecific."""
    source = (
        "import sys\n"
        "print('[https @ 0x1] HTTP error 429 Too Many Requests', file=sys.stderr)\n"
        "print('ERROR: ffmpeg exited with code 8', file=sys.stderr)\n"
        "sys.exit(1)"
    )
    assert attempt(program(tmp_path, source), tmp_path).state is State.RATE_LIMITED


def test_a_takedown_is_one_even_after_a_limit_was_met(tmp_path: Path) -> None:
    source = (
        "import sys\n"
        "print('WARNING: HTTP Error 429: Too Many Requests. Retrying (1/3)...', file=sys.stderr)\n"
        "print('ERROR: [youtube] x: This video has been removed by x', file=sys.stderr)\n"
        "sys.exit(1)"
    )
    assert attempt(program(tmp_path, source), tmp_path).state is State.REMOVED


def test_no_message(tmp_path: Path) -> None:
    failure = attempt(program(tmp_path, "raise SystemExit(3)"), tmp_path)
    assert (failure.state, str(failure)) == (State.NOT_UNDERSTOOD, "no message")


def test_killed_after_the_timeout_with_its_children(tmp_path: Path) -> None:
    source = (
        "import subprocess, sys, time\n"
        'code = \'import time; time.sleep(3); open("survived", "w")\'\n'
        "subprocess.Popen([sys.executable, '-c', code])\n"
        "time.sleep(60)"
    )
    failure = attempt(program(tmp_path, source), tmp_path, timeout=1.0)
    assert (failure.state, str(failure)) == (State.NETWORK, "killed after 1 s")
    time.sleep(2.5)
    assert not (tmp_path / "work" / "survived").exists()


@pytest.mark.parametrize(
    ("source", "state", "reason"),
    [
        ("pass", State.NETWORK, "left no file"),
        ("open('a', 'w'); open('b', 'w')", State.NETWORK, "left a, b"),
        ("open('audio.webm', 'w').write('<html>')", State.BAD_MEDIA, "cannot be decoded"),
        ("open('audio.webm', 'w')", State.BAD_MEDIA, "the file is empty"),
    ],
)
def test_what_it_leaves_is_examined(tmp_path: Path, source: str, state: State, reason: str) -> None:
    failure = attempt(program(tmp_path, source), tmp_path)
    assert failure.state is state
    assert reason in str(failure)
    assert str(tmp_path) not in str(failure)


def test_the_id_is_never_an_option(tmp_path: Path) -> None:
    source = "import sys, json\nsys.stderr.write('ERROR: ' + json.dumps(sys.argv[1:])); sys.exit(1)"
    arguments = json.loads(str(attempt(program(tmp_path, source), tmp_path)))
    assert arguments[-2:] == ["--", "http://127.0.0.1/-_aaaaaaaaa"]
    assert "--download-sections=*23.5-33.5" in arguments
    assert "--ignore-config" in arguments


def test_stopped_it_starts_nothing(tmp_path: Path) -> None:
    source = YtDlp(program(tmp_path, "open('started', 'w')"), "x/{id}", 5.0)
    source.stop()
    with pytest.raises(FetchFailedError, match="interrupted"):
        source.fetch(SEGMENT, tmp_path)
    assert not (tmp_path / "started").exists()


def test_a_vanished_program(tmp_path: Path) -> None:
    tools = Tools((str(tmp_path / "nothing"),), tmp_path / "ffmpeg")
    with pytest.raises(SetupError, match="nothing: cannot be run"):
        YtDlp(tools, "x/{id}", 5.0).fetch(SEGMENT, tmp_path)


@pytest.mark.parametrize(
    ("warning", "fault"),
    [
        (
            "WARNING: [youtube] No supported JavaScript runtime could be found. Only deno is "
            "enabled by default; to use another runtime add  --js-runtimes RUNTIME[:PATH]",
            "no JavaScript runtime",
        ),
        (
            "WARNING: [youtube] [jsc:deno] Challenge solver lib script version 0.7.0 is not "
            "supported (source: python package, variant: minified, supported version: 0.8.0)",
            "yt-dlp-ejs that belongs to its version",
        ),
        (
            "WARNING: [youtube] [jsc] Remote component challenge solver script (deno) was skipped. "
            "It may be required to solve JS challenges.",
            "yt-dlp-ejs that belongs to its version",
        ),
        (
            "ERROR: You have requested downloading the video partially, but ffmpeg is not "
            "installed. Aborting",
            "finds no ffmpeg",
        ),
        (
            "ERROR: unable to write data: [Errno 28] No space left on device",
            "the disk is full",
        ),
    ],
)
def test_what_this_machine_lacks_says_nothing_about_the_video(
    warning: str, fault: str, tmp_path: Path
) -> None:
    """Not even with the answer that YouTube gives those who do not run its JavaScript."""
    errors = f"{warning}\nERROR: [youtube] x: Sign in to confirm you're not a bot.\n"
    source = f"import sys; sys.stderr.write({errors!r}); sys.exit(1)"
    (tmp_path / "work").mkdir()
    with pytest.raises(SetupError, match=fault) as raised:
        YtDlp(program(tmp_path, source), "x/{id}", 20.0).fetch(SEGMENT, tmp_path / "work")
    assert "\n" not in str(raised.value)


def test_formats_that_yt_dlp_could_not_unlock_are_not_missing(tmp_path: Path) -> None:
    errors = (
        "WARNING: [youtube] x: n challenge solving failed: Some formats may be missing.\n"
        "ERROR: [youtube] x: Requested format is not available.\n"
    )
    failure = attempt(
        program(tmp_path, f"import sys; sys.stderr.write({errors!r}); sys.exit(1)"), tmp_path
    )
    assert failure.state is State.NOT_UNDERSTOOD
    assert "pip install --upgrade" in str(failure)


class TestCheckTools:
    """What yt-dlp's verbose header says of this machine."""

    @staticmethod
    def saying(folder: Path, **has: str) -> Tools:
        said = header(HAS | {name.replace("_", " "): value for name, value in has.items()})
        return program(folder, f"import sys; sys.exit({said!r})")

    def test_nothing_is_missing(self, tmp_path: Path) -> None:
        check_tools(self.saying(tmp_path))
        check_tools(self.saying(tmp_path, JS_runtimes="deno-2.9.8, node-20.20.2 (unsupported)"))
        check_tools(self.saying(tmp_path, JS_runtimes="node-22.1.0"))

    @pytest.mark.parametrize(
        ("has", "fault"),
        [
            ({"JS_runtimes": "none"}, "no JavaScript runtime, which YouTube needs: pip install"),
            (
                {"JS_runtimes": "node-20.20.2 (unsupported)"},
                r"no JavaScript runtime, which YouTube needs \(node-20\.20\.2 is too old\)",
            ),
            ({"Optional_libraries": "certifi-2026.10.18"}, "lacks its package yt-dlp-ejs"),
            ({"Optional_libraries": "none"}, "lacks its package yt-dlp-ejs"),
            ({"exe_versions": "none"}, "ffmpeg: ffmpeg cannot be run"),
        ],
    )
    def test_what_is_missing_is_named(
        self, has: dict[str, str], fault: str, tmp_path: Path
    ) -> None:
        with pytest.raises(SetupError, match=fault) as raised:
            check_tools(self.saying(tmp_path, **has))
        assert "\n" not in str(raised.value)
        assert str(raised.value).endswith(
            "pip install 'crydistill[audioset]'; nothing was downloaded"
        )

    def test_a_deno_that_does_not_run_is_named(self, tmp_path: Path) -> None:
        tools = self.saying(tmp_path, JS_runtimes="none")
        with pytest.raises(SetupError, match=r"\(x/deno does not run here\)"):
            check_tools(Tools(tools.yt_dlp, tools.ffmpeg, Path("x/deno")))

    def test_yt_dlp_from_before_javascript_was_needed(self, tmp_path: Path) -> None:
        said = "Usage: yt-dlp [OPTIONS] URL\n\nyt-dlp: error: no such option: --js-runtimes"
        with pytest.raises(SetupError, match="too old for today's YouTube: pip install --upgrade"):
            check_tools(program(tmp_path, f"import sys; sys.exit({said!r})"))

    def test_yt_dlp_that_does_not_run(self, tmp_path: Path) -> None:
        with pytest.raises(SetupError, match=r"yt-dlp cannot be run \(ImportError: broken\)"):
            check_tools(program(tmp_path, "raise ImportError('broken')"))
        with pytest.raises(SetupError, match="nothing: yt-dlp cannot be run"):
            check_tools(Tools((str(tmp_path / "nothing"),), tmp_path / "ffmpeg"))

    def test_the_real_one(self, tmp_path: Path) -> None:
        """Its answer holds what is asked of it, and one install brings everything."""
        try:
            tools = find_tools()
        except MissingExtraError as error:
            pytest.skip(str(error))
        nothing = Tools(tools.yt_dlp, tmp_path / "ffmpeg", tmp_path / "deno")
        with pytest.raises(SetupError, match="ffmpeg: ffmpeg cannot be run"):
            check_tools(nothing)
        try:
            importlib.metadata.version("yt-dlp-ejs")
            importlib.metadata.version("deno")
        except importlib.metadata.PackageNotFoundError as error:
            pytest.skip(f"{error.name} is not installed")
        assert tools.deno is not None
        version = subprocess.run(
            [tools.deno, "--version"], capture_output=True, check=True, text=True
        )
        assert version.stdout.startswith("deno ")
        check_tools(tools)


class TestFindTools:
    @pytest.fixture(autouse=True)
    def _nothing_installed(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    @staticmethod
    def install(folder: Path, name: str) -> None:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)

    def test_programs_on_the_path(self, tmp_path: Path) -> None:
        self.install(tmp_path, "yt-dlp")
        self.install(tmp_path, "ffmpeg")
        assert find_tools() == Tools((str(tmp_path / "yt-dlp"),), tmp_path / "ffmpeg")

    def test_what_is_missing_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(MissingExtraError, match=r"yt-dlp is not installed: pip install"):
            find_tools()
        self.install(tmp_path, "yt-dlp")
        with pytest.raises(MissingExtraError, match=r"ffmpeg is not installed: pip install"):
            find_tools()
