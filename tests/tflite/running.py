"""Run a network with float32 input and output, for comparison with the int8 original."""

import numpy as np

from crydistill.tflite.interpreters import Float32, Kernels, quiet


def run_float(tflite: bytes, patches: Float32, kernels: Kernels = Kernels.REFERENCE) -> Float32:
    """Logits `[n, outputs]` of log-mel patches `[n, 96, 64]` by a twin, in LiteRT.

    Parameters
    ----------
    tflite : from `float_twin`
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = {
        Kernels.REFERENCE: OpResolverType.BUILTIN_REF,
        Kernels.OPTIMIZED: OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        Kernels.XNNPACK: OpResolverType.BUILTIN,
    }[kernels]
    with quiet():
        interpreter = Interpreter(
            model_content=tflite, experimental_op_resolver_type=resolver, num_threads=1
        )
        interpreter.allocate_tensors()
    source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    rows = []
    for patch in np.asarray(patches, dtype=np.float32).reshape(-1, *source["shape"]):
        interpreter.set_tensor(source["index"], patch)
        interpreter.invoke()
        rows.append(interpreter.get_tensor(result["index"])[0])
    return np.stack(rows)
