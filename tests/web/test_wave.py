"""WAV files that the page reads piece by piece."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.web.node import read_floats, run_in_node

PROGRAM = """
import {isWave, pieces, readHeader} from "./wave.js";
const file = new Blob([fs.readFileSync("sound.wav")]);
const parts = [];
let why = "";
try {
  const header = await readHeader(file);
  for await (const part of pieces(file, header)) for (const x of part) parts.push(x);
  why = String(header.rate);
} catch (error) {
  why = error.message;
}
fs.writeFileSync("out", Float32Array.from(parts));
give([await isWave(file), why]);
"""

FORMATS = ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"]


def sound(frames: int = 700_000, channels: int = 1) -> np.ndarray:
    """More than one piece of it."""
    return np.random.default_rng(0).uniform(-1, 1, (frames, channels)).astype(np.float32)


@pytest.mark.parametrize("subtype", FORMATS)
def test_samples_are_those_of_the_file(subtype: str, tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    soundfile.write(path, sound(), 44_100, subtype=subtype)
    assert run_in_node(tmp_path, PROGRAM) == [True, "44100"]
    expected, _ = soundfile.read(path, dtype="float32")
    np.testing.assert_array_equal(read_floats(tmp_path / "out"), expected)


@pytest.mark.parametrize("container", ["WAV", "WAVEX", "RF64"])
def test_channels_become_their_mean(container: str, tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    soundfile.write(path, sound(9_001, 2), 8_000, subtype="PCM_16", format=container)
    assert run_in_node(tmp_path, PROGRAM) == [True, "8000"]
    expected = soundfile.read(path, dtype="float64")[0].mean(axis=1)
    np.testing.assert_allclose(read_floats(tmp_path / "out"), expected, atol=1e-7)


def test_a_size_that_a_recorder_left_at_zero_is_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    soundfile.write(path, sound(5_000), 16_000, subtype="PCM_16")
    content = bytearray(path.read_bytes())
    content[40:44] = bytes(4)
    path.write_bytes(content)
    assert run_in_node(tmp_path, PROGRAM) == [True, "16000"]
    assert len(read_floats(tmp_path / "out")) == 5_000


@pytest.mark.parametrize(
    ("end", "why"), [(30, "cut off"), (38, "damaged or cut off"), (12, "damaged or cut off")]
)
def test_a_file_that_is_cut_off_says_so(end: int, why: str, tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    soundfile.write(path, sound(100), 16_000, subtype="PCM_16")
    path.write_bytes(path.read_bytes()[:end])
    known, said = run_in_node(tmp_path, PROGRAM)
    assert known
    assert why in said


def test_an_encoding_that_it_does_not_read_is_named(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "sound.wav", sound(100), 8_000, subtype="ULAW")
    assert "8 bits (encoding 7)" in run_in_node(tmp_path, PROGRAM)[1]


def test_other_files_are_not_taken_for_one(tmp_path: Path) -> None:
    (tmp_path / "sound.wav").write_bytes(b"OggS and more than twelve bytes")
    assert run_in_node(tmp_path, PROGRAM)[0] is False
