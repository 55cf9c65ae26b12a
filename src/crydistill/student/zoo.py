"""The student networks by name.

An architecture is a function from options to a `keras.Model` that takes log-mel patches
`[batch, 96, 64, 1]` and gives logits `[batch, outputs]` of a dense layer at its end. To add one,
write the function in a module of its own and name it in `ARCHITECTURES`. Its convolutions are those
of `crydistill.student.layers`, without bias and each with a BatchNorm behind it, which is what
quantization-aware training can fold; of Keras's other layers it may use what converts to the
operators of `crydistill.tflite.operators`.
"""

import inspect
from collections.abc import Callable
from typing import Any

import keras

from crydistill.errors import ConfigError
from crydistill.student.crynet import crynet
from crydistill.student.dscnn import dscnn

Builder = Callable[..., keras.Model]

ARCHITECTURES: dict[str, Builder] = {"crynet": crynet, "dscnn": dscnn}


def build(name: str, **options: Any) -> keras.Model:
    """Build a student network with fresh weights.

    Parameters
    ----------
    name : a key of `ARCHITECTURES`
    options : keyword arguments of its builder

    Raises
    ------
    ConfigError
        if there is no such architecture or it has no such option.
    """
    try:
        builder = ARCHITECTURES[name]
    except KeyError:
        known = ", ".join(sorted(ARCHITECTURES))
        raise ConfigError(f"student architecture '{name}': not known; one of {known}") from None
    known_options = inspect.signature(builder).parameters
    unknown = sorted(set(options) - set(known_options))
    if unknown:
        raise ConfigError(
            f"student architecture '{name}': no option '{unknown[0]}'; "
            f"it has {', '.join(known_options) or 'none'}"
        )
    return builder(**options)
