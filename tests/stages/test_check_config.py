"""What a later stage would refuse is found before the first one."""

from pathlib import Path

import pytest

from crydistill.distill.recipe import VALIDATED, VALIDATION_METRICS
from crydistill.errors import ConfigError, CorpusError
from crydistill.experiment.load import load_config
from crydistill.run_directory import RunDirectory
from crydistill.stages.check_config import require_trainable
from crydistill.stages.context import Context
from crydistill.stages.score import score

CRY = "student.outputs={cry: [/m/0463cq4]}"

REMEMBERING = (
    "student={architecture: crynet, options: {stages: [[16, 1]]}, memory: "
    "{windows: 60, embedding: 64, hidden: 25}, outputs: {cry: [/m/0463cq4]}}",
    "training.loss=sigmoid_bce",
    "data.streams.streams=1",
    "teacher={memory: mn04.pt, recorded: false}",
)


def context(stores: Path, *overrides: str) -> Context:
    config = load_config(None, [f"stores={stores}", *overrides])
    return Context(config, RunDirectory(stores / "run"))


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stores with the nursery's audio, so that it is composed once."""
    return tmp_path_factory.mktemp("stores")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["student.architecture=crynett"], "'crynett': unknown; choose one of crynet, dscnn"),
        (["student.options={stem: 8}"], "'dscnn': no option 'stem'"),
        (["student.options={outputs: 8}"], "student.options.outputs: leave it out"),
        (
            ["student={architecture: crynet, options: {stages: 3}}"],
            "'crynet': its options make no network .'int' object",
        ),
        (["student.outputs={cry: [/m/none]}"], "student.outputs.cry: YAMNet has no class /m/none"),
        (["student.outputs={cry: []}"], "student.outputs.cry: name at least one class"),
        ([CRY], "outputs of its own needs training.loss sigmoid_bce"),
        (["training.temperature=2"], "kl_softmax takes no temperature"),
        (
            ["training.loss=sigmoid_bce", "training.class_weights={/m/none: 2}"],
            "class_weights: YAMNet has no class /m/none",
        ),
        (["training.best_metric=map"], "best_metric 'map' is not measured; choose one of loss"),
        (["quantization.max_bytes=70000"], "weights alone take 7.,... bytes as INT8"),
        ([*REMEMBERING, "quantization.max_bytes=60000"], "weights alone take 9.,... bytes as INT8"),
        (["selection.leave_out=[street]"], "no training clip has source 'street'"),
    ],
)
def test_what_cannot_be_trained(stores: Path, overrides: list[str], message: str) -> None:
    made = context(stores, *overrides)
    with pytest.raises(ConfigError, match=message):
        score(made)
    assert list(stores.glob("*/store.json")) == []  # nothing was scored


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (REMEMBERING, r"mn04\.pt: no such teacher file; set teacher\.memory"),
        (["teacher.judge=none.pt"], r"none\.pt: no such teacher file; set teacher\.judge"),
    ],
)
def test_a_teacher_that_is_not_there_is_missed_before_hours_of_scoring(
    stores: Path, overrides: list[str], message: str
) -> None:
    made = context(stores, *overrides)
    with pytest.raises(CorpusError, match=message):
        score(made)
    assert list(stores.glob("*/store.json")) == []


def test_auxiliary_classes_do_not_count_as_size(stores: Path) -> None:
    """They are cut before export: the reference network with one output is far below 70,000."""
    require_trainable(
        context(stores, CRY, "training.loss=sigmoid_bce", "quantization.max_bytes=30000")
    )


def test_every_metric_of_the_log_may_be_chosen() -> None:
    assert set(VALIDATED) < set(VALIDATION_METRICS)
    assert "average_precision_top4" in VALIDATION_METRICS
