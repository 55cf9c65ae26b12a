"""Estimate instruction counts from those recorded for the packaged student under emulation.

`crydistill firmware-cost` writes the record that this module reads; it ships with the package, so
that `crydistill profile` needs no emulator. All figures are for a Cortex-M4.
"""

import json
from collections import defaultdict
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from crydistill.tflite.cost import LayerWork

RECORD = "data/firmware_cost.json"
"""Path within the package."""

_FLOAT, _INTEGERS = "Cortex-M4", "Cortex-M4, integers"
_SOFTMAX_OUTPUTS = 521

Layers = list[dict[str, Any]]


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

    Layers with products are fitted by kind, with a cost per product, inner loop and output. Others
    have a cost per element read; kinds that the recorded student lacks get the highest of these.
    """
    rates, others = _rates()
    highest = max(others.values())
    total = 0.0
    for layer in layers:
        if layer.operator in rates:
            total += float(rates[layer.operator] @ (layer.macs, layer.inner_loops, layer.outputs))
        else:
            total += others.get(layer.operator, highest) * layer.reads
    return total


def library_bytes() -> tuple[int, int, int]:
    """Sizes of the library's code including libm, the front end's tables, `struct crydistill`."""
    size = cost_record()["cores"][_FLOAT]["bytes"]
    return size["code"] + size["libm"], size["tables"], size["state"]


@cache
def _rates() -> tuple[dict[str, Any], dict[str, float]]:
    by_kind = defaultdict(list)
    for layer in cost_record()["cores"][_FLOAT]["layers"]:
        by_kind[layer["operator"]].append(layer)
    products = {kind: same for kind, same in by_kind.items() if same[0]["macs"]}
    fitted = {kind: _fitted(same) for kind, same in products.items()}
    others = {
        kind: sum(x["instructions"] for x in same) / sum(x["reads"] for x in same)
        for kind, same in by_kind.items()
        if kind not in products
    }
    return fitted, others


def _fitted(layers: Layers) -> Any:
    """Fit instructions per product, inner loop and output, minimising relative errors."""
    shapes = np.array([[x["macs"], x["inner_loops"], x["outputs"]] for x in layers], dtype=float)
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
