from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crydistill.corpora.clip import Clip, Label
from crydistill.errors import StoreError
from crydistill.teacher.shards import (
    STORE_FILE,
    Shard,
    all_shards,
    complete_parts,
    divided,
    missing_shards,
    shard_number,
    shards_of,
)


def clip(name: str) -> Clip:
    return Clip(name, Path(name), Label.NONCRY, name)


def finished(store: Path, *names: str) -> Path:
    for name in names:
        (store / name).mkdir(parents=True)
        (store / name / STORE_FILE).write_text("{}")
    return store


def test_a_clip_stays_in_its_shard_for_ever() -> None:
    """Other machines and later versions must divide a corpus alike."""
    ids = ("a.wav", "cry/1.wav", "-_0123456789", "é.wav")
    assert [shard_number(name, 16) for name in ids] == [4, 1, 0, 14]


@given(st.lists(st.text(max_size=8), unique=True), st.integers(1, 20))
def test_every_clip_is_in_one_shard(ids: list[str], of: int) -> None:
    clips = [clip(name) for name in ids]
    parts = divided(clips, of)
    assert list(parts) == all_shards(of)
    assert sorted(one.id for part in parts.values() for one in part) == sorted(ids)
    for shard, part in parts.items():
        assert part == [one for one in clips if shard.holds(one.id)]


def test_shards_are_about_equal() -> None:
    counts = [len(part) for part in divided([clip(str(n)) for n in range(16_000)], 16).values()]
    assert 850 < min(counts) <= max(counts) < 1150


def test_names_sort_in_order() -> None:
    assert Shard(3, 16).name == "shard-003-of-016"
    assert Shard(3, 2000).name == "shard-0003-of-2000"


def test_parts_are_those_finished_in_the_order_they_were_made(tmp_path: Path) -> None:
    store = finished(
        tmp_path, "shard-001-of-002", "shard-000-of-002", "shard-000-of-002.10",
        "shard-000-of-002.2", "shard-001-of-002.2.part-elsewhere", "notes",
    )  # fmt: skip
    (store / STORE_FILE).write_text("{}")
    assert [path.name for path in complete_parts(store)] == [
        store.name, "shard-000-of-002", "shard-000-of-002.2", "shard-000-of-002.10",
        "shard-001-of-002",
    ]  # fmt: skip
    assert shards_of(store) == 2
    assert missing_shards(store) == []


def test_missing_shards_are_named_with_what_makes_them(tmp_path: Path) -> None:
    store = finished(tmp_path, "shard-001-of-004", "shard-003-of-004.part-here")
    with pytest.raises(StoreError) as refused:
        complete_parts(store)
    assert str(refused.value) == (
        f"{store}: shards 0, 2, 3 of 4 are missing; `crydistill score CONFIG --shards 4 --shard I` "
        "makes shard I, and `crydistill score CONFIG` all that are missing"
    )
    finished(store, "shard-000-of-004", "shard-002-of-004")
    with pytest.raises(StoreError, match=r"shard 3 of 4 is missing"):
        complete_parts(store)


def test_a_long_list_is_cut(tmp_path: Path) -> None:
    store = finished(tmp_path, "shard-0000-of-1000")
    with pytest.raises(StoreError, match=r"shards 1, 2, 3, 4, 5, 6, 7, 8 and 991 more of 1000"):
        complete_parts(store)


def test_two_divisions_are_refused(tmp_path: Path) -> None:
    store = finished(tmp_path, "shard-000-of-001", "shard-000-of-002", "shard-001-of-002")
    with pytest.raises(StoreError, match="holds shards of 1 and of 2"):
        complete_parts(store)


def test_nothing_there(tmp_path: Path) -> None:
    assert shards_of(tmp_path / "none") is None
    with pytest.raises(StoreError, match="not a score store"):
        complete_parts(tmp_path / "none")
