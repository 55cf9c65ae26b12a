import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.nights.nightly import tone
from typer.testing import CliRunner, Result

from crydistill.cli import app
from crydistill.cli.common import columns
from crydistill.cli.night import _of_corpora
from crydistill.errors import CrydistillError
from crydistill.student.manifest import load_manifest
from crydistill.student.packaged import packaged_student

ONE_VOTE = ("--votes", "5/9")
QUICK = (*ONE_VOTE, "--kernels", "xnnpack")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["night", *map(str, arguments)])


def complaint(result: Result) -> str:
    """Error message of a failed command, which `main` prints on one line."""
    assert isinstance(result.exception, CrydistillError), result.output
    assert "\n" not in str(result.exception)
    return str(result.exception)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tones in two splits; one file is broken."""
    folder = tmp_path_factory.mktemp("tones")
    rows = ["path,label,category,group,split"]
    for number in range(6):
        label, split = ("cry" if number < 2 else "noncry"), ("train" if number == 5 else "dev")
        soundfile.write(folder / f"{number}.wav", tone(300.0 * (number + 1), 2.0), 16_000)
        rows.append(f"{number}.wav,{label},tone {number},g{number},{split}")
    (folder / "broken.wav").write_bytes(b"nothing")
    rows.append("broken.wav,noncry,tone,gx,dev")
    (folder / "clips.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture
def student(tmp_path: Path) -> Path:
    shutil.copytree(packaged_student(), tmp_path / "student")
    return tmp_path / "student"


def test_a_night_from_clips(corpus: Path, student: Path, tmp_path: Path) -> None:
    out = tmp_path / "night"
    result = run(
        corpus, "--where", "split=dev", "--episodes", 2, "--snr", 10, 20, "--rooms", 0,
        "--seed", 7, "--model", student, "--annotate", "--out", out, *ONE_VOTE,
    )  # fmt: skip
    assert result.exit_code == 1, result.output  # broken.wav
    record = json.loads((out / "night.json").read_text())
    name = f"{corpus.name} (split dev)"
    assert record["night"]["corpus"] == name and record["night"]["seeds"] == [7]
    assert (record["night"]["sounds"], record["night"]["episodes"]) == (3, 2)
    assert record["night"]["options"]["snr_db"] == [10.0, 20.0]
    assert list(record["night"]["unusable"]) == ["broken.wav"]
    assert "skipped broken.wav" in result.stderr
    rows = list(csv.DictReader((out / "plan.csv").open()))
    assert {row["clip"] for row in rows if row["kind"] == "sound"} == {"2.wav", "3.wav", "4.wav"}
    assert "<canvas" in (out / "night.html").read_text()
    assert "of 2 caught" in (out / "night.svg").read_text()
    assert "preset" in result.stdout and "in alert" in result.stdout
    # Of two episodes and a few seconds, the annotation says that they are too little to tell.
    for preset in load_manifest(student / "student.json").presets.values():
        assert preset.recall is preset.false_alarms_per_hour is None
        assert preset.measured_on is not None and name in preset.measured_on
        assert "too little to tell (2 cries of 2 groups where" in preset.measured_on


def test_several_nights_of_several_corpora(corpus: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(corpus, other)
    (other / "broken.wav").unlink()
    text = (other / "clips.csv").read_text().replace("dev", "test").splitlines()
    (other / "clips.csv").write_text("\n".join(text[:-1]) + "\n")
    out = tmp_path / "night"
    result = run(
        corpus, other, "--where", f"{corpus.name}:split=train", "--where", "other:split=test",
        "--where", "label=noncry", "--episodes", 0, "--seeds", 2, "--out", out, *QUICK,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    record = json.loads((out / "night.json").read_text())
    night = record["night"]
    names = [f"{corpus.name} (split train, label noncry)", "other (split test, label noncry)"]
    assert night["corpora"] == names and night["corpus"] == " and ".join(names)
    assert (night["nights"], night["seeds"], night["sounds"]) == (2, [0, 1], 4)
    (model,) = record["models"].values()
    assert {part["name"] for part in model["shown"]["by_corpus"]} == set(names)
    assert {path.name for path in out.iterdir()} == {
        "night.json", "night.html", "plan.csv", "plan-seed1.csv", "scores",
    }  # fmt: skip


def test_private_clips_annotate_nothing(corpus: Path, student: Path, tmp_path: Path) -> None:
    before = (student / "student.json").read_bytes()
    result = run(
        corpus, "--where", "split=dev", "--private", "--model", student, "--annotate",
        "--out", tmp_path / "night", *ONE_VOTE,
    )  # fmt: skip
    assert "is private" in complaint(result)
    assert (student / "student.json").read_bytes() == before


def test_a_recording(tmp_path: Path) -> None:
    sound = np.concatenate([tone(400, 8.0), tone(900, 8.0)])
    soundfile.write(tmp_path / "mine.wav", sound, 16_000)
    (tmp_path / "labels.txt").write_text("2.0\t5.0\tcry\n")
    out = tmp_path / "night"
    common = ("--recording", tmp_path / "mine.wav", "--out", out, *QUICK)
    assert run(*common, "--labels", tmp_path / "labels.txt").exit_code == 0
    record = json.loads((out / "night.json").read_text())
    assert record["night"]["private"] and record["night"]["episodes"] == 1
    assert not (out / "plan.csv").exists()
    assert "data:audio" not in (out / "night.html").read_text()
    assert run(*common, "--public").exit_code == 0
    record = json.loads((out / "night.json").read_text())
    assert not record["night"]["private"] and not record["night"]["labelled"]


def test_listening_works_without_the_training_extra(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "mine.wav", tone(400, 4.0), 16_000)
    code = (
        "import sys\n"
        "for name in ('tensorflow', 'keras', 'h5py', 'matplotlib', 'sklearn', 'tflite_micro'):\n"
        "    sys.modules[name] = None\n"
        "from crydistill.cli import main; main()"
    )
    options = ("--recording", tmp_path / "mine.wav", "--out", tmp_path / "night", *QUICK)
    command = [sys.executable, "-c", code, "night", *map(str, options)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "night" / "night.html").exists()


def test_private_nights_stay_out_of_work_trees(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "mine.wav", tone(400, 2.0), 16_000)
    (tmp_path / "tree" / ".git").mkdir(parents=True)
    result = run("--recording", tmp_path / "mine.wav", "--out", tmp_path / "tree" / "night")
    assert "must not lie in a git work tree" in complaint(result)
    assert not (tmp_path / "tree" / "night").exists()


def test_what_cannot_be_done_is_said_in_one_line(corpus: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "night", *QUICK)
    assert "several splits" in complaint(run(corpus, *out))
    assert "9 of 5" in complaint(run(corpus, "--votes", "9/5"))
    assert "snr_db: 9 to 3" in complaint(run(corpus, "--where", "split=dev", "--snr", 9, 3, *out))
    assert "no column 'x'" in complaint(run(corpus, "--where", "x=y", *out))
    assert "no manifest" in complaint(run(tmp_path / "none.csv", *out))
    assert "no such file" in complaint(run("--recording", tmp_path / "none.wav", *out))
    assert not (tmp_path / "night").exists()


def test_a_column_named_twice_may_have_either_value(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "night"
    result = run(
        corpus, "--where", "split=dev", "--where", "category=tone 2", "--where", "category=tone 3",
        "--episodes", 0, "--out", out, *QUICK,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    night = json.loads((out / "night.json").read_text())["night"]
    assert night["corpus"] == f"{corpus.name} (split dev, category tone 2 or tone 3)"
    assert night["sounds"] == 2


def test_a_condition_of_one_corpus_takes_the_place_of_that_for_all() -> None:
    for texts in (["split=dev", "b:split=train"], ["b:split=train", "split=dev"]):
        assert _of_corpora(["a", "b"], columns(texts)) == {
            "a": {"split": "dev"},
            "b": {"split": "train"},
        }


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "name a corpus, or a recording"),
        (("x", "--recording", "y.wav"), "name a corpus, or a recording"),
        (("x", "--votes", "nine"), "write N/M"),
        (("x", "--annotate"), "--model"),
        (("x", "--annotate", "--model", "y", "--kernels", "xnnpack"), "reference kernels"),
        (("x", "--kernels", "fast"), "reference, optimized, xnnpack"),
        (("x", "--where", "split"), "write COLUMN=VALUE"),
        (("x/a", "y/b", "--where", "z:split=dev"), "none of the corpora"),
        (("x/a.csv", "x/b.csv"), "two corpora in folders of one name"),
        (("x", "--labels", "y.txt"), "--labels belongs to"),
    ],
)
def test_wrong_options_are_named(arguments: tuple[str, ...], expected: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert expected in " ".join(result.output.replace("│", " ").split())
