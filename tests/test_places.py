import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crydistill.places import absolute_paths, without_absolute_paths


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/home/somebody/recordings", "recordings"),
        ("/home/somebody/recordings/clips.csv", "clips.csv"),
        ("/srv/audio/", "audio"),
        ("/", "."),
        ("~/audio", "audio"),
        ("C:\\Users\\somebody\\audio", "audio"),
        ("C:/Users/somebody/audio", "audio"),
        ("\\\\server\\share\\audio", "audio"),
    ],
)
def test_an_absolute_path_keeps_its_last_part(path: str, kept: str) -> None:
    record = {"data": {"train": [{"path": path}]}}
    assert list(absolute_paths(record)) == ["data.train.0.path"]
    assert without_absolute_paths(record) == {"data": {"train": [{"path": kept}]}}


@pytest.mark.parametrize(
    "text", ["../shared/audio", "stores", "/m/0463cq4", "/t/dd00002", "FP32/INT8", "", "a: /b"]
)
def test_other_text_stays(text: str) -> None:
    assert without_absolute_paths([text]) == [text]
    assert list(absolute_paths([text])) == []


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(values)
def test_nothing_is_left_and_again_changes_nothing(value: object) -> None:
    kept = without_absolute_paths(value)
    json.dumps(kept)
    assert list(absolute_paths(kept)) == []
    assert without_absolute_paths(kept) == kept
    if not list(absolute_paths(value)):
        assert kept == value
