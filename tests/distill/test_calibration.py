import numpy as np
import pytest
from scipy.special import expit

from crydistill.distill.calibration import clip_calibration


def clips(scale: float, offset: float) -> tuple[list[np.ndarray], list[bool]]:
    """Clips of one window whose true log-odds are `scale * logit + offset`."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, 20_000).astype(np.float32)
    labels = rng.random(len(logits)) < expit(scale * logits + offset)
    return [logits[i : i + 1] for i in range(len(logits))], labels.tolist()


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (1.5, 0.5), (4.0, -3.0)])
def test_finds_the_scale_and_offset_that_made_the_labels(scale: float, offset: float) -> None:
    found = clip_calibration(*clips(scale, offset))
    assert found == pytest.approx((scale, offset), abs=0.12)


def test_rare_cries_keep_a_good_f1_at_half() -> None:
    tracks, labels = clips(1.5, -7.0)
    scale, offset = clip_calibration(tracks, labels)
    scores = expit(scale * np.concatenate(tracks) + offset)
    truth = np.array(labels)

    def f1(threshold: float) -> float:
        taken = scores >= threshold
        return float(2 * (taken & truth).sum() / (taken.sum() + truth.sum()))

    accurate = expit(1.5 * np.concatenate(tracks) - 7.0) >= 0.5
    assert 2 * (accurate & truth).sum() / (accurate.sum() + truth.sum()) < f1(0.5) - 0.05
    best = max(f1(threshold) for threshold in np.quantile(scores, np.linspace(0.9, 1, 400)))
    assert f1(0.5) >= best - 0.02


def test_needs_both_kinds() -> None:
    with pytest.raises(ValueError, match="both kinds"):
        clip_calibration([np.zeros(1, np.float32)], [True])
