"""Run directory: the paths of a run's files and the record of completed stages."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from crydistill import atomic
from crydistill.json_file import read_json

LISTEN_PAGE = "listen.html"
"""The web page of a run's student (`crydistill export web`), which pages beside it link to."""


def fingerprint(*values: Any) -> str:
    """Return a content hash (sha256) of JSON-serialisable values and config sections."""
    plain = [
        v.model_dump(mode="json", by_alias=True) if isinstance(v, BaseModel) else v for v in values
    ]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class RunDirectory:
    """Paths of one run's files, and which of its stages are up to date."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def training(self) -> Path:
        return self.path / "training"

    @property
    def memory_training(self) -> Path:
        return self.training / "memory"

    def last_training(self, *, memory: bool) -> Path:
        """Directory of the training that ends with the student, which may have a memory."""
        return self.memory_training if memory else self.training

    @property
    def without_memory(self) -> Path:
        """What the window network catches on the night on which the memory is validated."""
        return self.memory_training / "without_memory.json"

    @property
    def selection(self) -> Path:
        return self.path / "selection.json"

    @property
    def student_fp32(self) -> Path:
        return self.path / "student.keras"

    @property
    def student(self) -> Path:
        return self.path / "student.tflite"

    @property
    def manifest(self) -> Path:
        return self.path / "student.json"

    @property
    def calibration(self) -> Path:
        return self.path / "calibration.csv"

    @property
    def check(self) -> Path:
        return self.path / "check.json"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.json"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def scores(self) -> Path:
        return self.path / "scores.npz"

    @property
    def figure(self) -> Path:
        return self.path / "summary.png"

    @property
    def night(self) -> Path:
        return self.path / "night.json"

    @property
    def night_page(self) -> Path:
        return self.path / "night.html"

    @property
    def night_plan(self) -> Path:
        return self.path / "night.csv"

    def start(self, config: BaseModel) -> None:
        """Create the directory and write the resolved config to it."""
        text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
        atomic.write_text(self.config, text)

    def is_done(self, stage: str, key: str, outputs: Sequence[Path]) -> bool:
        """Whether the stage last finished with this key and its outputs still exist."""
        return self._stages().get(stage) == key and all(path.exists() for path in outputs)

    def mark_done(self, stage: str, key: str) -> None:
        """Record that a stage finished with this key."""
        text = json.dumps({**self._stages(), stage: key}, indent=2)
        atomic.write_text(self._stages_file, text + "\n")

    @property
    def _stages_file(self) -> Path:
        return self.path / "stages.json"

    def _stages(self) -> dict[str, str]:
        if not self._stages_file.exists():
            return {}
        return read_json(
            self._stages_file, "restore it, or choose another name for the run in the config"
        )
