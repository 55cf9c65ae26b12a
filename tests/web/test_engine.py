"""The prebuilt library: it is that of the sources, and it computes what the host computes."""

from pathlib import Path

import numpy as np
import pytest
from tests.firmware.programs import FIRMWARE, Gaps, Program, need, scene
from tests.web.node import HEAR, put_engine, read_floats, run_in_node

from crydistill.audio.mel import MEL_BANDS, SAMPLE_RATE
from crydistill.audio.windows import WINDOW_FRAMES, WINDOW_HOP_FRAMES, WINDOW_HOP_SECONDS
from crydistill.detector.vote import Event, EventKind, VoteSettings
from crydistill.student.runtime import TfliteStudent
from crydistill.web.engine import build_engine, engine, engine_record, sources_sha256
from crydistill.web.image import student_image

REBUILD = "rebuild it: crydistill web-engine firmware src/crydistill/web"
SETTINGS = VoteSettings(threshold=0.3, n=2, m=3, hold_seconds=2.0)
WINDOWS = 1_000

HEAR_PCM = """
const scores = [], frames = [], events = [];
engine.onFrame = (steps) => frames.push(Buffer.from(steps));
engine.onWindow = (score) => scores.push(score);
const pcm = new Int16Array(new Uint8Array(fs.readFileSync("pcm")).buffer);
engine.start();
let from = 0;
for (const [at, lost] of GAPS) {
  engine.push(pcm.subarray(from, at));
  engine.gap(lost);
  from = at;
}
engine.push(pcm.subarray(from));
const vote = new Vote(engine, SETTINGS);
scores.forEach((score, window) => {
  const event = vote.push(score);
  if (event) events.push([event, window, vote.onset]);
});
fs.writeFileSync("frames", Buffer.concat(frames));
fs.writeFileSync("scores", Float32Array.from(scores));
give(events);
"""


def test_it_was_built_from_these_sources() -> None:
    assert engine_record().sources_sha256 == sources_sha256(FIRMWARE), REBUILD


def test_it_is_what_the_compiler_makes_of_them() -> None:
    need("make", "clang", "wasm-ld")
    made, record = build_engine(FIRMWARE)
    if record.compiler != engine_record().compiler:
        pytest.skip(f"it was built by {engine_record().compiler}, here is {record.compiler}")
    assert made == engine(), REBUILD


def heard(
    folder: Path, library: bytes, student: TfliteStudent, pcm: np.ndarray, gaps: Gaps
) -> tuple[np.ndarray, np.ndarray, list[Event]]:
    """Frames, scores and events of the library in Node."""
    put_engine(folder, library, student_image(student.tflite, student.manifest))
    (folder / "pcm").write_bytes(pcm.tobytes())
    known = (
        f"const GAPS = {[list(gap) for gap in gaps]}, SETTINGS = {SETTINGS.model_dump_json()};\n"
    )
    events = run_in_node(folder, HEAR + known + HEAR_PCM)
    frames = np.frombuffer((folder / "frames").read_bytes(), dtype=np.int8)
    found = [Event(EventKind(kind), window, onset) for kind, window, onset in events]
    return frames.reshape(-1, MEL_BANDS), read_floats(folder / "scores"), found


def assert_equal_to_the_host(
    folder: Path, library: bytes, student: TfliteStudent, host: Program, seconds: float
) -> int:
    pcm, gaps = scene(seconds, seed=3), [(90_000, 40_000), (200_000, SAMPLE_RATE * 7)]
    frames, scores, events = heard(folder, library, student, pcm, gaps)
    expected, expected_events = host.windows(pcm, settings=SETTINGS, gaps=gaps)
    np.testing.assert_array_equal(scores.view(np.uint32), expected.view(np.uint32))
    assert events == expected_events
    # The patches are those frames: every window's 96, from each beginning on.
    patches, first = host.patches(pcm, gaps=gaps), 0
    ends = [*(at for at, _ in gaps), len(pcm)]
    count = 0
    for start, end in zip([0, *ends], ends, strict=False):
        length = max(0, (end - start - 400) // 160 + 1)
        part = frames[first : first + length]
        for at in range(0, length - WINDOW_FRAMES + 1, WINDOW_HOP_FRAMES):
            np.testing.assert_array_equal(part[at : at + WINDOW_FRAMES], patches[count])
            count += 1
        first += length
    assert count == len(patches)
    assert first == len(frames)
    return len(scores)


def test_a_thousand_windows_in_node_are_those_of_the_host(
    tmp_path: Path, packaged: TfliteStudent, host: Program
) -> None:
    seconds = (WINDOWS + 5) * WINDOW_HOP_SECONDS
    assert assert_equal_to_the_host(tmp_path, engine(), packaged, host, seconds) >= WINDOWS


def test_one_that_is_built_here_computes_the_same(
    tmp_path: Path, packaged: TfliteStudent, host: Program
) -> None:
    need("make", "clang", "wasm-ld")
    made, _ = build_engine(FIRMWARE)
    assert_equal_to_the_host(tmp_path, made, packaged, host, 30)
