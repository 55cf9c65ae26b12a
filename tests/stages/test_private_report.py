"""Training with private captures, and the private report: where private data is stored."""

import hashlib
import json
from pathlib import Path

import pytest

from crydistill.errors import CorpusError
from crydistill.experiment.load import load_config
from crydistill.publish.fingerprints import fingerprint_private
from crydistill.publish.guard import Rule, scan
from crydistill.run_directory import RunDirectory
from crydistill.stages.context import Context
from crydistill.stages.private_report import report_captures
from crydistill.stages.quantize import quantize
from crydistill.stages.run import run_all
from crydistill.stages.score import score
from crydistill.stages.train import train
from crydistill.student.manifest import load_manifest
from crydistill.synthesis.home import write_captures

pytestmark = [pytest.mark.shared, pytest.mark.slow]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day of short synthetic captures, outside any work tree."""
    folder = tmp_path_factory.mktemp("home") / "captures"
    write_captures(folder, 1, seed=4, seconds=4)
    return folder


@pytest.fixture
def settings(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRYDISTILL_CAPTURES", str(home))
    monkeypatch.setenv("CRYDISTILL_CACHE", str(tmp_path / "cache"))


def context(shared: Path, directory: Path, *overrides: str) -> Context:
    config = load_config(
        None,
        [
            f"stores={directory / 'stores'}",
            f"teacher.path={shared / 'teacher/yamnet_rebuilt.h5'}",
            "training.epochs=2",
            "evaluation.replicates=100",
            "quantization.calibration_windows=50",
            *overrides,
        ],
    )
    run = RunDirectory(directory / "runs" / config.name)
    run.start(config)
    return Context(config, run)


@pytest.mark.usefixtures("settings")
def test_captures_train_and_leave_no_trace(shared: Path, home: Path, tmp_path: Path) -> None:
    made = context(
        shared, tmp_path, "data.train=[{nursery_seed: 0, where: {split: train}}, {captures: true}]"
    )
    run_all(made)
    trained = [clip for _, clips in made.splits.train for clip in clips]
    assert any(clip.private for clip in trained)
    for parts in (made.splits.validation, made.splits.test):
        assert not any(clip.private for _, clips in parts for clip in clips)
    assert load_manifest(made.run.manifest).training.private
    assert "cry-2" not in made.run.calibration.read_text()
    private = fingerprint_private(home)
    # The night's page plays public audio around alerts; nothing else in a run is audio.
    page = hashlib.sha256(made.run.night_page.read_bytes()).hexdigest()
    assert scan(made.run.path, private=private, allowed={page}) == []
    assert {finding.rule for finding in scan(made.run.path, private=private)} <= {Rule.AUDIO}
    assert scan(tmp_path / "stores", private=private) != []  # nursery audio
    assert not any("captures" in path.name for path in (tmp_path / "stores").iterdir())
    assert any((tmp_path / "cache/private").glob("captures-*/frames.f16"))


@pytest.mark.usefixtures("settings")
def test_with_captures_alone_int8_ranges_need_public_clips(shared: Path, tmp_path: Path) -> None:
    alone = "data.train=[{captures: true}]"
    made = context(shared, tmp_path, alone, "selection.method=random_windows")
    with pytest.raises(CorpusError, match="public audio only"):
        run_all(made)
    assert not (made.run.path / "stages.json").exists()  # found before the first stage
    allowed = context(
        shared,
        tmp_path,
        alone,
        "selection.method=random_windows",
        "quantization.calibration_split=validation",
    )
    for stage in (score, train, quantize):
        stage(allowed)
    assert load_manifest(allowed.run.manifest).calibration.split == "validation"


@pytest.mark.usefixtures("settings")
def test_the_side_report_has_a_part_to_share(shared: Path, home: Path, tmp_path: Path) -> None:
    package = Path(__file__).parents[2] / "src/crydistill/data/student"
    report = report_captures(
        home,
        package,
        shared / "teacher/yamnet_rebuilt.h5",
        tmp_path / "private",
        tiers=home / "tiers.csv",
    )
    report.write_shareable(tmp_path / "share.json")
    assert scan(tmp_path / "share.json", private=fingerprint_private(home)) == []
    tiers = json.loads((tmp_path / "share.json").read_text())["tiers"]
    assert tiers["high_neg"]["clips"] >= 10
    assert tiers["high_pos"]["teacher_max"]["mean"] > tiers["high_neg"]["teacher_max"]["mean"]
