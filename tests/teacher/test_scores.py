import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crydistill.audio.windows import window_count
from crydistill.errors import CrydistillError, StoreError
from crydistill.lock import BusyError
from crydistill.teacher.scores import (
    ScoreStore,
    TeacherIdentity,
    open_for_writing,
)

TEACHER = TeacherIdentity("yamnet", "a" * 64)


def rows(number: int, frames: int = 200) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(number)
    logits = generator.normal(-5, 2, (window_count(frames), 521)).astype(np.float32)
    return generator.normal(-3, 2, (frames, 64)).astype(np.float32), logits


def append(store, number: int, frames: int = 200) -> None:
    mel, logits = rows(number, frames)
    store.append(
        f"clip {number}", sha256=str(number), duration=2.0, notes=("silent",), frames=mel,
        logits=logits,
    )  # fmt: skip


def fill(directory: Path, numbers: range) -> None:
    with open_for_writing(directory, TEACHER) as store:
        for number in numbers:
            append(store, number, 100 + 60 * number)


def require_intact(directory: Path, numbers: range) -> None:
    store = ScoreStore(directory)
    for number in numbers:
        mel, logits = rows(number, 100 + 60 * number)
        assert np.array_equal(store.frames(f"clip {number}"), mel.astype(np.float16))
        assert np.array_equal(store.logits(f"clip {number}"), logits.astype(np.float16))


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    fill(tmp_path, range(4))
    require_intact(tmp_path, range(4))
    store = ScoreStore(tmp_path)
    assert len(store) == 4
    assert "clip 3" in store
    assert "clip 4" not in store
    assert store.entries["clip 0"].notes == ("silent",)
    assert store.identity == TEACHER


def test_it_can_be_gone_on_with(tmp_path: Path) -> None:
    fill(tmp_path, range(2))
    fill(tmp_path, range(2, 5))
    require_intact(tmp_path, range(5))


def test_a_clip_scored_again_replaces_the_old_rows(tmp_path: Path) -> None:
    fill(tmp_path, range(3))
    mel, logits = rows(77, 300)
    with open_for_writing(tmp_path, TEACHER) as store:
        store.append("clip 1", sha256="new", duration=3.0, notes=(), frames=mel, logits=logits)
    store = ScoreStore(tmp_path)
    assert len(store) == 3
    assert np.array_equal(store.logits("clip 1"), logits.astype(np.float16))


def test_another_teacher_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, range(1))
    other = TeacherIdentity("another", "b" * 64)
    with pytest.raises(StoreError, match="holds scores of teacher yamnet"):
        open_for_writing(tmp_path, other).__enter__()


def test_another_front_end_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, range(1))
    facts = json.loads((tmp_path / "store.json").read_text())
    (tmp_path / "store.json").write_text(json.dumps({**facts, "front_end": "librosa"}))
    with pytest.raises(StoreError, match="made with front end librosa"):
        ScoreStore(tmp_path)
    with pytest.raises(StoreError, match="made with front end librosa"):
        open_for_writing(tmp_path, TEACHER).__enter__()


def test_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not a score store"):
        ScoreStore(tmp_path)


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    with open_for_writing(tmp_path, TEACHER), pytest.raises(BusyError):
        open_for_writing(tmp_path, TEACHER).__enter__()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(frames=st.integers(0, 3000), scores=st.integers(0, 3000), line=st.text(max_size=30))
def test_leftovers_of_a_kill_are_cut_off(
    tmp_path_factory, frames: int, scores: int, line: str
) -> None:
    directory = tmp_path_factory.mktemp("store")
    fill(directory, range(2))
    for name, size in (("frames.f16", frames), ("scores.f16", scores)):
        with (directory / name).open("ab") as file:
            file.write(b"\x01" * size)
    with (directory / "index.jsonl").open("a", encoding="utf-8", newline="") as file:
        file.write(line.replace("\n", "").replace("\r", ""))
    require_intact(directory, range(2))
    fill(directory, range(2, 4))
    require_intact(directory, range(4))


def test_missing_data_is_noticed(tmp_path: Path) -> None:
    fill(tmp_path, range(3))
    os.truncate(tmp_path / "scores.f16", 100)
    with pytest.raises(StoreError):
        ScoreStore(tmp_path)
    with pytest.raises(StoreError, match="bytes are missing"):
        open_for_writing(tmp_path, TEACHER).__enter__()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    position=st.floats(0, 1),
    byte=st.integers(0, 255),
    name=st.sampled_from(["store.json", "index.jsonl"]),
)
def test_a_flipped_byte_is_read_or_refused(
    tmp_path_factory, position: float, byte: int, name: str
) -> None:
    directory = tmp_path_factory.mktemp("store")
    fill(directory, range(2))
    data = bytearray((directory / name).read_bytes())
    data[int(position * (len(data) - 1))] = byte
    (directory / name).write_bytes(bytes(data))
    try:
        ScoreStore(directory)
    except CrydistillError as error:
        assert "\n" not in str(error)


def _write_until_killed(directory: str) -> None:
    with open_for_writing(directory, TEACHER) as store:
        for number in range(100_000):
            append(store, number, 100 + 60 * number if number < 20 else 160)


def test_killing_the_writer_loses_at_most_the_clip_in_work(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    survived = 0
    for _ in range(3):
        writer = context.Process(target=_write_until_killed, args=(str(tmp_path),))
        writer.start()
        index = tmp_path / "index.jsonl"
        before = index.stat().st_size if index.exists() else 0
        deadline = time.monotonic() + 30
        while not index.exists() or index.stat().st_size < before + 4_000:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        store = ScoreStore(tmp_path)
        assert len(store) >= max(20, survived)
        survived = len(store)
        require_intact(tmp_path, range(20))
