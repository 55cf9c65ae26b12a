import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import json
import keras
import numpy as np
from crydistill.distill.losses import sigmoid_bce
from crydistill.distill.step import training_step
from crydistill.student.crynet import crynet

def network():
    keras.utils.set_random_seed(0)
    model = crynet(outputs=5, stem=16, stages=((16, 2), (32, 1)))
    optimizer = keras.optimizers.AdamW(1e-2, weight_decay=1e-4)
    optimizer.build(model.trainable_variables)
    model.compile(optimizer=optimizer, loss=sigmoid_bce(2.0), jit_compile=False)
    return model

ours, theirs = network(), network()
step = training_step(ours, sigmoid_bce(2.0))
rng = np.random.default_rng(0)
losses = []
for number in range(6):
    patches = rng.normal(size=(16, 96, 64, 1)).astype(np.float32)
    targets = rng.normal(size=(16, 5)).astype(np.float32)
    for model in (ours, theirs):
        model.optimizer.learning_rate = 1e-2 / (1 + number)
    losses.append([float(step(patches, targets)), float(theirs.train_on_batch(patches, targets))])
apart = [float(np.abs(a - b).max()) for a, b in zip(ours.get_weights(), theirs.get_weights())]
print(json.dumps({"losses": losses, "apart": max(apart)}))
"""


@pytest.mark.parametrize("backend", ["tensorflow", "torch"])
def test_trains_as_keras_does(backend: str) -> None:
    pytest.importorskip(backend, reason=f"{backend}, an optional backend, is not installed")
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=True,
    )
    result = json.loads(found.stdout.splitlines()[-1])
    for ours, theirs in result["losses"]:
        assert ours == pytest.approx(theirs, rel=1e-4)
    assert result["losses"][0][0] > result["losses"][-1][0]
    assert result["apart"] < 1e-3


MIXED = """
import keras
import numpy as np
from crydistill.distill.losses import sigmoid_bce
from crydistill.distill.step import training_step
from crydistill.student.crynet import crynet

def network():
    keras.utils.set_random_seed(0)
    model = crynet(outputs=5, stem=16, stages=((16, 2),))
    optimizer = keras.optimizers.AdamW(1e-2, weight_decay=1e-4)
    optimizer.build(model.trainable_variables)
    model.compile(optimizer=optimizer, loss=sigmoid_bce(2.0), jit_compile=False)
    return model

models = [network(), network()]
steps = [training_step(m, sigmoid_bce(2.0), mixed=mixed) for m, mixed in zip(models, (True, False))]
rng = np.random.default_rng(0)
patches = rng.normal(size=(4, 96, 64, 1)).astype(np.float32)
targets = rng.normal(size=(4, 5)).astype(np.float32)
losses = [[float(step(patches, targets)) for step in steps] for _ in range(5)]
policies = {layer.dtype_policy.name for layer in models[0].layers}
kinds = {str(np.asarray(w).dtype) for w in models[0].get_weights()}
models[0].save("mixed.keras", include_optimizer=False)
import json
print(json.dumps({"losses": losses, "policies": sorted(policies), "kinds": sorted(kinds)}))
"""


@pytest.mark.parametrize("backend", ["tensorflow", "torch"])
def test_mixed_precision_stays_close_to_float32(backend: str, tmp_path: Path) -> None:
    """On a processor, in bfloat16; no GPU was there to try."""
    pytest.importorskip(backend, reason=f"{backend}, an optional backend, is not installed")
    found = subprocess.run(
        [sys.executable, "-c", MIXED],
        env={**os.environ, "KERAS_BACKEND": backend},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    result = json.loads(found.stdout.splitlines()[-1])
    mixed, full = zip(*result["losses"], strict=True)
    assert mixed != full, "computed in float32"
    assert mixed[0] == pytest.approx(full[0], rel=0.02)
    assert mixed[-1] == pytest.approx(full[-1], rel=0.1)
    assert mixed[-1] < mixed[0]
    assert result["policies"] == result["kinds"] == ["float32"]
