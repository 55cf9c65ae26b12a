"""Choose the detector's settings: a preset of the manifest, with single values replaced."""

from crydistill.detector.vote import VoteSettings
from crydistill.errors import ConfigError
from crydistill.student.manifest import StudentManifest


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
