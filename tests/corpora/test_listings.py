"""Tests of the listings with a small copy of each corpus's layout."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from crydistill.corpora import listings
from crydistill.corpora.clip import Clip, Label
from crydistill.errors import CorpusError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")


def test_donateacry(tmp_path: Path) -> None:
    root = "donateacry-corpus-master/donateacry_corpus_cleaned_and_updated_data"
    one = "0D1AD73E-4C5E-45F3-85C4-9A3CB71E8856-1430742197-1.0-m-04-hu.wav"
    two = "0d1ad73e-4c5e-45f3-85c4-9a3cb71e8856-1430742197123-1.7-m-04-ti.wav"
    touch(tmp_path, f"{root}/hungry/{one}", f"{root}/tired/{two}", f"{root}/tired/notes.txt")
    touch(tmp_path, "donateacry-corpus-master/donateacry-android-upload-bucket/x.3gp")
    clips = list(listings.donateacry(tmp_path))
    assert [clip.id for clip in clips] == [f"{root}/hungry/{one}", f"{root}/tired/{two}"]
    assert {clip.label for clip in clips} == {Label.CRY}
    assert {clip.group for clip in clips} == {"dac:0d1ad73e-4c5e-45f3-85c4-9a3cb71e8856"}
    assert [clip.category for clip in clips] == ["baby cry, hungry", "baby cry, tired"]
    assert clips[0].native_rate == 8000


def test_esc_50(tmp_path: Path) -> None:
    write(
        tmp_path,
        "ESC-50-master/meta/esc50.csv",
        "filename,fold,target,category,esc10,src_file,take\n"
        "1-100032-A-0.wav,1,0,dog,True,100032,A\n"
        "1-187207-A-20.wav,1,20,crying_baby,True,187207,A\n"
        "1-100038-A-14.wav,1,14,chirping_birds,False,100038,A\n",
    )
    dog, baby, birds = listings.esc_50(tmp_path)
    assert dog.path == tmp_path / "ESC-50-master" / "audio" / "1-100032-A-0.wav"
    assert [clip.label for clip in (dog, baby, birds)] == [Label.NONCRY, Label.CRY, Label.NONCRY]
    assert baby.group == "fs:187207"
    assert baby.mids == ("/t/dd00002",)
    assert (dog.licence, birds.licence) == ("CC BY 3.0", "CC BY-NC 3.0")


def test_urbansound8k(tmp_path: Path) -> None:
    write(
        tmp_path,
        "UrbanSound8K/metadata/UrbanSound8K.csv",
        "slice_file_name,fsID,start,end,salience,fold,classID,class\n"
        "100263-2-0-117.wav,100263,58.5,62.5,1,5,2,children_playing\n",
    )
    (clip,) = listings.urbansound8k(tmp_path)
    assert clip.path == tmp_path / "UrbanSound8K" / "audio" / "fold5" / "100263-2-0-117.wav"
    assert (clip.group, clip.category) == ("fs:100263", "children_playing")
    assert clip.label is Label.NONCRY


def fsd50k(folder: Path) -> None:
    touch(folder, "FSD50K.dev_audio/64760.wav", "FSD50K.dev_audio/21.wav")
    write(
        folder,
        "FSD50K.ground_truth/dev.csv",
        "fname,labels,mids,split\n"
        '64760,"Electric_guitar,Guitar","/m/02sgy,/m/0342h",train\n'
        '21,"Crying_and_sobbing,Human_voice","/m/0463cq4,/m/09l8g",val\n',
    )
    write(folder, "FSD50K.ground_truth/eval.csv", "fname,labels,mids\n1,A,/m/0\n")
    licences = {
        "64760": {"license": "http://creativecommons.org/licenses/by-nc/3.0/", "uploader": "a"},
        "21": {"license": "http://creativecommons.org/publicdomain/zero/1.0/", "uploader": "b"},
    }
    write(folder, "FSD50K.metadata/dev_clips_info_FSD50K.json", json.dumps(licences))


def test_fsd50k(tmp_path: Path) -> None:
    fsd50k(tmp_path)
    guitar, baby = listings.fsd50k(tmp_path)  # the part without audio is not listed
    assert guitar.path == tmp_path / "FSD50K.dev_audio" / "64760.wav"
    assert (guitar.label, baby.label) == (Label.NONCRY, Label.CRY)
    assert (guitar.licence, baby.licence) == ("CC BY-NC 3.0", "CC0 1.0")
    assert baby.mids == ("/m/0463cq4", "/m/09l8g")
    assert baby.group == "fs:21"


def test_musan(tmp_path: Path) -> None:
    touch(tmp_path, "musan/noise/free-sound/noise-free-sound-0000.wav", "musan/README")
    (clip,) = listings.musan(tmp_path)
    assert (clip.category, clip.group) == ("noise", "musan:noise-free-sound-0000")
    assert clip.label is Label.NONCRY


def test_speechocean762(tmp_path: Path) -> None:
    root = "speechocean762/WAVE"
    touch(tmp_path, *(f"{root}/SPEAKER0003/0000300{n}.WAV" for n in (1, 2)))
    touch(tmp_path, f"{root}/SPEAKER1030/010300105.WAV")
    clips = list(listings.speechocean762(tmp_path))
    assert [clip.group for clip in clips] == ["so:3", "so:3", "so:1030"]


def test_folders_named_by_number_and_class(tmp_path: Path) -> None:
    touch(tmp_path, "ESC-10-1a2b/004 - Baby cry/1-187207-A.ogg", "ESC-10-1a2b/README.md")
    touch(tmp_path, "ESC-10-1a2b/001 - Dog bark/5-9032-A.ogg")
    dog, baby = listings.esc_10(tmp_path)
    assert (dog.label, baby.label) == (Label.NONCRY, Label.CRY)
    assert (dog.group, dog.category, baby.mids) == ("fs:9032", "Dog bark", ("/t/dd00002",))

    other = tmp_path / "other"
    touch(other, "b-1a2b/data/106 - Cat/1-34094-A.ogg", "b-1a2b/src/main.py")
    touch(other, *(f"b-1a2b/data/301 - Crying baby/Louise_01.m4a_{n}.wav" for n in (0, 12)))
    cat, first, second = listings.baby_cry_detection(other)
    assert (cat.group, cat.label) == ("fs:34094", Label.NONCRY)
    assert first.group == second.group == "baby-cry-detection:Louise_01.m4a"
    assert first.is_cry and second.is_cry


@pytest.mark.parametrize(
    ("listing", "path", "group"),
    [
        (listings.fsdd, "f-1a2b/recordings/0_george_12.wav", "fsdd:george"),
        (listings.speech_to_intent, "s-1a2b/data/speech/clean/0075.wav", "speech-to-intent:0075"),
        (
            listings.speech_commands,
            "_background_noise_/pink_noise.wav",
            "speech-commands:pink_noise",
        ),
        (listings.blanket, "b-1a2b/data/resources/sounds/priors/rain.ogg", "blanket:rain"),
        (listings.blanket, "b-1a2b/data/resources/sounds/rain.ogg", "blanket:rain"),
        (
            listings.baby_sleep_sounds,
            "b-1a2b/app/src/main/res/raw/dryer.mp3",
            "baby-sleep-sounds:dryer",
        ),
        (listings.voice_emotion_analysis, "v-1a2b/wav/03a01Fa.wav", "voice-emotion-analysis:03"),
    ],
)
def test_recordings_without_cries(
    tmp_path: Path, listing: Callable[[Path], Iterable[Clip]], path: str, group: str
) -> None:
    touch(tmp_path, path, "x-1a2b/README.md", "README.md")
    (clip,) = listing(tmp_path)
    assert (clip.id, clip.path, clip.group) == (path, tmp_path / path, group)
    assert clip.label is Label.NONCRY
    assert clip.licence and clip.source == group.partition(":")[0]


@pytest.mark.parametrize(
    ("listing", "table"),
    [
        (listings.esc_50, "ESC-50-master/meta/esc50.csv"),
        (listings.urbansound8k, "UrbanSound8K/metadata/UrbanSound8K.csv"),
        (listings.fsd50k, "FSD50K.ground_truth/dev.csv"),
    ],
)
def test_malformed_tables_are_named(
    tmp_path: Path, listing: Callable[[Path], Iterable[Clip]], table: str
) -> None:
    fsd50k(tmp_path)
    write(tmp_path, table, "one,two\n1,2\n")
    with pytest.raises(CorpusError, match=rf"{Path(table).name}: has no column ") as caught:
        list(listing(tmp_path))
    columns = str(caught.value).split("column ")[1].replace(" ", "")
    write(tmp_path, table, f"{columns}\n1\n")
    with pytest.raises(CorpusError, match=rf"{Path(table).name}:2: has fewer fields"):
        list(listing(tmp_path))


def test_a_clip_without_its_licence_is_named(tmp_path: Path) -> None:
    fsd50k(tmp_path)
    write(tmp_path, "FSD50K.metadata/dev_clips_info_FSD50K.json", '{"64760": {"license": "x"}}')
    with pytest.raises(CorpusError, match=r"dev\.csv:3: dev_clips_info_FSD50K\.json has no"):
        list(listings.fsd50k(tmp_path))
    write(tmp_path, "FSD50K.metadata/dev_clips_info_FSD50K.json", "{")
    with pytest.raises(CorpusError, match=r"dev_clips_info_FSD50K\.json: cannot be read"):
        list(listings.fsd50k(tmp_path))
