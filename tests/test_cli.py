import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from crydistill.detector.calibrate import REACH
from crydistill.detector.settings import reachable_score
from crydistill.student.manifest import MANIFEST_NAME, load_manifest
from crydistill.student.packaged import packaged_student
from crydistill.synthesis.nursery import compose, render

CRYDISTILL = [sys.executable, "-m", "crydistill"]

WITHOUT_TRAINING_EXTRA = """
import sys
for name in ("tensorflow", "keras", "h5py", "matplotlib", "sklearn", "tflite_micro"):
    sys.modules[name] = None
sys.argv = ["crydistill", *sys.argv[1:]]
from crydistill.cli import main
main()
"""


LOADED_MODULES = """
import sys
from crydistill.cli import main
try:
    main()
except SystemExit:
    print(sorted(sys.modules))
"""


def run(*arguments: object, command: list[str] = CRYDISTILL) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def complaint(result: subprocess.CompletedProcess[str]) -> str:
    """The one line a failed command says."""
    assert "Traceback" not in result.stderr
    (line,) = [text for text in result.stderr.splitlines() if text.startswith("crydistill: ")]
    return line


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A synthetic cry and a synthetic hum."""
    directory = tmp_path_factory.mktemp("recordings")
    paths = {}
    clips = {clip.category: clip for clip in compose(3)}
    for name, category in (("cry", "baby_cry"), ("hum", "hum")):
        paths[name] = directory / f"{name}.wav"
        soundfile.write(paths[name], np.tile(render(clips[category]), 2), 16_000)
    return paths


def test_help_names_the_verbs() -> None:
    result = run("--help")
    assert result.returncode == 0
    for verb in ("run", "score", "select", "train", "quantize", "evaluate", "detect", "teacher"):
        assert f"\n  {verb} " in result.stdout


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_an_answer_at_once_loads_nothing_heavy(option: str) -> None:
    modules = run("-c", LOADED_MODULES, option, command=[sys.executable]).stdout
    assert "'typer'" in modules
    for heavy in ("numpy", "scipy", "pydantic", "tensorflow", "keras", "ai_edge_litert"):
        assert f"'{heavy}'" not in modules


def test_detect_finds_the_cry_and_not_the_hum(recordings: dict[str, Path]) -> None:
    result = run("detect", "--json", recordings["cry"], recordings["hum"])
    assert result.returncode == 0, result.stderr
    cry, hum = map(json.loads, result.stdout.splitlines())
    assert len(cry["alerts"]) >= 1
    assert hum["alerts"] == []
    assert max(cry["scores"]) > 2 * max(hum["scores"])


def test_detect_works_without_the_training_extra(recordings: dict[str, Path]) -> None:
    light = [sys.executable, "-c", WITHOUT_TRAINING_EXTRA]
    result = run("detect", recordings["cry"], command=light)
    assert result.returncode == 0, result.stderr
    assert "  cry at " in result.stdout


def test_training_without_its_extra_says_what_to_install(tmp_path: Path) -> None:
    light = [sys.executable, "-c", WITHOUT_TRAINING_EXTRA]
    result = run("run", "--runs", tmp_path, command=light)
    assert result.returncode == 2
    assert "crydistill[train]" in complaint(result)


def test_a_bad_file_does_not_stop_the_others(recordings: dict[str, Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"not audio")
    result = run("detect", bad, recordings["hum"])
    assert result.returncode == 1
    assert "bad.wav" in complaint(result)
    assert "hum.wav" in result.stdout


def test_only_bad_files_cannot_run(tmp_path: Path) -> None:
    result = run("detect", tmp_path / "none.wav")
    assert result.returncode == 2
    assert "no such file" in complaint(result)


def test_a_foreign_model_is_refused(recordings: dict[str, Path], tmp_path: Path) -> None:
    model = tmp_path / "student.tflite"
    model.write_bytes(b"\x1c\x00\x00\x00TFL3" + bytes(100))
    result = run("detect", "--model", model, recordings["hum"])
    assert result.returncode == 2
    assert "student.json" in complaint(result)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "none.yaml"], "no such config file"),
        (["train", "--set", "training.epoch=1"], "unknown key 'training.epoch'"),
        (["select", "--set", "data.train.0.nursery_seed=null"], "give exactly one of path"),
        (["detect", "--preset", "deaf", "x.wav"], "no preset 'deaf'"),
        (["detect", "--votes", "9/5", "x.wav"], "9 of 5 is not a vote"),
        (["detect", "--threshold", "1.2", "x.wav"], "no score of the student memory-seed0 reaches"),
        (["detect", "--threshold", "-0.1", "x.wav"], "at least 0"),
        (["listen", "--threshold", "0.99999", "-"], "choose a threshold of 0 to 0.9997"),
        (["teacher", "record", "none.h5", "out.npz"], "none.h5"),
    ],
)
def test_misuse_is_one_line_and_exit_code_2(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    result = subprocess.run(
        [*CRYDISTILL, *arguments], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert result.returncode == 2
    assert message in complaint(result)


def test_nursery_writes_a_corpus(tmp_path: Path) -> None:
    result = run("nursery", tmp_path / "audio")
    assert result.returncode == 0
    assert (tmp_path / "audio/clips.csv").is_file()


def test_a_room_is_calibrated_and_the_settings_are_used(
    recordings: dict[str, Path], tmp_path: Path
) -> None:
    room = tmp_path / "room.wav"
    hum, _ = soundfile.read(recordings["hum"])
    soundfile.write(room, np.tile(hum, 6), 16_000)
    settings = tmp_path / "room.json"
    made = run("calibrate", room, "--out", settings, "--cry", recordings["cry"])
    assert made.returncode == 0, made.stderr
    assert "cries: alert in 1 of 1 recordings" in made.stdout
    assert "warning" in made.stderr
    found = run("detect", "--json", "--settings", settings, room, recordings["cry"])
    quiet, cry = map(json.loads, found.stdout.splitlines())
    assert quiet["alerts"] == []
    assert len(cry["alerts"]) >= 1


@pytest.fixture(scope="module")
def rooms(recordings: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings of a room that no threshold should come from."""
    folder = tmp_path_factory.mktemp("rooms")
    cry, _ = soundfile.read(recordings["cry"])
    hiss = np.random.default_rng(0).normal(0, 0.01, 60 * 16_000)
    sounds = {
        "silent": np.zeros(60 * 16_000),
        "constant": np.full(60 * 16_000, 0.25),
        "hiss": hiss,
        "brief": hiss[:19_200],
        "crying": np.concatenate([hiss[: 10 * 16_000], np.tile(cry, 2)]),
    }
    for name, sound in sounds.items():
        soundfile.write(folder / f"{name}.wav", sound, 16_000)
    soundfile.write(folder / "hiss.flac", hiss, 16_000)
    return folder


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["silent.wav"], "silent.wav: holds no sound"),
        (["hiss.wav", "constant.wav"], "constant.wav: holds no sound"),
        (["brief.wav"], "brief.wav: 1.2 s are too short to vote"),
        (["hiss.wav", "hiss.wav"], "hiss.wav: is given twice"),
        (["hiss.wav", "hiss.flac"], "hiss.flac: holds the same sound as hiss.wav"),
        (["hiss.wav", "--cry", "hiss.wav"], "hiss.wav: is given twice"),
        (["crying.wav"], "sounds like crying: crying.wav at 0:1"),
        (["crying.wav", "--method", "max-margin"], "sounds like crying: crying.wav at 0:1"),
        (["hiss.wav", "--cry", "silent.wav"], "silent.wav: holds no sound"),
    ],
)
def test_a_recording_that_spoils_the_threshold_is_refused(
    rooms: Path, given: list[str], message: str
) -> None:
    result = subprocess.run(
        [*CRYDISTILL, "calibrate", *given], capture_output=True, text=True, check=False, cwd=rooms
    )
    assert result.returncode == 2
    assert message in complaint(result)
    assert not (rooms / "room.json").exists()


@pytest.mark.parametrize("method", ["tail", "max-margin"])
def test_a_threshold_beyond_every_cry_is_capped_and_said(
    rooms: Path, tmp_path: Path, method: str
) -> None:
    crying, settings = rooms / "crying.wav", tmp_path / "room.json"
    result = run(
        "calibrate", crying, "--crying", "keep", "--method", method, "--out", settings,
        "--votes", "1/1",
    )  # fmt: skip
    assert result.returncode == 1
    manifest = load_manifest(packaged_student() / MANIFEST_NAME)
    cap = REACH * reachable_score(manifest)
    assert f"capped at {cap:.3f}" in result.stderr
    threshold = json.loads(settings.read_text())["calibration"]["vote"]["threshold"]
    assert threshold == pytest.approx(cap, abs=1e-6)
    found = run("detect", "--json", "--settings", settings, crying)
    assert found.returncode == 0, found.stderr


def test_crying_can_be_left_out_of_a_calibration(rooms: Path, tmp_path: Path) -> None:
    settings = tmp_path / "room.json"
    result = run(
        "calibrate", rooms / "hiss.wav", rooms / "crying.wav", "--crying", "skip", "--out", settings
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(settings.read_text())["calibration"]["vote"]["threshold"] < 0.3


def test_a_threshold_at_which_no_given_cry_is_heard_fails(rooms: Path, tmp_path: Path) -> None:
    settings = tmp_path / "room.json"
    soft = tmp_path / "soft.wav"
    soundfile.write(soft, np.random.default_rng(1).normal(0, 0.01, 20 * 16_000), 16_000)
    result = run("calibrate", rooms / "hiss.wav", "--out", settings, "--cry", soft)
    assert result.returncode == 1
    assert "cries: alert in 0 of 1 recordings" in result.stdout
    assert "would miss every cry you gave" in result.stderr


def test_notes_on_the_audio_reach_the_user_of_calibrate(rooms: Path, tmp_path: Path) -> None:
    hiss, _ = soundfile.read(rooms / "hiss.wav")
    room = tmp_path / "room.wav"
    soundfile.write(room, np.concatenate([hiss, np.zeros(120 * 16_000)]), 16_000)
    result = run("calibrate", room, "--out", tmp_path / "room.json")
    assert result.returncode == 0, result.stderr
    assert "room.wav: 2.0 min without any sound" in result.stderr
    assert "from 0.02 h" in result.stdout


def test_a_clip_too_short_to_vote_is_told_from_one_without_an_alert(rooms: Path) -> None:
    result = run("detect", rooms / "brief.wav", rooms / "hiss.wav")
    brief, hiss = result.stdout.splitlines()
    assert "too short to vote" in brief and "alert" not in brief
    assert "0 alerts" in hiss


def test_settings_that_cannot_fire_are_refused(rooms: Path, tmp_path: Path) -> None:
    settings = tmp_path / "room.json"
    run("calibrate", rooms / "hiss.wav", "--out", settings)
    both = run("detect", "--settings", settings, "--preset", "quiet", rooms / "hiss.wav")
    assert both.returncode == 2
    assert "give --settings or --preset, not both" in both.stderr
    override = run("detect", "--settings", settings, "--threshold", "0.5", rooms / "hiss.wav")
    assert override.returncode == 0, override.stderr
    content = json.loads(settings.read_text())
    content["calibration"]["vote"]["threshold"] = 0.999998
    settings.write_text(json.dumps(content))
    for command in ("detect", "listen"):
        dead = run(command, "--settings", settings, rooms / "hiss.wav")
        assert dead.returncode == 2
        assert "room.json: no score of the student" in complaint(dead)
    exported = run("export", "c", tmp_path / "c", "--settings", settings)
    assert exported.returncode == 2
    assert "room.json: no score of the student" in complaint(exported)


def test_listening_to_raw_sound_on_standard_input(recordings: dict[str, Path]) -> None:
    samples, _ = soundfile.read(recordings["cry"], dtype="int16")
    result = subprocess.run(
        [*CRYDISTILL, "listen", "-", "--votes", "3/5"],
        input=samples.astype("<i2").tobytes(),
        capture_output=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert events[0]["event"] == "on"


def test_export_writes_the_packaged_student_as_c(tmp_path: Path) -> None:
    result = run("export", "c", tmp_path / "c")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "c/crydistill_model.c").is_file()
    assert "arena" in result.stdout
