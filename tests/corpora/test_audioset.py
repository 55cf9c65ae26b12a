import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crydistill.corpora.audioset import (
    FROZEN_SHA256,
    SMOKE_COUNTS,
    SPLITS,
    Segment,
    class_counts,
    curate,
    ids_sha256,
    read_segments,
    smoke_list,
    write_lists,
    write_segments,
)
from crydistill.corpora.clip import Label
from crydistill.errors import CorpusError

LISTS = Path(__file__).parents[2] / "data" / "ids"

IDS = st.text("ABCXYZabcxyz0189_-", min_size=11, max_size=11)
MIDS = st.builds("/{}/{}".format, st.sampled_from("mgt"), st.text("0az9_", min_size=1, max_size=8))


@st.composite
def segments(draw: st.DrawFn) -> Segment:
    start = draw(st.floats(0.0, 1e6))
    end = start + draw(st.floats(0.5, 10.0))
    mids = tuple(draw(st.lists(MIDS, min_size=1, max_size=6)))
    return Segment(draw(IDS), start, end, mids, draw(st.booleans()))


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@settings(deadline=None)  # the disk may be busy
@given(st.lists(segments(), max_size=8, unique_by=lambda segment: segment.youtube_id))
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, some: list[Segment]
) -> None:
    path = tmp_path_factory.getbasetemp() / "list.csv"
    write_segments(path, some)
    assert read_segments(path) == some


def test_audiosets_own_format(tmp_path: Path) -> None:
    """AudioSet's own format: comment lines, no header, a space after each comma."""
    path = written(
        tmp_path / "eval_segments.csv",
        "# Segments csv created Sun Mar  5 10:54:25 2017\n"
        "# num_ytids=2, num_segs=2, num_unique_labels=2, num_positive_labels=3\n"
        "# YTID, start_seconds, end_seconds, positive_labels\n"
        '--4gqARaEJE, 0.000, 10.000, "/m/0463cq4,/m/09x0r"\n'
        "-0BIyqJj9ZU, 239.800, 249.800, /t/dd00125\n",
    )
    assert read_segments(path) == [
        Segment("--4gqARaEJE", 0.0, 10.0, ("/m/0463cq4", "/m/09x0r")),
        Segment("-0BIyqJj9ZU", 239.8, 249.8, ("/t/dd00125",)),
    ]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("abc,0,10,/m/09x0r", r":2: youtube_id 'abc' is not 11 characters"),
        ("../../../..,0,10,/m/09x0r", r":2: youtube_id '../../../..' is not 11 characters"),
        ("aaaaaaaaaa\N{GREEK SMALL LETTER ALPHA},0,10,/m/09x0r", r":2: youtube_id"),
        ("aaaaaaaaaaa,x,10,/m/09x0r", r":2: start_seconds 'x' is not a number"),
        ("aaaaaaaaaaa,-1,10,/m/09x0r", r":2: start_seconds '-1' is not a number"),
        ("aaaaaaaaaaa,0,inf,/m/09x0r", r":2: end_seconds 'inf' is not a number"),
        ("aaaaaaaaaaa,10,10,/m/09x0r", r":2: end_seconds 10 is not after start_seconds 10"),
        ("aaaaaaaaaaa,0,10,", r":2: positive_labels: ''"),
        ("aaaaaaaaaaa,0,10,Speech", r":2: positive_labels: 'Speech'"),
        ("aaaaaaaaaaa,0,10,/m/09x0r,/m/0261r1", r":2: 5 fields instead of 4; .* must be quoted"),
        ("aaaaaaaaaaa,0,10", r":2: 3 fields instead of 4"),
        ('aaaaaaaaaaa,0,10,"/m/09x0r', r":2: not valid CSV"),
        ("bbbbbbbbbbb,0,10,/m/09x0r", r":2: bbbbbbbbbbb is already on line 1"),
    ],
)
def test_malformed_rows_are_named(tmp_path: Path, row: str, fault: str) -> None:
    path = written(tmp_path / "list.csv", f"bbbbbbbbbbb,0,10,/m/0261r1\n{row}\n")
    with pytest.raises(CorpusError, match=fault) as caught:
        read_segments(path)
    assert str(caught.value).startswith(f"{path}:2: ")
    assert "\n" not in str(caught.value)


def test_malformed_rows_of_our_format_are_named(tmp_path: Path) -> None:
    header = "youtube_id,start_seconds,end_seconds,positive_labels,source\n"
    path = written(tmp_path / "list.csv", header + "aaaaaaaaaaa,0,10,/m/09x0r\n")
    with pytest.raises(CorpusError, match=r":2: 4 fields instead of 5"):
        read_segments(path)
    written(path, header + "aaaaaaaaaaa,0,10,/m/09x0r,vimeo\n")
    with pytest.raises(CorpusError, match=r":2: source 'vimeo' is neither"):
        read_segments(path)


def test_files_that_are_no_lists(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="cannot be read"):
        read_segments(tmp_path / "missing.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CorpusError, match="UTF-8"):
        read_segments(tmp_path / "binary.csv")


@settings(deadline=None)  # the disk may be busy
@given(st.text())
def test_any_text_is_a_list_or_a_named_fault(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "list.csv"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        read_segments(path)
    except CorpusError as error:
        assert str(error).startswith(str(path))


def test_labels() -> None:
    def labelled(*mids: str) -> Segment:
        return Segment("aaaaaaaaaaa", 0.0, 10.0, mids)

    assert labelled("/m/09x0r", "/t/dd00002").label is Label.CRY
    assert labelled("/m/09x0r", "/t/dd00002").class_name == "cry"
    assert labelled("/m/07qw_06").label is Label.NONCRY
    assert labelled("/m/09x0r", "/m/03qc9zr").class_name == "scream"
    assert labelled("/m/04rlf").class_name == "other"


def test_a_segments_clip(tmp_path: Path) -> None:
    clip = Segment("-_aaaaaaaaa", 0.0, 10.0, ("/t/dd00002",)).clip(tmp_path / "-_aaaaaaaaa.flac")
    assert (clip.id, clip.group, clip.label) == ("-_aaaaaaaaa", "-_aaaaaaaaa", Label.CRY)
    assert not clip.private


class TestFrozenLists:
    """The committed segment lists."""

    @pytest.mark.parametrize(
        ("split", "rows", "cries"), [("test", 100, 50), ("train", 570, 80), ("val", 160, 25)]
    )
    def test_sizes_and_identity(self, split: str, rows: int, cries: int) -> None:
        found = read_segments(LISTS / f"audioset_{split}.csv")
        assert ids_sha256(found) == FROZEN_SHA256[split]
        assert len(found) == rows
        assert class_counts(found)["cry"] == cries
        assert sum(segment.label is Label.CRY for segment in found) == cries
        assert not any(segment.synthetic for segment in found)

    def test_disjoint(self) -> None:
        ids = [s.youtube_id for x in SPLITS for s in read_segments(LISTS / f"audioset_{x}.csv")]
        assert len(set(ids)) == len(ids) == 830

    def test_smoke_list(self) -> None:
        found = read_segments(LISTS / "audioset_smoke.csv")
        assert found == smoke_list()
        assert class_counts(found) == SMOKE_COUNTS
        assert len(found) == 50
        assert all(segment.synthetic for segment in found)

    def test_smoke_ids_cannot_be_videos(self) -> None:
        """64 bits in 11 base64 characters leave 16 values for the last one."""
        assert not any(s.youtube_id[-1] in "AEIMQUYcgkosw048" for s in smoke_list())

    def test_a_reader_that_splits_on_commas_would_lose_cries(self) -> None:
        """Quoting matters: in 19 of the 50 cries, the cry is not the first label."""
        with (LISTS / "audioset_test.csv").open(encoding="utf-8") as file:
            first = [row["positive_labels"].split(",")[0] for row in csv.DictReader(file)]
        assert sum(mid in ("/m/0463cq4", "/t/dd00002") for mid in first) == 50 - 19


@pytest.mark.shared
def test_curation_reproduces_the_committed_lists(shared: Path, tmp_path: Path) -> None:
    metadata = shared / "audioset"
    files = write_lists(
        metadata / "eval_segments.csv", metadata / "balanced_train_segments.csv", tmp_path
    )
    assert sorted(files) == ["smoke", "test", "train", "val"]
    for name, path in files.items():
        assert path.read_bytes() == (LISTS / f"audioset_{name}.csv").read_bytes()


@pytest.mark.shared
def test_other_metadata_is_refused(shared: Path, tmp_path: Path) -> None:
    metadata = shared / "audioset"
    rows = read_segments(metadata / "eval_segments.csv")
    first_cry = next(row for row in rows if row.label is Label.CRY)
    write_segments(tmp_path / "eval.csv", [row for row in rows if row is not first_cry])
    with pytest.raises(CorpusError, match="the test list drawn from them is not the frozen one"):
        write_lists(
            tmp_path / "eval.csv", metadata / "balanced_train_segments.csv", tmp_path / "out"
        )
    assert not (tmp_path / "out").exists()


def test_metadata_cut_short_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "eval.csv", "aaaaaaaaaaa,0,10,/t/dd00002\n")
    with pytest.raises(CorpusError, match=r"1 rows labelled /m/0463cq4 or /t/dd00002, 50 are"):
        curate(path, path)
