"""Augment a corpus's clips deterministically, differently in each round."""

from collections.abc import Sequence

from crydistill.audio.files import read_audio
from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.audio.variation import Variation, vary
from crydistill.corpora.clip import Clip
from crydistill.errors import AudioError
from crydistill.seeds import generator
from crydistill.teacher.scoring import Change

NOISE_SECONDS = 20
"""Maximum length of each noise recording kept in memory."""


def varying(
    noises: Sequence[Clip], options: Variation, *, count: int, seed: int, round_number: int
) -> Change:
    """Return a round's augmentation, a pure function of clip, seed and round.

    Parameters
    ----------
    noises : clips without a cry, of which `count` are drawn in each round to be mixed into others
    """
    draw = generator(seed, "noises", str(round_number))
    chosen = draw.permutation(len(noises))[:count]
    at_hand = [sound for number in sorted(chosen) for sound in _read(noises[number])]

    def change(clip: Clip, samples: Samples) -> Samples:
        rng = generator(seed, "vary", str(round_number), clip.source, clip.id)
        return vary(samples, at_hand, options, rng)

    return change


def _read(clip: Clip) -> list[Samples]:
    """Read a clip's samples; empty if it cannot be decoded, which scoring reports."""
    try:
        return [read_audio(clip.path).samples[: NOISE_SECONDS * SAMPLE_RATE]]
    except AudioError:
        return []
