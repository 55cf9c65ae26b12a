"""Sounds and a scorer for the tests of nights; the scorer detects a tone at 3 kHz as a cry."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from crydistill.audio.mel import SAMPLE_RATE, Samples, log_mel
from crydistill.audio.windows import windows
from crydistill.corpora.clip import Clip, Label
from crydistill.detector.vote import VoteSettings
from crydistill.evaluation.scorers import Scorer
from crydistill.experiment.streams import StreamOptions
from crydistill.nights.night import ClipNight, clip_nights
from crydistill.roles import Role
from crydistill.teacher.base import Recording

CRY_HERTZ = 3_000.0

VOTE = VoteSettings(threshold=0.5, n=2, m=3, hold_seconds=1.0)
OPTIONS = StreamOptions(
    rooms=0,
    episodes=6,
    clips=(1, 1),
    mean_gap_seconds=8.0,
    snr_db=(15.0, 25.0),
    microphone_db=(0.0, 0.0),
)


def tone(hertz: float, seconds: float, amplitude: float = 0.1) -> Samples:
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (amplitude * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def share_of_tone(recording: Recording) -> npt.NDArray[np.float32]:
    """Share of a window's frames whose loudest band is that of the tone."""
    band = int(log_mel(tone(CRY_HERTZ, 1.0)).mean(axis=0).argmax())
    loud = (recording.frames.argmax(axis=1) == band)[:, None]
    return np.asarray(windows(loud)[:, :, 0].mean(axis=1), dtype=np.float32)


def scorer(name: str = "ear", presets: dict[str, VoteSettings] | None = None) -> Scorer:
    return Scorer(name, Role.INT8, "0" * 64, lambda: share_of_tone, None, presets or {})


def clips(folder: Path, *, private: bool = False) -> list[Clip]:
    """Cries of two children; fans, and two whistles that sound like a cry."""
    sounds = [
        *((f"cry{n}", Label.CRY, f"child{n % 2}", CRY_HERTZ, 4.0, "cry") for n in range(4)),
        *((f"fan{n}", Label.NONCRY, f"fan{n}", 500.0 + n, 3.0, "fan") for n in range(6)),
        *((f"whistle{n}", Label.NONCRY, f"w{n}", CRY_HERTZ, 5.0, "whistle") for n in range(2)),
    ]
    made = []
    for name, label, group, hertz, seconds, category in sounds:
        path = folder / f"{name}.wav"
        soundfile.write(path, tone(hertz, seconds), SAMPLE_RATE, subtype="FLOAT")
        made.append(Clip(name, path, label, group, category=category, private=private))
    return made


def tones(folder: Path, *, private: bool = False) -> ClipNight:
    """A night of those clips, written to a folder."""
    made = clips(folder, private=private)
    (night,) = clip_nights({"tones": made}, options=OPTIONS, seeds=[0])
    return night


def home(path: Path) -> Path:
    """30 s at 44.1 kHz in stereo, the tone from 10 to 15 s and from 20 to 24 s."""
    rate = 44_100
    time = np.arange(30 * rate) / rate
    crying = ((time >= 10) & (time < 15)) | ((time >= 20) & (time < 24))
    sound = 0.2 * np.sin(2 * np.pi * CRY_HERTZ * time) * crying
    sound += np.random.default_rng(0).normal(0, 1e-3, len(time))
    soundfile.write(path, np.stack([sound, sound], axis=1), rate)
    return path
