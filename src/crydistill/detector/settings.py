"""Which threshold and vote a detector runs with."""

from crydistill.detector.vote import VoteSettings
from crydistill.errors import ConfigError
from crydistill.student.manifest import StudentManifest

DEFAULT_PRESET = "balanced"


def vote_settings(
    manifest: StudentManifest,
    *,
    preset: str = DEFAULT_PRESET,
    threshold: float | None = None,
    n: int | None = None,
    m: int | None = None,
    hold_seconds: float | None = None,
) -> VoteSettings:
    """Take a preset of the student's manifest, with single values replaced where given.

    Raises
    ------
    ConfigError
        if there is no such preset, or a value is out of its range.
    """
    if preset not in manifest.presets:
        known = ", ".join(manifest.presets) or "none; evaluate the student first"
        raise ConfigError(f"the student has no preset '{preset}'; it has {known}")
    base = manifest.presets[preset]
    return VoteSettings(
        threshold=base.threshold if threshold is None else threshold,
        n=base.n if n is None else n,
        m=base.m if m is None else m,
        hold_seconds=base.hold_seconds if hold_seconds is None else hold_seconds,
    )
