"""Estimate instruction counts from those recorded for the packaged student under emulation.

`crydistill firmware-cost` writes the record that this module reads; it ships with the package, so
that `crydistill profile` needs no emulator. All figures are for a Cortex-M4 with the kernels in
plain C, as any other core runs them.
"""

import json
from collections import defaultdict
from dataclasses import asdict
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from crydistill.tflite.cost import LayerWork

RECORD = "data/firmware_cost.json"
"""Path within the package."""

_FLOAT, _INTEGERS = "Cortex-M4, plain C", "Cortex-M4, integers"
_SOFTMAX_OUTPUTS = 521

Layer = dict[str, Any]


def recorded_sha256() -> str:
    """Checksum of the recorded student."""
    return str(cost_record()["student"]["sha256"])


def front_end_per_second(*, fixed_point: bool = False) -> int:
    """Instructions of the front end per second of audio."""
    return _count("front_end_per_second", fixed_point)


def recorded_window() -> tuple[int, int, int]:
    """Instructions of network, score and vote per window of the recorded student."""
    return _count("network_per_window"), _count("score_per_window"), vote_per_window()


def vote_per_window() -> int:
    """Instructions of the vote per window."""
    return _count("vote_per_window")


def score_per_window(cry_outputs: int, outputs: int, *, softmax: bool) -> float:
    """Instructions of the score, in proportion to the number of table lookups for logits."""
    if softmax:
        return (outputs + cry_outputs) * _count("softmax_of_521") / (_SOFTMAX_OUTPUTS + 2)
    return float(cry_outputs * _count("sigmoid_of_1"))


def network_per_window(layers: tuple[LayerWork, ...]) -> float:
    """Estimate the instructions of another network from the recorded network's layers.

    Layers with products are fitted by kind, with a cost per product, row of taps and output.
    Others have a cost per layer and element read; kinds that the recorded student lacks get the
    highest per element.
    """
    rates, highest = _rates()
    total = 0.0
    for layer in layers:
        if layer.operator in rates:
            total += float(rates[layer.operator] @ _shape(asdict(layer)))
        else:
            total += highest * layer.reads
    return total


def library_bytes() -> tuple[int, int, int]:
    """Sizes of the library's code including libm, the front end's tables, `struct crydistill`."""
    size = cost_record()["cores"][_FLOAT]["bytes"]
    return size["code"] + size["libm"], size["tables"], size["state"]


@cache
def _rates() -> tuple[dict[str, Any], float]:
    """Costs by kind of layer, and the highest per element read of those without products."""
    by_kind = defaultdict(list)
    for layer in cost_record()["cores"][_FLOAT]["layers"]:
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


def _count(part: str, fixed_point: bool = False) -> int:
    return int(cost_record()["cores"][_INTEGERS if fixed_point else _FLOAT]["instructions"][part])


@cache
def cost_record() -> dict[str, Any]:
    """Return the whole record."""
    text = files("crydistill").joinpath(RECORD).read_text(encoding="utf-8")
    record: dict[str, Any] = json.loads(text)
    return record
