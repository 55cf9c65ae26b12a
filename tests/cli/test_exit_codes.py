"""Exit codes mean one thing everywhere: the table in docs/commands.md."""

import dataclasses
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import typer

from crydistill import cli
from crydistill.corpora.audioset import Segment, smoke_list, write_segments
from crydistill.corpora.catalogue import Installed
from crydistill.corpora.ytdlp import Tools

DONE, LEFT_OUT, COULD_NOT_RUN, INTERRUPTED = 0, 1, 2, 130

FAKE = Path(__file__).parents[1] / "fake_ytdlp.py"
REMOVED = "ERROR: [youtube] x: This video has been removed by the uploader"

MISSING: dict[str, list[str]] = {
    "run": ["none.yaml"],
    "score": ["none.yaml"],
    "select": ["none.yaml"],
    "train": ["none.yaml"],
    "quantize": ["none.yaml"],
    "evaluate": ["none.yaml"],
    "teacher fetch": ["nobody"],
    "teacher record": ["none.h5", "out.npz"],
    "detect": ["none.wav"],
    "calibrate": ["none.wav"],
    "listen": ["-", "--model", "none"],
    "service install": ["--print", "--", "--settings", "none.json"],
    "service show": ["--name", "no-such-service"],
    "service uninstall": ["--name", "no-such-service"],
    "review": ["none"],
    "adapt": ["none", "--out", "adapted"],
    "replay": ["none", "--out", "replay.npz"],
    "night": ["none"],
    "robustness": ["none"],
    "promises": ["none"],
    "adapt-homes": ["none"],
    "ids curate": ["none.csv", "none.csv"],
    "fetch": ["nobody"],
    "corpora manifest": ["none"],
    "corpora rebuild": ["none.csv", "out"],
    "nursery": ["a-file/out"],
    "nights": ["a-file/out"],
    "export c": ["out", "--model", "none"],
    "export esp-idf": ["out", "--model", "none"],
    "export arduino": ["out", "--model", "none"],
    "export platformio": ["out", "--model", "none"],
    "export zephyr": ["out", "--model", "none"],
    "export cmake": ["out", "--model", "none"],
    "export esphome": ["out", "--model", "none"],
    "export web": ["out.html", "--model", "none"],
    "web-engine": ["none", "out"],
    "firmware-cost": ["none", "cost.json"],
    "front-ends": ["none", "none"],
    "profile": ["none"],
    "guard": ["none"],
    "captures fingerprint": ["--captures", "none"],
    "captures report": ["none", "--captures", "none"],
    "bundle": ["none", "out"],
    "publish": ["none", "owner/name"],
    "tables add": ["none", "name"],
    "tables compare": ["name", "--ours", "none", "--against", "none"],
    "tables pareto": ["none"],
    "tables update": ["none.md"],
}
"""For each verb, arguments that name something that does not exist."""


def verbs() -> Iterator[str]:
    """Every verb, `GROUP VERB` for those of a group."""

    def below(command: Any, name: str) -> Iterator[str]:
        if not hasattr(command, "commands"):
            yield name
            return
        for word, inner in command.commands.items():
            yield from below(inner, f"{name} {word}".strip())

    return below(typer.main.get_command(cli.app), "")


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with one file, no cache and no settings of this machine."""
    monkeypatch.chdir(tmp_path)
    Path("a-file").write_text("")
    monkeypatch.setenv("CRYDISTILL_CACHE", str(tmp_path / "cache"))
    for variable in ("CRYDISTILL_CAPTURES", "HF_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(variable, raising=False)


def exit_code(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Run a command as the console script does."""
    monkeypatch.setattr(sys, "argv", ["crydistill", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_every_verb_is_in_the_table() -> None:
    assert sorted(verbs()) == sorted(MISSING)


@pytest.mark.parametrize("verb", MISSING)
def test_what_does_not_exist_is_one_line_and_2(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = exit_code(monkeypatch, *verb.split(), *MISSING[verb])
    said = capsys.readouterr().err
    assert code == COULD_NOT_RUN, said
    assert "Traceback" not in said, said
    assert len([line for line in said.splitlines() if line.startswith("crydistill: ")]) == 1, said


@pytest.mark.parametrize("verb", MISSING)
def test_an_unknown_option_is_2(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(monkeypatch, *verb.split(), "--no-such-option") == COULD_NOT_RUN
    assert "--no-such-option" in capsys.readouterr().err


@pytest.mark.parametrize("verb", MISSING)
def test_help_is_0(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert exit_code(monkeypatch, *verb.split(), "--help") == DONE


def test_a_stage_that_leaves_a_clip_out_is_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "crydistill.stages.score.score",
        lambda context, division: context.leave_out("left out: a.wav"),
    )
    assert exit_code(monkeypatch, "score") == LEFT_OUT
    assert "left out: a.wav" in capsys.readouterr().err
    monkeypatch.setattr("crydistill.stages.score.score", lambda context, division: None)
    monkeypatch.setattr(sys, "argv", ["crydistill", "score"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == DONE


def test_an_error_of_the_program_itself_is_2_with_its_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("broken")

    monkeypatch.setattr("crydistill.synthesis.nursery.write_nursery", broken)
    assert exit_code(monkeypatch, "nursery", "out") == COULD_NOT_RUN
    said = capsys.readouterr().err
    assert "ZeroDivisionError: broken" in said
    assert said.splitlines()[-1].startswith("crydistill: this is an error in crydistill itself")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_an_interrupted_command_is_130_and_says_so() -> None:
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from crydistill.cli import main; main()"
    )
    words = [sys.executable, "-c", program, "nights", "out", "--days", "50"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as running:
        deadline = time.monotonic() + 60
        while not Path("out").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    assert running.returncode == INTERRUPTED
    assert "crydistill: interrupted" in said
    assert "Traceback" not in said, said


class TestLeftOut:
    """What a command could not include is said, and is 1; if nothing is left, it is 2."""

    def test_detect(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        soundfile.write("hum.wav", 0.1 * np.sin(np.arange(48_000) / 20), 16_000)
        assert exit_code(monkeypatch, "detect", "hum.wav") == DONE
        assert exit_code(monkeypatch, "detect", "hum.wav", "a-file") == LEFT_OUT
        assert exit_code(monkeypatch, "detect", "a-file") == COULD_NOT_RUN
        assert "a-file" in capsys.readouterr().err

    def test_guard(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        soundfile.write("hum.wav", np.zeros(16_000), 16_000)
        assert exit_code(monkeypatch, "guard", "a-file") == DONE
        assert exit_code(monkeypatch, "guard", "a-file", "hum.wav") == LEFT_OUT
        assert "1 findings" in capsys.readouterr().err
        assert exit_code(monkeypatch, "guard", "a-file", "--allow", "none") == COULD_NOT_RUN

    def test_captures(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        home = tmp_path_factory.mktemp("home")
        for hour in (10, 11):
            samples = np.random.default_rng(hour).normal(0, 0.1, 16_000)
            soundfile.write(home / f"2026-01-01_{hour}-00-00.wav", samples, 16_000)
        words = ("captures", "fingerprint", "--captures", home)
        assert exit_code(monkeypatch, *words) == DONE
        (home / "2026-01-01_12-00-00.wav").write_bytes(b"not audio")
        assert exit_code(monkeypatch, *words) == LEFT_OUT
        assert "2026-01-01_12-00-00.wav" in capsys.readouterr().err

    def test_a_corpus_with_files_that_cannot_be_read(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        marker = Path("cache/corpora/fsdd/installed.json")
        marker.parent.mkdir(parents=True)
        for unreadable, code in ((0, DONE), (2, LEFT_OUT)):
            found = Installed("fsdd", "CC0", 3, 0, 1.0, unreadable)
            marker.write_text(json.dumps(dataclasses.asdict(found)))
            assert exit_code(monkeypatch, "fetch", "fsdd") == code
        assert "2 of its files cannot be read" in capsys.readouterr().err

    def test_audioset(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        segments = [Segment(f"-_{n:08d}x", 30.0, 31.0, ("/t/dd00002",)) for n in range(2)]
        gone = segments[0].youtube_id
        fake = Tools((sys.executable, "-I", "-S", str(FAKE), str(tmp_path)), Path("ffmpeg"))
        monkeypatch.setattr("crydistill.corpora.ytdlp.find_tools", lambda: fake)
        for name, listed in (("both", segments), ("gone", segments[:1]), ("here", segments[1:])):
            write_segments(f"{name}.csv", listed)
        words = ("fetch", "audioset", "--per-hour", 1e9, "--ids")

        plan = Path("plan.json")
        plan.write_text('{"has": {"JS runtimes": "none"}}')
        assert exit_code(monkeypatch, *words, "both.csv") == COULD_NOT_RUN
        assert "crydistill: yt-dlp has no JavaScript runtime" in capsys.readouterr().err
        assert Path("cache/audioset/ledger.jsonl").read_text() == ""

        plan.write_text(f'{{"{gone}": ["{REMOVED}"]}}')
        assert exit_code(monkeypatch, *words, "both.csv") == LEFT_OUT
        assert "1 segments are no longer public" in capsys.readouterr().err
        assert exit_code(monkeypatch, *words, "here.csv") == DONE
        assert exit_code(monkeypatch, *words, "gone.csv") == COULD_NOT_RUN

    def test_a_list_that_needs_no_network(self, monkeypatch: pytest.MonkeyPatch) -> None:
        write_segments("smoke.csv", smoke_list()[:2])
        assert exit_code(monkeypatch, "fetch", "audioset", "--ids", "smoke.csv") == DONE
