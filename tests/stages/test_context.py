"""Which clips are in which split, and what is said about folders that lack something."""

from pathlib import Path

import pytest

from crydistill.errors import CorpusError
from crydistill.experiment.load import load_config
from crydistill.run_directory import RunDirectory
from crydistill.stages.context import Context

REAL = Path(__file__).parents[2] / "configs" / "real.yaml"


def folder(path: Path, *names: str) -> Path:
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).touch()
    return path


def opened(train: Path, test: Path, *overrides: str) -> tuple[Context, list[str]]:
    """The experiment of the README's command, and what it has said."""
    said: list[str] = []
    config = load_config(
        REAL,
        [f"data.train=[{{path: {train}}}]", f"data.test=[{{path: {test}}}]", *overrides],
    )
    return Context(config, RunDirectory(Path("unused")), say=said.append), said


def ordinary(path: Path, *, cries: int = 3, others: int = 4) -> Path:
    cry = [f"cry/{number}.wav" for number in range(1, cries + 1)]
    return folder(path, *cry, *(f"noncry/{number}.wav" for number in range(1, others + 1)))


def test_ordinary_names_in_both_corpora(tmp_path: Path) -> None:
    context, said = opened(ordinary(tmp_path / "recordings"), ordinary(tmp_path / "held-out"))
    splits = context.splits
    groups = [
        {clip.group for _, clips in parts for clip in clips}
        for parts in (splits.train, splits.validation, splits.test)
    ]
    assert [len(found) for found in groups] == [5, 2, 7]
    assert len(set.union(*groups)) == 14
    assert "held-out:cry/1.wav" in groups[2]
    assert said == []


def test_a_recording_below_two_corpora_is_refused(tmp_path: Path) -> None:
    """The folder of training recordings holds the folder of test recordings."""
    train = ordinary(tmp_path / "recordings")
    test = ordinary(train / "held-out")
    context, _ = opened(train, test, "data.train.0.hold_out=true")
    with pytest.raises(CorpusError, match=r"recording .*held-out/cry/1.wav is in both"):
        _ = context.splits


@pytest.mark.parametrize("linked", ["file", "folder"])
def test_a_recording_that_two_corpora_link_to_is_refused(tmp_path: Path, linked: str) -> None:
    train, test = ordinary(tmp_path / "recordings"), ordinary(tmp_path / "held-out")
    if linked == "file":
        (test / "cry" / "1.wav").unlink()
        (test / "cry" / "1.wav").symlink_to(train / "cry" / "1.wav")
    else:
        rows = "path,label,group\nx/1.wav,cry,a\nx/2.wav,noncry,b\n"
        (test / "x").symlink_to(train / "cry")
        (test / "clips.csv").write_text(rows)
    context, _ = opened(train, test, "data.train.0.hold_out=true")
    with pytest.raises(CorpusError, match=r"recording .*recordings/cry/\d.wav is in both"):
        _ = context.splits


def test_a_folder_without_labels_says_what_is_missing(tmp_path: Path) -> None:
    good = ordinary(tmp_path / "good")
    bare = folder(tmp_path / "bare", "1.wav", "crying/2.wav")
    advice = "put recordings with crying into a sub-folder cry and others into noncry"
    context, _ = opened(bare, good)
    with pytest.raises(CorpusError, match=f"bare: no training clip .* cry or noncry; {advice}"):
        _ = context.splits
    context, _ = opened(ordinary(tmp_path / "loud", others=0), good)
    with pytest.raises(CorpusError, match=f"loud: no training clip is labelled noncry; {advice}"):
        _ = context.splits
    context, _ = opened(good, bare)
    with pytest.raises(CorpusError, match=f"bare: no test clip is labelled cry or .*; {advice}"):
        _ = context.splits


def test_test_clips_of_one_kind_are_remarked_on(tmp_path: Path) -> None:
    quiet = ordinary(tmp_path / "quiet", cries=0)
    context, said = opened(ordinary(tmp_path / "good"), quiet)
    assert len(context.splits.test[0][1]) == 4
    (line,) = said
    assert "quiet: no test clip is labelled cry; put recordings" in line


def test_a_single_cry_cannot_be_held_out(tmp_path: Path) -> None:
    context, _ = opened(ordinary(tmp_path / "one", cries=1), ordinary(tmp_path / "held-out"))
    with pytest.raises(CorpusError, match=r"have 1 group with cries; .* data\.validation\.corpora"):
        _ = context.splits
