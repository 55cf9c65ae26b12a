import csv
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crydistill.errors import CorpusError
from crydistill.nights.spans import (
    COLUMNS,
    Span,
    cry_spans,
    episodes_of,
    read_spans,
)

RELAXED = settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])

times = st.integers(0, 10**11).map(lambda micros: micros / 1e6)
labels = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12).map(
    lambda text: " ".join(text.split())
)
spans = st.lists(
    st.tuples(times, times, labels).map(lambda t: Span(min(t[:2]), max(t[:2]), t[2])), max_size=8
)


def write_spans(path: Path, written: list[Span]) -> None:
    rows = [(f"{span.start:.6f}", f"{span.end:.6f}", span.label) for span in written]
    with path.open("w", newline="", encoding="utf-8") as file:
        if path.suffix.lower() == ".csv":
            csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])
        else:
            file.writelines("\t".join(row) + "\n" for row in rows)


@RELAXED
@given(spans, st.sampled_from(["labels.txt", "labels.csv", "labels.CSV"]))
def test_spans_survive_the_file(tmp_path: Path, given_spans: list[Span], name: str) -> None:
    path = tmp_path / name
    write_spans(path, given_spans)
    assert read_spans(path) == sorted(given_spans)


@RELAXED
@given(st.text(max_size=60), st.sampled_from(["a.txt", "a.csv"]))
def test_any_text_is_read_or_refused_by_name(tmp_path: Path, text: str, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        read_spans(path)
    except CorpusError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error).strip()


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


def test_audacitys_own_files_are_read(tmp_path: Path) -> None:
    text = "\ufeff12,5\t14,25\tcry\r\n\\\t100.0\t4000.0\r\n3.000000\t3.000000\tdoor slams\r\n\r\n"
    assert read_spans(write(tmp_path / "a.txt", text)) == [
        Span(3.0, 3.0, "door slams"),
        Span(12.5, 14.25, "cry"),
    ]


def test_columns_of_a_csv_come_in_any_order(tmp_path: Path) -> None:
    text = 'label,note,end_s,start_s\n"cry, loud",x,9,8\n,,2,1\n'
    assert read_spans(write(tmp_path / "a.csv", text)) == [
        Span(1.0, 2.0, ""),
        Span(8.0, 9.0, "cry, loud"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "1\t2\tcry\nnonsense\n", r"a\.txt, line 2: not a label"),
        ("a.txt", "1\tx\tcry\n", r"a\.txt, line 1: 'x' is not a time"),
        ("a.txt", "5\t2\tcry\n", r"a\.txt, line 1: ends \(2 s\) before it starts \(5 s\)"),
        ("a.txt", "-1\t2\tcry\n", r"'-1' is not a time"),
        ("a.txt", "nan\t2\tcry\n", r"'nan' is not a time"),
        ("a.csv", "start,end\n1,2\n", r"a\.csv, line 1: no column start_s or end_s"),
        ("a.csv", "start_s,end_s\n1,2\n3\n", r"a\.csv, line 3: '' is not a time"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        read_spans(write(tmp_path / name, text))


def test_a_missing_or_binary_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="cannot read the label file"):
        read_spans(tmp_path / "none.txt")
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CorpusError, match="not UTF-8"):
        read_spans(tmp_path / "b.txt")


def test_cries_are_told_from_other_labels() -> None:
    labels = ["cry", "Baby Crying", "", "cat", "laugh"]
    kept = cry_spans(Span(i, i + 1, label) for i, label in enumerate(labels))
    assert [span.label for span in kept] == labels[:3]


def test_near_spans_become_one_episode() -> None:
    cries = [Span(20, 22), Span(0, 5), Span(4, 6), Span(10, 11)]
    assert episodes_of(cries, gap=4) == [Span(0, 11), Span(20, 22)]
    assert episodes_of(cries, gap=3) == [Span(0, 6), Span(10, 11), Span(20, 22)]
