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
from crydistill.errors import ConfigError, MissingExtraError, ModelError
from crydistill.tflite.check import inspect_tflite
from crydistill.tflite.interpreters import Float32, quiet
from crydistill.tflite.packing import packed

if TYPE_CHECKING:
    import keras

_INPUT_NAME, _OUTPUT_NAME = "log_mel", "logits"
_MIN_RUNTIME = b"min_runtime_version"


def quantize_ptq(model: "keras.Model", calibration_patches: Float32) -> bytes:
    """Quantize a trained student to int8, including inputs and outputs.

    Parameters
    ----------
    model : maps log-mel patches `[batch, 96, 64, 1]` to logits
    calibration_patches : float32 `[n, 96, 64]`, n at least 1; their activations set the int8
        ranges, so they should resemble the audio in use. A few hundred are enough.

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
        patch = keras.Input(batch_shape=(1, WINDOW_FRAMES, MEL_BANDS, 1))
        converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(patch, model(patch)))
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([p[None, :, :, None]] for p in patches)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        # One scale for the dense layer: 13 KB smaller, and older TFLite Micro supports no other.
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True
        with _silent():
            converted: bytes = converter.convert()
    except (ConverterError, RuntimeError, ValueError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ModelError(f"TensorFlow cannot convert '{model.name}' ({reason})") from error
    return converted


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
    graph.tensors[graph.inputs[0]].name = _INPUT_NAME
    graph.tensors[graph.outputs[0]].name = _OUTPUT_NAME
    model.signatureDefs = None
    dropped = {entry.buffer for entry in model.metadata if entry.name != _MIN_RUNTIME}
    model.metadata = [entry for entry in model.metadata if entry.name == _MIN_RUNTIME]
    for index in dropped:
        model.buffers[index].data = None
    return packed(model)
