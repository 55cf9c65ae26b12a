from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.npz_files import damaged_npz, npy

from crydistill.audio.files import read_audio
from crydistill.audio.mel import log_mel
from crydistill.corpora.clip import Clip, Label
from crydistill.errors import CorpusError
from crydistill.publish.fingerprints import (
    FILE_NAME,
    PIECE_BYTES,
    ROWS_BETWEEN_PIECES,
    SAMPLES_BETWEEN_PIECES,
    PieceKind,
    PrivateFingerprints,
    as_int16,
    fingerprint_private,
)

RELAXED = settings(max_examples=50)  # shared machines stall

AT = datetime(2026, 4, 12, 3, 15, tzinfo=timezone(timedelta(hours=10)))
NAME = f"cry-{AT:%Y%m%dT%H%M%S%z}"
SAMPLES = np.rint(800 * np.random.default_rng(0).standard_normal(32_000)).astype(np.int16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("captures")
    soundfile.write(folder / f"{NAME}.wav", SAMPLES, 16_000)
    return folder


@pytest.fixture(scope="module")
def private(folder: Path) -> PrivateFingerprints:
    return fingerprint_private(folder)


@RELAXED
@given(start=st.integers(0, 25_000), head=st.binary(max_size=300))
def test_any_run_of_samples_is_found(private: PrivateFingerprints, start: int, head: bytes) -> None:
    run = SAMPLES[start : start + SAMPLES_BETWEEN_PIECES + PIECE_BYTES // 2]
    for data in (run, run.astype(np.float32) / np.float32(32_768)):
        match = private.find_piece(head + data.tobytes() + b"tail")
        assert match is not None
        assert match.kind is PieceKind.SAMPLES
        assert match.offset >= len(head)


@RELAXED
@given(start=st.integers(0, 190), head=st.binary(max_size=300))
def test_any_run_of_frames_is_found(private: PrivateFingerprints, start: int, head: bytes) -> None:
    frames = log_mel(SAMPLES.astype(np.float32) / np.float32(32_768))
    run = frames[start : start + ROWS_BETWEEN_PIECES]
    for data in (run, run.astype(np.float16)):
        match = private.find_piece(head + data.tobytes() + b"tail")
        assert match is not None
        assert match.kind is PieceKind.FRAMES


@RELAXED
@given(st.binary(max_size=5_000))
def test_nothing_is_found_in_other_bytes(private: PrivateFingerprints, data: bytes) -> None:
    assert private.find_piece(data) is None
    assert private.find_name(data) is None


def test_a_piece_across_the_blocks_of_the_search(private: PrivateFingerprints) -> None:
    piece = SAMPLES[: PIECE_BYTES // 2].tobytes()
    for start in range((1 << 18) - PIECE_BYTES - 2, (1 << 18) + 3):
        match = private.find_piece(bytes(start) + piece + bytes(500))
        assert match is not None
        assert match.offset == start


def test_one_changed_bit_is_not_a_match(private: PrivateFingerprints) -> None:
    piece = bytearray(SAMPLES[: PIECE_BYTES // 2].tobytes())
    assert private.find_piece(bytes(piece))
    piece[70] ^= 1
    assert private.find_piece(bytes(piece)) is None


def test_stereo_and_other_rates(tmp_path: Path) -> None:
    stereo = np.stack([SAMPLES, SAMPLES[::-1]], axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, 44_100)
    private = fingerprint_private(tmp_path)
    as_heard = read_audio(tmp_path / "a.wav").samples
    for data in (stereo, SAMPLES, SAMPLES[::-1], as_heard, as_int16(as_heard)):
        assert private.find_piece(np.ascontiguousarray(data[500:6_000]).tobytes()) is not None
    assert private.find_piece(log_mel(as_heard)[10:14].tobytes()) is not None


@pytest.mark.parametrize(
    "plain",
    [
        np.zeros(16_000, dtype=np.int16),
        np.full(16_000, 77, dtype=np.int16),
        np.tile(np.array([0, 1, 0, -1], dtype=np.int16), 4_000),
    ],
)
def test_what_silence_gives_is_no_fingerprint(plain: npt.NDArray[np.int16], tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silent.wav", plain, 16_000)
    private = fingerprint_private(tmp_path)
    floats = plain.astype(np.float32) / np.float32(32_768)
    assert private.find_piece(plain.tobytes()) is None
    assert private.find_piece(floats.tobytes()) is None
    if not plain.any():
        assert len(private.pieces) == 0
        assert private.find_piece(log_mel(floats).tobytes()) is None


def test_arrays_made_from_recordings(folder: Path) -> None:
    generator = np.random.default_rng(4)
    scores, track = generator.random((9, 521)), generator.random(300)
    private = fingerprint_private(folder, arrays=[scores, track])
    for array in (scores[4:5], track[10:140]):
        for dtype in (np.float16, np.float32):
            match = private.find_piece(b"x" + array.astype(dtype).tobytes())
            assert match is not None
            assert match.kind is PieceKind.ARRAY


def test_files_names_and_times(private: PrivateFingerprints) -> None:
    assert private.find_name(f"see ({NAME.upper()}), please".encode()) == 5
    assert private.find_name(f"{NAME}.npz".encode()) == 0
    assert private.find_name(f"x{NAME}".encode()) is None
    assert private.find_name(f"{NAME}5".encode()) is None
    assert private.knows_moment(AT)
    assert private.knows_moment(AT.astimezone(UTC))
    assert private.knows_moment(AT.replace(tzinfo=None))
    assert not private.knows_moment(AT + timedelta(seconds=1))
    assert private.knows_moment(AT.replace(tzinfo=UTC))  # the same clock, wrongly labelled
    assert not private.knows_moment(AT + timedelta(hours=1))


def test_common_names_are_sought_with_their_suffix(tmp_path: Path) -> None:
    for name in ("bedroom.wav", "a1.wav", "REC_0042.wav"):
        soundfile.write(tmp_path / name, SAMPLES[:100], 16_000)
    private = fingerprint_private(tmp_path)
    assert private.find_name(b"the bedroom is dark") is None
    assert private.find_name(b"the bedroom.wav is dark") == 4
    assert private.find_name(b"rec_0042") == 0
    assert private.find_name(b"a1.wav") is None


def test_saved_fingerprints_are_the_same_and_hold_no_plain_text(
    private: PrivateFingerprints, tmp_path: Path
) -> None:
    path = tmp_path / FILE_NAME
    private.save(path)
    loaded = PrivateFingerprints.load(path)
    assert loaded.clips == private.clips == 1
    assert loaded.files == private.files
    assert loaded.moments == private.moments
    for name in ("pieces", "piece_kinds", "names"):
        assert np.array_equal(getattr(loaded, name), getattr(private, name))
    assert loaded.find_name(NAME.encode()) == 0
    content = path.read_bytes()
    assert NAME.encode() not in content
    assert private.find_piece(content) is None


def test_fingerprints_stay_outside_work_trees(private: PrivateFingerprints, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    with pytest.raises(CorpusError, match="must not lie in a git work tree"):
        private.save(tmp_path / FILE_NAME)
    assert not (tmp_path / FILE_NAME).exists()


def test_foreign_and_missing_fingerprint_files(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no such fingerprint file"):
        PrivateFingerprints.load(tmp_path / FILE_NAME)
    np.savez(tmp_path / "other.npz", format=99)
    (tmp_path / "text.npz").write_text("hello")
    np.savez(tmp_path / "part.npz", format=1, clips=1)
    for number, data in enumerate([npy(), *damaged_npz()]):
        (tmp_path / f"damaged-{number}.npz").write_bytes(data)
    for name in sorted(path.name for path in tmp_path.glob("*.npz")):
        with pytest.raises(CorpusError, match="not a fingerprint file of this version"):
            PrivateFingerprints.load(tmp_path / name)


def test_unreadable_recordings_are_noted_and_still_known(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "good.wav", SAMPLES, 16_000)
    (tmp_path / "broken_0042.wav").write_bytes(b"RIFF not really")
    private = fingerprint_private(tmp_path)
    assert private.clips == 2
    assert len(private.files) == 2
    (note,) = private.unreadable
    assert "broken_0042.wav" in note
    assert private.find_name(b"broken_0042") == 0


def test_from_clips(folder: Path, private: PrivateFingerprints) -> None:
    path = folder / f"{NAME}.wav"
    clip = Clip(NAME, path, Label.UNLABELLED, NAME, private=True)
    assert np.array_equal(fingerprint_private([clip]).pieces, private.pieces)


def test_an_empty_folder_would_guard_nothing(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no private recordings found"):
        fingerprint_private(tmp_path)
