import csv
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crydistill.corpora.clip import Label
from crydistill.corpora.folder import read_corpus, read_folder, read_manifest
from crydistill.errors import CorpusError


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_manifest_row_becomes_a_clip(tmp_path: Path) -> None:
    manifest = write(
        tmp_path / "clips.csv",
        [
            {
                "path": "a/b.wav", "label": "cry", "group": "g", "category": "Baby, loud",
                "source": "s", "licence": "CC0", "native_rate_hz": "8000", "mids": "/m/1 /m/2",
            }
        ],
    )  # fmt: skip
    (clip,) = read_manifest(manifest)
    assert clip.id == "a/b.wav"
    assert clip.path == tmp_path / "a/b.wav"
    assert clip.label is Label.CRY
    assert clip.is_cry
    assert (clip.group, clip.category, clip.source) == ("g", "Baby, loud", "s")
    assert (clip.licence, clip.native_rate, clip.mids) == ("CC0", 8000, ("/m/1", "/m/2"))


def test_without_a_group_a_recording_is_its_own(tmp_path: Path) -> None:
    manifest = write(tmp_path / "clips.csv", [{"path": "x.wav", "label": "noncry"}])
    assert read_manifest(manifest)[0].group == f"{tmp_path.name}:x.wav"


def test_default_groups_of_two_corpora_differ(tmp_path: Path) -> None:
    """Recordings are called 1.wav everywhere; those of two corpora are not one group."""
    for corpus in ("mine", "held-out"):
        for name in ("cry/1.wav", "noncry/tom/1.wav"):
            (tmp_path / corpus / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / corpus / name).touch()
    groups = [
        [clip.group for clip in read_corpus(tmp_path / corpus)] for corpus in ("mine", "held-out")
    ]
    assert groups == [
        ["mine:cry/1.wav", "mine:tom"],
        ["held-out:cry/1.wav", "held-out:tom"],
    ]
    named = read_corpus(tmp_path / "mine", name="home")
    assert [clip.group for clip in named] == ["home:cry/1.wav", "home:tom"]
    manifest = write(tmp_path / "mine/clips.csv", [{"path": "cry/1.wav", "label": "cry"}])
    assert read_corpus(manifest, name="home")[0].group == "home:cry/1.wav"


def test_where_selects_rows(tmp_path: Path) -> None:
    rows = [
        {"path": f"{split}{n}.wav", "label": "cry", "split": split}
        for split in ("train", "dev", "spare")
        for n in range(2)
    ]
    manifest = write(tmp_path / "clips.csv", rows)
    assert len(read_manifest(manifest, where={"split": "dev"})) == 2
    assert len(read_manifest(manifest, where={"split": ["dev", "train"]})) == 4
    with pytest.raises(CorpusError, match="no row matches"):
        read_manifest(manifest, where={"split": "test"})
    with pytest.raises(CorpusError, match="no column 'colour'"):
        read_manifest(manifest, where={"colour": "red"})


def test_without_leaves_rows_out(tmp_path: Path) -> None:
    rows = [
        {"path": f"{kind}{n}.wav", "label": "noncry", "kind": kind, "split": f"part{n}"}
        for kind in ("doll", "dog", "rain")
        for n in range(2)
    ]
    manifest = write(tmp_path / "clips.csv", rows)
    left = read_manifest(manifest, without={"kind": ["doll", "rain"]})
    assert [clip.id for clip in left] == ["dog0.wav", "dog1.wav"]
    either = read_manifest(
        manifest, where={"split": "part0"}, without={"kind": "doll", "split": "part1"}
    )
    assert [clip.id for clip in either] == ["dog0.wav", "rain0.wav"]
    with pytest.raises(CorpusError, match=r"no row matches .* without"):
        read_manifest(manifest, without={"kind": ["doll", "dog", "rain"]})
    with pytest.raises(CorpusError, match="no column 'colour'"):
        read_manifest(manifest, without={"colour": "red"})


def test_a_folder_with_a_manifest_is_read_by_its_manifest(tmp_path: Path) -> None:
    write(tmp_path / "clips.csv", [{"path": "x.wav", "label": "noncry"}])
    (tmp_path / "y.wav").touch()
    assert [clip.id for clip in read_corpus(tmp_path)] == ["x.wav"]


def test_a_folder_of_audio(tmp_path: Path) -> None:
    for name in (
        "cry/a.wav",
        "noncry/tom/b.FLAC",
        "noncry/tom/c.opus",
        "d.mp3",
        "notes.txt",
        ".half.wav",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    clips = {clip.id: clip for clip in read_folder(tmp_path)}
    assert {name: clip.label.value for name, clip in clips.items()} == {
        "cry/a.wav": "cry",
        "noncry/tom/b.FLAC": "noncry",
        "noncry/tom/c.opus": "noncry",
        "d.mp3": "unlabelled",
    }
    assert clips["noncry/tom/b.FLAC"].group == clips["noncry/tom/c.opus"].group
    assert clips["cry/a.wav"].group == f"{tmp_path.name}:cry/a.wav"


def test_phone_recordings_are_clips(tmp_path: Path) -> None:
    for name in ("cry/a.m4a", "cry/b.3gp", "c.AMR", "d.webm", "e.wma", "f.mov", "g.aac", "h.caf"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert len(read_folder(tmp_path)) == 8


def test_what_is_left_out_is_named(tmp_path: Path) -> None:
    for name in ("a.wav", "b.raw", "c.xyz", "d", "e.sph", "notes.txt", "README", ".hidden.raw"):
        (tmp_path / name).touch()
    said: list[str] = []
    assert [clip.id for clip in read_corpus(tmp_path, say=said.append)] == ["a.wav"]
    left_out = (
        "left out, not of a kind that is read, not to be opened, or with a name that is not UTF-8: "
        "b.raw, c.xyz, d and 1 more"
    )
    assert said == [f"{tmp_path}: {left_out}"]
    (tmp_path / "a.wav").unlink()
    with pytest.raises(CorpusError, match=f"no audio files below it; {left_out}"):
        read_folder(tmp_path)


def test_a_name_that_is_not_utf_8_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xe9.wav")).touch()
    except (OSError, ValueError):
        pytest.skip("this file system wants UTF-8")
    said: list[str] = []
    assert [clip.id for clip in read_folder(tmp_path, say=said.append)] == ["a.wav"]
    assert said[0].endswith("with a name that is not UTF-8: b\\udce9.wav")


def test_links_are_followed_and_in_circles_once(tmp_path: Path) -> None:
    home, disk = tmp_path / "home", tmp_path / "disk"
    for path in (home / "cry/anna/1.wav", disk / "berta/2.wav", disk / "3.wav"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (home / "cry" / "disk").symlink_to(disk, target_is_directory=True)
    (disk / "back").symlink_to(home, target_is_directory=True)
    (home / "noncry").symlink_to(home / "cry" / "anna", target_is_directory=True)
    (home / "cry" / "4.wav").symlink_to(disk / "3.wav")
    ids = [clip.id for clip in read_folder(home)]
    assert ids == ["cry/4.wav", "cry/anna/1.wav", "cry/disk/3.wav", "cry/disk/berta/2.wav"]


def test_links_that_lead_nowhere_and_closed_folders_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.wav").touch()
    (tmp_path / "b.wav").symlink_to("gone.wav")
    (tmp_path / "closed").mkdir()
    scandir = os.scandir

    def refuse(path: str) -> object:  # as root may read anything
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    said: list[str] = []
    assert [clip.id for clip in read_folder(tmp_path, say=said.append)] == ["a.wav"]
    assert len(said) == 1 and said[0].endswith(": b.wav, closed")


def test_hidden_folders_are_left_alone(tmp_path: Path) -> None:
    for name in ("cry/1.wav", "cry/.Trash-1000/files/2.wav", ".stversions/cry/3.wav", ".x/y.raw"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    said: list[str] = []
    # A corpus may itself lie in a hidden folder.
    assert [clip.id for clip in read_folder(tmp_path, say=said.append)] == ["cry/1.wav"]
    assert [clip.id for clip in read_folder(tmp_path / ".stversions")] == ["cry/3.wav"]
    assert said == []


def test_folders_that_may_be_meant_for_labels_are_named(tmp_path: Path) -> None:
    for name in ("Cry/1.wav", "non-cry/2.wav", "cry/crying/3.wav", "other/4.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    said: list[str] = []
    labels = {clip.id: clip.label for clip in read_folder(tmp_path, say=said.append)}
    assert labels.pop("cry/crying/3.wav") is Label.CRY
    assert set(labels.values()) == {Label.UNLABELLED}
    assert said == [
        f"{tmp_path}: recordings below 'Cry', 'non-cry' are unlabelled: the folders of labels are "
        "cry and noncry"
    ]


@pytest.mark.parametrize("again", ["a.wav", "./a.wav", ".//a.wav"])
def test_a_recording_named_twice_is_refused(again: str, tmp_path: Path) -> None:
    rows = [{"path": "a.wav", "label": "cry"}, {"path": again, "label": "noncry"}]
    with pytest.raises(CorpusError, match=r"two rows name .*a.wav; remove one"):
        read_manifest(write(tmp_path / "clips.csv", rows))


BAD_ROWS = {
    "an unknown label": ({"path": "x.wav", "label": "loud"}, "clips.csv:3: label 'loud'"),
    "no path": ({"path": "", "label": "cry"}, "clips.csv:3: the path is empty"),
    "a strange rate": (
        {"path": "x.wav", "label": "cry", "native_rate_hz": "16k"},
        "clips.csv:3: native_rate_hz '16k'",
    ),
    "a rate beyond all bounds": (
        {"path": "x.wav", "label": "cry", "native_rate_hz": "9" * 5000},
        "clips.csv:3: native_rate_hz '9999",
    ),
    "privacy that is neither": (
        {"path": "x.wav", "label": "cry", "private": "rather"},
        "clips.csv:3: private 'rather' is not true or false",
    ),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_is_named(tmp_path: Path, name: str) -> None:
    row, message = BAD_ROWS[name]
    good = {"path": "good.wav", "label": "cry", "native_rate_hz": "16000", "private": ""}
    manifest = write(tmp_path / "clips.csv", [good, {"native_rate_hz": "", "private": "", **row}])
    with pytest.raises(CorpusError, match=message):
        read_manifest(manifest)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("label\ncry\n", "no column 'path'"),
        ("path\nx.wav\n", "no column 'label'"),
        ("path, label\nx.wav, cry\n", "no column 'label'; the columns are 'path', ' label'"),
        ("path;label\nx.wav;cry\n", "clips.csv:1: the cells are separated by semicolons; sep"),
        ("path\tlabel\nx.wav\tcry\n", "clips.csv:1: the cells are separated by tabs; sep"),
        ("path,label\nx.wav\n", "clips.csv:2: the row has more or fewer cells"),
        ("path,label\nx.wav,cry,more\n", "clips.csv:2: the row has more or fewer cells"),
        ("path,label\nx.wav,cry\nx.wav,noncry\n", "two rows name x.wav"),
        ("path,label\n", "the manifest has no rows; add one per recording"),
        ("", "clips.csv: empty; its first line names the columns, at least path, label"),
        ('path,label\n"x.wav,cry\n', "not a readable CSV"),
        ("path,label,label\nx.wav,cry,noncry\n", "clips.csv:1: two columns are named 'label'"),
    ],
)
def test_a_malformed_manifest_is_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    manifest = tmp_path / "clips.csv"
    manifest.write_text(text)
    with pytest.raises(CorpusError, match=message):
        read_manifest(manifest)


def test_columns_without_a_name_are_no_harm(tmp_path: Path) -> None:
    manifest = tmp_path / "clips.csv"
    manifest.write_text("path,label,,\nx.wav,cry,,\n")  # as spreadsheets leave behind
    assert [clip.id for clip in read_manifest(manifest)] == ["x.wav"]


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_manifest_in_another_encoding_says_which_is_read(tmp_path: Path, encoding: str) -> None:
    manifest = tmp_path / "clips.csv"
    manifest.write_text("path,label,category\nx.wav,noncry,Lärm\n", encoding=encoding)
    with pytest.raises(CorpusError, match="not UTF-8 text; save it as CSV in UTF-8"):
        read_manifest(manifest)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(
        CorpusError,
        match=r"nowhere\.csv: no manifest found; set the path to a clips\.csv or a folder",
    ):
        read_corpus(tmp_path / "nowhere.csv")
    with pytest.raises(CorpusError, match="no audio files below it; put recordings with crying"):
        read_folder(tmp_path)


def test_a_recording_is_no_corpus(tmp_path: Path) -> None:
    (tmp_path / "night.wav").touch()
    with pytest.raises(CorpusError, match=r"`crydistill night --recording .*night\.wav`"):
        read_corpus(tmp_path / "night.wav")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=400))
def test_any_bytes_give_clips_or_one_clear_line(tmp_path: Path, data: bytes) -> None:
    manifest = tmp_path / "clips.csv"
    manifest.write_bytes(b"path,label\n" + data)
    try:
        clips = read_manifest(manifest)
    except CorpusError as error:
        assert "clips.csv" in str(error)
    else:
        assert all(clip.id for clip in clips)


names = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"),
    min_size=1,
    max_size=20,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(names, st.sampled_from(list(Label)), names), min_size=1, max_size=8))
def test_a_manifest_survives_odd_names(tmp_path: Path, rows) -> None:
    unique = list({path: (path, label, group) for path, label, group in rows}.values())
    table = [{"path": p, "label": label.value, "group": g} for p, label, g in unique]
    clips = read_manifest(write(tmp_path / "clips.csv", table))
    assert [(clip.id, clip.label, clip.group) for clip in clips] == unique


def test_a_folder_is_undeclared_until_licence_and_privacy_are_stated(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()

    def declared(licence: str, private: bool | None) -> bool:
        (clip,) = read_corpus(tmp_path, licence=licence, private=private)
        assert (clip.licence, clip.private) == (licence, private is True)
        return clip.declared

    assert not declared("", None)
    assert not declared("MIT", None)
    assert not declared("", False)
    assert declared("MIT", False)
    assert declared("", True)  # private, whatever its licence


def test_rows_declare_licence_and_privacy(tmp_path: Path) -> None:
    rows = [("a", "CC0", "false"), ("b", "CC0", ""), ("c", "", "No"), ("d", "", "yes")]
    manifest = write(
        tmp_path / "clips.csv",
        [
            {"path": path, "label": "cry", "licence": licence, "private": private}
            for path, licence, private in rows
        ],
    )
    alone = read_manifest(manifest)
    assert [clip.declared for clip in alone] == [True, False, False, True]
    assert [clip.private for clip in alone] == [False, False, False, True]
    helped = read_manifest(manifest, licence="MIT", private=False)
    assert all(clip.declared for clip in helped)
    assert [clip.licence for clip in helped] == ["CC0", "CC0", "MIT", "MIT"]
    assert [clip.private for clip in helped] == [False, False, False, True]
    assert all(clip.private for clip in read_manifest(manifest, private=True))


def test_either_spelling_of_the_licence_is_read(tmp_path: Path) -> None:
    rows = [{"path": "a", "label": "cry", "license": "CC0", "private": "false"}]
    (clip,) = read_manifest(write(tmp_path / "clips.csv", rows))
    assert (clip.licence, clip.declared) == ("CC0", True)


def test_a_child_in_both_folders_is_one_group(tmp_path: Path) -> None:
    for name in ("cry/anna/1.wav", "noncry/anna/2.wav", "cry/3.wav", "noncry/3.wav"):
        path = tmp_path / "tapes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    groups = {clip.id: clip.group for clip in read_folder(tmp_path / "tapes")}
    assert groups["cry/anna/1.wav"] == groups["noncry/anna/2.wav"] == "tapes:anna"
    assert groups["cry/3.wav"] != groups["noncry/3.wav"]


def test_rows_of_a_folder_without_a_manifest(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    with pytest.raises(CorpusError, match=r"has no clips\.csv with columns to select by"):
        read_corpus(tmp_path, where={"split": "dev"})
