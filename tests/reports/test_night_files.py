import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

from tests.nights.nightly import VOTE, home, scorer, tones

from crydistill.evaluation.scorers import Scorer
from crydistill.nights.hearing import score_night
from crydistill.nights.night import Night, RecordedNight
from crydistill.nights.operating import with_presets
from crydistill.reports.night_files import annotate_presets, record_nights
from crydistill.roles import Role
from crydistill.student.manifest import load_manifest, save_manifest
from crydistill.student.packaged import packaged_student
from crydistill.tflite.interpreters import Kernels


def recorded(night: Night, listeners: list[Scorer], folder: Path):  # type: ignore[no-untyped-def]
    return record_nights(
        [night],
        [score_night(night, listeners)],
        folder / "night.json",
        plan=folder / "plan.csv",
        page=folder / "night.html",
        kernels=Kernels.XNNPACK,
        votes=[(2, 3)],
        replicates=10,
        seed=3,
    )


def test_what_is_written_is_what_was_found(tmp_path: Path) -> None:
    night = tones(tmp_path)
    result, record = recorded(night, [scorer(presets={"balanced": VOTE})], tmp_path)
    assert json.loads((tmp_path / "night.json").read_text()) == json.loads(json.dumps(record))
    assert record["models"] == result.to_json()["models"]
    made = record["provenance"]
    assert (made["kernels"], made["seed"], made["replicates"]) == ("xnnpack", 3, 10)
    assert {"git_commit", "versions", "hold_seconds"} < set(made)
    rows = list(csv.DictReader((tmp_path / "plan.csv").open()))
    assert [row["clip"] for row in rows] == [item.clip for item in night.plan.placed]
    assert "<canvas" in (tmp_path / "night.html").read_text()


def test_a_recording_has_no_plan(tmp_path: Path) -> None:
    recorded(RecordedNight(home(tmp_path / "home.wav")), [scorer()], tmp_path)
    assert (tmp_path / "night.html").is_file() and not (tmp_path / "plan.csv").exists()
    assert not (tmp_path / "night.svg").exists(), "without episodes there is nothing to compare"


def test_only_int8_students_are_annotated(tmp_path: Path) -> None:
    shutil.copytree(packaged_student(), tmp_path / "student")
    manifest = tmp_path / "student" / "student.json"
    int8 = replace(scorer("int8", {"balanced": VOTE}), manifest_path=manifest)
    fp32 = replace(int8, name="fp32", role=Role.FP32)
    before = load_manifest(manifest)
    result, record = recorded(tones(tmp_path), [fp32, int8, scorer("other")], tmp_path)
    written = annotate_presets(result)
    assert list(written) == [manifest]
    after = load_manifest(manifest)
    assert after.presets == {**before.presets, **written[manifest]}
    assert record["models"]["int8"]["presets"]["balanced"]["caught"]["value"] == 1.0
    told = after.presets["balanced"]
    assert told.recall is told.false_alarms_per_hour is None
    assert told.measured_on is not None and "too little to tell (" in told.measured_on


def test_a_preset_chosen_on_too_little_audio_stays_marked(tmp_path: Path) -> None:
    shutil.copytree(packaged_student(), tmp_path / "student")
    manifest = tmp_path / "student" / "student.json"
    base = load_manifest(manifest)
    chosen = {name: p.model_copy(update={"caution": "few"}) for name, p in base.presets.items()}
    save_manifest(manifest, with_presets(base, chosen))
    int8 = replace(scorer("int8", {"balanced": VOTE}), manifest_path=manifest)
    result, _ = recorded(tones(tmp_path), [int8], tmp_path)
    assert annotate_presets(result)[manifest]["balanced"].caution == "few"
    assert load_manifest(manifest).presets["balanced"].caution == "few"
