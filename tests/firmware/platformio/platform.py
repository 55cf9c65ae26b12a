"""A development platform for PlatformIO that is this computer."""

from platformio.public import PlatformBase


class StandinPlatform(PlatformBase):
    """Nothing but what `platform.json` says."""
