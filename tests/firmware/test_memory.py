"""A student with memory in C: what it remembers, what a gap does, against TFLite Micro's."""

from pathlib import Path

import numpy as np
import pytest
from tests.firmware.programs import Emulated, Program, samples_of, scene
from tests.student_fixtures import manifest_for, synthetic_patches

from crydistill.detector.stream import ScoreStream
from crydistill.student.manifest import save_manifest
from crydistill.student.runtime import TfliteStudent
from crydistill.tflite.check import TfliteFacts, inspect_tflite
from crydistill.tflite.interpreters import Int8, Network, TfliteMicro, quantize

pytest.importorskip("tflite_micro", reason="needs Google's TFLite Micro interpreter")

ARENA = 1 << 20
GAPS = ((70_000, 16_000), (70_001, 0), (200_000, 3), (203_000, 7_679), (320_001, 100_000))
"""Gaps within a window and between two, close to each other, of no length and of many windows."""


@pytest.fixture(scope="module")
def facts(memory_tflite: bytes) -> TfliteFacts:
    return inspect_tflite(memory_tflite)


@pytest.fixture
def network(memory_tflite: bytes) -> Network:
    return TfliteMicro(memory_tflite, ARENA)


def audio_patches(facts: TfliteFacts, count: int) -> Int8:
    return quantize(synthetic_patches(count), facts.input.scale, facts.input.zero_point)


def assert_equal_over_a_stream(
    program: Program, network: Network, facts: TfliteFacts, count: int
) -> None:
    patches, gap = audio_patches(facts, count), count // 2 + 1
    expected = [network.run(patches[:gap])]
    network.reset()
    expected.append(network.run(patches[gap:]))
    outputs = facts.output.shape[-1]
    found = program.network(patches, outputs, gap)
    np.testing.assert_array_equal(found, np.concatenate(expected))
    # The gap mattered, as long as the memory has windows from before it, and no longer.
    assert facts.memory is not None
    remembered = facts.memory.shape[1]
    uninterrupted = program.network(patches, outputs)
    other = (found != uninterrupted).any(axis=1)
    assert other[gap : gap + remembered].any()
    assert not other[:gap].any()
    assert not other[gap + remembered :].any()


def test_a_stream_with_a_gap(
    sanitized_with_memory: Program, network: Network, facts: TfliteFacts
) -> None:
    assert_equal_over_a_stream(sanitized_with_memory, network, facts, 200)


def test_a_stream_with_a_gap_under_emulation(
    emulated_with_memory: Emulated, network: Network, facts: TfliteFacts
) -> None:
    assert_equal_over_a_stream(emulated_with_memory, network, facts, 24)


def assert_any_memory_equals(
    program: Program, tflite: bytes, facts: TfliteFacts, count: int
) -> None:
    assert facts.memory is not None
    rng = np.random.default_rng(0)
    memories = rng.integers(-128, 128, (count, *facts.memory.shape[1:]), dtype=np.int8)
    patches = audio_patches(facts, count)
    after, logits = program.recall(memories, patches)
    interpreter = TfliteMicro(tflite, ARENA)
    for memory, patch, found, remembered in zip(memories, patches, logits, after, strict=True):
        expected, next_memory = interpreter._invoke([patch[None, ..., None], memory[None]])
        np.testing.assert_array_equal(found, expected[0])
        np.testing.assert_array_equal(remembered, next_memory[0])
    assert len(np.unique(logits)) > count // 4


def test_any_memory(
    sanitized_with_memory: Program, memory_tflite: bytes, facts: TfliteFacts
) -> None:
    assert_any_memory_equals(sanitized_with_memory, memory_tflite, facts, 200)


def test_any_memory_under_emulation(
    emulated_with_memory: Emulated, memory_tflite: bytes, facts: TfliteFacts
) -> None:
    assert_any_memory_equals(emulated_with_memory, memory_tflite, facts, 10)


def test_pushed_audio_with_gaps(
    sanitized_with_memory: Program, network: Network, facts: TfliteFacts
) -> None:
    pcm, program, outputs = scene(25), sanitized_with_memory, facts.output.shape[-1]
    ends = [*(at for at, _ in GAPS), len(pcm)]
    patches, logits = [], []
    for start, end in zip([0, *ends], ends, strict=False):
        # Nothing from before a gap: not in the memory, and not in a patch.
        part = program.patches(pcm[start:end])
        network.reset()
        patches.append(part)
        logits.append(network.run(part))
    np.testing.assert_array_equal(program.patches(pcm, gaps=GAPS), np.concatenate(patches))
    np.testing.assert_array_equal(program.logits(pcm, outputs, gaps=GAPS), np.concatenate(logits))
    assert sum(map(len, patches)) > 20
    # In pieces of any size.
    whole = program.logits(pcm, outputs, gaps=GAPS)
    for seed in (1, 2, 3):
        np.testing.assert_array_equal(program.logits(pcm, outputs, seed, GAPS), whole)


def test_pushed_audio_with_gaps_under_emulation(
    emulated_with_memory: Emulated, facts: TfliteFacts
) -> None:
    pcm, host, outputs = scene(14), emulated_with_memory.host, facts.output.shape[-1]
    assert host is not None
    gaps = GAPS[:4]
    found = emulated_with_memory.logits(pcm, outputs, 5, gaps)
    np.testing.assert_array_equal(found, host.logits(pcm, outputs, gaps=gaps))
    scores, events = emulated_with_memory.windows(pcm, gaps=gaps)
    expected_scores, expected_events = host.windows(pcm, gaps=gaps)
    np.testing.assert_array_equal(scores, expected_scores)
    assert events == expected_events
    assert np.isnan(scores).sum() > 2


def test_the_whole_chain_hears_what_listen_hears(
    sanitized_with_memory: Program, memory_tflite: bytes, tmp_path: Path
) -> None:
    (tmp_path / "student.tflite").write_bytes(memory_tflite)
    save_manifest(tmp_path / "student.json", manifest_for(memory_tflite))
    student, pcm = TfliteStudent.load(tmp_path), scene(25)
    stream, expected, start = ScoreStream(student), [], 0
    for at, _ in GAPS:
        expected.append(stream.push(samples_of(pcm[start:at])))
        stream.reset()
        start = at
    expected.append(stream.push(samples_of(pcm[start:])))
    scores, _ = sanitized_with_memory.windows(pcm, gaps=GAPS)
    heard = scores[~np.isnan(scores)]
    # A value of a patch that rounds to the other int8 step can move an embedding, and logits.
    step = inspect_tflite(memory_tflite).output.scale
    np.testing.assert_allclose(np.log(heard), np.log(np.concatenate(expected)), atol=2.5 * step)
