"""Small recordings of every container, made by FFmpeg's encoders and libsndfile's."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile

KINDS: dict[str, tuple[str, int]] = {
    "voice.m4a": ("aac", 44_100),
    "lossless.m4a": ("alac", 44_100),
    "voice.3gp": ("libopencore_amrnb", 8_000),
    "music.3gp": ("aac", 16_000),
    "voice.amr": ("libopencore_amrnb", 8_000),
    "voice.aac": ("aac", 44_100),
    "voice.mov": ("aac", 44_100),
    "plain.mov": ("pcm_s16le", 44_100),
    "voice.mp4": ("aac", 48_000),
    "voice.webm": ("libopus", 48_000),
    "voice.mka": ("libopus", 48_000),
    "voice.wma": ("wmav2", 44_100),
    "voice.avi": ("libmp3lame", 44_100),
    "voice.ts": ("aac", 44_100),
    "voice.caf": ("adpcm_ima_qt", 44_100),
    "voice.mp3": ("libmp3lame", 44_100),
    "voice.flac": ("flac", 44_100),
    "voice.wv": ("wavpack", 44_100),
    "voice.opus": ("libopus", 48_000),
}
"""Codec and sample rate by file name."""

SAMPLED = {
    "voice.wav": ("WAV", "PCM_16"),
    "float.wav": ("WAV", "FLOAT"),
    "packed.wav": ("WAV", "IMA_ADPCM"),
    "long.wav": ("RF64", "PCM_16"),
    "voice.w64": ("W64", "PCM_16"),
    "voice.aiff": ("AIFF", "PCM_16"),
    "voice.au": ("AU", "PCM_16"),
    "plain.caf": ("CAF", "PCM_16"),
    "lossless.caf": ("CAF", "ALAC_16"),
    "voice.ogg": ("OGG", "VORBIS"),
    "deep.flac": ("FLAC", "PCM_24"),
}
"""Format and subtype of libsndfile by file name; all at 22.05 kHz."""


def sweep(seconds: float, rate: int) -> np.ndarray:
    """A gliding tone with pauses, so that a shift shows: float32 `[n]`."""
    time = np.arange(round(seconds * rate)) / rate
    tone = 0.3 * np.sin(2 * np.pi * (300 + 150 * time) * time)
    return np.asarray(tone * (np.sin(2 * np.pi * 1.3 * time) > 0), dtype=np.float32)


def encode(
    path: Path,
    codec: str,
    rate: int,
    *tracks: np.ndarray,
    options: dict[str, str] | None = None,
    video: bool = False,
) -> Path:
    """Write tracks of mono sound, optionally beside a video, into the container of the suffix."""
    with av.open(path, "w", options=options or {}) as container:
        pictures = container.add_stream("mpeg4", rate=10, pix_fmt="yuv420p") if video else None
        streams = [
            container.add_stream(codec, rate=rate, layout="mono", bit_rate=64_000) for _ in tracks
        ]
        if pictures is not None:
            _draw(container, pictures)
        for stream, samples in zip(streams, tracks, strict=True):
            for frame in _frames(stream, samples, rate):
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    return path


def _draw(container: Any, stream: Any) -> None:
    stream.width, stream.height = 64, 48
    container.start_encoding()
    for number in range(10):
        image = np.full((48, 64, 3), 20 * number, dtype=np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
    container.mux(stream.encode(None))


def _frames(stream: Any, samples: np.ndarray, rate: int) -> list[Any]:
    kind = stream.codec_context.format or av.Codec(stream.name, "w").audio_formats[0]
    whole = av.AudioFrame.from_ndarray(samples[None, :], format="fltp", layout="mono")
    whole.sample_rate, whole.pts, whole.time_base = rate, 0, Fraction(1, rate)
    size = stream.codec_context.frame_size or None
    resampler = av.AudioResampler(format=kind.name, layout="mono", rate=rate, frame_size=size)
    return [*resampler.resample(whole), *resampler.resample(None)]


def write_all(folder: Path, seconds: float = 2.0) -> dict[str, Path]:
    """Every kind that the encoders at hand can write, by name."""
    written = {}
    for name, (codec, rate) in KINDS.items():
        written[name] = encode(folder / name, codec, rate, sweep(seconds, rate))
    for name, (form, subtype) in SAMPLED.items():
        written[name] = folder / name
        soundfile.write(folder / name, sweep(seconds, 22_050), 22_050, subtype, format=form)
    return written
