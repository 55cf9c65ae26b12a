"""The latency model: against published figures, and for plausibility."""

import pytest
from tests.student_fixtures import manifest_for

from crydistill.device.boards import BOARDS, COUNTED, KIB, MHZ, Needs, Verdict, fit
from crydistill.device.cost_record import recorded_sha256
from crydistill.device.emulator import CORTEX_M4_PLAIN, Core
from crydistill.device.latency import (
    Instructions,
    Range,
    esp_nn_cycles,
    milliseconds,
    plain_cycles,
    recorded_instructions,
)
from crydistill.student.manifest import MANIFEST_NAME, TFLITE_NAME, load_manifest
from crydistill.student.packaged import packaged_student
from crydistill.tflite.file import read_tflite

NETWORK_COUNTED, SCORE_COUNTED = 7_390_920, 6_811
"""Of the reference student on a Cortex-M4, plain C, gcc 12 -O2, counted by qemu."""

PUBLISHED_MS = 28
"""Of the reference student on an ESP32-S3, TFLite Micro with ESP-NN."""


def total(ranges: tuple[Range, ...]) -> Range:
    return sum(ranges, Range(0, 0))


def test_slow_end_with_esp_nn_is_near_the_published_time(reference_tflite: bytes) -> None:
    time = milliseconds(total(esp_nn_cycles(read_tflite(reference_tflite))))
    assert time.low < time.high
    assert time.high == pytest.approx(PUBLISHED_MS, rel=0.15)


@pytest.mark.parametrize("student", ["reference_tflite", "residual_tflite"])
def test_esp_nn_never_slows_a_layer(student: str, request: pytest.FixtureRequest) -> None:
    file = read_tflite(request.getfixturevalue(student))
    for fast, plain in zip(esp_nn_cycles(file), plain_cycles(file), strict=True):
        assert 0 <= fast.low <= fast.high <= plain.high


def test_instructions_of_the_reference_student(reference_tflite: bytes) -> None:
    file, manifest = read_tflite(reference_tflite), manifest_for(reference_tflite)
    found = recorded_instructions(file, manifest, CORTEX_M4_PLAIN)
    assert found.network == pytest.approx(NETWORK_COUNTED, rel=0.1)
    assert found.score == pytest.approx(SCORE_COUNTED, rel=0.02)
    assert not found.measured
    assert 0.25 < found.front_end_share < 0.33


@pytest.mark.parametrize("core", COUNTED, ids=lambda core: core.title)
def test_the_recorded_student_has_its_own_counts(core: Core) -> None:
    folder = packaged_student()
    manifest = load_manifest(folder / MANIFEST_NAME)
    own = manifest.tflite.model_copy(update={"sha256": recorded_sha256()})
    file = read_tflite((folder / TFLITE_NAME).read_bytes())
    other = manifest.tflite.model_copy(update={"sha256": "ab" * 32})
    manifests = (manifest.model_copy(update={"tflite": tflite}) for tflite in (own, other))
    counted, derived = (recorded_instructions(file, each, core) for each in manifests)
    assert counted.measured
    assert not derived.measured
    assert derived.network == pytest.approx(counted.network, rel=0.02)


def instructions(network: float) -> dict[str, Instructions]:
    each = Instructions(2.4e6, network, 5e4, 100, measured=False)
    return {core.title: each for core in COUNTED}


def test_a_small_student_fits_boards_with_an_fpu_and_a_huge_one_none() -> None:
    small = Needs(50_000, 40_000, instructions(2e6))
    huge = Needs(100 << 20, 8 << 20, instructions(1e9))
    for board in BOARDS:
        if board.core.fpu:
            assert fit(board, small).verdict == Verdict.FITS
        judged = fit(board, huge)
        assert judged.verdict == Verdict.DOES_NOT_FIT
        assert {reason.split()[0] for reason in judged.reasons} >= {"flash", "RAM", "too"}


def test_boards_are_in_bytes_and_hertz() -> None:
    for board in BOARDS:
        assert 64 * KIB <= board.ram_bytes <= board.flash_bytes <= 65_536 * KIB, board.name
        assert 16 * MHZ <= board.clock_hz <= 1_000 * MHZ, board.name
        assert board.source, board.name
    assert len({board.name for board in BOARDS}) == len(BOARDS)


def test_what_is_missing_is_said_to_the_byte() -> None:
    board = next(board for board in BOARDS if board.name == "STM32L4")
    judged = fit(board, Needs(50_000, board.ram_bytes, instructions(1e6)))
    assert judged.reasons == (f"RAM is {16 * KIB:,} bytes short",)


def test_a_board_is_judged_by_the_counts_of_its_own_core() -> None:
    for board in BOARDS:
        few = instructions(1e6)
        more = few | {board.core.counted.title: Instructions(1e6, 1e9, 0, 0, measured=True)}
        lazy, busy = (fit(board, Needs(50_000, 40_000, counts)) for counts in (few, more))
        assert busy.load.low > 100 * lazy.load.low, board.name
        others = [one for one in BOARDS if one.core.counted != board.core.counted]
        for other in others:
            counts = Needs(50_000, 40_000, more)
            assert fit(other, counts) == fit(other, Needs(50_000, 40_000, few))


def test_what_stands_in_and_what_is_missing_is_said() -> None:
    for board in BOARDS:
        reasons = fit(board, Needs(50_000, 40_000, instructions(1e6))).reasons
        nearest = f"counted on {board.core.counted.title}, the nearest core with a tool chain"
        assert (nearest in reasons) == board.core.name.startswith("Xtensa")
        assert ("no FPU: with the front end in integers" in reasons) == (not board.core.fpu)


def test_between_the_ends_of_the_budget_is_tight() -> None:
    board = next(board for board in BOARDS if board.name == "nRF52840")
    assert fit(board, Needs(50_000, 40_000, instructions(15e6))).verdict == Verdict.TIGHT
