"""The misread files of ../shared/cases: what each holds, and what is said of it."""

import re
from pathlib import Path

import numpy as np
import pytest

from crydistill.audio.files import read_audio
from crydistill.errors import AudioError

READ = {
    "cbr_tail.mp3": (5.08, r"60,064 of the file's 80,368 bytes are no sound"),
    "noxing_long.mp3": (30.10, r"no signal at all for \d+ s of it"),
    "chained.ogg": (10.00, r"2 streams one after the other: all are read"),
    "pipe.flac": (5.00, ""),
    "stream_zero.wav": (5.00, r"the header claims 0\.0 s, the file holds 5\.0 s"),
    "data_short_claim.wav": (5.00, r"the header claims 1\.0 s, the file holds 5\.0 s"),
    "antiphase.wav": (5.00, r"the channels cancel each other: channel 1 alone is read"),
    "phone.m4a": (5.00, ""),
}
"""Seconds and note by file."""

REFUSED = {
    "int_as_float.wav": r"as if 16-bit integers had been written as float; divide them by 32768",
    "rate1.wav": r"claims a sample rate of 1 Hz",
    "raw16.raw": r"has no header .* `crydistill listen - --rate 16000 < FILE`",
}


@pytest.mark.shared
@pytest.mark.parametrize("name", READ)
def test_what_is_read(name: str, shared: Path) -> None:
    seconds, note = READ[name]
    audio = read_audio(shared / "cases" / "audio" / name)
    assert audio.duration == pytest.approx(seconds, abs=0.01)
    assert re.fullmatch(note, "; ".join(audio.notes))


@pytest.mark.shared
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str, shared: Path) -> None:
    with pytest.raises(AudioError, match=REFUSED[name]) as caught:
        read_audio(shared / "cases" / "audio" / name)
    assert "\n" not in str(caught.value)


@pytest.mark.shared
def test_they_are_all_here(shared: Path) -> None:
    there = {path.name for path in (shared / "cases" / "audio").iterdir()}
    assert there == {*READ, *REFUSED}


@pytest.mark.shared
def test_what_was_repaired_is_the_same_five_seconds(shared: Path) -> None:
    folder = shared / "cases" / "audio"
    plain = read_audio(folder / "pipe.flac").samples
    for name in ("stream_zero.wav", "data_short_claim.wav"):
        assert np.abs(read_audio(folder / name).samples - plain).max() < 1e-3
    assert np.corrcoef(read_audio(folder / "antiphase.wav").samples, plain)[0, 1] > 0.99
    for name in ("phone.m4a", "chained.ogg"):
        again = read_audio(folder / name).samples[: len(plain)]
        assert np.corrcoef(again, plain[: len(again)])[0, 1] > 0.9
