"""Tests of fetching, with tiny archives of the real layout on a local server."""

import dataclasses
import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import soundfile
from tests.corpora.archives import QUICK, tarred, zipped
from tests.fileserver import Fault, FileServer, file_server

from crydistill.corpora import catalogue
from crydistill.corpora.archives import unpack_archive
from crydistill.corpora.catalogue import (
    Installed,
    corpora_with,
    corpus_clips,
    corpus_folder,
    fetch_corpus,
    find_corpus,
    installed,
)
from crydistill.corpora.public import CATALOGUE, Archive
from crydistill.download import DownloadError
from crydistill.errors import CorpusError
from crydistill.lock import BusyError, exclusive


def wav(seconds: float) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(int(seconds * 8000)), 8000, format="WAV")
    return file.getvalue()


ESC_50 = {
    "ESC-50-master/meta/esc50.csv": (
        b"filename,fold,target,category,esc10,src_file,take\n"
        b"1-1-A-0.wav,1,0,dog,True,1,A\n"
        b"1-2-A-20.wav,1,20,crying_baby,True,2,A\n"
        b"1-3-A-20.wav,1,20,crying_baby,True,3,A\n"
    ),
    "ESC-50-master/audio/1-1-A-0.wav": wav(30.0),
    "ESC-50-master/audio/1-2-A-20.wav": wav(60.0),
    "ESC-50-master/audio/1-3-A-20.wav": b"not audio",
    "ESC-50-master/README.md": b"# not needed",
}
SPEECH = {
    "speechocean762/WAVE/SPEAKER0001/000010011.WAV": wav(2.0),
    "speechocean762/resource/lexicon.txt": b"",
}
ROOMS = {
    "RIRS_NOISES/simulated_rirs/smallroom/Room001/Room001-00001.wav": wav(0.5),
    "RIRS_NOISES/real_rirs_isotropic_noises/RVB2014_type1_rir_largeroom1_far_angla.wav": wav(1.0),
    "RIRS_NOISES/real_rirs_isotropic_noises/RVB2014_type1_noise_largeroom1_1.wav": wav(9.0),
    "RIRS_NOISES/pointsource_noises/noise-free-sound-0000.wav": wav(9.0),
}


RECORDINGS = {
    "baby-cry-detection": "b-1a2b/data/901 - Silence/1-1-A.wav",
    "baby-sleep-sounds": "b-1a2b/app/src/main/res/raw/x.mp3",
    "blanket": "b-1a2b/data/resources/sounds/priors/x.ogg",
    "donateacry": "d-master/donateacry_corpus_cleaned_and_updated_data/hungry/"
    "0D1AD73E-4C5E-45F3-85C4-9A3CB71E8856-1430742197-1.0-m-04-hu.wav",
    "esc-10": "ESC-10-1a2b/004 - Baby cry/1-1-A.ogg",
    "esc-50": "ESC-50-master/audio/1-1-A-0.wav",
    "fsd50k": "FSD50K.dev_audio/x.wav",
    "fsd50k-eval": "FSD50K.eval_audio/x.wav",
    "fsdd": "f-1a2b/recordings/0_george_12.wav",
    "musan": "musan/noise/free-sound/x.wav",
    "speech-commands": "_background_noise_/x.wav",
    "speech-to-intent": "s-1a2b/data/speech/clean/x.wav",
    "speechocean762": "speechocean762/WAVE/SPEAKER0001/000010011.WAV",
    "urbansound8k": "UrbanSound8K/audio/fold5/1-3-0-0.wav",
    "voice-emotion-analysis": "v-1a2b/wav/03a01Fa.wav",
}
"""Where the archive of each corpus has a recording."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """The catalogue's three kinds of archive, served from the loopback address."""
    with file_server() as running:
        rooms = zipped(ROOMS)
        archives = {
            "esc-50": Archive(running.put("master.zip", zipped(ESC_50))),
            "speechocean762": Archive(running.put("speech.tar.gz", tarred(SPEECH))),
            "rirs-noises": Archive(
                running.put("rooms.zip", rooms), len(rooms), hashlib.md5(rooms).hexdigest()
            ),
        }
        entries = {
            name: dataclasses.replace(CATALOGUE[name], archives=((archive,),), about_bytes=10_000)
            for name, archive in archives.items()
        }
        monkeypatch.setattr(catalogue, "CATALOGUE", MappingProxyType(entries))
        yield running


def test_fetched_and_listed(server: FileServer, tmp_path: Path) -> None:
    found = fetch_corpus("esc-50", tmp_path, retries=QUICK)
    assert found == Installed("esc-50", CATALOGUE["esc-50"].licence, 2, 1, 1.5, 1)
    dog, baby, broken = corpus_clips("ESC-50", tmp_path)
    assert dog.path.read_bytes() == ESC_50["ESC-50-master/audio/1-1-A-0.wav"]
    assert baby.is_cry and broken.is_cry and not dog.is_cry
    data = corpus_folder(tmp_path, "esc-50") / "data"
    assert not list(data.rglob("README.md"))


def test_a_second_call_asks_nothing(server: FileServer, tmp_path: Path) -> None:
    first = fetch_corpus("esc-50", tmp_path, retries=QUICK)
    assert fetch_corpus("Esc-50", tmp_path, retries=QUICK) == first
    assert len(server.requests) == 1


def test_what_is_here(server: FileServer, tmp_path: Path) -> None:
    assert installed(tmp_path) == []
    speech = fetch_corpus("speechocean762", tmp_path, retries=QUICK)
    sounds = fetch_corpus("esc-50", tmp_path, retries=QUICK)
    assert installed(tmp_path) == [sounds, speech]
    assert (speech.clips, speech.cries) == (1, 0)
    assert speech.minutes == pytest.approx(2 / 60)
    assert speech.licence == "CC BY 4.0"


def test_room_impulse_responses(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="not installed; run `crydistill fetch rirs-noises`"):
        corpus_clips("rirs-noises", tmp_path)
    found = fetch_corpus("rirs-noises", tmp_path, retries=QUICK)
    assert found.clips == 2
    assert found.minutes == pytest.approx(1.5 / 60)
    with pytest.raises(CorpusError, match="no recordings"):
        corpus_clips("rirs-noises", tmp_path)


def test_a_dropped_connection_is_made_good(server: FileServer, tmp_path: Path) -> None:
    server.pages["/master.zip"].faults += [Fault(drop_after=3000), Fault(drop_after=0)]
    assert fetch_corpus("esc-50", tmp_path, retries=QUICK).clips == 2
    assert server.ranges() == [None, "bytes=3000-", "bytes=3000-"]


def test_the_published_checksum_is_checked(server: FileServer, tmp_path: Path) -> None:
    body = bytearray(server.pages["/rooms.zip"].body)
    body[100] ^= 1
    server.put("rooms.zip", bytes(body))
    with pytest.raises(DownloadError, match=r"rooms\.zip: md5 is \w+ instead of \w+"):
        fetch_corpus("rirs-noises", tmp_path, retries=QUICK)
    assert not list(corpus_folder(tmp_path, "rirs-noises").rglob("rooms.zip"))


def test_the_hash_of_the_first_download_is_recorded_and_holds(
    server: FileServer, tmp_path: Path
) -> None:
    fetch_corpus("esc-50", tmp_path, retries=QUICK)
    folder = corpus_folder(tmp_path, "esc-50")
    record = folder / "archives" / "hashes.json"
    body = server.pages["/master.zip"].body
    assert json.loads(record.read_text()) == {"master.zip": hashlib.sha256(body).hexdigest()}

    # Everything but the recorded hashes is lost, and the file on the server has changed since.
    (folder / "installed.json").unlink()
    (folder / "archives" / "master.zip").unlink()
    other = zipped(ESC_50 | {"ESC-50-master/audio/new.wav": b""})
    server.put("master.zip", other)
    with pytest.raises(DownloadError, match=r"delete .*hashes\.json to accept a new version"):
        fetch_corpus("esc-50", tmp_path, retries=QUICK)
    record.unlink()
    assert fetch_corpus("esc-50", tmp_path, retries=QUICK).clips == 2


def test_a_kill_while_unpacking_is_made_good(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def interrupted(*arguments: object, **keywords: object) -> None:
        unpack_archive(*arguments, **keywords)  # type: ignore[arg-type]
        raise Killed

    monkeypatch.setattr(catalogue, "unpack_archive", interrupted)
    with pytest.raises(Killed):
        fetch_corpus("esc-50", tmp_path, retries=QUICK)
    monkeypatch.setattr(catalogue, "unpack_archive", unpack_archive)
    assert installed(tmp_path) == []
    with pytest.raises(CorpusError, match="not installed"):
        corpus_clips("esc-50", tmp_path)
    assert fetch_corpus("esc-50", tmp_path, retries=QUICK).clips == 2
    assert len(server.requests) == 1
    folder = corpus_folder(tmp_path, "esc-50")
    assert sorted(path.name for path in folder.iterdir()) == ["archives", "data", "installed.json"]


def test_an_archive_of_something_else(server: FileServer, tmp_path: Path) -> None:
    server.put("master.zip", zipped({"x/README": b""}))
    with pytest.raises(CorpusError, match="no clips of esc-50 in its archives"):
        fetch_corpus("esc-50", tmp_path, retries=QUICK)
    server.put("speech.tar.gz", b"<html>moved</html>")
    with pytest.raises(CorpusError, match=r"speech\.tar\.gz: cannot be unpacked"):
        fetch_corpus("speechocean762", tmp_path, retries=QUICK)
    assert installed(tmp_path) == []


def test_a_disk_that_is_too_small(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = dataclasses.replace(catalogue.CATALOGUE["esc-50"], about_bytes=10**18)
    monkeypatch.setattr(catalogue, "CATALOGUE", {"esc-50": entry})
    with pytest.raises(CorpusError, match=r"esc-50 needs about 2000000000\.0 GB more"):
        fetch_corpus("esc-50", tmp_path, retries=QUICK)
    assert server.requests == []


def test_one_process_at_a_time(server: FileServer, tmp_path: Path) -> None:
    lock = corpus_folder(tmp_path, "esc-50") / ".lock"
    with exclusive(lock), pytest.raises(BusyError):
        fetch_corpus("esc-50", tmp_path, retries=QUICK)


@pytest.mark.parametrize("name", ["installed.json", "archives/hashes.json"])
def test_damaged_notes_are_named(server: FileServer, tmp_path: Path, name: str) -> None:
    path = corpus_folder(tmp_path, "esc-50") / name
    path.parent.mkdir(parents=True)
    path.write_text('["x"]')
    with pytest.raises(CorpusError, match=rf"{path.name}: damaged; delete it"):
        fetch_corpus("esc-50", tmp_path, retries=QUICK)


def test_an_unknown_name() -> None:
    with pytest.raises(
        CorpusError, match=r"esc-51: not in the catalogue; choose one of donateacry, "
    ):
        find_corpus("esc-51")


class TestTheCatalogueItself:
    def test_it_has_what_was_promised(self) -> None:
        promised = {"donateacry", "esc-50", "urbansound8k", "fsd50k", "musan", "speechocean762"}
        assert promised < set(CATALOGUE)
        assert any(corpus.impulses for corpus in CATALOGUE.values())

    @pytest.mark.parametrize("corpus", CATALOGUE.values(), ids=lambda corpus: corpus.name)
    def test_entries_are_complete(self, corpus: catalogue.PublicCorpus) -> None:
        assert corpus.title and corpus.licence and corpus.labels and corpus.files
        assert corpus.page.startswith("https://")
        assert (corpus.listing is None) != (corpus.impulses == ())
        archives = [archive for group in corpus.archives for archive in group]
        assert len({archive.file_name for archive in archives}) == len(archives)
        for archive in archives:
            assert archive.url.startswith("https://")
            assert archive.md5 is None or len(bytes.fromhex(archive.md5)) == 16
        known = [archive.size for archive in archives]
        if None not in known:
            assert sum(size or 0 for size in known) == pytest.approx(corpus.about_bytes, rel=0.01)

    def test_public_names_lead_to_files_that_are_unpacked(self) -> None:
        files = {
            "gveres/donateacry-corpus/donateacry-ios-upload-bucket/x-1.0-m-04-ti.caf": [
                ("donateacry", "d-master/donateacry-ios-upload-bucket/x-1.0-m-04-ti.caf")
            ],
            "karolpiczak/ESC-10/001 - Dog bark/1-100032-A.ogg": [
                ("esc-10", "ESC-10-1a2b/001 - Dog bark/1-100032-A.ogg"),
                ("esc-50", "ESC-50-master/audio/1-100032-A-0.wav"),
            ],
            "giulbia/baby_cry_detection/data/301 - Crying baby/Louise_01.m4a_0.wav": [
                ("baby-cry-detection", "b/data/301 - Crying baby/Louise_01.m4a_0.wav")
            ],
            "Alejandro-131004/AC-II/UrbanSound8K/audio/fold1/1-3-0-0.wav": [
                ("urbansound8k", "UrbanSound8K/audio/fold1/1-3-0-0.wav")
            ],
            "chaeyoung-lee/wids_tutorial/data/_background_noise_/pink_noise.wav": [
                ("speech-commands", "_background_noise_/pink_noise.wav")
            ],
            "someone/else/x.wav": [],
        }
        for origin, kept in files.items():
            assert corpora_with(origin) == [name for name, _ in kept]
            for name, path in kept:
                assert any(Path(path).match(pattern) for pattern in CATALOGUE[name].files)

    def test_a_public_name_is_no_pattern(self) -> None:
        (place,) = CATALOGUE["fsdd"].places
        pattern = place.pattern("Jakobovski/free-spoken-digit-dataset/recordings/[ab]*?.wav")
        assert pattern == "*/recordings/[[]ab][*][?].wav"

    @pytest.mark.parametrize("name", [c.name for c in CATALOGUE.values() if c.listing])
    def test_what_is_unpacked_is_what_is_listed(self, name: str, tmp_path: Path) -> None:
        """The patterns of `files` match the layouts that the listings read."""
        corpus, path = CATALOGUE[name], RECORDINGS[name]
        assert any(Path(path).match(pattern) for pattern in corpus.files)
        assert not any(Path("d-master/README.md").match(pattern) for pattern in corpus.files)
        if any(pattern.endswith(".csv") for pattern in corpus.files):
            return  # a table lists its recordings
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_bytes(b"")
        assert corpus.listing is not None
        (clip,) = corpus.listing(tmp_path)
        assert (clip.path, clip.source) == (tmp_path / path, name)
