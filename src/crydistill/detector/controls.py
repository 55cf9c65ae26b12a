"""Change the operating point of a running detector, by commands that are checked."""

from collections.abc import Callable, Mapping
from typing import Any

from crydistill.detector.settings import replaced
from crydistill.detector.vote import VoteSettings
from crydistill.errors import ConfigError

AS_STARTED, CUSTOM = "as started", "custom"
"""Names of the settings of the command line, if they are no preset, and of any others."""


class Controls:
    """The operating points of a detector and the one in force.

    Parameters
    ----------
    start : settings the detector was started with
    presets : operating points by name
    student : fingerprint of the student; a threshold means nothing to another
    reachable : largest threshold that a score of the student can reach
    apply : called with new settings and their name

    Attributes
    ----------
    vote : settings in force
    reachable : as given

    Examples
    --------
    >>> quiet, loud = VoteSettings(threshold=0.8), VoteSettings(threshold=0.3)
    >>> points = {"quiet": quiet, "sensitive": loud}
    >>> controls = Controls(loud, points, student="demo", reachable=0.99, apply=print)
    >>> controls.choose("quiet")
    threshold=0.8 n=5 m=9 hold_seconds=10.0 quiet
    >>> controls.name
    'quiet'
    """

    def __init__(
        self,
        start: VoteSettings,
        presets: Mapping[str, VoteSettings],
        *,
        student: str,
        reachable: float,
        apply: Callable[[VoteSettings, str], None],
    ) -> None:
        self._start, self._student, self._apply = start, student, apply
        self.reachable = reachable
        self._points = dict(presets)
        if start not in self._points.values():
            self._points[AS_STARTED] = start
        self.vote = start

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the operating points to choose from."""
        return (*self._points, CUSTOM)

    @property
    def name(self) -> str:
        """Name of the operating point in force."""
        return next((name for name, vote in self._points.items() if vote == self.vote), CUSTOM)

    def choose(self, name: str) -> None:
        """Change to an operating point; "custom" leaves everything as it is.

        Raises
        ------
        ConfigError
            if there is no such operating point.
        """
        if name == CUSTOM:
            return
        if name not in self._points:
            raise ConfigError(f"preset '{name}': choose {', '.join(self._points)}")
        self._change(self._points[name])

    def set_threshold(self, text: str) -> None:
        """Change the threshold and leave the rest.

        Raises
        ------
        ConfigError
            if the text is not a number above 0 that a score of the student can reach.
        """
        try:
            threshold = float(text)
        except ValueError:
            threshold = 0.0
        if not 0 < threshold <= self.reachable:
            raise ConfigError(
                f"threshold '{text}': must be a number above 0, at most {self.reachable:g}"
            )
        self._change(replaced(self.vote, threshold=threshold))

    def to_json(self) -> dict[str, Any]:
        """What is in force, and what it was changed from; `take_up` reads it."""
        return {
            "preset": self.name,
            **self.vote.model_dump(),
            "started_with": self._start.model_dump(),
            "student": self._student,
        }

    def take_up(self, content: Any) -> bool:
        """Change to what was in force before a restart, a `to_json`; return whether that differs.

        A change holds until the detector is started with other settings or another student.
        """
        match content:
            case {"started_with": started, "student": self._student, **others}:
                others.pop("preset", None)
                vote = _settings(others)
                known = vote is not None and vote.threshold <= self.reachable
                if known and vote != self.vote and _settings(started) == self._start:
                    assert vote is not None  # known
                    self._change(vote)
                    return True
        return False

    def _change(self, vote: VoteSettings) -> None:
        self.vote = vote
        self._apply(vote, self.name)


def _settings(content: Any) -> VoteSettings | None:
    try:
        return VoteSettings.model_validate(content)
    except (ConfigError, ValueError):  # pydantic's ValidationError is a ValueError
        return None
