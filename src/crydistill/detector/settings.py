"""Choose the detector's settings: a preset of the manifest, with single values replaced."""

import numpy as np

from crydistill.detector.vote import VoteSettings
from crydistill.errors import ConfigError
from crydistill.student.activation import activate
from crydistill.student.manifest import StudentManifest
from crydistill.taxonomy import cry_score

_LARGEST, _SMALLEST = 127, -128
"""Ends of int8."""


DEFAULT_PRESET = "balanced"
"""The operating point that is used unless another is chosen."""


def vote_settings(manifest: StudentManifest, preset: str) -> VoteSettings:
    """Settings of a preset in the student's manifest.

    Raises
    ------
    ConfigError
        if the manifest has no such preset.
    """
    if preset not in manifest.presets:
        known = ", ".join(manifest.presets) or "none; evaluate the student first"
        raise ConfigError(f"the student has no preset '{preset}'; it has {known}")
    base = manifest.presets[preset]
    return VoteSettings(
        threshold=base.threshold, n=base.n, m=base.m, hold_seconds=base.hold_seconds
    )


def replaced(base: VoteSettings, **values: float | None) -> VoteSettings:
    """Replace the settings for which a value other than None is given.

    Raises
    ------
    ConfigError
        if a value is out of range.
    """
    given = {name: value for name, value in values.items() if value is not None}
    return VoteSettings.model_validate({**base.model_dump(), **given})


def reachable_score(manifest: StudentManifest) -> float:
    """Largest cry score that a student's int8 output can give; a window votes up to here.

    Examples
    --------
    >>> from crydistill.student.manifest import load_manifest
    >>> from crydistill.student.packaged import packaged_student
    >>> manifest = load_manifest(packaged_student() / "student.json")
    >>> round(reachable_score(manifest), 6)
    0.999772
    """
    output = manifest.output
    steps = np.full((1, output.shape[-1]), _SMALLEST, dtype=np.float32)
    steps[:, list(manifest.cry_outputs)] = _LARGEST
    logits = (steps - np.float32(output.zero_point)) * np.float32(output.scale)
    return float(cry_score(activate(logits, manifest.activation), manifest.cry_outputs)[0])


def require_reachable(vote: VoteSettings, manifest: StudentManifest, *, source: str) -> None:
    """Refuse settings with which no sound raises an alert.

    Parameters
    ----------
    source : where the threshold comes from, for the message

    Raises
    ------
    ConfigError
        if no score of the student reaches the threshold.
    """
    largest = reachable_score(manifest)
    if np.float32(vote.threshold) <= np.float32(largest):
        return
    shown = np.floor(largest * 10_000) / 10_000
    raise ConfigError(
        f"{source}: no score of the student {manifest.name} reaches {vote.threshold:g}, so that "
        f"nothing would raise an alert; choose a threshold of 0 to {shown:g}, or calibrate again"
    )
