"""`crydistill corpora`: the catalogue, the manifests, and rebuilding audio from them."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from crydistill.cli import app
from crydistill.corpora.clip import Label
from crydistill.corpora.folder import read_corpus
from crydistill.corpora.public_names import PublicRecording, write_recordings


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRYDISTILL_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    """Twelve recordings of a tone, with their manifest, and two under their public names."""
    folder = tmp_path / "audio"
    rows = [
        PublicRecording(
            path=f"train/{number}.wav",
            split="train",
            label=Label.NONCRY,
            category="tone",
            group=str(number),
            source="tones",
            origin=f"Jakobovski/free-spoken-digit-dataset/recordings/{number}.wav",
            licence="CC0",
            licence_class="open",
            duration_s=1.0,
            native_rate_hz=16_000,
        )
        for number in range(12)
    ]
    tone = 0.1 * np.sin(np.arange(16_000) / 5)
    for row in rows:
        (folder / row.path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / row.path, tone, 16_000)
    write_recordings(folder / "clips.csv", rows)
    for number in (1, 2):
        copy = tmp_path / "copy" / "recordings" / f"{number}.wav"
        copy.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(copy, tone, 16_000)
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


def test_the_catalogue_is_still_shown() -> None:
    shown = run("corpora")
    assert shown.exit_code == 0
    assert "esc-10" in shown.stdout


def test_manifest_and_rebuild(audio: Path, tmp_path: Path) -> None:
    written = run("corpora", "manifest", audio, tmp_path / "manifests")
    assert written.exit_code == 0
    assert f"{tmp_path / 'manifests' / 'base-train.csv'}: 12 recordings" in written.stdout

    command = ("corpora", "rebuild", tmp_path / "manifests" / "base-train.csv", tmp_path / "out")
    done = run(*command, "--from", tmp_path / "copy")
    assert done.exit_code == 1
    assert done.stdout == f"{tmp_path / 'out'}: 2 made, 0 were here, 10 missing\n"
    lines = done.stderr.splitlines()
    assert len([line for line in lines if line.startswith("train/")]) == 10
    assert (
        "train/0.wav: Jakobovski/free-spoken-digit-dataset/recordings/0.wav not found; "
        "run `crydistill fetch fsdd`"
    ) in lines
    assert lines[-1] == "missing: fsdd 10"
    assert [clip.id for clip in read_corpus(tmp_path / "out")] == ["train/1.wav", "train/2.wav"]

    alone = run(*command[:-1], tmp_path / "empty")
    assert alone.exit_code == 2
    assert "and 2 more" in alone.stderr.splitlines()
    assert not (tmp_path / "empty" / "clips.csv").exists()


def test_all_there(audio: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy" / "recordings"
    for number in range(12):
        copy.joinpath(f"{number}.wav").write_bytes((copy / "1.wav").read_bytes())
    done = run(
        "corpora", "rebuild", audio / "clips.csv", tmp_path / "out", "--from", tmp_path / "copy"
    )
    assert (done.exit_code, done.stderr) == (0, "")
    assert "12 made, 0 were here, 0 missing" in done.stdout


def test_a_copy_that_is_not_there(audio: Path, tmp_path: Path) -> None:
    done = run(
        "corpora", "rebuild", audio / "clips.csv", tmp_path / "out", "--from", tmp_path / "x"
    )
    assert done.exit_code == 2
    assert not (tmp_path / "out").exists()
