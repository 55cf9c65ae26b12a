"""Estimate instruction counts from those recorded for the packaged student under emulation.

`crydistill firmware-cost` writes the record that this module reads; it ships with the package, so
that `crydistill profile` needs no emulator. It has figures for each of `emulator.CORES`, by title,
with the kernels that the library chooses there.
"""

import json
from collections import defaultdict
from dataclasses import asdict
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from crydistill.device.emulator import Core
from crydistill.tflite.cost import LayerWork

RECORD = "data/firmware_cost.json"
"""Path within the package."""

_SOFTMAX_OUTPUTS = 521

Layer = dict[str, Any]


def recorded_sha256() -> str:
    """Checksum of the recorded student."""
    return str(cost_record()["student"]["sha256"])


def front_end_per_second(core: Core) -> int:
    """Instructions of the front end per second of audio."""
    return _count(core, "front_end_per_second")


def recorded_window(core: Core) -> tuple[int, int, int]:
    """Instructions of network, score and vote per window of the recorded student."""
    parts = "network_per_window", "score_per_window", "vote_per_window"
    network, score, vote = (_count(core, part) for part in parts)
    return network, score, vote


def vote_per_window(core: Core) -> int:
    """Instructions of the vote per window."""
    return _count(core, "vote_per_window")


def score_per_window(core: Core, cry_outputs: int, outputs: int, *, softmax: bool) -> float:
    """Instructions of the score, in proportion to the number of table lookups for logits."""
    if softmax:
        each = _count(core, "softmax_of_521") / (_SOFTMAX_OUTPUTS + 2)
        return (outputs + cry_outputs) * each
    return float(cry_outputs * _count(core, "sigmoid_of_1"))


def network_per_window(core: Core, layers: tuple[LayerWork, ...]) -> float:
    """Estimate the instructions of another network from the recorded network's layers.

    Layers with products are fitted by kind, with a cost per product, row of taps and output.
    Others have a cost per layer and element read; kinds that the recorded student lacks get the
    highest per element.
    """
    rates, highest = _rates(core.title)
    total = 0.0
    for layer in layers:
        if layer.operator in rates:
            total += float(rates[layer.operator] @ _shape(asdict(layer)))
        else:
            total += highest * layer.reads
    return total


def library_bytes() -> tuple[int, int, int]:
    """Sizes of the library's code including libm, on the core where it is largest, of the front
    end's tables and of `struct crydistill`."""
    sizes = [core["bytes"] for core in cost_record()["cores"].values()]
    code = max(size["code"] + size["libm"] for size in sizes)
    return code, max(size["tables"] for size in sizes), max(size["state"] for size in sizes)


@cache
def _rates(title: str) -> tuple[dict[str, Any], float]:
    """Costs by kind of layer, and the highest per element read of those without products."""
    by_kind = defaultdict(list)
    for layer in cost_record()["cores"][title]["layers"]:
        by_kind[layer["operator"]].append(layer)
    others = [x for same in by_kind.values() for x in same if not x["macs"]]
    highest = max(x["instructions"] / x["reads"] for x in others)
    return {kind: _fitted(same) for kind, same in by_kind.items()}, highest


def _shape(layer: Layer) -> tuple[float, ...]:
    """What a layer's cost is made of."""
    if layer["macs"]:
        return layer["macs"], layer["rows"], layer["outputs"]
    return layer["reads"], 1.0


def _fitted(layers: list[Layer]) -> Any:
    """Fit the cost of each part of a layer's shape, minimising relative errors."""
    shapes = np.array([_shape(layer) for layer in layers], dtype=float)
    counted = np.array([x["instructions"] for x in layers], dtype=float)
    rates, *_ = np.linalg.lstsq(shapes / counted[:, None], np.ones(len(layers)), rcond=1e-6)
    return rates


def _count(core: Core, part: str) -> int:
    return int(cost_record()["cores"][core.title]["instructions"][part])


@cache
def cost_record() -> dict[str, Any]:
    """Return the whole record."""
    text = files("crydistill").joinpath(RECORD).read_text(encoding="utf-8")
    record: dict[str, Any] = json.loads(text)
    return record
