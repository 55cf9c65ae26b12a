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


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (0.5, 1.0), (2.0, -3.0)])
def test_finds_the_scale_and_offset_that_made_the_labels(scale: float, offset: float) -> None:
    found = clip_calibration(*clips(scale, offset))
    assert found == pytest.approx((scale, offset), abs=0.12)


def test_needs_both_kinds() -> None:
    with pytest.raises(ValueError, match="both kinds"):
        clip_calibration([np.zeros(1, np.float32)], [True])
