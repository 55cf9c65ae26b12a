"""Full-integer post-training quantization (PTQ) with TensorFlow's converter.

The converter's file is then rewritten: without the tensor names, signatures and metadata that no
runtime needs (5 KB), and with every constant aligned to 16 bytes, which the converter does not
ensure. The same model and patches give the same bytes.
"""

import contextlib
import io
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from crydistill.audio.mel import MEL_BANDS
from crydistill.audio.windows import WINDOW_FRAMES
from crydistill.errors import ConfigError, MissingExtraError, ModelError, first_line
from crydistill.tflite.check import inspect_tflite
from crydistill.tflite.interpreters import Float32, quiet
from crydistill.tflite.packing import packed

if TYPE_CHECKING:
    import keras

_INPUTS, _OUTPUTS = ("log_mel", "memory"), ("logits", "memory")
_MIN_RUNTIME = b"min_runtime_version"


def quantize_ptq(model: "keras.Model", calibration_patches: Float32) -> bytes:
    """Quantize a trained student to int8, including inputs and outputs.

    Parameters
    ----------
    model : maps log-mel patches `[batch, 96, 64, 1]` to logits; with a memory, as made by
        `crydistill.student.memory.with_state`, patches and memory to logits and memory
    calibration_patches : float32 `[n, 96, 64]`, n at least 1; their activations set the int8
        ranges, so they should resemble the audio in use. A few hundred are enough. For a student
        with memory they are heard one after the other, as a stream.

    Returns
    -------
    The `.tflite`, accepted by `inspect_tflite` whatever its size, which is for the caller to check.

    Raises
    ------
    MissingExtraError
        if TensorFlow is not installed.
    ConfigError
        if Keras runs on another backend.
    ModelError
        if the patches are of another shape or not finite, or the network uses something that the
        operators of `crydistill.tflite.file` cannot express.
    """
    patches = np.asarray(calibration_patches, dtype=np.float32)
    if patches.ndim != 3 or patches.shape[1:] != (WINDOW_FRAMES, MEL_BANDS) or len(patches) == 0:
        raise ModelError(
            f"calibration patches of shape {patches.shape}; "
            f"give at least one, as [n, {WINDOW_FRAMES}, {MEL_BANDS}]"
        )
    window = tuple(model.inputs[0].shape[1:])
    if window != (WINDOW_FRAMES, MEL_BANDS, 1):
        raise ModelError(
            f"cannot convert '{model.name}': it takes {window}, no window of "
            f"{(WINDOW_FRAMES, MEL_BANDS, 1)}"
        )
    if not np.isfinite(patches).all():
        raise ModelError("calibration patches hold NaN or infinity; leave those windows out")
    tflite = _rewritten(_converted(model, patches))
    inspect_tflite(tflite, size_limit=len(tflite), aligned=True)
    return tflite


def _converted(model: "keras.Model", patches: Float32) -> bytes:
    keras, tf = _keras_and_tensorflow()
    from tensorflow.lite.python.convert import ConverterError

    try:
        # With an open batch dimension, Reshape and Flatten become operators that compute shapes.
        # The converter sorts inputs by their names, and so must the calibration data be.
        ports = [
            keras.Input(batch_shape=(1, *port.shape[1:]), name=name)
            for port, name in zip(model.inputs, _INPUTS, strict=False)
        ]
        called = model(ports if len(ports) > 1 else ports[0])
        converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(ports, called))
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: _heard(model, patches)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        # One scale for the dense layer: 13 KB smaller, and older TFLite Micro supports no other.
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True
        with _silent():
            converted: bytes = converter.convert()
    except (ConverterError, RuntimeError, ValueError) as error:
        raise ModelError(
            f"TensorFlow cannot convert '{model.name}' ({first_line(error)})"
        ) from error
    return converted


def _heard(model: "keras.Model", patches: Float32) -> Iterator[list[Float32]]:
    """What the network's inputs are as it hears the patches one after the other."""
    memories = [np.zeros((1, *port.shape[1:]), dtype=np.float32) for port in model.inputs[1:]]
    for patch in patches:
        inputs = [patch[None, :, :, None], *memories]
        yield inputs
        if memories:
            memories = [np.asarray(model.predict_on_batch(inputs)[1])]


def _keras_and_tensorflow() -> tuple[Any, Any]:
    try:
        with _silent():
            import keras
            import tensorflow as tf
    except ImportError as error:
        raise MissingExtraError(
            "quantization needs TensorFlow: pip install 'crydistill[train]'"
        ) from error
    if keras.backend.backend() != "tensorflow":
        raise ConfigError(
            f"quantization needs Keras on TensorFlow, not {keras.backend.backend()}; "
            "set KERAS_BACKEND=tensorflow"
        )
    return keras, tf


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Discard the converter's output, which comes from Python and from native code."""
    sink = io.StringIO()
    with (
        quiet(),
        contextlib.redirect_stdout(sink),
        contextlib.redirect_stderr(sink),
        warnings.catch_warnings(action="ignore"),
    ):
        yield


def _rewritten(converted: bytes) -> bytes:
    """Rewrite the converter's file without what no runtime needs, and with constants aligned."""
    model = schema.ModelT.InitFromPackedBuf(converted, 0)
    graph = model.subgraphs[0]
    for tensor in graph.tensors:
        tensor.name = None
    _name_ports(graph)
    model.signatureDefs = None
    dropped = {entry.buffer for entry in model.metadata if entry.name != _MIN_RUNTIME}
    model.metadata = [entry for entry in model.metadata if entry.name == _MIN_RUNTIME]
    for index in dropped:
        model.buffers[index].data = None
    return packed(model)


def _name_ports(graph: Any) -> None:
    """Order and name inputs and outputs; the converter orders them as it likes."""
    # A memory has an axis for its windows, logits have none.
    graph.inputs = sorted(graph.inputs, key=lambda port: -len(graph.tensors[port].shape))
    graph.outputs = sorted(graph.outputs, key=lambda port: len(graph.tensors[port].shape))
    for ports, names in ((graph.inputs, _INPUTS), (graph.outputs, _OUTPUTS)):
        for port, name in zip(ports, names, strict=False):
            graph.tensors[port].name = name
