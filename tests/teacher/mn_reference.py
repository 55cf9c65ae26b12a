"""EfficientAT by its definition, in NumPy: nothing folded, transposed, batched or streamed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

STRIDES = (1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1)


def network(patch: Array, tensors: Mapping[str, Array]) -> Array:
    """Logits `[classes]` of a patch `[frames, 128]`."""
    x = _hard_swish(_convolution(patch.T[None], tensors, "features.0", stride=2))
    for number, stride in enumerate(STRIDES, start=1):
        activation = _relu if number < 7 else _hard_swish
        before, part, name = x, 0, f"features.{number}.block"
        while f"{name}.{part + 1}.0.weight" in tensors or _excites(tensors, f"{name}.{part + 1}"):
            if _excites(tensors, f"{name}.{part}"):
                x = _excitation(x, tensors, f"{name}.{part}.conc_se_layers.0")
            else:
                filters = tensors[f"{name}.{part}.0.weight"].shape
                steps = stride if filters[2] > 1 else 1
                x = activation(_convolution(x, tensors, f"{name}.{part}", stride=steps))
            part += 1
        x = _convolution(x, tensors, f"{name}.{part}")
        x = x + before if x.shape == before.shape else x
    x = _hard_swish(_convolution(x, tensors, "features.16")).mean(axis=(1, 2))
    return _linear(_hard_swish(_linear(x, tensors, "classifier.2")), tensors, "classifier.5")


def log_mel(samples: Array) -> Array:
    """Log-mel frames `[frames, 128]` of samples at 32 kHz, frame by frame in float64."""
    emphasised = samples[1:].astype(np.float64) - 0.97 * samples[:-1]
    padded = np.pad(emphasised, 512, mode="reflect")
    window = np.zeros(1024)
    window[112:912] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(800) / 799)
    rows = []
    for start in range(0, len(padded) - 1024 + 1, 320):
        power = np.abs(np.fft.rfft(window * padded[start : start + 1024])) ** 2
        rows.append((np.log(_bands() @ power + 1e-5) + 4.5) / 5)
    return np.array(rows)


def _bands() -> Array:
    """Kaldi's mel filters: `[128, 513]`."""

    def mel(hertz: float) -> float:
        return float(1127.0 * np.log(1.0 + hertz / 700.0))

    bands = np.zeros((128, 513))
    width = mel(15_000.0) / 129
    for band in range(128):
        left, centre, right = (width * (band + edge) for edge in range(3))
        for number in range(512):
            at = mel(number * 32_000 / 1024)
            if left < at < right:
                slope = (at - left) if at <= centre else (right - at)
                bands[band, number] = slope / width
    return bands


def _convolution(x: Array, tensors: Mapping[str, Array], name: str, *, stride: int = 1) -> Array:
    """Convolution of `[channels, height, width]`, then BatchNorm."""
    kernel = tensors[f"{name}.0.weight"].astype(np.float64)
    reach = kernel.shape[2] // 2
    padded = np.pad(x, ((0, 0), (reach, reach), (reach, reach)))
    views = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[2:], axis=(1, 2))
    views = views[:, ::stride, ::stride]
    if kernel.shape[1] == len(x):
        y = np.einsum("chwij,ocij->ohw", views, kernel)
    else:
        y = np.einsum("chwij,cij->chw", views, kernel[:, 0])
    gamma, beta, mean, variance = (
        tensors[f"{name}.1.{part}"].astype(np.float64)[:, None, None]
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    return (y - mean) / np.sqrt(variance + 1e-3) * gamma + beta


def _excites(tensors: Mapping[str, Array], name: str) -> bool:
    return f"{name}.conc_se_layers.0.fc1.weight" in tensors


def _excitation(x: Array, tensors: Mapping[str, Array], name: str) -> Array:
    squeezed = _relu(_linear(x.mean(axis=(1, 2)), tensors, f"{name}.fc1"))
    return x / (1 + np.exp(-_linear(squeezed, tensors, f"{name}.fc2")))[:, None, None]


def _linear(x: Array, tensors: Mapping[str, Array], name: str) -> Array:
    return tensors[f"{name}.weight"].astype(np.float64) @ x + tensors[f"{name}.bias"]


def _relu(x: Array) -> Array:
    return np.maximum(x, 0.0)


def _hard_swish(x: Array) -> Array:
    return x * np.clip(x / 6 + 0.5, 0.0, 1.0)
