import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from crydistill.audio.mel import (
    FFT_LENGTH,
    FRAME_HOP,
    FRAME_LENGTH,
    LOG_OFFSET,
    MEL_BANDS,
    SAMPLE_RATE,
    MelStream,
    frame_count,
    log_mel,
    mel_matrix,
)

TOLERANCE = 4e-4


def chirp(seconds: float, amplitude: float) -> np.ndarray:
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (amplitude * np.sin(2 * np.pi * (50 * t + 750 * t * t))).astype(np.float32)


def noise(seconds: float, amplitude: float, seed: int = 0) -> np.ndarray:
    samples = np.random.default_rng(seed).standard_normal(round(seconds * SAMPLE_RATE))
    return (amplitude * samples).astype(np.float32)


def tf_log_mel(samples: np.ndarray) -> np.ndarray:
    """YAMNet's own front end in float64; in float32 its error exceeds the tolerance."""
    tf = pytest.importorskip("tensorflow")
    stft = tf.signal.stft(samples.astype(np.float64), FRAME_LENGTH, FRAME_HOP, FFT_LENGTH)
    matrix = tf.signal.linear_to_mel_weight_matrix(
        MEL_BANDS, FFT_LENGTH // 2 + 1, SAMPLE_RATE, 125.0, 7500.0, dtype=tf.float64
    )
    return tf.math.log(tf.matmul(tf.abs(stft), matrix) + LOG_OFFSET).numpy()


@pytest.mark.parametrize(
    "samples",
    [
        chirp(3, 0.5),
        chirp(3, 1.0),
        noise(2, 0.1),
        noise(2, 1e-5),
        np.zeros(16_000, dtype=np.float32),
        np.full(16_000, 1.0, dtype=np.float32),
    ],
    ids=["chirp", "loud chirp", "noise", "near-silence", "silence", "constant"],
)
def test_equals_tf_signal(samples: np.ndarray) -> None:
    np.testing.assert_allclose(log_mel(samples), tf_log_mel(samples), rtol=0, atol=TOLERANCE)


@pytest.mark.shared
def test_equals_tf_signal_on_speech(shared) -> None:
    path = next((shared / "audio/train/speechocean762").glob("*.opus"))
    samples, _ = soundfile.read(path, dtype="float32")
    np.testing.assert_allclose(log_mel(samples), tf_log_mel(samples), rtol=0, atol=TOLERANCE)


def test_matrix_equals_tensorflows() -> None:
    tf = pytest.importorskip("tensorflow")
    theirs = tf.signal.linear_to_mel_weight_matrix(64, 257, 16_000, 125.0, 7500.0, tf.float64)
    np.testing.assert_allclose(mel_matrix(), theirs.numpy(), atol=1e-12)


def test_silence_is_the_offset() -> None:
    frames = log_mel(np.zeros(FRAME_LENGTH, dtype=np.float32))
    np.testing.assert_allclose(frames, np.log(LOG_OFFSET), rtol=1e-6)


@pytest.mark.parametrize(
    ("samples", "frames"), [(0, 0), (399, 0), (400, 1), (559, 1), (560, 2), (15_600, 96)]
)
def test_only_whole_frames_exist(samples: int, frames: int) -> None:
    assert frame_count(samples) == frames
    assert log_mel(np.zeros(samples, dtype=np.float32)).shape == (frames, 64)


@settings(max_examples=30)
@given(cuts=st.lists(st.integers(0, 40_000), max_size=60), seed=st.integers(0, 9))
def test_streaming_gives_the_same_bits(cuts: list[int], seed: int) -> None:
    samples = noise(2.5, 0.2, seed)
    stream = MelStream()
    pieces = [stream.push(piece) for piece in np.split(samples, sorted(cuts))]
    assert np.array_equal(np.concatenate(pieces), log_mel(samples))


def test_a_frames_bits_do_not_depend_on_the_length_of_the_recording() -> None:
    samples = noise(100, 0.2)
    assert np.array_equal(log_mel(samples)[:50], log_mel(samples[: 400 + 49 * 160]))
