import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.teacher.checkpoints import tensor_opcodes, tiny_mn, write_checkpoint, write_pickle

from crydistill.errors import TeacherError
from crydistill.teacher.torch_file import read_tensors


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    tensors = tiny_mn()
    write_checkpoint(tmp_path / "a.pt", tensors)
    found = read_tensors(tmp_path / "a.pt")
    assert list(found) == list(tensors)
    for name, values in tensors.items():
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], values)


def test_it_reads_what_pytorch_writes(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    whole = torch.arange(24.0).reshape(4, 6)
    tensors = {
        "transposed": whole.T,
        "part": whole[1:3, 2:5],
        "count": torch.tensor(7),
        "empty": torch.zeros(0, 3),
        "half": whole.half(),
    }
    torch.save(tensors, tmp_path / "a.pt")
    found = read_tensors(tmp_path / "a.pt")
    assert list(found) == list(tensors)
    for name, values in tensors.items():
        np.testing.assert_array_equal(found[name], values.numpy(), strict=True)


class _Command:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> object:
        return os.system, (self.command,)


def test_a_pickle_that_runs_a_program_is_refused_unrun(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    content = pickle.dumps({"weight": _Command(f"touch {victim}")}, protocol=2)
    write_pickle(tmp_path / "evil.pt", content, [])
    with pytest.raises(TeacherError, match=r"evil\.pt: its pickle asks for (posix|nt)\.system, wh"):
        read_tensors(tmp_path / "evil.pt")
    assert not victim.exists()
    pickle.loads(content)
    assert victim.exists(), "the pickle does nothing, so refusing it proves nothing"


@pytest.mark.parametrize(
    "name", ["builtins eval", "torch load", "torch._utils _rebuild_parameter", "collections deque"]
)
def test_nothing_else_is_looked_up(tmp_path: Path, name: str) -> None:
    module, attribute = name.split()
    write_pickle(tmp_path / "a.pt", f"c{module}\n{attribute}\n.".encode(), [])
    with pytest.raises(TeacherError, match=f"asks for {module}.{attribute}"):
        read_tensors(tmp_path / "a.pt")


@pytest.mark.parametrize(
    ("size", "offset", "shape", "strides"),
    [
        (4, 0, (5,), (1,)),
        (4, 1, (4,), (1,)),
        (4, -1, (2,), (1,)),
        (4, 3, (4,), (-1,)),
        (4, 0, (1_000_000, 1_000), (0, 0)),
        (4, 0, (2, 2), (1,)),
        (5, 0, (5,), (1,)),
    ],
)
def test_a_tensor_stays_in_its_storage(
    tmp_path: Path, size: int, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    content = b"\x80\x02}(X\x01\0\0\0a" + tensor_opcodes(0, size, offset, shape, strides) + b"u."
    write_pickle(tmp_path / "a.pt", content, [np.zeros(4, dtype=np.float32)])
    with pytest.raises(TeacherError, match=r"a\.pt: not a PyTorch checkpoint of tensors, or dam"):
        read_tensors(tmp_path / "a.pt")


@pytest.mark.parametrize(
    "content", [b"\x80\x02J\x01\0\0\0.", b"\x80\x02}(J\x01\0\0\0J\x01\0\0\0u.", b"", b"garbage"]
)
def test_something_else_than_tensors_by_name(tmp_path: Path, content: bytes) -> None:
    write_pickle(tmp_path / "a.pt", content, [])
    with pytest.raises(TeacherError, match=r"a\.pt: not a PyTorch checkpoint of tensors"):
        read_tensors(tmp_path / "a.pt")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match=r"a\.pt: cannot be read \(No such file"):
        read_tensors(tmp_path / "a.pt")


def _checkpoint(path: Path) -> bytes:
    write_checkpoint(path, {"a": np.ones((2, 3), np.float32), "b": np.zeros(1, np.float32)})
    return path.read_bytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(position=st.floats(0, 1), bits=st.integers(1, 255), end=st.floats(0, 1))
def test_a_damaged_file_is_read_or_refused_in_one_line(
    tmp_path: Path, position: float, bits: int, end: float
) -> None:
    path = tmp_path / "a.pt"
    content = bytearray(_checkpoint(path))
    content[int(position * (len(content) - 1))] ^= bits
    for damaged in (content, content[: int(end * len(content))]):
        path.write_bytes(damaged)
        try:
            read_tensors(path)
        except TeacherError as error:
            assert "\n" not in str(error)
