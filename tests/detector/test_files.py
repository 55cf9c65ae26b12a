import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.audio.encode import encode, sweep
from tests.detector.sounds import EachByItself, Remembering
from tests.student_fixtures import memory_dir, memory_tflite  # noqa: F401 - fixtures

from crydistill.audio.mel import log_mel
from crydistill.audio.windows import windows
from crydistill.detector.files import clock, detect_file
from crydistill.detector.stream import ScoreStream
from crydistill.detector.vote import VoteSettings
from crydistill.errors import AudioError
from crydistill.progress import Advance
from crydistill.student.runtime import TfliteStudent

SETTINGS = VoteSettings(threshold=0.5, n=5, m=9, hold_seconds=2.0)


class MeanScorer(EachByItself):
    """Scores a window by its mean log-mel: 0 in silence, towards 1 when loud."""

    def push(self, patches: np.ndarray) -> np.ndarray:
        level = patches.mean(axis=(1, 2), dtype=np.float64)
        return np.clip((level + 6.9) / 6.9, 0, 1).astype(np.float32)


def recording(path: Path, quiet: float, loud: float, rest: float, rate: int = 16_000) -> Path:
    noise = np.random.default_rng(0).standard_normal(round((quiet + loud + rest) * rate))
    gain = np.repeat([1e-4, 0.3, 1e-4], [round(s * rate) for s in (quiet, loud, rest)])
    soundfile.write(path, np.clip(gain * noise, -1, 1), rate)
    return path


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_an_episode_raises_one_alert_where_it_is(tmp_path: Path, rate: int) -> None:
    path = recording(tmp_path / "night.wav", 20, 10, 20, rate)
    found = detect_file(path, MeanScorer(), SETTINGS)
    assert found.duration == pytest.approx(50, abs=0.01)
    (alert,) = found.alerts
    assert alert.onset == pytest.approx(20, abs=1)
    assert 22 < alert.raised_at < 24
    assert 30 < alert.ended_at < 34


def test_scores_do_not_depend_on_how_the_audio_arrives(tmp_path: Path) -> None:
    samples = np.random.default_rng(1).standard_normal(80_000).astype(np.float32)
    scorer = MeanScorer()
    expected = scorer.push(windows(log_mel(samples)))
    for size in (1_000, 7_681, 50_000):
        stream = ScoreStream(scorer)
        pieces = [stream.push(samples[i : i + size]) for i in range(0, len(samples), size)]
        assert np.array_equal(np.concatenate(pieces), expected)


def test_a_short_recording_is_one_padded_window(tmp_path: Path) -> None:
    path = recording(tmp_path / "short.wav", 0.1, 0.2, 0.1)
    found = detect_file(path, MeanScorer(), SETTINGS)
    assert len(found.scores) == 1
    assert found.alerts == ()
    assert "padded" in found.notes[0]


def test_too_short_to_vote_is_not_called_no_alert(tmp_path: Path) -> None:
    short = detect_file(recording(tmp_path / "short.wav", 0, 2.5, 0), MeanScorer(), SETTINGS)
    assert len(short.scores) == 4
    assert "too short to vote" in short.lines()[0]
    assert "alert" not in short.lines()[0]
    assert short.to_json()["too_short_to_vote"] is True
    longer = detect_file(recording(tmp_path / "l.wav", 2.9, 0, 0), MeanScorer(), SETTINGS)
    assert len(longer.scores) == 5
    assert ", 0 alerts, " in longer.lines()[0]
    assert longer.to_json()["too_short_to_vote"] is False


def test_json_is_plain(tmp_path: Path) -> None:
    path = recording(tmp_path / "night.wav", 2, 10, 0)
    found = json.loads(json.dumps(detect_file(path, MeanScorer(), SETTINGS).to_json()))
    assert found["alerts"][0]["ended_at_s"] is None
    assert found["alerts"][0]["peak_score"] == max(found["scores"])
    assert len(found["scores"]) == 23


def test_lines_name_the_alert(tmp_path: Path) -> None:
    path = recording(tmp_path / "night.wav", 2, 10, 0)
    head, line = detect_file(path, MeanScorer(), SETTINGS).lines()
    assert "1 alert, highest score" in head
    assert "to the end" in line


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "0:00.0"),
        (59.94, "0:59.9"),
        (59.96, "1:00.0"),
        (3599.99, "1:00:00.0"),
        (3723.4, "1:02:03.4"),
    ],
)
def test_a_time_never_has_sixty_seconds(seconds: float, written: str) -> None:
    assert clock(seconds) == written


def test_a_header_that_points_before_the_file_is_refused_in_silence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cut.aiff"
    path.write_bytes(
        b"FORM\x00\x00\x00\x2eAIFFCOMM\x00\x00\x00\x12\x00\x01\x00\x00\x00\x64\x00\x10"
    )
    with pytest.raises(AudioError):
        detect_file(path, MeanScorer(), SETTINGS)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("cut", [60, -5000])
def test_a_cut_mp3_is_read_in_silence(
    cut: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = encode(tmp_path / "cut.mp3", "mp3", 44_100, sweep(3, 44_100))
    path.write_bytes(path.read_bytes()[:cut])
    with suppress(AudioError):
        detect_file(path, MeanScorer(), SETTINGS)
    assert capfd.readouterr().err == ""


def test_only_a_long_recording_has_a_progress_bar(tmp_path: Path) -> None:
    shown: list[tuple[str, int]] = []

    @contextmanager
    def progress(what: str, total: int, unit: str) -> Iterator[Advance]:
        shown.append((what, total))
        yield lambda count: None

    for seconds, name, codec in (
        (70, "long.mp3", "mp3"),
        (3, "short.mp3", "mp3"),
        (61, "a.m4a", "aac"),
    ):
        path = encode(tmp_path / name, codec, 16_000, sweep(seconds, 16_000))
        detect_file(path, MeanScorer(), SETTINGS, progress=progress)
    assert shown == [("long.mp3", 70), ("a.m4a", 61)]


def test_bad_audio_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.wav"
    path.write_bytes(b"RIFF")
    with pytest.raises(AudioError):
        detect_file(path, MeanScorer(), SETTINGS)


def test_every_recording_is_a_stream_of_its_own(tmp_path: Path) -> None:
    path = recording(tmp_path / "short.wav", 2, 2, 2)
    first, second = (detect_file(path, Remembering(), SETTINGS) for _ in range(2))
    assert list(first.scores) == list(second.scores) == list(range(1, len(first.scores) + 1))


def test_a_student_with_memory_detects_however_its_audio_arrives(
    memory_dir: Path,  # noqa: F811
) -> None:
    student = TfliteStudent.load(memory_dir)
    samples = np.random.default_rng(1).normal(0, 0.1, 80_000).astype(np.float32)
    expected = student.cry_scores(windows(log_mel(samples)))
    for size in (1_000, 7_681, 50_000):
        stream, other = ScoreStream(student), ScoreStream(student)
        pieces = []
        for start in range(0, len(samples), size):
            pieces.append(stream.push(samples[start : start + size]))
            other.push(samples[::-1][start : start + size])
        assert np.array_equal(np.concatenate(pieces), expected)
        stream.reset()
        assert np.array_equal(stream.push(samples), expected)
