"""Compute a student's golden vectors for given audio, stage by stage.

The boot self-test (`device.selftest`) and the bundle (`publish.golden`) each choose their audio and
write their files.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crydistill.audio.mel import log_mel
from crydistill.audio.windows import windows
from crydistill.detector.vote import Event, Vote, VoteSettings
from crydistill.device.c_tables import PCM_FULL_SCALE
from crydistill.student.activation import activate
from crydistill.student.manifest import StudentManifest
from crydistill.taxonomy import cry_score
from crydistill.tflite.check import inspect_tflite
from crydistill.tflite.interpreters import Float32, Int8, Network, dequantize, quantize

Pcm = npt.NDArray[np.int16]
"""Samples at 16 kHz, `[samples]`."""


@dataclass(frozen=True)
class Golden:
    """The audio and the output of every stage.

    pcm : `[samples]` at 16 kHz
    patches : int8 `[n, 96, 64]`
    logits : int8 `[n, outputs]`
    scores : `[n]`
    """

    pcm: Pcm
    patches: Int8
    logits: Int8
    scores: Float32

    def events(self, settings: VoteSettings) -> list[Event | None]:
        """Event of each window, `[n]`."""
        vote = Vote.of(settings)
        return [vote.push(float(score)) for score in self.scores]


def log_mel_patches(pcm: Pcm) -> Float32:
    """Log-mel patches of audio, `[n, 96, 64]`."""
    return windows(log_mel(pcm.astype(np.float32) / np.float32(PCM_FULL_SCALE)))


def make_golden(pcm: Pcm, tflite: bytes, manifest: StudentManifest, network: Network) -> Golden:
    """Run audio through all stages of the Python implementation, with nothing heard before.

    Parameters
    ----------
    tflite, manifest : the student
    network : interpreter that defines the arithmetic, loaded with the student

    Raises
    ------
    ModelError
        if the student fails `inspect_tflite`.
    """
    facts = inspect_tflite(tflite, size_limit=manifest.tflite.size_bytes, name=manifest.name)
    source, result = facts.input, facts.output
    patches = quantize(log_mel_patches(pcm), source.scale, source.zero_point)
    network.reset()
    logits = network.run(patches)
    values = dequantize(logits, result.scale, result.zero_point)
    scores = cry_score(activate(values, manifest.activation), manifest.cry_outputs)
    return Golden(pcm, patches, logits, scores)
