"""FP32 students in Keras: streams with memory in batches equal streams window by window."""

import keras
import numpy as np
import pytest
from tests.student_fixtures import EMBEDDING, MEMORY_WINDOWS

from crydistill.audio.mel import LogMel
from crydistill.student import keras_model
from crydistill.student.keras_model import KerasStream, logits_of, outputs_of


def stepped(model: keras.Model, patches: LogMel) -> np.ndarray:
    """Logits window by window, as a device computes them."""
    memory, rows = np.zeros((1, MEMORY_WINDOWS, EMBEDDING), np.float32), []
    for patch in patches[:, None, :, :, None]:
        logits, memory = map(np.asarray, model([patch, memory]))
        rows.append(logits[0])
    return np.stack(rows)


@pytest.mark.parametrize("batch", [3, 512])
def test_a_stream_equals_window_by_window(
    monkeypatch: pytest.MonkeyPatch, memory_model: keras.Model, patches: LogMel, batch: int
) -> None:
    monkeypatch.setattr(keras_model, "_BATCH", batch)
    expected = stepped(memory_model, patches[:40])
    np.testing.assert_allclose(logits_of(memory_model, patches[:40]), expected, atol=1e-5)


def test_a_stream_goes_on_from_call_to_call_until_it_is_reset(
    memory_model: keras.Model, patches: LogMel
) -> None:
    whole = logits_of(memory_model, patches[:30])
    stream = KerasStream(memory_model)
    pieces = [stream.logits(patches[a:b]) for a, b in ((0, 1), (1, 3), (3, 3), (3, 30))]
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-5)
    again = stream.logits(patches[:5])
    assert np.abs(again - whole[:5]).max() > 1e-3
    stream.reset()
    np.testing.assert_allclose(stream.logits(patches[:5]), whole[:5], atol=1e-5)


def test_outputs_are_the_logits(memory_model: keras.Model, reference_model: keras.Model) -> None:
    assert (outputs_of(memory_model), outputs_of(reference_model)) == (1, 521)


def test_windows_without_memory_are_independent(
    reference_model: keras.Model, patches: LogMel
) -> None:
    backwards = logits_of(reference_model, patches[:10][::-1])[::-1]
    np.testing.assert_allclose(logits_of(reference_model, patches[:10]), backwards, atol=1e-4)
