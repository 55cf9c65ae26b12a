"""Roles of models in a run, and their names in result files."""

from enum import StrEnum


class Role(StrEnum):
    """What a model is to its run; the value is its name in `metrics.json` and `scores.npz`."""

    TEACHER = "teacher"
    FP32 = "student FP32"
    INT8 = "student INT8"
