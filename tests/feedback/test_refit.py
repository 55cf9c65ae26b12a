from dataclasses import replace

import numpy as np
from tests.feedback.toys import student

from crydistill.feedback.cry_head import CryHead, Dense
from crydistill.feedback.refit import (
    Heard,
    _affine,
    _Fit,
    _moments,
    _rounded,
    _with_one,
    as_before,
    at_most,
    refitted,
    together,
)

THRESHOLDS = (-7.0, 0.0, 2.0)


def head() -> CryHead:
    return CryHead.of(student().tflite)


def heard_rows(count: int, seed: int = 0) -> np.ndarray:
    """Embeddings of made-up streams: mostly zero, like real ones."""
    rng = np.random.default_rng(seed)
    steps = rng.integers(-128, 60, (count, head().size)) * rng.integers(0, 2, (count, head().size))
    return head().rows(np.where(steps == 0, -128, steps).astype(np.int8))


def test_the_gradient_is_that_of_the_loss() -> None:
    """Also where weights are beyond what int8 holds."""
    rng = np.random.default_rng(0)
    rows = heard_rows(40)
    parts = [
        as_before(head(), rows, rng.random(40) < 0.5, THRESHOLDS),
        at_most(head(), heard_rows(20, 1), -6.0, 0.5),
    ]
    fit = _Fit(head(), together(parts))
    for wide in (0.02, 0.5):
        at = fit.origin + rng.normal(0, wide, len(fit.origin))
        _, gradient = fit.loss(at)
        for direction in rng.normal(0, 1, (4, len(at))):
            step = 1e-4 * direction / np.linalg.norm(direction)
            slope = (fit.loss(at + step)[0] - fit.loss(at - step)[0]) / (2e-4)
            expected = float(gradient @ step) / 1e-4
            assert abs(slope - expected) < 0.05 * abs(expected) + 1e-2


def test_nothing_to_learn_changes_nothing() -> None:
    """A property: whatever was heard, if it is to score as before, no weight moves."""
    for seed in range(5):
        rows = heard_rows(60, seed)
        crying = np.random.default_rng(seed).random(60) < 0.3
        same = refitted(head(), as_before(head(), rows, crying, THRESHOLDS))
        assert same.written_into(student().tflite) == student().tflite


def test_rounding_with_compensation_changes_sums_less_than_rounding() -> None:
    inputs = _with_one(head().hidden.source.real(heard_rows(400)))
    moments = _moments(inputs, np.ones(len(inputs)))
    moved = _affine(head().hidden) + np.random.default_rng(0).normal(0, 0.01, (20, 157))
    plain = head().hidden.with_real(moved[:, :-1], moved[:, -1])
    better = _rounded(moved, head().hidden, moments)
    layer = head().hidden.with_real(better[:, :-1], better[:, -1])
    wanted = inputs @ moved.T

    def error(chosen: Dense) -> float:
        return float(np.mean((inputs @ _affine(chosen).T - wanted) ** 2))

    assert error(layer) < 0.5 * error(plain)


def test_what_was_heard_comes_to_lie_lower() -> None:
    rows = heard_rows(300)
    before = head().logits(rows)
    high = rows[before >= np.quantile(before, 0.95)]
    limit = float(np.quantile(before, 0.5))
    rest = rows[before < np.quantile(before, 0.8)]
    heard = together(
        [
            as_before(head(), rest, np.zeros(len(rest), dtype=bool), THRESHOLDS),
            at_most(head(), high, limit, 3.0),
        ]
    )
    learned = refitted(head(), heard)
    fall = head().logits(high).mean() - learned.logits(high).mean()
    assert fall > 0.5 * (head().logits(high).mean() - limit)


def test_windows_far_below_thresholds_are_thinned_out() -> None:
    rows = heard_rows(800)
    quiet = replace(head(), output=head().output.with_real(
        head().output.real_weights(), head().output.real_bias() - 30
    ))  # fmt: skip
    kept = as_before(quiet, rows, np.zeros(len(rows), dtype=bool), THRESHOLDS)
    assert isinstance(kept, Heard)
    assert len(kept.rows) == 100
    assert np.isclose(kept.weight.sum(), 1)
