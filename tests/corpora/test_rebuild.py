"""Tests of rebuilding, from small copies of the real layouts filled with nursery sounds."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import soundfile
import soxr
from tests.audio.encode import encode
from tests.corpora.archives import QUICK, tarred, zipped
from tests.fileserver import FileServer, file_server

from crydistill.audio.files import read_audio
from crydistill.audio.mel import Samples
from crydistill.corpora import catalogue
from crydistill.corpora.catalogue import corpora_with, fetch_corpus
from crydistill.corpora.clip import Label
from crydistill.corpora.folder import read_corpus
from crydistill.corpora.public import CATALOGUE, Archive
from crydistill.corpora.public_names import (
    Origin,
    PublicRecording,
    read_recordings,
    write_recordings,
)
from crydistill.corpora.rebuild import rebuild
from crydistill.errors import CorpusError
from crydistill.synthesis.nursery import compose, render

DONATED = "gveres/donateacry-corpus/donateacry_corpus_cleaned_and_updated_data/hungry/x-1.7.wav"
SPOKEN = "jimbozhang/speechocean762/WAVE/SPEAKER0001/000010053.WAV"
DOG = "karolpiczak/ESC-10/001 - Dog bark/1-100032-A.ogg"
CAT = "giulbia/baby_cry_detection/data/106 - Cat/1-34094-A.ogg"
RATES = {DONATED: 8_000, SPOKEN: 16_000, DOG: 44_100, CAT: 44_100}


@pytest.fixture(scope="module")
def sounds() -> dict[str, Samples]:
    """At least a second of nursery audio at 16 kHz for each public file."""
    clips = compose(3)
    return {
        origin: render(clip)[: 20_000 + 1_000 * number].astype(np.float32) / np.float32(32_768)
        for number, (origin, clip) in enumerate(zip(RATES, clips, strict=False))
    }


def put(path: Path, sound: Samples, rate: int, **keywords: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, soxr.resample(sound, 16_000, rate), rate, **keywords)


def recording(origin: str, sound: Samples, path: str = "") -> PublicRecording:
    return PublicRecording(
        path=path or f"train/{Path(origin).stem}.wav",
        split="train",
        label=Label.CRY if origin == DONATED else Label.NONCRY,
        category="c",
        group=f"g:{origin}",
        source="s",
        origin=origin,
        licence="l",
        licence_class="open",
        duration_s=round(len(sound) / 16_000, 2),
        native_rate_hz=RATES[origin],
    )


@pytest.fixture
def manifest(sounds: dict[str, Samples], tmp_path: Path) -> Path:
    path = tmp_path / "manifest.csv"
    write_recordings(path, [recording(origin, sound) for origin, sound in sounds.items()])
    return path


@pytest.fixture
def copies(sounds: dict[str, Samples], tmp_path: Path) -> list[Path]:
    """A user's local copies: one of each layout that `--from` supports, and ESC-50."""
    bare, named, owned = tmp_path / "bare", tmp_path / "named", tmp_path / "owned"
    for origin, root in (
        (DONATED, bare),
        (SPOKEN, named / "speechocean762"),
        (DOG, owned / "karolpiczak" / "ESC-10"),
        (CAT, owned / "giulbia" / "baby_cry_detection"),
    ):
        put(root / Origin.parse(origin).path, sounds[origin], RATES[origin], format="WAV")
    return [bare, named, owned]


def likeness(path: Path, sound: Samples) -> float:
    """Correlation with a sound below 4 kHz, the bandwidth of the narrowest public file."""
    there = soxr.resample(read_audio(path).samples[: len(sound)], 16_000, 8_000)
    wanted = soxr.resample(sound, 16_000, 8_000)
    count = min(len(there), len(wanted))
    return float(np.corrcoef(there[:count], wanted[:count])[0, 1])


def test_from_folders(
    manifest: Path, copies: list[Path], sounds: dict[str, Samples], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = rebuild(manifest, out, tmp_path / "cache", copies=copies)
    assert (done.made, done.kept, done.missing) == (4, 0, ())
    rows = read_recordings(manifest)
    assert read_recordings(out / "clips.csv") == rows
    for row in rows:
        info = soundfile.info(out / row.path)
        assert (info.samplerate, info.channels) == (16_000, 1)
        assert info.duration == pytest.approx(row.duration_s, abs=0.01)
        assert likeness(out / row.path, sounds[row.origin]) > 0.99
    clips = read_corpus(out, where={"licence_class": ["open"]})
    assert [clip.id for clip in clips] == [row.path for row in rows]
    assert sum(clip.is_cry for clip in clips) == 1


class TestFromTheCache:
    @pytest.fixture
    def server(
        self, sounds: dict[str, Samples], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[FileServer]:
        def content(origin: str, form: str = "WAV", rate: int = 0) -> bytes:
            path = tmp_path / "content"
            put(path, sounds[origin], rate or RATES[origin], format=form)
            return path.read_bytes()

        archives = {
            "donateacry": zipped(
                {f"donateacry-corpus-master/{Origin.parse(DONATED).path}": content(DONATED)}
            ),
            "esc-10": zipped({f"ESC-10-1a2b3c/{Origin.parse(DOG).path}": content(DOG, "OGG")}),
            "esc-50": zipped(
                {
                    "ESC-50-master/meta/esc50.csv": b"filename,category,esc10,src_file\n"
                    b"1-34094-A-5.wav,cat,False,34094\n",
                    "ESC-50-master/audio/1-34094-A-5.wav": content(CAT),
                }
            ),
            "speechocean762": tarred(
                {f"speechocean762/{Origin.parse(SPOKEN).path}": content(SPOKEN)}
            ),
        }
        with file_server() as running:
            entries = {
                name: replace(
                    CATALOGUE[name],
                    archives=((Archive(running.put(f"{name}.zip", body)),),),
                    about_bytes=10_000,
                )
                for name, body in archives.items()
            }
            unfetched = {"baby-cry-detection": CATALOGUE["baby-cry-detection"]}
            monkeypatch.setattr(catalogue, "CATALOGUE", MappingProxyType(unfetched | entries))
            yield running

    def test_corpus_after_corpus(
        self, server: FileServer, manifest: Path, sounds: dict[str, Samples], tmp_path: Path
    ) -> None:
        cache, out = tmp_path / "cache", tmp_path / "out"
        nothing = rebuild(manifest, out, cache)
        assert (nothing.made, len(nothing.missing)) == (0, 4)
        assert not (out / "clips.csv").exists()
        assert {lack.corpus for lack in nothing.missing} == {
            "donateacry",
            "esc-10",
            "speechocean762",
            "baby-cry-detection",
        }
        for count, name in enumerate(("donateacry", "esc-10", "speechocean762", "esc-50"), 1):
            fetch_corpus(name, cache, retries=QUICK)
            done = rebuild(manifest, out, cache)
            assert (done.made, done.kept, len(done.missing)) == (1, count - 1, 4 - count)
            assert len(read_corpus(out)) == count
        for row in read_recordings(manifest):
            assert likeness(out / row.path, sounds[row.origin]) > 0.99

    def test_a_corpus_half_fetched_does_not_count(
        self, server: FileServer, manifest: Path, tmp_path: Path
    ) -> None:
        fetch_corpus("donateacry", tmp_path, retries=QUICK)
        (catalogue.corpus_folder(tmp_path, "donateacry") / "installed.json").unlink()
        assert rebuild(manifest, tmp_path / "out", tmp_path).made == 0


class TestGoingOn:
    def test_what_is_there_is_kept_and_what_is_broken_is_not(
        self, manifest: Path, copies: list[Path], tmp_path: Path
    ) -> None:
        out, cache = tmp_path / "out", tmp_path / "cache"
        rebuild(manifest, out, cache, copies=copies)
        whole, cut, broken, gone = (out / row.path for row in read_recordings(manifest))
        soundfile.write(whole, np.full(soundfile.info(whole).frames, 0.5), 16_000)
        marked = whole.read_bytes()
        soundfile.write(cut, np.zeros(100), 16_000)
        broken.write_bytes(b"no audio")
        gone.unlink()
        done = rebuild(manifest, out, cache, copies=copies)
        assert (done.made, done.kept, done.missing) == (3, 1, ())
        assert whole.read_bytes() == marked

    def test_after_a_kill(
        self,
        manifest: Path,
        copies: list[Path],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        out, cache = tmp_path / "out", tmp_path / "cache"
        write = Path.write_bytes
        written: list[Path] = []

        def interrupted(path: Path, data: bytes) -> int:
            if len(written) == 2:
                write(path, data[: len(data) // 2])
                raise KeyboardInterrupt
            written.append(path)
            return write(path, data)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_bytes", interrupted)
            with pytest.raises(KeyboardInterrupt):
                rebuild(manifest, out, cache, copies=copies)
        assert len(list(out.rglob("*.wav"))) == 2
        done = rebuild(manifest, out, cache, copies=copies)
        assert (done.made, done.kept, done.missing) == (2, 2, ())

    def test_manifests_share_a_folder(
        self, manifest: Path, copies: list[Path], tmp_path: Path
    ) -> None:
        rows = read_recordings(manifest)
        for part in (rows[:2], rows[2:]):
            write_recordings(manifest, part)
            rebuild(manifest, tmp_path / "out", tmp_path, copies=copies)
        assert read_recordings(tmp_path / "out" / "clips.csv") == rows

    def test_a_row_whose_audio_is_lost_leaves_the_table(
        self, manifest: Path, copies: list[Path], tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        rebuild(manifest, out, tmp_path, copies=copies)
        first, *others = read_recordings(manifest)
        (out / first.path).unlink()
        done = rebuild(manifest, out, tmp_path)
        assert [lack.recording for lack in done.missing] == [first]
        assert read_recordings(out / "clips.csv") == others


class TestAnotherVersion:
    def one(self, tmp_path: Path, row: PublicRecording, sound: Samples, rate: int) -> str:
        """Why a recording was not made from this sound; empty if it was."""
        write_recordings(tmp_path / "manifest.csv", [row])
        put(tmp_path / "copy" / Origin.parse(row.origin).path, sound, rate, format="WAV")
        done = rebuild(
            tmp_path / "manifest.csv", tmp_path / "out", tmp_path, copies=[tmp_path / "copy"]
        )
        return str(done.missing[0]) if done.missing else ""

    def test_another_duration(self, sounds: dict[str, Samples], tmp_path: Path) -> None:
        row = recording(SPOKEN, sounds[SPOKEN])
        assert "1.16 s instead of 1.31 s, another version" in self.one(
            tmp_path, row, sounds[SPOKEN][:18_560], 16_000
        )

    def test_a_codecs_delay_is_no_other_duration(
        self, sounds: dict[str, Samples], tmp_path: Path
    ) -> None:
        assert not self.one(
            tmp_path, recording(SPOKEN, sounds[SPOKEN]), sounds[SPOKEN][:-1_000], 16_000
        )

    @pytest.mark.parametrize(("origin", "rate"), [(SPOKEN, 8_000), (DONATED, 16_000)])
    def test_another_bandwidth(
        self, sounds: dict[str, Samples], tmp_path: Path, origin: str, rate: int
    ) -> None:
        row = recording(origin, sounds[origin])
        said = self.one(tmp_path, row, sounds[origin], rate)
        assert f"{rate} Hz instead of {RATES[origin]} Hz" in said
        assert said.startswith(row.path)

    def test_rates_above_that_of_the_audio_are_as_good(
        self, sounds: dict[str, Samples], tmp_path: Path
    ) -> None:
        assert not self.one(tmp_path, recording(DOG, sounds[DOG]), sounds[DOG], 22_050)

    def test_the_second_copy_may_fit(
        self, sounds: dict[str, Samples], manifest: Path, copies: list[Path], tmp_path: Path
    ) -> None:
        put(tmp_path / "old" / Origin.parse(DONATED).path, sounds[DONATED][:5_000], 8_000)
        done = rebuild(manifest, tmp_path / "out", tmp_path, copies=[tmp_path / "old", *copies])
        assert done.missing == ()

    @pytest.mark.parametrize("seconds", [30, 120])
    def test_of_a_long_file_the_beginning(
        self, seconds: int, sounds: dict[str, Samples], tmp_path: Path
    ) -> None:
        long = np.tile(sounds[SPOKEN], 121 * 16_000 // len(sounds[SPOKEN]) + 1)
        row = replace(recording(SPOKEN, long), duration_s=float(seconds))
        assert not self.one(tmp_path, row, long, 16_000)
        made = read_audio(tmp_path / "out" / row.path).samples
        assert len(made) == seconds * 16_000
        assert np.abs(made - long[: len(made)]).max() < 1e-3


class TestFormats:
    @pytest.mark.parametrize("suffix", [".wav", ".flac", ".opus"])
    def test_the_name_says_which(
        self, suffix: str, sounds: dict[str, Samples], copies: list[Path], tmp_path: Path
    ) -> None:
        row = recording(SPOKEN, sounds[SPOKEN], path=f"a/b{suffix}")
        write_recordings(tmp_path / "manifest.csv", [row])
        rebuild(tmp_path / "manifest.csv", tmp_path / "out", tmp_path, copies=copies)
        info = soundfile.info(tmp_path / "out" / row.path)
        assert info.format == {".wav": "WAV", ".flac": "FLAC", ".opus": "OGG"}[suffix]
        assert likeness(tmp_path / "out" / row.path, sounds[SPOKEN]) > 0.98

    def test_another_is_refused(self, sounds: dict[str, Samples], tmp_path: Path) -> None:
        write_recordings(tmp_path / "m.csv", [recording(SPOKEN, sounds[SPOKEN], path="a.mp3")])
        with pytest.raises(CorpusError, match=r"a\.mp3 does not end in one of \.opus, "):
            rebuild(tmp_path / "m.csv", tmp_path / "out", tmp_path)

    def test_a_telephones_recording(self, sounds: dict[str, Samples], tmp_path: Path) -> None:
        """AMR in 3gp, which needs no ffmpeg on the PATH."""
        path = "donateacry-android-upload-bucket/x-1.7-f-72-hu.3gp"
        phone = tmp_path / "copy" / path
        phone.parent.mkdir(parents=True)
        sound = np.tile(sounds[DONATED], 3)
        encode(phone, "libopencore_amrnb", 8_000, soxr.resample(sound, 16_000, 8_000))
        row = recording(DONATED, sound, path="x.opus")
        row = replace(row, origin=f"gveres/donateacry-corpus/{path}")
        manifest = tmp_path / "manifest.csv"
        write_recordings(manifest, [row])
        done = rebuild(manifest, tmp_path / "out", tmp_path, copies=[tmp_path / "copy"])
        assert (done.made, done.missing) == (1, ())
        assert soundfile.info(tmp_path / "out" / "x.opus").duration == pytest.approx(
            row.duration_s, abs=0.1
        )
        # Rebuilt, and not from a second copy: the damage is reported.
        (tmp_path / "out" / "x.opus").unlink()
        phone.write_bytes(phone.read_bytes()[:40])
        done = rebuild(manifest, tmp_path / "out", tmp_path, copies=[tmp_path / "copy"])
        assert "is missing or damaged" in str(done.missing[0])


def test_a_damaged_table_in_the_folder_is_not_overwritten(
    manifest: Path, copies: list[Path], tmp_path: Path
) -> None:
    table = tmp_path / "out" / "clips.csv"
    table.parent.mkdir()
    table.write_text("path,label\nmine.wav,cry\n")
    with pytest.raises(CorpusError, match=r"clips\.csv: no column"):
        rebuild(manifest, table.parent, tmp_path, copies=copies)
    assert table.read_text() == "path,label\nmine.wav,cry\n"


def test_a_folder_that_cannot_be_written(
    manifest: Path, copies: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "train").write_text("a file where a folder must be")
    with pytest.raises(CorpusError, match=r"\.wav: cannot be written"):
        rebuild(manifest, tmp_path / "out", tmp_path, copies=copies)


def test_all_lost_empties_the_table(manifest: Path, copies: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    rebuild(manifest, out, tmp_path, copies=copies)
    for row in read_recordings(manifest):
        (out / row.path).unlink()
    rebuild(manifest, out, tmp_path)
    assert read_recordings(out / "clips.csv") == []


@pytest.mark.shared
def test_every_shared_recording_has_a_corpus(shared: Path) -> None:
    rows = read_recordings(shared / "audio" / "clips.csv")
    found = {row.source: corpora_with(row.origin) for row in rows}
    assert all(corpora_with(row.origin) for row in rows)
    assert found["esc10"] == ["esc-10", "esc-50"]
    assert found["esc50_extra"] == ["baby-cry-detection", "esc-50"]
    assert found["giulbia"] == ["baby-cry-detection"]
    assert found["donateacry"] == ["donateacry"]
    for row in rows:
        path = Path(row.origin)
        patterns = CATALOGUE[corpora_with(row.origin)[0]].files
        assert any(path.match(pattern) for pattern in patterns), row.origin


@pytest.mark.shared
def test_the_shared_recordings_come_back(shared: Path, tmp_path: Path) -> None:
    """Store some under their public names at their native rates, and rebuild them."""
    every = read_recordings(Path(__file__).parents[2] / "data" / "manifests" / "base-train.csv")
    some = [row for row in every[::200] if row.duration_s < 30]
    for row in some:
        sound = read_audio(shared / "audio" / row.path).samples
        sound = sound[: round(row.duration_s * 16_000)]
        put(tmp_path / "copy" / row.origin, sound, row.native_rate_hz, format="WAV")
    write_recordings(tmp_path / "manifest.csv", some)
    done = rebuild(
        tmp_path / "manifest.csv", tmp_path / "out", tmp_path, copies=[tmp_path / "copy"]
    )
    assert (done.made, done.missing) == (len(some), ())
    for row in some:
        there = soundfile.info(tmp_path / "out" / row.path)
        assert there.duration == pytest.approx(row.duration_s, abs=0.02)
        assert (there.format, there.subtype) == ("OGG", "OPUS")
