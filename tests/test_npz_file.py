from pathlib import Path

import numpy as np
from tests.npz_files import damaged_npz, npy

from crydistill.npz_file import keep_arrays, kept_arrays


def test_what_was_kept_is_found_under_its_key_only(tmp_path: Path) -> None:
    path = tmp_path / "kept.npz"
    assert kept_arrays(path, "a") is None
    keep_arrays(path, "a", {"second": np.arange(3), "first": np.ones((2, 2), np.float32)})
    found = kept_arrays(path, "a")
    assert found is not None
    assert list(found) == ["second", "first"]
    np.testing.assert_array_equal(found["second"], [0, 1, 2])
    assert kept_arrays(path, "b") is None


def test_what_is_damaged_is_to_be_made_again(tmp_path: Path) -> None:
    path = tmp_path / "kept.npz"
    for content in [b"", b"nothing", npy(), *damaged_npz()]:
        path.write_bytes(content)
        assert kept_arrays(path, "a") is None
