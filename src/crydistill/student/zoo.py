"""Build student networks by name.

An architecture is a function from options to a `keras.Model` that takes log-mel patches
`[batch, 96, 64, 1]` and returns logits `[batch, outputs]` of a dense layer at its end. To add one,
write the function in a module of its own and register it in `ARCHITECTURES`. Convolutions are those
of `crydistill.student.layers`, without bias and each followed by a BatchNorm, which is what
quantization-aware training can fold; other layers are Keras's own, as far as they convert to the
operators in `crydistill.tflite.operators`.
"""

import inspect
from collections.abc import Callable
from typing import Any

import keras

from crydistill.errors import ConfigError, first_line
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
        if the architecture is unknown or has no such option, or its options make no network.
    """
    try:
        builder = ARCHITECTURES[name]
    except KeyError:
        known = ", ".join(sorted(ARCHITECTURES))
        raise ConfigError(
            f"student architecture '{name}': unknown; choose one of {known}"
        ) from None
    known_options = inspect.signature(builder).parameters
    unknown = sorted(set(options) - set(known_options))
    if unknown:
        raise ConfigError(
            f"student architecture '{name}': no option '{unknown[0]}'; "
            f"it has {', '.join(known_options) or 'none'}"
        )
    try:
        return builder(**options)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"student architecture '{name}': its options make no network ({first_line(error)})"
        ) from error
