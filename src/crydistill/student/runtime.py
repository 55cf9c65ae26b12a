"""Run an INT8 student on log-mel patches with LiteRT.

Needs NumPy, SciPy and LiteRT, but no TensorFlow.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from crydistill.errors import ModelError
from crydistill.student.listening import WindowListener
from crydistill.student.manifest import (
    MANIFEST_NAME,
    TFLITE_NAME,
    FrontEnd,
    StudentManifest,
    load_manifest,
)
from crydistill.tflite.check import TfliteFacts, inspect_tflite, tflite_bytes
from crydistill.tflite.interpreters import Float32, Kernels, LiteRt, dequantize, quantize

_BLOCK = 64
"""Windows quantized at once: few enough for the processor's cache."""


@dataclass(frozen=True)
class TfliteStudent:
    """A student ready to score windows.

    manifest : its `student.json`
    tflite : bytes of the model, as deployed on the device
    facts : contents of `tflite`
    kernels : LiteRT's kernels that run it

    Examples
    --------
    >>> import numpy as np
    >>> from crydistill.student.packaged import packaged_student
    >>> student = TfliteStudent.load(packaged_student())
    >>> silence = np.full((2, 96, 64), np.log(0.001), dtype=np.float32)
    >>> student.cry_scores(silence).shape
    (2,)
    >>> bool((student.cry_scores(silence) < 0.1).all())
    True
    """

    manifest: StudentManifest
    tflite: bytes
    facts: TfliteFacts
    kernels: Kernels

    @classmethod
    def load(cls, path: str | Path, kernels: Kernels = Kernels.REFERENCE) -> Self:
        """Load and check a student and its manifest.

        Parameters
        ----------
        path : a `.tflite` with its manifest beside it under the same name, or a directory that
            contains `student.tflite` and `student.json`
        kernels : LiteRT's kernels; reference for published figures, optimized for speed

        Raises
        ------
        ModelError
            if a file is missing or damaged, the two do not belong together, or the student was
            trained with a different front end.
        """
        tflite_path, manifest_path = _files(Path(path))
        manifest = load_manifest(manifest_path)
        # A student may exceed a device's size limit; the size in its manifest is the bound here.
        size_limit = manifest.tflite.size_bytes
        tflite = tflite_bytes(tflite_path, size_limit=size_limit)
        if hashlib.sha256(tflite).hexdigest() != manifest.tflite.sha256:
            raise ModelError(
                f"{tflite_path}: its sha256 is not the one in {manifest_path.name}; "
                "the two files must come from the same run"
            )
        facts = inspect_tflite(tflite, size_limit=size_limit, name=str(tflite_path))
        _check_agreement(manifest_path, manifest, facts)
        student = cls(manifest, tflite, facts, kernels)
        student.listener()  # so that a network that LiteRT refuses is refused here
        return student

    def listener(self) -> "TfliteListener":
        """Start to hear a stream of windows, which shares nothing with any other."""
        return TfliteListener(self)

    def logits(self, patches: Float32) -> Float32:
        """Outputs of the network before any activation, for a stream of its own.

        Parameters
        ----------
        patches : log-mel `[n, 96, 64]`

        Returns
        -------
        np.ndarray [shape=(n, outputs)], float32; multiples of the output scale.
        """
        return self.listener().logits(patches)

    def probabilities(self, patches: Float32) -> Float32:
        """Scores of all classes, `[n, outputs]`, each 0 to 1, for a stream of its own."""
        return self.listener().probabilities(patches)

    def cry_scores(self, patches: Float32) -> Float32:
        """One cry score per window, `[n]`, for a stream of its own."""
        return self.listener().push(patches)


class TfliteListener(WindowListener):
    """One stream of windows, heard by an INT8 student."""

    def __init__(self, student: TfliteStudent) -> None:
        super().__init__(student.manifest)
        self._facts = student.facts
        self._network = LiteRt(student.tflite, student.kernels)

    def reset(self) -> None:
        self._network.reset()

    def logits(self, patches: Float32) -> Float32:
        source, result = self._facts.input, self._facts.output
        logits = np.empty((len(patches), result.shape[-1]), dtype=np.float32)
        for start in range(0, len(patches), _BLOCK):
            block = slice(start, start + _BLOCK)
            steps = self._network.run(quantize(patches[block], source.scale, source.zero_point))
            logits[block] = dequantize(steps, result.scale, result.zero_point)
        return logits


def _files(path: Path) -> tuple[Path, Path]:
    if not (path / TFLITE_NAME if path.is_dir() else path).exists():
        raise ModelError(
            f"{path}: {f'holds no {TFLITE_NAME}' if path.is_dir() else 'no such file or folder'}; "
            f"name a student's .tflite, or a folder with {TFLITE_NAME} and {MANIFEST_NAME}, such "
            "as that of a finished run"
        )
    if path.is_dir():
        return path / TFLITE_NAME, path / MANIFEST_NAME
    return path, path.with_suffix(".json")


def _check_agreement(path: Path, manifest: StudentManifest, facts: TfliteFacts) -> None:
    ours = FrontEnd().model_dump()
    for field, value in manifest.front_end.model_dump().items():
        if value != ours[field]:
            raise ModelError(
                f"{path}: front_end.{field}: the student was trained with {value!r}, this "
                f"release computes {ours[field]!r}; use the release that made the student"
            )
    stated = {
        "input": manifest.input.model_dump(),
        "output": manifest.output.model_dump(),
        "memory": manifest.memory and vars(manifest.memory.port),
        "ops": manifest.ops,
        "macs": manifest.macs,
    }
    found = {
        "input": vars(facts.input),
        "output": vars(facts.output),
        "memory": facts.memory and vars(facts.memory),
        "ops": facts.ops,
        "macs": facts.macs,
    }
    for field, value in found.items():
        if stated[field] != value:
            raise ModelError(f"{path}: {field}: says {stated[field]}, the .tflite has {value}")
