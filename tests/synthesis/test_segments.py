import numpy as np
import pytest

from crydistill.corpora.audioset import Segment, smoke_list
from crydistill.errors import CorpusError
from crydistill.synthesis.segments import render_segment


def test_every_segment_of_the_list_sounds() -> None:
    first_of = {segment.class_name: segment for segment in reversed(smoke_list())}
    assert set(first_of) == {"cry", "speech", "silence", "babbling"}
    for name, segment in first_of.items():
        samples = render_segment(segment)
        assert samples.shape == (160_000,)
        assert samples.dtype == np.float32
        assert 0 < np.abs(samples).max() <= 1
        assert (np.abs(samples).max() < 0.01) == (name == "silence")


def test_a_segment_is_a_function_of_its_id() -> None:
    one, other = smoke_list()[:2]
    assert np.array_equal(render_segment(one), render_segment(one))
    assert not np.array_equal(render_segment(one), render_segment(other))


def test_other_classes_have_no_sound() -> None:
    siren = Segment("siren-synth", 0.0, 10.0, ("/m/03kmc9",), synthetic=True)
    with pytest.raises(CorpusError, match="no synthetic sound"):
        render_segment(siren)
