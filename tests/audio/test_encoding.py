"""Writing sound to files."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.audio.encode import sweep

from crydistill.audio.encoding import encoded, write_sound

SOUND = sweep(2.0, 16_000)


@pytest.mark.parametrize(
    ("name", "form", "subtype"),
    [("a.wav", "WAV", "PCM_16"), ("b.wav", "WAV", "FLOAT"), ("c.flac", "FLAC", "PCM_16")],
)
def test_bytes_are_those_that_libsndfile_writes(
    name: str, form: str, subtype: str, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / name, SOUND, 16_000, subtype, format=form)
    assert encoded(SOUND, form=form, subtype=subtype) == (tmp_path / name).read_bytes()
    write_sound(tmp_path / f"again-{name}", SOUND, form=form, subtype=subtype)
    assert (tmp_path / f"again-{name}").read_bytes() == (tmp_path / name).read_bytes()


def test_opus_keeps_its_length(tmp_path: Path) -> None:
    write_sound(tmp_path / "a.opus", SOUND, form="OGG", subtype="OPUS")
    assert soundfile.info(tmp_path / "a.opus").frames == len(SOUND)


def test_a_full_disk_is_said_in_words_and_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.wav"
    write_sound(path, SOUND)
    before = path.read_bytes()

    def write_bytes(self: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    with pytest.raises(OSError, match="No space left on device") as refused:
        write_sound(path, np.zeros(16_000))
    assert refused.value.filename == str(path)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["a.wav"]
