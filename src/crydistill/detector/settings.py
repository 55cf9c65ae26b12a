"""Which threshold and vote a detector runs with."""

from crydistill.detector.vote import VoteSettings
from crydistill.errors import ConfigError
from crydistill.student.manifest import StudentManifest


def vote_settings(manifest: StudentManifest, preset: str) -> VoteSettings:
    """Take a preset of the student's manifest.

    Raises
    ------
    ConfigError
        if there is no such preset.
    """
    if preset not in manifest.presets:
        known = ", ".join(manifest.presets) or "none; evaluate the student first"
        raise ConfigError(f"the student has no preset '{preset}'; it has {known}")
    base = manifest.presets[preset]
    return VoteSettings(
        threshold=base.threshold, n=base.n, m=base.m, hold_seconds=base.hold_seconds
    )


def replaced(base: VoteSettings, **values: float | None) -> VoteSettings:
    """Replace single settings by those values that are not None.

    Raises
    ------
    ConfigError
        if a value is out of its range.
    """
    given = {name: value for name, value in values.items() if value is not None}
    return VoteSettings.model_validate({**base.model_dump(), **given})
