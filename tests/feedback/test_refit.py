from dataclasses import replace

import numpy as np
from tests.feedback.toys import student

from crydistill.feedback.cry_head import CryHead
from crydistill.feedback.refit import Heard, _Network, as_before, at_most, refitted, together


def head() -> CryHead:
    return CryHead.of(student().tflite)


def heard_rows(count: int, seed: int = 0) -> np.ndarray:
    """Embeddings of made-up streams: mostly zero, like real ones."""
    rng = np.random.default_rng(seed)
    steps = rng.integers(-128, 60, (count, head().size)) * rng.integers(0, 2, (count, head().size))
    return head().rows(np.where(steps == 0, -128, steps).astype(np.int8))


def test_the_gradient_is_that_of_the_loss() -> None:
    rng = np.random.default_rng(0)
    rows = heard_rows(40)
    parts = [
        as_before(head(), rows, rng.random(40) < 0.5),
        at_most(head(), heard_rows(20, 1), -6.0, 0.5),
    ]
    heard = together(parts)
    network = _Network(head(), heard.rows)
    at = network.pack(head()) + rng.normal(0, 0.02, len(network.pack(head())))
    _, gradient = network.loss(heard, at)
    step = 1e-4
    chosen = [int(np.argmax(np.abs(gradient[:3000]))), len(at) - 25, len(at) - 10, len(at) - 1]
    for index in chosen:
        moved = [at.copy(), at.copy()]
        moved[0][index] -= step
        moved[1][index] += step
        low, high = (network.loss(heard, vector)[0] for vector in moved)
        slope = (high - low) / (2 * step)
        assert abs(slope - gradient[index]) < 0.05 * abs(gradient[index]) + 1e-3


def test_nothing_to_learn_changes_nothing() -> None:
    """A property: whatever was heard, if it is to score as before, no weight moves."""
    for seed in range(5):
        rows = heard_rows(60, seed)
        crying = np.random.default_rng(seed).random(60) < 0.3
        same = refitted(head(), as_before(head(), rows, crying))
        assert same.written_into(student().tflite) == student().tflite


def test_what_was_heard_comes_to_lie_lower() -> None:
    rows = heard_rows(300)
    before = head().logits(rows)
    high = rows[before >= np.quantile(before, 0.95)]
    limit = float(np.quantile(before, 0.5))
    rest = rows[before < np.quantile(before, 0.8)]
    heard = together(
        [
            as_before(head(), rest, np.zeros(len(rest), dtype=bool)),
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
    kept = as_before(quiet, rows, np.zeros(len(rows), dtype=bool))
    assert isinstance(kept, Heard)
    assert len(kept.rows) == 100
    assert np.isclose(kept.weight.sum(), 1)
