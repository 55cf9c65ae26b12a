from dataclasses import replace

import numpy as np
import pytest
from tests.feedback.toys import student, toy

from crydistill.audio.mel import MelStream
from crydistill.audio.windows import windows
from crydistill.errors import ModelError
from crydistill.feedback.cry_head import CryHead
from crydistill.feedback.embeddings import embeddings
from crydistill.student.runtime import TfliteStudent
from crydistill.tflite.check import inspect_tflite
from crydistill.tflite.interpreters import Kernels, LiteRt, quantize

SOUND = toy(0)


def head() -> CryHead:
    return CryHead.of(student().tflite)


def another_head(seed: int = 0) -> CryHead:
    """The head with other weights and biases."""
    rng = np.random.default_rng(seed)
    layers = {}
    for name in ("hidden", "output"):
        layer = getattr(head(), name)
        weights = layer.real_weights() + rng.normal(0, 0.02, layer.weights.shape)
        layers[name] = layer.with_real(weights, layer.real_bias() + 0.05)
    return replace(head(), **layers)


def steps_of(tflite: bytes) -> np.ndarray:
    """Outputs of a network as it runs, in steps."""
    source = student().facts.input
    patches = windows(MelStream().push(SOUND))
    return LiteRt(tflite).run(quantize(patches, source.scale, source.zero_point))[:, 0]


@pytest.mark.parametrize("changed", [False, True])
def test_the_head_alone_computes_what_the_network_does(changed: bool) -> None:
    ours = another_head() if changed else head()
    reference = TfliteStudent(
        student().manifest, student().tflite, student().facts, Kernels.REFERENCE
    )
    heard = embeddings(reference, [SOUND[:40_000], SOUND[40_000:]])
    logits = ours.logits(ours.rows(heard))
    grid = ours.output.result
    steps = np.rint(logits / grid.scale + grid.zero).astype(int)
    expected = steps_of(ours.written_into(student().tflite)).astype(int)
    assert len(np.unique(expected)) > 5
    assert np.abs(steps - expected).max() <= 1
    assert (steps == expected).mean() > 0.9


def test_an_unchanged_head_leaves_every_byte() -> None:
    same = head()
    again = replace(
        same,
        hidden=same.hidden.with_real(same.hidden.real_weights(), same.hidden.real_bias()),
        output=same.output.with_real(same.output.real_weights(), same.output.real_bias()),
    )
    assert again.written_into(student().tflite) == student().tflite


def test_a_changed_head_changes_nothing_but_its_weights() -> None:
    changed = another_head().written_into(student().tflite)
    size = len(student().tflite)
    before, after = (inspect_tflite(data, size_limit=size) for data in (student().tflite, changed))
    assert replace(before, sha256=after.sha256) == after
    different = np.flatnonzero(
        np.frombuffer(changed, "u1") != np.frombuffer(student().tflite, "u1")
    )
    inside = np.zeros(size, dtype=bool)
    for layer in (head().hidden, head().output):
        for at, values in zip(layer.at, (layer.weights, layer.bias), strict=True):
            inside[at : at + values.nbytes] = True
    assert len(different) > 1000
    assert inside[different].all()


def test_streams_begin_with_an_empty_memory() -> None:
    rng = np.random.default_rng(0)
    heard = rng.integers(-128, 128, (20, head().size), dtype=np.int8)
    apart = np.concatenate([head().rows(heard[:7]), head().rows(heard[7:])])
    np.testing.assert_array_equal(head().rows(heard, [0, 7]), apart)
    assert (apart[7, : -head().size] == head().hidden.source.zero).all()
    np.testing.assert_array_equal(apart[7, -head().size :], heard[7])


def test_a_student_without_memory_has_no_such_head(reference_tflite: bytes) -> None:
    with pytest.raises(ModelError, match="no memory"):
        CryHead.of(reference_tflite)
