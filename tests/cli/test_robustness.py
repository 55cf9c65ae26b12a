import json
import shutil
from pathlib import Path

import pytest
import soundfile
from typer.testing import CliRunner, Result

from crydistill.cli import app
from crydistill.errors import CrydistillError
from crydistill.evaluation import robustness
from crydistill.evaluation.conditions import conditions
from crydistill.synthesis.nursery import compose, render


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three synthetic cries and three other sounds."""
    folder = tmp_path_factory.mktemp("corpus")
    kept = {"cry": 0, "noncry": 0}
    for clip in compose(0):
        label = "cry" if clip.cries else "noncry"
        if kept[label] < 3:
            kept[label] += 1
            path = folder / label / f"{clip.category}-{kept[label]}.wav"
            path.parent.mkdir(exist_ok=True)
            soundfile.write(path, render(clip), 16_000)
    return folder


def run(*arguments: object) -> Result:
    """Run in this process: starting a new one takes longer than these tests."""
    return CliRunner().invoke(app, [*map(str, arguments)])


def test_robustness_measures_and_goes_on(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyroomacoustics", reason="rooms need crydistill[train]")
    monkeypatch.setattr(robustness, "conditions", lambda: conditions()[::6])
    arguments = ("robustness", corpus, "--out", tmp_path, "--limit", 4, "--replicates", 20)
    first = run(*arguments)
    assert first.exit_code == 0, first.output
    record = json.loads((tmp_path / "robustness.json").read_text())
    assert record["clips"]["clips"] == 4 and record["clips"]["cries"] == 2
    (verdicts,) = (student["conditions"] for student in record["students"].values())
    assert len(verdicts) == len(record["conditions"]) == 7
    assert all(0 <= verdict["auc"]["value"] <= 1 for verdict in verdicts)
    assert record["provenance"]["kernels"] == "reference"
    assert (tmp_path / "robustness.png").is_file()
    assert "4 clips, 2 cries" in " ".join(first.output.split())
    scores = tmp_path / "scores-reference.jsonl"
    lines = scores.read_text().splitlines(keepends=True)
    scores.write_text("".join(lines[:-1]))
    assert run(*arguments).exit_code == 0
    assert scores.read_text().splitlines(keepends=True) == lines
    assert json.loads((tmp_path / "robustness.json").read_text())["students"] == record["students"]


def test_a_clip_that_cannot_be_read_is_left_out_and_said(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyroomacoustics", reason="rooms need crydistill[train]")
    monkeypatch.setattr(robustness, "conditions", lambda: conditions()[:1])
    broken = shutil.copytree(corpus, tmp_path / "corpus") / "noncry" / "broken.wav"
    broken.write_bytes(b"nothing")
    result = run("robustness", tmp_path / "corpus", "--out", tmp_path / "out", "--replicates", 2)
    assert result.exit_code == 1, result.output
    assert "skipped noncry/broken.wav" in result.stderr
    record = json.loads((tmp_path / "out" / "robustness.json").read_text())
    assert record["clips"]["clips"] == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["robustness", "none"], "none: no manifest found"),
        (["robustness", ".", "--kernels", "fast"], "choose one of reference"),
        (["robustness", "none", "--where", "split"], "write COLUMN=VALUE"),
        (["robustness", "CORPUS", "--private", "--out", "HERE"], "git work tree"),
        (["promises", "CORPUS"], "too few for a home"),
    ],
)
def test_misuse_is_said(corpus: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    words = {"CORPUS": str(corpus), "HERE": str(Path(__file__).parent / "runs")}
    given = [words.get(word, word) for word in arguments]
    if "--out" not in given:
        given += ["--out", str(tmp_path)]
    result = run(*given)
    assert result.exit_code != 0
    said = str(result.exception) if isinstance(result.exception, CrydistillError) else result.output
    assert message in " ".join(said.split())
