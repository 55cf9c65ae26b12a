"""Run the examples in the package's docstrings."""

import doctest
import importlib
from pathlib import Path
from types import ModuleType

import pytest

import crydistill

PACKAGE = Path(crydistill.__file__).parent
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

WITH_EXAMPLES = (
    "audio.files.read_audio",
    "audio.mel.MelStream",
    "audio.mel.log_mel",
    "audio.windows.windows",
    "corpora.clip.Clip",
    "corpora.folder.read_corpus",
    "detector.calibrate.calibrate",
    "detector.files.detect_file",
    "detector.vote.Vote",
    "detector.vote.VoteSettings",
    "detector.vote.alerts",
    "device.export.export_c",
    "experiment.load.load_config",
    "metrics.intervals.GroupBootstrap",
    "metrics.ranking.Ranking",
    "metrics.ranking.ranking_metrics",
    "metrics.rates.rate",
    "publish.guard.scan",
    "seeds.generator",
    "student.manifest.load_manifest",
    "student.runtime.TfliteStudent",
    "taxonomy.cry_indices",
    "teacher.load.load_teacher",
    "teacher.scores.ScoreStore",
    "teacher.scoring.score_corpus",
    "tflite.check.check_tflite",
)
"""The documented API: each of these has an example in its docstring."""


def _modules_with_examples() -> list[str]:
    return [
        ".".join((crydistill.__name__, *path.relative_to(PACKAGE).with_suffix("").parts))
        for path in sorted(PACKAGE.rglob("*.py"))
        if ">>>" in path.read_text(encoding="utf-8")
    ]


def _imported(name: str) -> ModuleType:
    """Import a module; skip the test if it needs an extra that is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith(crydistill.__name__):
            raise
        pytest.skip(f"needs {error.name}")


@pytest.mark.parametrize("name", _modules_with_examples())
def test_examples(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    module = _imported(name.removesuffix(".__init__"))
    failed, attempted = doctest.testmod(module, optionflags=FLAGS)
    assert attempted > 0, f"{name}: no example is found by doctest"
    assert failed == 0, "see the captured output"


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_documented_api_has_examples(name: str) -> None:
    module, _, member = f"{crydistill.__name__}.{name}".rpartition(".")
    found = getattr(_imported(module), member)
    assert ">>>" in (found.__doc__ or "")
