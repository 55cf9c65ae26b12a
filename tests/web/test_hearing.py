"""From blocks to scores: gaps, silence that is none, and what the page keeps."""

from pathlib import Path

import numpy as np
import pytest
from tests.firmware.programs import Program, samples_of, scene
from tests.web.node import HEAR, put_engine, read_floats, run_in_node

from crydistill.audio.mel import MEL_BANDS, SAMPLE_RATE
from crydistill.student.runtime import TfliteStudent
from crydistill.web.engine import engine
from crydistill.web.image import student_image

BLOCK = 2_048
BLOCK_MS = BLOCK / SAMPLE_RATE * 1000

LIVE = """
import {Hearing, Watch} from "./hearing.js";
import {Track} from "./track.js";
const samples = floats("in"), times = floats("times"), track = new Track();
const sound = [];
const hearing = new Hearing(engine, 16000, (heard) => {
  track.add(heard);
  sound.push(heard.sound);
});
const watch = new Watch(hearing);
times.forEach((time, i) => watch.push(samples.slice(i * 2048, (i + 1) * 2048), time));
fs.writeFileSync("scores", track.scores);
const column = new Int8Array(64);
track.loudest(AT, AT + 1, column);
give({seconds: track.seconds, silent: sound.filter((s) => !s).length, column: [...column]});
"""


def heard(
    folder: Path, student: TfliteStudent, pcm: np.ndarray, times: np.ndarray, at: int = 0
) -> tuple[dict, np.ndarray]:
    put_engine(folder, engine(), student_image(student.tflite, student.manifest))
    (folder / "in").write_bytes(samples_of(pcm).tobytes())
    (folder / "times").write_bytes(times.astype(np.float32).tobytes())
    found = run_in_node(folder, f"const AT = {at};\n{HEAR}{LIVE}")
    return found, read_floats(folder / "scores")


def test_blocks_that_arrive_in_time_are_one_sound(
    tmp_path: Path, packaged: TfliteStudent, host: Program
) -> None:
    pcm = scene(20)[: 150 * BLOCK]
    jitter = np.random.default_rng(0).uniform(0, 400, 150)
    found, scores = heard(tmp_path, packaged, pcm, np.arange(150) * BLOCK_MS + jitter, at=700)
    expected, _ = host.windows(pcm)
    np.testing.assert_array_equal(scores, expected)
    assert found["silent"] == 0
    frame = host.patches(pcm)[700 // 48 - 1][48 + 700 % 48]
    assert found["column"] == frame.tolist()
    assert len(found["column"]) == MEL_BANDS


def test_a_stall_is_a_gap_of_its_length(
    tmp_path: Path, packaged: TfliteStudent, host: Program
) -> None:
    pcm = scene(20)[: 150 * BLOCK]
    times = np.arange(150) * BLOCK_MS
    times[80:] += 30_000
    found, scores = heard(tmp_path, packaged, pcm, times)
    expected, _ = host.windows(pcm, gaps=[(80 * BLOCK, 30 * SAMPLE_RATE)])
    np.testing.assert_array_equal(scores, expected)
    assert np.isnan(scores).sum() > 60
    assert found["seconds"] == pytest.approx(30 + 150 * BLOCK / SAMPLE_RATE)


def test_ten_seconds_of_digital_silence_are_no_sound(
    tmp_path: Path, packaged: TfliteStudent
) -> None:
    pcm = scene(60)[: 400 * BLOCK].copy()
    pcm[100 * BLOCK : 300 * BLOCK] = 0
    found, scores = heard(tmp_path, packaged, pcm, np.arange(400) * BLOCK_MS)
    lost = np.flatnonzero(np.isnan(scores)) * 0.48
    start, end = (np.array([100, 300]) * BLOCK + [10 * SAMPLE_RATE, 0]) / SAMPLE_RATE
    assert abs(lost[0] - start) < 1.1
    assert abs(lost[-1] - end) < 1.1
    assert 115 < found["silent"] < 125
    # Time goes on as by the clock.
    assert abs(len(scores) * 0.48 - 400 * BLOCK / SAMPLE_RATE) < 1.1
