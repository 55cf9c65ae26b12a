"""Tests of public manifests: round trips and malformed rows."""

import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from crydistill.corpora.catalogue import corpora_with
from crydistill.corpora.clip import Label
from crydistill.corpora.folder import read_corpus
from crydistill.corpora.public_names import (
    COLUMNS,
    Origin,
    PublicRecording,
    read_recordings,
    write_manifests,
    write_recordings,
)
from crydistill.errors import AudioError, CorpusError

ON_DISK = settings(deadline=None)

MANIFESTS = Path(__file__).parents[2] / "data" / "manifests"
NAMED = ("base-train", "validation", "dev")

NAMES = st.text(
    st.characters(exclude_characters="/\\:@\0\r\n", exclude_categories=["Cs"]), min_size=1
).filter(lambda name: name not in {".", ".."})
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
# Characters that might break a CSV, and few others: rows of long texts are slow to draw.
AWKWARD = "ab ,;\"'#=é\u2028\u0085\x0b\ufeff"
TEXTS = st.text(AWKWARD, max_size=6)
AWKWARD_PATHS = st.lists(st.text(AWKWARD, min_size=1, max_size=4), min_size=3, max_size=5).map(
    "/".join
)
RECORDINGS = st.builds(
    PublicRecording,
    path=AWKWARD_PATHS,
    split=TEXTS,
    label=st.sampled_from(Label),
    category=TEXTS,
    group=TEXTS,
    source=TEXTS,
    origin=AWKWARD_PATHS,
    licence=TEXTS,
    licence_class=TEXTS,
    duration_s=st.integers(0, 100_000).map(lambda hundredths: hundredths / 100),
    native_rate_hz=st.integers(0, 192_000),
)


def recording(path: str, **others: object) -> PublicRecording:
    cells: dict[str, object] = {
        "split": "train",
        "label": Label.NONCRY,
        "category": "speech, of a kind",
        "group": "g",
        "source": "s",
        "origin": f"owner/repository/{path}",
        "licence": 'CC BY 4.0 "or so"',
        "licence_class": "open",
        "duration_s": 1.5,
        "native_rate_hz": 44_100,
    }
    return PublicRecording(path=path, **(cells | others))  # type: ignore[arg-type]


class TestOrigin:
    @given(NAMES, NAMES, PATHS)
    def test_is_taken_apart_and_put_together(self, owner: str, repository: str, path: str) -> None:
        assert Origin.parse(f"{owner}/{repository}/{path}") == Origin(owner, repository, path)
        assert str(Origin(owner, repository, path)) == f"{owner}/{repository}/{path}"

    @given(NAMES, NAMES, NAMES, PATHS)
    def test_may_name_a_version(self, owner: str, repository: str, version: str, path: str) -> None:
        origin = Origin(owner, repository, path, version)
        assert Origin.parse(str(origin)) == origin
        assert origin.name == f"{owner}/{repository}/{path}"

    def test_of_a_debian_package(self) -> None:
        origin = Origin.parse("debian:bookworm/scratch/usr/share/cat.wav")
        assert origin == Origin("debian", "scratch", "usr/share/cat.wav", "bookworm")
        assert str(origin) == "debian/scratch@bookworm/usr/share/cat.wav"

    @given(st.text(st.sampled_from("ab./\\:@\n")))
    def test_never_leads_out(self, text: str) -> None:
        try:
            origin = Origin.parse(text)
        except CorpusError:
            return
        assert str(origin) == text
        assert not {"", ".", ".."} & set(text.split("/"))
        assert not set(text) & set("\\:\n")

    @pytest.mark.parametrize(
        "text", ["", "a", "a/b", "a/b/", "a/b/../c", "/a/b/c", "a//b/c", "a/b/c:d", "a/b/c\\d",
         "a:b/c/d", "debian:/b/c/d"],
    )  # fmt: skip
    def test_is_not_anything(self, text: str) -> None:
        with pytest.raises(CorpusError, match="is not OWNER/REPOSITORY/PATH"):
            Origin.parse(text)

    @pytest.mark.parametrize("text", ["a/b@/c", "a/@b/c"])
    def test_a_version_is_of_something(self, text: str) -> None:
        with pytest.raises(CorpusError, match="has no version after OWNER/REPOSITORY@"):
            Origin.parse(text)


class TestReading:
    @ON_DISK
    @given(st.lists(RECORDINGS, max_size=4, unique_by=lambda row: row.path))
    def test_reads_what_was_written(
        self, tmp_path_factory: pytest.TempPathFactory, rows: list[PublicRecording]
    ) -> None:
        path = tmp_path_factory.mktemp("manifest") / "manifest.csv"
        write_recordings(path, rows)
        assert read_recordings(path) == sorted(rows)

    @ON_DISK
    @given(st.binary(max_size=60))
    def test_garbage_is_refused(
        self, tmp_path_factory: pytest.TempPathFactory, garbage: bytes
    ) -> None:
        path = tmp_path_factory.mktemp("manifest") / "manifest.csv"
        path.write_bytes(garbage)
        with pytest.raises(CorpusError, match=r"manifest\.csv"):
            read_recordings(path)

    @ON_DISK
    @given(st.text(max_size=60))
    def test_a_row_of_garbage_is_refused_or_read(
        self, tmp_path_factory: pytest.TempPathFactory, garbage: str
    ) -> None:
        path = tmp_path_factory.mktemp("manifest") / "manifest.csv"
        row = f"{','.join(COLUMNS)}\n{garbage}"
        path.write_text(row, encoding="utf-8", errors="replace", newline="")
        try:
            assert read_recordings(path) == []
        except CorpusError as error:
            assert "manifest.csv" in str(error)

    @pytest.mark.parametrize(
        ("cell", "message"),
        [
            ({"label": "loud"}, "label 'loud' is not one of cry, noncry, unlabelled"),
            ({"path": "../x.wav"}, r"path '\.\./x\.wav' leads out of the folder"),
            ({"path": "/x.wav"}, "path '/x.wav' leads out of the folder"),
            ({"origin": "somewhere"}, "origin 'somewhere' is not OWNER/REPOSITORY/PATH"),
            ({"duration_s": "nan"}, "duration_s 'nan' is not a number"),
            ({"duration_s": "-1"}, "duration_s '-1' is not a number"),
            ({"native_rate_hz": ""}, "native_rate_hz '' is not a number"),
        ],
    )
    def test_a_wrong_cell_is_named(
        self, tmp_path: Path, cell: dict[str, str], message: str
    ) -> None:
        path = tmp_path / "manifest.csv"
        write_recordings(path, [recording("a.wav"), recording("b.wav")])
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        rows[1] |= cell
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
        path.write_text(buffer.getvalue())
        with pytest.raises(CorpusError, match=rf"manifest\.csv:3: {message}"):
            read_recordings(path)

    def test_rows_of_another_length_and_twins(self, tmp_path: Path) -> None:
        path = tmp_path / "manifest.csv"
        write_recordings(path, [recording("a.wav")])
        text = path.read_text()
        path.write_text(text + "b.wav,train\n")
        with pytest.raises(CorpusError, match=r"manifest\.csv:3: the row has more or fewer cells"):
            read_recordings(path)
        path.write_text(text + text.splitlines()[1] + "\n")
        with pytest.raises(CorpusError, match=r"two rows name a\.wav"):
            read_recordings(path)

    def test_other_tables(self, tmp_path: Path) -> None:
        path = tmp_path / "manifest.csv"
        with pytest.raises(CorpusError, match=r"manifest\.csv: cannot be read"):
            read_recordings(path)
        path.write_text("path,label\na.wav,cry\n")
        with pytest.raises(CorpusError, match="no column 'split', so it is not a manifest"):
            read_recordings(path)


class TestWriting:
    def folder(self, folder: Path) -> list[PublicRecording]:
        rows = [
            recording("t/b.wav"),
            recording("t/a.wav", label=Label.CRY),
            recording("u/a.wav", split="train_unlabelled", label=Label.UNLABELLED),
            recording("t/nc.wav", licence_class="non-commercial-or-unknown"),
            recording("d/open.wav", split="dev"),
            recording("d/nc.wav", split="dev", licence_class="non-commercial-or-unknown"),
        ]
        for row in rows:
            (folder / row.path).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / row.path, np.zeros(12_000), 16_000)
        write_recordings(folder / "clips.csv", rows)
        return rows

    def test_each_recording_goes_where_it_belongs(self, tmp_path: Path) -> None:
        self.folder(tmp_path / "audio")
        written = write_manifests(tmp_path / "audio", tmp_path / "out")
        assert {path.name: count for path, count in written.items()} == {
            "base-train.csv": 3,
            "validation.csv": 1,
            "dev.csv": 2,
        }
        (train, validation, dev) = (read_recordings(path) for path in written)
        assert [row.path for row in train] == ["t/a.wav", "t/b.wav", "u/a.wav"]
        assert [row.path for row in validation] == ["t/nc.wav"]
        assert [row.path for row in dev] == ["d/nc.wav", "d/open.wav"]
        # Measured, although clips.csv says 1.5 s.
        assert {row.duration_s for row in train} == {0.75}

    def test_a_manifest_is_one_that_configs_can_point_at(self, tmp_path: Path) -> None:
        self.folder(tmp_path)
        write_manifests(tmp_path, tmp_path)
        clips = read_corpus(tmp_path / "base-train.csv", where={"split": "train"})
        assert [(clip.id, clip.is_cry) for clip in clips] == [("t/a.wav", True), ("t/b.wav", False)]

    def test_a_recording_that_is_not_there(self, tmp_path: Path) -> None:
        rows = self.folder(tmp_path)
        (tmp_path / rows[0].path).unlink()
        with pytest.raises(AudioError, match=r"b\.wav: no such file"):
            write_manifests(tmp_path, tmp_path / "out")
        assert not (tmp_path / "out").exists()


@pytest.mark.shared
def test_the_committed_manifests_are_of_the_shared_recordings(shared: Path, tmp_path: Path) -> None:
    for folder, prefix in (("audio", ""), ("more_audio", "more-")):
        written = write_manifests(shared / folder, tmp_path, prefix=prefix)
        assert sum(written.values()) == len(read_recordings(shared / folder / "clips.csv"))
        for path in written:
            assert path.read_bytes() == (MANIFESTS / path.name).read_bytes()


def test_the_page_about_them_counts_right() -> None:
    """The table of `docs/data.md`: corpus, then recordings in each manifest."""
    counted: dict[str, list[int]] = {}
    for column, name in enumerate(NAMED):
        for row in read_recordings(MANIFESTS / f"{name}.csv"):
            counted.setdefault(corpora_with(row.origin)[0], [0, 0, 0])[column] += 1
    page = (MANIFESTS.parents[1] / "docs" / "data.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| (\S+) \| (\d+) \| (\d+) \| (\d+) \|", page, re.MULTILINE)
    assert {name: list(map(int, numbers)) for name, *numbers in told} == counted


def test_what_may_train_is_open_and_apart_from_what_tests() -> None:
    train, validation, dev = (read_recordings(MANIFESTS / f"{name}.csv") for name in NAMED)
    assert {row.licence_class for row in train} == {"open"}
    assert not {row.group for row in train} & {row.group for row in dev}
    assert not {row.path for row in train} & {row.path for row in validation}
    assert min(len(train), len(validation), len(dev)) > 1000
