"""The page's resampler: flat where the log-mel listens, silent where it would fold, and in time."""

from pathlib import Path

import numpy as np
import pytest
from tests.web.node import read_floats, run_in_node

RATE = 16_000

PROGRAM = """
import {Resampler, toPcm} from "./resample.js";
const resampler = new Resampler(FROM), samples = floats("in"), parts = [];
for (let at = 0; at < samples.length; at += PIECE) {
  parts.push(resampler.push(samples.subarray(at, at + PIECE)));
}
parts.push(resampler.finish());
const all = Float32Array.from(parts.flatMap((part) => [...part]));
fs.writeFileSync("out", all);
give(Array.from(toPcm(all.subarray(0, 5))));
"""


def resampled(folder: Path, samples: np.ndarray, rate: int, piece: int = 2_048) -> np.ndarray:
    (folder / "in").write_bytes(samples.astype(np.float32).tobytes())
    run_in_node(folder, f"const FROM = {rate}, PIECE = {piece};\n{PROGRAM}")
    return read_floats(folder / "out")


def tone(hertz: float, rate: int, seconds: float = 0.5) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate + 0.3)


@pytest.mark.parametrize("rate", [8_000, 22_050, 32_000, 44_100, 48_000, 96_000])
def test_a_tone_stays_what_and_where_it_is(rate: int, tmp_path: Path) -> None:
    highest = 7_400 if rate >= RATE else 3_700
    for hertz in (440, highest):
        out = resampled(tmp_path, tone(hertz, rate), rate)
        assert len(out) == RATE // 2
        inside = slice(1_000, -1_000)
        np.testing.assert_allclose(out[inside], tone(hertz, RATE)[inside], atol=2e-4)


@pytest.mark.parametrize(("rate", "hertz"), [(48_000, 8_600), (44_100, 12_000), (96_000, 40_000)])
def test_what_would_fold_is_gone(rate: int, hertz: float, tmp_path: Path) -> None:
    out = resampled(tmp_path, tone(hertz, rate), rate)[1_000:-1_000]
    assert 20 * np.log10(np.abs(out).max()) < -85


def test_blocks_do_not_matter(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).normal(size=5_000)
    whole = resampled(tmp_path, samples, 44_100, piece=100_000)
    for piece in (1, 128, 999):
        np.testing.assert_array_equal(resampled(tmp_path, samples, 44_100, piece), whole)


def test_sound_at_16_khz_is_not_touched(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).normal(size=5_000).astype(np.float32)
    np.testing.assert_array_equal(resampled(tmp_path, samples, RATE), samples)


def test_samples_become_16_bits_and_never_wrap(tmp_path: Path) -> None:
    program = 'import {toPcm} from "./resample.js";\ngive([...toPcm(new Float32Array([%s]))]);'
    steps = run_in_node(tmp_path, program % "0, 1, -1, 3, -3, 100 / 32768, -7 / 32768")
    assert steps == [0, 32767, -32768, 32767, -32768, 100, -7]
