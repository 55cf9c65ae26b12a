"""The examples for SLURM and Kubernetes do what they say."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml

import crydistill
from crydistill.cli import app
from crydistill.teacher.scores import ScoreStore
from crydistill.teacher.shards import complete_parts

FOLDER = Path(__file__).parents[2] / "deploy" / "scale"
SCRIPT = FOLDER / "slurm.sh"


def task(number: int, count: int, folder: Path, *, first: int = 0) -> "subprocess.Popen[str]":
    """Run the script as SLURM runs a task of an array."""
    program = folder / "crydistill"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m crydistill "$@"\n')
    program.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{folder}:{os.environ['PATH']}",
        "PYTHONPATH": str(Path(crydistill.__file__).parents[1]),
        "SLURM_ARRAY_TASK_ID": str(number),
        "SLURM_ARRAY_TASK_COUNT": str(count),
        "SLURM_ARRAY_TASK_MIN": str(first),
    }
    return subprocess.Popen(
        [str(SCRIPT), "small.yaml"], env=environment, cwd=folder, stderr=subprocess.PIPE, text=True
    )


def test_every_task_of_a_slurm_array_makes_its_shard(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(
        "data: {train: [{nursery_seed: 0, where: {split: train}}],"
        " test: [{nursery_seed: 0, where: {split: test}}]}\n"
        "teacher: {recorded: true}\n"
    )
    for number in range(2):
        with task(number, 2, tmp_path) as running:
            _, said = running.communicate(timeout=600)
        assert running.returncode == 0, said
        assert f"shard-00{number}-of-002" in said
    (store,) = (tmp_path / "stores").glob("nursery-0-*")
    assert [path.name for path in complete_parts(store)] == ["shard-000-of-002", "shard-001-of-002"]
    assert len(ScoreStore(store)) > 50


def test_an_array_that_does_not_begin_at_0_is_refused(tmp_path: Path) -> None:
    with task(1, 4, tmp_path, first=1) as running:
        _, said = running.communicate(timeout=60)
    assert (running.returncode, said) == (2, "shards are numbered from 0: sbatch --array=0-3\n")


def test_the_script_asks_slurm_for_what_the_text_says() -> None:
    text = SCRIPT.read_text()
    options = dict(re.findall(r"^#SBATCH --([a-z-]+)(?:=(.+))?$", text, re.MULTILINE))
    assert options["cpus-per-task"] == "2"
    assert set(options) == {"job-name", "cpus-per-task", "mem", "time", "requeue", "output"}
    # SLURM reads its options before the first command only.
    assert text.rindex("#SBATCH") < text.index("set -eu")
    subprocess.run(["sh", "-n", str(SCRIPT)], check=True)


def test_the_kubernetes_job_gives_every_index_its_shard() -> None:
    job = yaml.safe_load((FOLDER / "kubernetes.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    spec = job["spec"]
    assert spec["completionMode"] == "Indexed"
    pod = spec["template"]["spec"]
    assert pod["restartPolicy"] == "Never", "podFailurePolicy needs it"
    (container,) = pod["containers"]
    rule = spec["podFailurePolicy"]["rules"][0]["onExitCodes"]
    assert (rule["containerName"], rule["values"]) == (container["name"], [1])
    assert {mount["name"] for mount in container["volumeMounts"]} == {
        volume["name"] for volume in pod["volumes"]
    }
    words = [*container["command"], *container["args"]]
    assert words[0] == "crydistill"
    assert words[words.index("--shards") + 1] == str(spec["completions"])
    assert words[-1] == "$(JOB_COMPLETION_INDEX)"
    command = typer.main.get_command(app)
    for index in ("0", str(spec["completions"] - 1)):
        expanded = [*words[2:-1], index]
        context = command.commands["score"].make_context("score", expanded)
        assert (context.params["shard"], context.params["shards"]) == (int(index), 64)


@pytest.mark.parametrize("name", ["slurm.sh", "kubernetes.yaml"])
def test_the_document_names_them(name: str) -> None:
    assert f"deploy/scale/{name}" in (FOLDER.parents[1] / "docs" / "scale.md").read_text()
