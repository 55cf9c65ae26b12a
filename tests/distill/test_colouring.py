import numpy as np
import pytest

from crydistill.audio.mel import LOG_OFFSET, log_mel
from crydistill.distill.colouring import Colouring, coloured

STILL = Colouring(level_db=0.0, response_db=0.0, hiss=0.0)


def frames(count: int = 6) -> np.ndarray:
    return np.random.default_rng(1).normal(-2, 2, (count, 200, 64)).clip(-6.9).astype(np.float32)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_nothing_asked_changes_nothing() -> None:
    np.testing.assert_allclose(coloured(frames(), STILL, rng()), frames(), atol=1e-3)


def test_a_level_is_what_a_louder_recording_has() -> None:
    samples = np.random.default_rng(2).normal(0, 0.01, 16000).astype(np.float32)
    quiet = np.tile(log_mel(samples), (50, 1, 1))
    levels = coloured(quiet, Colouring(level_db=12.0, response_db=0.0, hiss=0.0), rng())
    for found in levels[:5]:
        gain = np.median((np.exp(found) - LOG_OFFSET) / (np.exp(quiet[0]) - LOG_OFFSET))
        np.testing.assert_allclose(found, log_mel(gain.astype(np.float32) * samples), atol=2e-3)
    gains_db = 20 * (levels - quiet).mean(axis=(1, 2)) / np.log(10)
    assert -12 <= gains_db.min() < -8
    assert 8 < gains_db.max() <= 12


def test_a_response_is_smooth_and_the_same_in_all_frames() -> None:
    changed = coloured(frames() + 3, Colouring(level_db=0.0, response_db=4.0, hiss=0.0), rng())
    response = changed - (frames() + 3)
    assert np.abs(np.diff(response.mean(axis=1))).max() < 0.5
    assert response.mean(axis=1).std() > 0.2
    assert response.std(axis=1).mean() < 0.01


def test_hiss_only_adds() -> None:
    options = Colouring(level_db=0.0, response_db=0.0, hiss=1.0, hiss_db=(-20.0, -20.0))
    changed = coloured(frames(), options, rng())
    assert (changed >= frames() - 1e-3).all()
    loud = np.log(np.quantile(np.exp(frames()), 0.95))
    quiet = changed[frames() < -5]
    assert np.median(quiet) == pytest.approx(loud + np.log(0.1), abs=0.2)


def test_silence_stays_silence() -> None:
    silent = np.full((3, 96, 64), np.log(LOG_OFFSET), np.float32)
    np.testing.assert_allclose(coloured(silent, Colouring(hiss=1.0), rng()), silent, atol=1e-6)


def test_some_stretches_hiss() -> None:
    options = Colouring(level_db=0.0, response_db=0.0, hiss=0.3)
    changed = coloured(frames(100), options, rng())
    hissing = (np.abs(changed - frames(100)).max(axis=(1, 2)) > 0.01).mean()
    assert 0.15 < hissing < 0.45
