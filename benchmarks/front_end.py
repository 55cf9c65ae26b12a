"""Log-mel frames from samples, beside librosa's."""

import numpy as np

from benchmarks import reference
from benchmarks.material import Material
from benchmarks.records import COMMON, Benchmark, Comparison, Measured
from benchmarks.rounds import in_turn, processor_seconds
from crydistill.audio.mel import SAMPLE_RATE, log_mel

MINUTES = 10

BENCHMARK = Benchmark(
    "front_end",
    "The log-mel front end",
    "Processor time for noise, in pieces of ten seconds. crydistill computes in float64, so that "
    "frames are bit-identical however the sound arrives; librosa's STFT with YAMNet's mel matrix "
    "gives the same frames but for the rounding of float32, and librosa's own mel spectrogram "
    "others, which no network of this project was trained on.",
    (*COMMON, "benchmarks/front_end.py", "benchmarks/reference.py", "src/crydistill/audio/mel.py"),
)


def measure(material: Material) -> Measured:
    material.add_librosa()
    import librosa

    seconds = 10
    pieces = material.size(MINUTES * 60 // seconds)
    noise = np.random.default_rng(0).normal(0, 0.05, (pieces, seconds * SAMPLE_RATE))
    samples = noise.astype(np.float32)

    def spectrogram(piece: np.ndarray) -> None:
        librosa.feature.melspectrogram(
            y=piece, sr=SAMPLE_RATE, n_fft=512, hop_length=160, win_length=400, n_mels=64,
            fmin=125, fmax=7500, htk=True, power=1,
        )  # fmt: skip

    measured = in_turn(
        {
            "crydistill": lambda: [log_mel(piece) for piece in samples],
            "librosa's STFT": lambda: [reference.frames(piece) for piece in samples],
            "librosa's mel spectrogram": lambda: [spectrogram(piece) for piece in samples],
        },
        material.rounds,
        clock=processor_seconds,
    )
    return Measured((Comparison("Frames", "seconds of sound", pieces * seconds, measured),))
