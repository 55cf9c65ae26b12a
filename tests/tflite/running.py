"""Run a network with float32 input and output, for comparison with the int8 original."""

import numpy as np

from crydistill.tflite.interpreters import Float32, Kernels, quiet


def run_float(tflite: bytes, patches: Float32, kernels: Kernels = Kernels.REFERENCE) -> Float32:
    """Logits `[n, outputs]` of a stream of patches `[n, 96, 64]` by a twin, in LiteRT.

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
    sources, results = interpreter.get_input_details(), interpreter.get_output_details()
    memories = [np.zeros(source["shape"], np.float32) for source in sources[1:]]
    rows = []
    for patch in np.asarray(patches, dtype=np.float32).reshape(-1, *sources[0]["shape"]):
        for source, value in zip(sources, [patch, *memories], strict=True):
            interpreter.set_tensor(source["index"], value)
        interpreter.invoke()
        logits, *memories = (interpreter.get_tensor(result["index"]) for result in results)
        rows.append(logits[0])
    return np.stack(rows)
