"""Corpora in parquet files and tar shards, read where they lie."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from crydistill.audio.files import read_audio
from crydistill.corpora.clip import Clip, Label
from crydistill.corpora.declaration import Declaration
from crydistill.corpora.fields import Layout
from crydistill.corpora.parquet import read_parquet
from crydistill.corpora.webdataset import read_webdataset
from crydistill.download import sha256_of
from crydistill.errors import AudioError, CorpusError
from crydistill.experiment.schema import CorpusConfig
from crydistill.members import exists
from crydistill.stages.sources import list_clips
from crydistill.teacher.base import Recording
from crydistill.teacher.scores import ScoreStore
from crydistill.teacher.scoring import score_corpus, unscored

pa = pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")
pq = pytest.importorskip("pyarrow.parquet")

BY_ROW = Layout(corpus="set")


def tone(number: int, kind: str = "WAV") -> bytes:
    """A second of sound whose level says which recording it is."""
    out = io.BytesIO()
    wave = 0.01 * (number + 1) * np.sin(np.arange(16_000) * 0.1)
    soundfile.write(out, wave, 16_000, format=kind)
    return out.getvalue()


def peak(clip: Clip) -> int:
    """Number of the recording that a clip leads to."""
    return round(float(np.abs(read_audio(clip.path).samples).max()) / 0.01) - 1


def parquet(path: Path, rows: list[dict[str, Any]], **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    audio = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    fields = [("audio", audio)]
    columns = {"audio": [row["audio"] for row in rows]}
    for name in rows[0]:
        if name != "audio":
            columns[name] = [row.get(name) for row in rows]
    kinds = dict(fields)
    table = pa.table({n: pa.array(v, type=kinds.get(n)) for n, v in columns.items()})
    if names := options.pop("classes", None):
        features = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
    pq.write_table(table, path, **{"row_group_size": 3, **options})
    return path


def embedded(number: int, **fields: Any) -> dict[str, Any]:
    return {"audio": {"bytes": tone(number), "path": f"{number}.wav"}, **fields}


def shard(path: Path, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


class Deaf:
    name, fingerprint = "deaf", "0" * 64

    def logits(self, recordings: list[Recording]) -> list[np.ndarray]:
        return [np.zeros((1, 521), dtype=np.float32) for _ in recordings]


class TestParquet:
    def test_rows_are_clips_whose_sound_is_read_where_it_is(self, tmp_path: Path) -> None:
        rows = [
            embedded(n, label="cry" if n % 2 else "noncry", group=f"child {n // 2}", private=n == 0)
            for n in range(8)
        ]
        parquet(tmp_path / "data" / "train-0.parquet", rows[:5])
        parquet(tmp_path / "data" / "train-1.parquet", rows[5:])
        said: list[str] = []
        clips = read_parquet(tmp_path, BY_ROW, say=said.append)
        assert said == []
        assert [clip.id for clip in clips][3:6] == [
            "data/train-0.parquet/3", "data/train-0.parquet/4", "data/train-1.parquet/0",
        ]  # fmt: skip
        assert [peak(clip) for clip in reversed(clips)] == list(range(8))[::-1]
        assert [clip.is_cry for clip in clips] == [n % 2 == 1 for n in range(8)]
        assert [clip.group for clip in clips] == [f"child {n // 2}" for n in range(8)]
        assert [clip.private for clip in clips] == [True] + 7 * [False]

    def test_class_numbers_have_names_and_lists_of_labels_are_looked_through(
        self, tmp_path: Path
    ) -> None:
        layout = Layout({"group": "speaker"}, cry=["crying_baby"], corpus="set")
        rows = [embedded(n, label=n, speaker=f"s{n}") for n in range(2)]
        path = parquet(tmp_path / "a.parquet", rows, classes=["dog", "crying_baby"])
        assert [clip.label for clip in read_parquet(path, layout)] == [Label.NONCRY, Label.CRY]
        many = [embedded(0, labels=["dog", "crying_baby"]), embedded(1, labels=["dog"])]
        many.append(embedded(2, labels=[]))
        path = parquet(tmp_path / "b.parquet", many)
        found = read_parquet(path, Layout({"label": "labels"}, cry=["crying_baby"], corpus="set"))
        assert [clip.label for clip in found] == [Label.CRY, Label.NONCRY, Label.UNLABELLED]

    def test_without_bytes_the_path_is_a_file_beside_the_table(self, tmp_path: Path) -> None:
        (tmp_path / "x.wav").write_bytes(tone(5))
        rows = [embedded(1), {"audio": {"bytes": None, "path": "x.wav"}}]
        clips = read_parquet(parquet(tmp_path / "a.parquet", rows), BY_ROW)
        assert [peak(clip) for clip in clips] == [1, 5]
        rows.append({"audio": {"bytes": None, "path": None}})
        path = parquet(tmp_path / "a.parquet", rows)
        with pytest.raises(CorpusError, match=r"a\.parquet: row 2: field 'audio' has neither"):
            read_parquet(path, BY_ROW)

    def test_what_is_missing_is_told(self, tmp_path: Path) -> None:
        said: list[str] = []
        clips = read_parquet(
            parquet(tmp_path / "a.parquet", [embedded(0)]), BY_ROW, say=said.append
        )
        assert [(clip.label, clip.group) for clip in clips] == [
            (Label.UNLABELLED, "set:a.parquet/0")
        ]
        assert "all clips are unlabelled" in said[0]
        assert "leakage" in said[1]

    @pytest.mark.parametrize(
        ("layout", "row", "message"),
        [
            (BY_ROW, {"label": "dog"}, r"row 0: field 'label' is 'dog', not one of cry, noncry"),
            (Layout({"group": "who"}), {"label": "cry"}, r"no field 'who'.* fields\.group.*label"),
            (BY_ROW, {"private": "perhaps"}, r"row 0: private 'perhaps' is not true or false"),
            (Layout(cry=["1"]), {"kind": "a"}, "no row has one"),
            (Layout({"audio": "sound"}), {"label": "cry"}, r"name one in fields\.audio"),
        ],
    )
    def test_errors_name_file_row_and_field(
        self, tmp_path: Path, layout: Layout, row: dict[str, Any], message: str
    ) -> None:
        path = parquet(tmp_path / "a.parquet", [embedded(0, **row)])
        with pytest.raises(CorpusError, match=message) as raised:
            read_parquet(path, layout)
        assert "\n" not in str(raised.value)
        assert "a.parquet" in str(raised.value)

    @pytest.mark.parametrize("damage", ["cut", "empty", "other"])
    def test_a_damaged_file_is_one_line(self, tmp_path: Path, damage: str) -> None:
        path = parquet(tmp_path / "a.parquet", [embedded(n) for n in range(4)])
        whole = path.read_bytes()
        path.write_bytes({"cut": whole[:-50], "empty": b"", "other": b"no parquet" * 50}[damage])
        with pytest.raises(CorpusError, match=r"a\.parquet: damaged") as raised:
            read_parquet(tmp_path, BY_ROW)
        assert "\n" not in str(raised.value)

    def test_damage_that_listing_does_not_see_fails_its_clips_alone(self, tmp_path: Path) -> None:
        path = parquet(tmp_path / "a.parquet", [embedded(n) for n in range(6)], compression="zstd")
        data = bytearray(path.read_bytes())
        data[40:400] = bytes(360)
        path.write_bytes(data)
        result = score_corpus(read_parquet(tmp_path, BY_ROW), Deaf(), tmp_path / "store")
        assert result.scored == 3
        assert len(result.failures) == 3
        assert all("a.parquet" in each.reason for each in result.failures)


class TestWebdataset:
    def test_samples_are_clips_whose_sound_is_read_where_it_is(self, tmp_path: Path) -> None:
        for number in range(2):
            members = {}
            for n in range(3):
                at = 3 * number + n
                members[f"a/{at:03d}.flac"] = tone(at, "FLAC")
                fields = {"label": "cry" if n else "noncry", "group": f"g{n}", "licence": "CC0"}
                members[f"a/{at:03d}.json"] = json.dumps(fields).encode()
                members[f"a/{at:03d}.txt"] = b"what is heard"
            shard(tmp_path / f"set-{number}.tar", members)
        clips = read_webdataset(tmp_path, Layout(declaration=Declaration("", False)))
        assert [clip.id for clip in clips][2:4] == ["set-0.tar/a/002.flac", "set-1.tar/a/003.flac"]
        assert [peak(clip) for clip in clips] == list(range(6))
        assert [clip.is_cry for clip in clips] == [False, True, True] * 2
        assert {(clip.licence, clip.declared) for clip in clips} == {("CC0", True)}

    def test_class_files_name_the_label(self, tmp_path: Path) -> None:
        members = {"1.wav": tone(1), "1.cls": b"14\n", "2.cls": b"3", "2.wav": tone(2)}
        members |= {"3.wav": tone(3), "4.json": b"{}"}
        said: list[str] = []
        path = shard(tmp_path / "a.tar", members)
        clips = read_webdataset(path, Layout(cry=["14"], corpus="set"), say=said.append)
        assert [clip.label for clip in clips] == [Label.CRY, Label.NONCRY, Label.UNLABELLED]
        assert said[0].endswith("1 samples without a recording are left out")
        assert "leakage" in said[1]

    @pytest.mark.parametrize(
        ("members", "message"),
        [
            ({"1.wav": b"", "1.json": b"{"}, r"a\.tar: 1\.json: not valid JSON"),
            ({"1.wav": b"", "1.json": b"[" * 100_000}, r"a\.tar: 1\.json: .*nested too deeply"),
            ({"1.wav": b"", "1.json": b"[]"}, r"a\.tar: 1\.json: not a JSON object"),
            ({"1.wav": b"", "1.flac": b""}, r"a\.tar: 1: has 2 recordings"),
            ({"1.wav": b"", "1.cls": b"7"}, r"a\.tar: 1: field 'cls' is '7', not one of cry"),
            ({"1.wav": b"", "1.txt": b"\xff"}, r"a\.tar: 1\.txt: not UTF-8"),
            ({"1.md": b""}, "holds no recordings"),
        ],
    )
    def test_errors_name_shard_sample_and_field(
        self, tmp_path: Path, members: dict[str, bytes], message: str
    ) -> None:
        path = shard(tmp_path / "a.tar", members)
        with pytest.raises(CorpusError, match=message):
            read_webdataset(path, Layout())

    @pytest.mark.parametrize("keep", [700, 20_000])
    def test_a_cut_tar_is_one_line(self, tmp_path: Path, keep: int) -> None:
        path = shard(tmp_path / "a.tar", {"1.wav": tone(1), "2.wav": tone(2)})
        clips = read_webdataset(path, Layout())
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(CorpusError, match=r"a\.tar: damaged") as raised:
            read_webdataset(path, Layout())
        assert "\n" not in str(raised.value)
        with pytest.raises(AudioError, match=r"a\.tar is damaged"):
            read_audio(clips[0].path)

    def test_no_tar_there(self, tmp_path: Path) -> None:
        with pytest.raises(CorpusError, match=r"no \.tar file there"):
            read_webdataset(tmp_path / "part-*.tar", Layout())


def test_they_are_scored_once_like_files(tmp_path: Path) -> None:
    clips = read_parquet(parquet(tmp_path / "a.parquet", [embedded(n) for n in range(4)]), BY_ROW)
    path = shard(tmp_path / "b.tar", {f"{n}.wav": tone(n) for n in range(4)})
    clips += read_webdataset(path, BY_ROW)
    assert score_corpus(clips, Deaf(), tmp_path / "store").scored == 8
    assert unscored(clips, tmp_path / "store") == []
    store = ScoreStore(tmp_path / "store")
    (tmp_path / "plain.wav").write_bytes(tone(2))
    assert {store.entries[clip.id].sha256 for clip in (clips[2], clips[6])} == {
        sha256_of(tmp_path / "plain.wav")
    }
    shard(path, {f"{n}.wav": tone(n + (n == 1)) for n in range(4)})
    assert [clip.id for clip in unscored(clips, tmp_path / "store")] == ["b.tar/1.wav"]
    assert not exists(path / "9.wav")
    assert not exists(tmp_path / "a.parquet" / "audio" / "4")


def test_a_config_names_them(tmp_path: Path) -> None:
    parquet(tmp_path / "set" / "train-0.parquet", [embedded(0, kind="a", who="x", label="dog")])
    corpus = CorpusConfig.model_validate(
        {
            "parquet": tmp_path / "set" / "train-*.parquet",
            "fields": {"category": "kind", "group": "who"},
            "cry": ["baby"],
            "licence": "CC0",
            "private": True,
        }
    )
    (clip,) = list_clips(corpus, tmp_path)
    assert (clip.category, clip.group, clip.licence) == ("a", "x", "CC0")
    assert clip.private
    assert corpus.is_private
    assert corpus.store_name == "train-_.parquet"
