"""Translation of a configuration's training section."""

from typing import get_args

import keras
import numpy as np
import pytest
from scipy.special import expit

from crydistill.distill import recipe
from crydistill.distill.losses import kl_softmax
from crydistill.distill.recipe import (
    LOSSES,
    activation_of,
    fit_options,
    make_loss,
    qat_options,
)
from crydistill.errors import ConfigError
from crydistill.experiment.schema import SelectionConfig, TrainingConfig
from crydistill.student.heads import Heads
from crydistill.taxonomy import BABY_CRY, CLASSES

NO_HEADS, CRY_HEAD = Heads(), Heads.from_mids({"cry": [BABY_CRY]})


def training(**options: object) -> TrainingConfig:
    return TrainingConfig.model_validate(options)


def test_every_loss_that_the_schema_allows_is_in_the_table() -> None:
    assert set(get_args(TrainingConfig.model_fields["loss"].annotation)) == set(LOSSES)


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize("heads", [NO_HEADS, CRY_HEAD], ids=["no heads", "cry head"])
def test_every_loss_is_one_finite_number_a_window(name: str, heads: Heads) -> None:
    if heads and LOSSES[name].make_headed is None:
        pytest.skip("not for students with outputs of their own")
    outputs = len(heads) + CLASSES
    targets, logits = np.random.default_rng(0).normal(0, 100, (2, 7, outputs)).astype(np.float32)
    loss = make_loss(training(loss=name), heads)
    taught = expit(targets) if heads else targets
    found = keras.ops.convert_to_numpy(loss(taught, logits))
    assert found.shape == (7,)
    assert np.isfinite(found).all()


def test_losses_by_name() -> None:
    assert make_loss(training(loss="kl_softmax"), NO_HEADS) is kl_softmax
    assert activation_of(training(loss="kl_softmax")) == "softmax"
    assert activation_of(training(loss="sigmoid_bce")) == "sigmoid"


@pytest.mark.parametrize("option", [{"temperature": 2.0}, {"class_weights": {BABY_CRY: 2.0}}])
def test_kl_takes_no_options(option: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="takes no temperature"):
        make_loss(training(loss="kl_softmax", **option), NO_HEADS)


def test_a_class_weight_of_an_unknown_class() -> None:
    options = training(loss="sigmoid_bce", class_weights={"/m/none": 2.0})
    with pytest.raises(ConfigError, match="YAMNet has no class /m/none"):
        make_loss(options, NO_HEADS)


@pytest.mark.parametrize(
    "options", [{"loss": "kl_softmax"}, {"loss": "sigmoid_bce", "class_weights": {BABY_CRY: 2.0}}]
)
def test_outputs_of_its_own_need_a_loss_that_takes_them(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="outputs of its own"):
        make_loss(training(**options), CRY_HEAD)


def test_qat_decays_to_zero_and_keeps_the_rest() -> None:
    options = training(weight_decay=0.3, qat={"epochs": 2, "learning_rate": 1e-5})
    qat = qat_options(options)
    assert (qat.epochs, qat.weight_decay) == (2, 0.3)
    assert qat.learning_rate.at(0, qat.epochs) == pytest.approx(1e-5)
    assert qat.learning_rate.at(2, qat.epochs) == 0


@pytest.mark.parametrize("gpu", [False, True])
def test_mixed_precision_is_for_a_gpu_and_not_for_qat(
    gpu: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "has_gpu", lambda: gpu)
    mixed = training(precision="mixed", qat={"epochs": 1})
    assert fit_options(mixed).mixed is gpu
    assert not qat_options(mixed).mixed
    assert not fit_options(training()).mixed


def test_new_options_leave_the_keys_of_former_trainings_alone() -> None:
    assert "precision" not in training().model_dump(mode="json")
    assert training(precision="mixed").model_dump(mode="json")["precision"] == "mixed"
    assert "shuffle_windows" not in SelectionConfig().model_dump(mode="json")
