import io
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crydistill.corpora.archives import in_disk_order, unpack_archive
from crydistill.errors import CorpusError

FILES = {
    "corpus/audio/one.wav": b"RIFF" + bytes(5000),
    "corpus/audio/two.wav": bytes(range(256)) * 40,
    "corpus/meta.csv": b"a,b\n",
    "corpus/empty": b"",
}


def zip_of(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.mkdir("corpus")
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tar_of(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def split(path: Path, cuts: list[int]) -> list[Path]:
    """Split a zip as `zip -s` does: offsets are relative to numbered parts."""
    marked = b"PK\x07\x08" + path.read_bytes()
    directory = marked.rfind(b"PK\x05\x06")
    size, start = struct.unpack("<LL", marked[directory + 12 : directory + 20])
    start += 4
    edges = [0, *(min(cut, start) for cut in sorted(cuts)), len(marked)]
    starts = edges[:-1]

    def disk_of(offset: int) -> int:
        return max(number for number, begin in enumerate(starts) if begin <= offset)

    out = bytearray(marked)
    at = start
    while at < start + size:
        offset = struct.unpack("<L", out[at + 42 : at + 46])[0] + 4
        out[at + 34 : at + 36] = struct.pack("<H", disk_of(offset))
        out[at + 42 : at + 46] = struct.pack("<L", offset - starts[disk_of(offset)])
        at += 46 + sum(struct.unpack("<HHH", out[at + 28 : at + 34]))
    last = len(starts) - 1
    out[directory + 4 : directory + 8] = struct.pack("<HH", last, last)
    out[directory + 16 : directory + 20] = struct.pack("<L", start - starts[last])
    names = [f"{path.stem}.z{number:02d}" for number in range(1, last + 1)] + [path.name]
    parts = [path.with_name(name) for name in names]
    for part, begin, end in zip(parts, starts, edges[1:], strict=True):
        part.write_bytes(out[begin:end])
    return parts


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zip(tmp_path: Path, method: int) -> None:
    unpack_archive([zip_of(tmp_path / "a.zip", FILES, method)], tmp_path / "out")
    assert contents(tmp_path / "out") == FILES


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar(tmp_path: Path, mode: str) -> None:
    unpack_archive([tar_of(tmp_path / "a.tar.gz", FILES, mode)], tmp_path / "out")
    assert contents(tmp_path / "out") == FILES


@settings(deadline=None)  # the disk may be busy
@given(st.lists(st.integers(5, 12_000), max_size=5, unique=True))
def test_split_zip(tmp_path_factory: pytest.TempPathFactory, cuts: list[int]) -> None:
    """The split may be between members or within one."""
    folder = tmp_path_factory.mktemp("split")
    parts = split(zip_of(folder / "a.zip", FILES, zipfile.ZIP_STORED), cuts)
    unpack_archive(parts[::-1], folder / "out")
    assert contents(folder / "out") == FILES


def test_disk_order() -> None:
    names = ["a.zip", "a.z02", "a.z10", "a.z01"]
    assert [path.name for path in in_disk_order([Path(name) for name in names])] == [
        "a.z01",
        "a.z02",
        "a.z10",
        "a.zip",
    ]


def test_a_missing_part(tmp_path: Path) -> None:
    parts = split(zip_of(tmp_path / "a.zip", FILES, zipfile.ZIP_STORED), [3000, 9000])
    with pytest.raises(CorpusError, match=r"a\.zip: cannot be unpacked"):
        unpack_archive([parts[0], parts[2]], tmp_path / "out")


def test_only_what_is_wanted(tmp_path: Path) -> None:
    for archive in (zip_of(tmp_path / "a.zip", FILES), tar_of(tmp_path / "a.tgz", FILES)):
        out = tmp_path / archive.suffix
        unpack_archive([archive], out, wanted=lambda path: path.match("audio/*.wav"))
        assert set(contents(out)) == {"corpus/audio/one.wav", "corpus/audio/two.wav"}


@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/etc/evil", "..\\evil", "C:/evil", "C:evil"]
)
def test_paths_out_of_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    for archive in (
        zip_of(tmp_path / "a.zip", {name: b"x"}),
        tar_of(tmp_path / "a.tgz", {name: b"x"}),
    ):
        with pytest.raises(CorpusError, match="leads out of its folder"):
            unpack_archive([archive], tmp_path / "deep" / "out")
    assert {path.name for path in tmp_path.iterdir()} <= {"a.zip", "a.tgz", "deep"}


def test_links_and_devices_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            member = tarfile.TarInfo(f"link{kind.decode()}")
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
        member = tarfile.TarInfo("link2/file")  # below a path that would be a link
        member.size = 1
        archive.addfile(member, io.BytesIO(b"x"))
    unpack_archive([path], tmp_path / "tar")
    assert contents(tmp_path / "tar") == {"link2/file": b"x"}

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("link/file", "x")
    unpack_archive([tmp_path / "a.zip"], tmp_path / "zip")
    assert contents(tmp_path / "zip") == {"link/file": b"x"}


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_damaged_archives_get_one_line(tmp_path: Path, kind: str) -> None:
    whole = zip_of(tmp_path / "a", FILES) if kind == "zip" else tar_of(tmp_path / "a", FILES)
    damaged = tmp_path / "damaged"
    content = whole.read_bytes()
    for broken in (b"", b"<html>", content[: len(content) // 2], content[:40]):
        damaged.write_bytes(broken)
        with pytest.raises(CorpusError, match="damaged: cannot be unpacked") as caught:
            unpack_archive([damaged], tmp_path / "out")
        assert "\n" not in str(caught.value)


@settings(deadline=None)  # the disk may be busy
@given(st.integers(0, 5000), st.integers(1, 255))
def test_a_flipped_byte_is_unpacked_or_named(
    tmp_path_factory: pytest.TempPathFactory, position: int, flip: int
) -> None:
    folder = tmp_path_factory.mktemp("flip")
    for archive in (zip_of(folder / "a.zip", FILES), tar_of(folder / "a.tgz", FILES)):
        content = bytearray(archive.read_bytes())
        content[position % len(content)] ^= flip
        archive.write_bytes(content)
        try:
            unpack_archive([archive], folder / archive.suffix)
        except CorpusError as error:
            assert str(error).startswith(str(archive))
        assert not (folder.parent / "evil").exists()
