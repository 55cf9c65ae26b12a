"""Every command that takes a student, with one that remembers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from tests.firmware.programs import Pcm, build, need
from tests.publish.runs import public_manifest, write_run
from tests.student_fixtures import (
    EMBEDDING,
    MEMORY_WINDOWS,
    manifest_for,
    memory_dir,  # noqa: F401 - fixture
    memory_tflite,  # noqa: F401 - fixture
    nursery_sounds,
)
from typer.testing import CliRunner, Result

from crydistill.audio.mel import SAMPLE_RATE
from crydistill.cli import app
from crydistill.detector.live import WINDOW_HOP_SECONDS
from crydistill.detector.sources import PATIENCE_SECONDS
from crydistill.detector.vote import Event, VoteSettings, window_end_seconds
from crydistill.errors import ConfigError
from crydistill.student.manifest import load_manifest

Floats = npt.NDArray[np.float64]

pytestmark = pytest.mark.usefixtures("memory_tflite")


def run(*arguments: object, sound: bytes | None = None, code: int = 0) -> Result:
    """Run in this process: starting a new one takes longer than these tests."""
    done = CliRunner().invoke(app, [*map(str, arguments)], input=sound)
    assert done.exit_code == code, done.output + repr(done.exception)
    return done


def cries() -> list[Pcm]:
    return [pcm for pcm, share in nursery_sounds() if share.max() > 0.5]


def others() -> list[Pcm]:
    return [pcm for pcm, share in nursery_sounds() if share.max() == 0]


def evening() -> Pcm:
    """Two spells of crying and what is heard between them; its last sample is not 0."""
    one, two, three, *_ = cries()
    pauses = np.concatenate([sound // 8 for sound in others()[:3]])
    end = np.array([9, -9], np.int16)
    return np.concatenate([others()[4], one, two, pauses, three, others()[5], end])


def written(path: Path, pcm: Pcm) -> Path:
    soundfile.write(path, pcm.astype(np.int16), SAMPLE_RATE)
    return path


def detected(file: Path, *options: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("detect", "--json", file, *options).stdout)
    return found


def live(sound: bytes, *options: object) -> list[dict[str, Any]]:
    done = run("listen", "-", *options, sound=sound)
    return [json.loads(line) for line in done.stdout.splitlines()]


def logit(scores: Any) -> Floats:
    scores = np.asarray(scores, dtype=np.float64)
    return np.log(scores / (1 - scores))


def clear_threshold(scores: list[float]) -> float:
    """A threshold that many windows reach and from which every score is far."""
    steps = np.sort(logit(scores))
    inner = steps[(steps > -2) & (steps < 2)]
    widest = int(np.argmax(np.diff(inner)))
    return float(1 / (1 + np.exp(-(inner[widest] + inner[widest + 1]) / 2)))


def spans(alerts: list[dict[str, Any]]) -> list[tuple[float, float, float | None]]:
    return [(alert["onset_s"], alert["raised_at_s"], alert["ended_at_s"]) for alert in alerts]


def live_spans(events: list[dict[str, Any]]) -> list[tuple[float, float, float | None]]:
    found = []
    for on, off in zip(events[::2], events[1::2], strict=True):
        assert (on["event"], off["event"]) == ("on", "off")
        stopped = off["reason"] == "stopped"
        found.append((on["onset_s"], on["at_s"], None if stopped else off["at_s"]))
    return found


def c_spans(events: list[Event]) -> list[tuple[float, float, float | None]]:
    ons, offs = events[::2], events[1::2]
    ends = [round(window_end_seconds(off.window), 3) for off in offs]
    return [
        (round(on.onset * WINDOW_HOP_SECONDS, 3), round(window_end_seconds(on.window), 3), end)
        for on, end in zip(ons, [*ends, *[None] * (len(ons) - len(ends))], strict=True)
    ]


class TestOneSoundManyWays:
    """A file, a pipe and the C library hear the same."""

    @pytest.fixture
    def vote(self, memory_dir: Path, tmp_path: Path) -> VoteSettings:  # noqa: F811
        found = detected(written(tmp_path / "evening.wav", evening()), "--model", memory_dir)
        threshold = clear_threshold(found["scores"])
        return VoteSettings(threshold=threshold, n=2, m=3, hold_seconds=5)

    def options(self, vote: VoteSettings, model: Path) -> tuple[object, ...]:
        votes = ("--threshold", vote.threshold, "--votes", f"{vote.n}/{vote.m}")
        return (*votes, "--hold", vote.hold_seconds, "--model", model)

    def test_a_file_and_a_pipe(
        self, memory_dir: Path, vote: VoteSettings, tmp_path: Path  # noqa: F811
    ) -> None:  # fmt: skip
        file, options = written(tmp_path / "e.wav", evening()), self.options(vote, memory_dir)
        found = detected(file, *options)
        assert len(found["alerts"]) == 2
        for sound in (file.read_bytes(), evening().astype("<i2").tobytes()):
            events = live(sound, *options)
            assert live_spans(events) == spans(found["alerts"])
            assert [off["score"] for off in events[1::2]] == [
                alert["peak_score"] for alert in found["alerts"]
            ]
            assert events[0]["operating_point"] == found["operating_point"]

    def test_the_library_in_c(
        self, memory_dir: Path, vote: VoteSettings, memory_tflite: bytes, tmp_path: Path  # noqa: F811
    ) -> None:  # fmt: skip
        need("make", "gcc")
        options = self.options(vote, memory_dir)
        program = build("all", memory_tflite, manifest_for(memory_tflite), tmp_path)
        found = detected(written(tmp_path / "e.wav", evening()), *options)
        scores, events = program.windows(evening(), settings=vote)
        assert c_spans(events) == spans(found["alerts"])
        step = manifest_for(memory_tflite).output.scale
        # Scores are printed with four digits.
        near = np.abs(logit(scores) - logit(found["scores"])) < 2.5 * step
        assert (near | (np.array(found["scores"]) < 0.01)).all()

    def test_a_gap_is_one_for_both(
        self, memory_dir: Path, vote: VoteSettings, memory_tflite: bytes, tmp_path: Path  # noqa: F811
    ) -> None:  # fmt: skip
        need("make", "gcc")
        first = np.concatenate([*cries()[:2], np.array([9])])
        last = np.concatenate([np.array([9]), cries()[2], others()[1]])
        heard, lost = int(PATIENCE_SECONDS * SAMPLE_RATE), 54_321
        options = self.options(vote, memory_dir)
        silent = np.zeros(heard + lost, np.int16)
        piped = np.concatenate([first, silent, last]).astype("<i2")
        program = build("all", memory_tflite, manifest_for(memory_tflite), tmp_path)
        kept = np.concatenate([first, silent[:heard], last]).astype(np.int16)
        gaps = ((len(first) + heard, lost),)
        scores, events = program.windows(kept, settings=vote, gaps=gaps)
        assert len(events) >= 3 and np.isnan(scores).any()
        assert live_spans(live(piped.tobytes(), *options)) == c_spans(events)
        file = written(tmp_path / "piped.wav", piped)
        assert live_spans(live(file.read_bytes(), *options)) == c_spans(events)


def test_detecting_in_several_files(memory_dir: Path, tmp_path: Path) -> None:  # noqa: F811
    crying, calm = written(tmp_path / "a.wav", cries()[0]), written(tmp_path / "b.wav", others()[4])
    # Each file begins with nothing heard, whatever came before it.
    lines = run("detect", calm, crying, calm, "--model", memory_dir).stdout.splitlines()
    assert f"{crying}: " in lines[1] and "1 alert" in lines[1] and "  cry at " in lines[2]
    assert lines[0] == lines[3] and "0 alerts" in lines[0]
    assert detected(crying, "--model", memory_dir)["student"]["name"] == "test"


def test_calibrating_and_using_the_settings(memory_dir: Path, tmp_path: Path) -> None:  # noqa: F811
    room = np.concatenate([sound // quieter for quieter in (1, 2, 3, 4) for sound in others()])
    files = written(tmp_path / "room.wav", room), written(tmp_path / "cry.wav", evening())
    out = tmp_path / "room.json"
    done = run(
        "calibrate", files[0], "--cry", files[1], "--crying", "keep", "--per-night", 400,
        "--model", memory_dir, "--out", out,
    )  # fmt: skip
    assert "false alarms per night" in done.stdout and "alert in 1 of 1" in done.stdout
    settings = json.loads(out.read_text())
    vote = settings["calibration"]["vote"]
    found = detected(files[1], "--settings", out, "--model", memory_dir)
    assert found["operating_point"]["settings"] == str(out)
    assert found["operating_point"]["threshold"] == vote["threshold"]
    assert found["alerts"]
    # Alerts in the recording are as many as the calibration says.
    again = detected(files[0], "--settings", out, "--model", memory_dir)
    assert len(again["alerts"]) == settings["calibration"]["alerts"]
    header = tmp_path / "c" / "crydistill_model.h"
    run("export", "c", header.parent, "--settings", out, "--model", memory_dir)
    assert "crydistill_preset_calibrated" in header.read_text()
    refused = CliRunner().invoke(app, ["detect", "--settings", str(out), str(files[1])])
    assert isinstance(refused.exception, ConfigError)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    for label, sounds in (("cry", cries()[:3]), ("noncry", others()[:3])):
        (folder / label).mkdir(parents=True)
        for number, sound in enumerate(sounds):
            written(folder / label / f"{number}.wav", sound)
    return folder


def test_a_night_writes_what_its_presets_did(
    corpus: Path, memory_dir: Path, tmp_path: Path  # noqa: F811
) -> None:  # fmt: skip
    out = tmp_path / "night"
    run(
        "night", corpus, "--episodes", 2, "--rooms", 0, "--votes", "1/1", "--annotate",
        "--model", memory_dir, "--out", out,
    )  # fmt: skip
    (model,) = json.loads((out / "night.json").read_text())["models"]
    assert model == "test INT8"
    manifest = load_manifest(memory_dir / "student.json")
    assert manifest.memory is not None
    assert all(preset.measured_on for preset in manifest.presets.values())


def test_robustness(
    corpus: Path, memory_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    pytest.importorskip("pyroomacoustics", reason="rooms need crydistill[train]")
    from crydistill.evaluation import robustness
    from crydistill.evaluation.conditions import conditions

    monkeypatch.setattr(robustness, "conditions", lambda: conditions()[:2])
    run(
        "robustness", corpus, "--limit", 4, "--replicates", 5, "--model", memory_dir,
        "--out", tmp_path / "out",
    )  # fmt: skip
    record = json.loads((tmp_path / "out" / "robustness.json").read_text())
    (student,) = record["students"].values()
    assert len(student["conditions"]) == 2


def test_a_profile_counts_what_is_remembered(
    memory_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    size = MEMORY_WINDOWS * EMBEDDING
    memory = json.loads(run("profile", memory_dir, "--json").stdout)["memory"]
    assert memory["remembered"] == size
    lines = run("profile", memory_dir).stdout.splitlines()
    (line,) = (line for line in lines if "remembered between windows" in line)
    assert line.split()[-2] == str(size)
    exported = run("export", "c", tmp_path / "c", "--model", memory_dir).stdout
    assert f"arena {memory['library']:,} bytes" in exported


def test_an_esp_idf_component(memory_dir: Path, memory_tflite: bytes, tmp_path: Path) -> None:  # noqa: F811
    run("export", "esp-idf", tmp_path / "idf", "--model", memory_dir)
    model = (tmp_path / "idf" / "crydistill" / "model" / "crydistill_model.c").read_text()
    memory = manifest_for(memory_tflite).memory
    assert memory is not None
    assert f".memory_bytes = {memory.windows * memory.size}," in model
    assert f".memory_zero_point = {memory.zero_point}," in model


def test_a_bundle(memory_tflite: bytes, tmp_path: Path) -> None:  # noqa: F811
    public = public_manifest()
    kept = ("presets", "training", "arena", "provenance")
    manifest = manifest_for(memory_tflite, **{name: getattr(public, name) for name in kept})
    made = write_run(tmp_path / "run", manifest)
    (made / "student.tflite").write_bytes(memory_tflite)
    run("bundle", made, tmp_path / "bundle", "--draft")
    card = (tmp_path / "bundle" / "README.md").read_text()
    assert f"embeddings of the last {MEMORY_WINDOWS} windows" in card
    found = detected(
        written(tmp_path / "e.wav", evening()), "--model", tmp_path / "bundle", "--threshold", 0.5
    )
    assert found["alerts"] and found["student"]["name"] == manifest.name
