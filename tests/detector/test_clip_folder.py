import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from crydistill.detector.clip_folder import (
    LABELS_NAME,
    ClipKind,
    ClipLabel,
    FolderFullError,
    delete_clip,
    kept_clips,
    read_labels,
    room_for,
    set_label,
)
from crydistill.errors import ConfigError

SIZE = 1_000


def put(folder: Path, *names: str) -> None:
    """Clips of `SIZE` bytes, each kept a minute after the one before."""
    folder.mkdir(exist_ok=True)
    for minute, name in enumerate(names):
        (folder / name).write_bytes(bytes(SIZE))
        os.utime(folder / name, (60 * minute, 60 * minute))


def names(folder: Path) -> list[str]:
    return [clip.name for clip in kept_clips(folder)]


def test_a_folder_lists_its_clips_oldest_first(tmp_path: Path) -> None:
    put(tmp_path, "near-2.wav", "alert-1.wav", "mine.wav", ".hidden.wav", "note.txt")
    clips = kept_clips(tmp_path)
    assert [clip.name for clip in clips] == ["near-2.wav", "alert-1.wav", "mine.wav"]
    assert [clip.kind for clip in clips] == [ClipKind.NEAR_MISS, ClipKind.ALERT, None]
    assert {clip.label for clip in clips} == {None}


def test_labels_are_a_file_for_people(tmp_path: Path) -> None:
    put(tmp_path, "alert-1.wav", "alert-2, the cat.wav")
    set_label(tmp_path, "alert-1.wav", ClipLabel.CRY)
    set_label(tmp_path, "alert-2, the cat.wav", ClipLabel.NOT_A_CRY)
    text = (tmp_path / LABELS_NAME).read_text()
    assert text == 'clip,label\nalert-1.wav,cry\n"alert-2, the cat.wav",not a cry\n'
    set_label(tmp_path, "alert-1.wav", None)
    assert read_labels(tmp_path) == {"alert-2, the cat.wav": ClipLabel.NOT_A_CRY}


def test_a_deleted_clip_leaves_no_label(tmp_path: Path) -> None:
    put(tmp_path, "alert-1.wav", "alert-2.wav")
    set_label(tmp_path, "alert-1.wav", ClipLabel.CRY)
    delete_clip(tmp_path, "alert-1.wav")
    assert (names(tmp_path), read_labels(tmp_path)) == (["alert-2.wav"], {})


@pytest.mark.parametrize("name", ["none.wav", "../outside.wav", "labels.csv", ".lock"])
def test_only_clips_are_labelled_and_deleted(name: str, tmp_path: Path) -> None:
    put(tmp_path, "outside.wav")
    folder = tmp_path / "clips"
    put(folder, "alert-1.wav")
    set_label(folder, "alert-1.wav", ClipLabel.CRY)
    for change in (lambda: delete_clip(folder, name), lambda: set_label(folder, name, None)):
        with pytest.raises(ConfigError, match="no such clip"):
            change()
    assert (tmp_path / "outside.wav").exists()
    assert (folder / LABELS_NAME).exists()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("name,said\n", "labels.csv:1: must be 'clip,label'"),
        ("clip,label\na.wav,cry\nb.wav,perhaps\n", "labels.csv:3: must be a clip and 'cry'"),
        ("clip,label\na.wav\n", "labels.csv:2"),
        ("", "labels.csv:1"),
    ],
)
def test_damaged_labels_are_named_and_kept(text: str, why: str, tmp_path: Path) -> None:
    put(tmp_path, "a.wav")
    (tmp_path / LABELS_NAME).write_text(text)
    with pytest.raises(ConfigError, match=why.replace(".", r"\.")):
        set_label(tmp_path, "a.wav", ClipLabel.CRY)
    assert (tmp_path / LABELS_NAME).read_text() == text


def test_near_misses_go_first_and_what_was_reviewed_never(tmp_path: Path) -> None:
    put(tmp_path, "alert-1.wav", "near-1.wav", "near-2.wav", "near-3.wav", "alert-2.wav", "my.wav")
    set_label(tmp_path, "near-1.wav", ClipLabel.NOT_A_CRY)
    left = names(tmp_path)
    for gone in ("near-2.wav", "near-3.wav", "alert-1.wav", "alert-2.wav"):
        with room_for(tmp_path, SIZE, limit=SIZE * len(left)):
            pass
        left.remove(gone)
        assert names(tmp_path) == left
    full = pytest.raises(FolderFullError, match="full of clips that were reviewed")
    with full, room_for(tmp_path, SIZE, limit=SIZE * len(left)):
        pass
    assert names(tmp_path) == ["near-1.wav", "my.wav"]


def test_nothing_is_deleted_for_a_clip_that_finds_no_room(tmp_path: Path) -> None:
    put(tmp_path, "near-1.wav", "alert-1.wav")
    set_label(tmp_path, "alert-1.wav", ClipLabel.CRY)
    with pytest.raises(FolderFullError), room_for(tmp_path, 3 * SIZE, limit=3 * SIZE):
        pass
    assert names(tmp_path) == ["near-1.wav", "alert-1.wav"]


def test_the_number_of_clips_is_bounded_too(tmp_path: Path) -> None:
    put(tmp_path, *(f"near-{number}.wav" for number in range(5)))
    with room_for(tmp_path, SIZE, limit=100 * SIZE, most=3):
        pass
    assert names(tmp_path) == ["near-3.wav", "near-4.wav"]


def test_a_clip_is_not_deleted_while_it_is_labelled(tmp_path: Path) -> None:
    """Of two at once, one label is never lost to the other, and no labelled clip is gone."""
    many = [f"near-{number}.wav" for number in range(30)]
    put(tmp_path, *many)
    refused: list[str] = []

    def label() -> None:
        for name in many:
            try:
                set_label(tmp_path, name, ClipLabel.NOT_A_CRY)
            except ConfigError:
                refused.append(name)

    def fill() -> None:
        with suppress(FolderFullError):  # all that is left has a label by then
            for left in range(29, 14, -1):
                with room_for(tmp_path, SIZE, limit=SIZE * (left + 1)):
                    pass

    workers = [threading.Thread(target=work) for work in (label, fill)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert set(read_labels(tmp_path)) == set(names(tmp_path))
    assert set(read_labels(tmp_path)) | set(refused) == set(many)


def test_labels_that_a_spreadsheet_saved_are_the_same(tmp_path: Path) -> None:
    text = "\ufeffclip,label\r\nalert-1.wav,cry\r\n\r\nalert-2.wav,not a cry\r\n"
    (tmp_path / LABELS_NAME).write_text(text, encoding="utf-8", newline="")
    labels = {"alert-1.wav": ClipLabel.CRY, "alert-2.wav": ClipLabel.NOT_A_CRY}
    assert read_labels(tmp_path) == labels


@pytest.mark.parametrize("name", ["two\nlines.wav", "two\u2028lines.wav", "form\x0cfeed.wav"])
def test_a_name_with_a_line_break_does_not_damage_the_labels(name: str, tmp_path: Path) -> None:
    put(tmp_path, name, "alert-1.wav")
    set_label(tmp_path, name, ClipLabel.CRY)
    set_label(tmp_path, "alert-1.wav", ClipLabel.CRY)
    assert read_labels(tmp_path) == {name: ClipLabel.CRY, "alert-1.wav": ClipLabel.CRY}


def test_clips_are_kept_though_the_labels_are_damaged_and_none_is_deleted_for_them(
    tmp_path: Path,
) -> None:
    put(tmp_path, "near-1.wav", "alert-2.wav")
    (tmp_path / LABELS_NAME).write_text("clip;label\n")
    with room_for(tmp_path, SIZE, limit=3 * SIZE):
        pass
    damaged = pytest.raises(ConfigError, match=r"labels.csv:1: must be 'clip,label'")
    with damaged, room_for(tmp_path, SIZE, limit=2 * SIZE):
        pass
    assert {path.name for path in tmp_path.glob("*.wav")} == {"near-1.wav", "alert-2.wav"}
