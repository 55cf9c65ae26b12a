"""List the clips of each public corpus from the layout of its unpacked archive.

Each function takes the folder an archive was unpacked into and reads its metadata, not its audio.
They raise CorpusError naming the file, and the line of a malformed row.

Group names identify the original item (`fs:` a Freesound item, `dac:` an installation of the
Donate-a-cry app, `so:` a speaker of speechocean762), so that it is one group across corpora. If
there is no such id, the group is the corpus's name followed by the speaker's or the file's.
"""

import csv
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from crydistill.corpora.clip import Clip, Label
from crydistill.errors import CorpusError
from crydistill.json_file import parse_json
from crydistill.taxonomy import BABY_CRY, CRY_MIDS

Listing = Callable[[Path], Iterator[Clip]]

_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")

_ESC_NAME = re.compile(r"\d-(\d+)-[A-Z]")
"""ESC file names: fold, Freesound item, take."""

_CUT = re.compile(r"_\d+$")
"""Suffix of the name of an excerpt from a longer recording."""

_CRY_FOLDERS = frozenset({"Baby cry", "Crying baby"})

_LICENCE_NAMES = (
    ("publicdomain/zero", "CC0 1.0"),
    ("licenses/by-nc", "CC BY-NC 3.0"),
    ("licenses/by", "CC BY 3.0"),
    ("licenses/sampling+", "CC Sampling+ 1.0"),
)
"""Part of a licence URL in FSD50K's metadata, and the licence's name."""


def donateacry(data: Path) -> Iterator[Clip]:
    """Every recording is a cry; the group is the app installation."""
    for path in sorted(data.glob("*/donateacry_corpus_cleaned_and_updated_data/*/*.wav")):
        # The file name starts with the id of the app installation, that is, of a household.
        installation = _UUID.match(path.name)
        yield Clip(
            id=path.relative_to(data).as_posix(),
            path=path,
            label=Label.CRY,
            group=f"dac:{(installation[0] if installation else path.stem).lower()}",
            mids=(BABY_CRY,),
            category=f"baby cry, {path.parent.name}",
            source="donateacry",
            licence="ODbL 1.0 / DbCL 1.0",
            native_rate=8_000,
        )


def esc_50(data: Path) -> Iterator[Clip]:
    """`crying_baby` is a cry; the group is the Freesound item."""
    for table in sorted(data.glob("*/meta/esc50.csv")):
        for _, row in _rows(table, "filename", "category", "esc10", "src_file"):
            path = table.parents[1] / "audio" / row["filename"]
            is_cry = row["category"] == "crying_baby"
            yield Clip(
                id=path.relative_to(data).as_posix(),
                path=path,
                label=Label.CRY if is_cry else Label.NONCRY,
                group=f"fs:{row['src_file']}",
                mids=(BABY_CRY,) if is_cry else (),
                category=row["category"],
                source="esc-50",
                licence="CC BY 3.0" if row["esc10"] == "True" else "CC BY-NC 3.0",
                native_rate=44_100,
            )


def urbansound8k(data: Path) -> Iterator[Clip]:
    """No cries; the group is the Freesound item."""
    for table in sorted(data.glob("*/metadata/UrbanSound8K.csv")):
        for _, row in _rows(table, "slice_file_name", "fsID", "fold", "class"):
            path = table.parents[1] / "audio" / f"fold{row['fold']}" / row["slice_file_name"]
            yield Clip(
                id=path.relative_to(data).as_posix(),
                path=path,
                label=Label.NONCRY,
                group=f"fs:{row['fsID']}",
                category=row["class"],
                source="urbansound8k",
                licence="CC BY-NC 3.0",
            )


def fsd50k(data: Path) -> Iterator[Clip]:
    """Clips with one of AudioSet's cry classes are cries; each clip has its own licence."""
    for audio in sorted(data.glob("FSD50K.*_audio")):
        part = audio.name.removeprefix("FSD50K.").removesuffix("_audio")
        info_path = data / "FSD50K.metadata" / f"{part}_clips_info_FSD50K.json"
        try:
            info = parse_json(info_path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CorpusError(f"{info_path}: cannot be read ({error}); fetch it again") from error
        table = data / "FSD50K.ground_truth" / f"{part}.csv"
        for place, row in _rows(table, "fname", "labels", "mids"):
            path = audio / f"{row['fname']}.wav"
            mids = tuple(row["mids"].split(","))
            try:
                address = str(info[row["fname"]]["license"])
            except (KeyError, TypeError) as error:
                raise CorpusError(f"{place}: {info_path.name} has no licence for it") from error
            yield Clip(
                id=path.relative_to(data).as_posix(),
                path=path,
                label=Label.NONCRY if set(mids).isdisjoint(CRY_MIDS) else Label.CRY,
                group=f"fs:{row['fname']}",
                mids=mids,
                category=row["labels"],
                source="fsd50k",
                licence=next((name for held, name in _LICENCE_NAMES if held in address), address),
                native_rate=44_100,
            )


def musan(data: Path) -> Iterator[Clip]:
    """No known cries; the category is the folder."""
    for kind in ("music", "noise", "speech"):
        pattern = f"musan/{kind}/*/*.wav"
        yield from _without_cries(pattern, "musan", "CC BY 4.0", kind, native_rate=16_000)(data)


def speechocean762(data: Path) -> Iterator[Clip]:
    """No cries; the group is the speaker."""
    for path in sorted(data.glob("speechocean762/WAVE/*/*.WAV")):
        yield Clip(
            id=path.relative_to(data).as_posix(),
            path=path,
            label=Label.NONCRY,
            group=f"so:{path.parent.name.removeprefix('SPEAKER').lstrip('0')}",
            category="speech",
            source="speechocean762",
            licence="CC BY 4.0",
            native_rate=16_000,
        )


def _rows(path: Path, *columns: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield file:line and fields of each row of a metadata table with these columns."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path}: cannot be read ({error}); fetch it again") from error
    reader = csv.DictReader(text.splitlines())
    missing = set(columns) - set(reader.fieldnames or ())
    if missing:
        raise CorpusError(f"{path}: has no column {', '.join(sorted(missing))}")
    for row in reader:
        place = f"{path}:{reader.line_num}"
        if any(row[column] is None for column in columns):
            raise CorpusError(f"{place}: has fewer fields than the header")
        yield place, row


def _numbered_folders(pattern: str, source: str, licence: str) -> Listing:
    """Recordings in folders named `NUMBER - CLASS`."""

    def listing(data: Path) -> Iterator[Clip]:
        for path in sorted(data.glob(pattern)):
            category = path.parent.name.partition(" - ")[2]
            is_cry = category in _CRY_FOLDERS
            item = _ESC_NAME.fullmatch(path.stem)
            yield Clip(
                id=path.relative_to(data).as_posix(),
                path=path,
                label=Label.CRY if is_cry else Label.NONCRY,
                group=f"fs:{item[1]}" if item else f"{source}:{_CUT.sub('', path.stem)}",
                mids=(BABY_CRY,) if is_cry else (),
                category=category,
                source=source,
                licence=licence,
                native_rate=44_100,
            )

    return listing


def _without_cries(
    pattern: str,
    source: str,
    licence: str,
    category: str,
    *,
    native_rate: int | None = None,
    group: Callable[[Path], str] = lambda path: path.stem,
) -> Listing:
    """Recordings of one category without cries, each its own group unless `group` is given."""

    def listing(data: Path) -> Iterator[Clip]:
        for path in sorted(data.glob(pattern)):
            yield Clip(
                id=path.relative_to(data).as_posix(),
                path=path,
                label=Label.NONCRY,
                group=f"{source}:{group(path)}",
                category=category,
                source=source,
                licence=licence,
                native_rate=native_rate,
            )

    return listing


esc_10 = _numbered_folders("*/[0-9]* - */*.ogg", "esc-10", "CC BY 3.0")
"""`Baby cry` is a cry; the group is the Freesound item."""

baby_cry_detection = _numbered_folders("*/data/[0-9]* - */*.*", "baby-cry-detection", "none stated")
"""`Crying baby` is a cry; the group is the Freesound item or the original recording."""

fsdd = _without_cries(
    "*/recordings/*.wav", "fsdd", "CC BY-SA 4.0", "speech",
    native_rate=8_000, group=lambda path: path.stem.split("_")[1],
)  # fmt: skip
"""The group is the speaker."""

speech_to_intent = _without_cries(
    "*/data/speech/clean/*.wav", "speech-to-intent", "Apache 2.0", "speech", native_rate=16_000
)
"""The speakers are unknown, so each recording is a group."""

speech_commands = _without_cries(
    "_background_noise_/*.wav", "speech-commands", "CC BY 4.0", "noise", native_rate=16_000
)
"""The background noise recordings."""

blanket = _without_cries(
    "*/*/resources/sounds/**/*.ogg", "blanket", "CC0, CC BY, CC BY-SA or public domain", "ambience"
)
"""The group is the sound, which may exist in several versions."""

baby_sleep_sounds = _without_cries(
    "*/app/src/main/res/raw/*.mp3", "baby-sleep-sounds", "CC BY-NC-SA 3.0 / personal use",
    "ambience",
)  # fmt: skip

voice_emotion_analysis = _without_cries(
    "*/wav/*.wav", "voice-emotion-analysis", "EmoDB: free for research", "speech",
    native_rate=22_050, group=lambda path: path.stem[:2],
)  # fmt: skip
"""The group is the speaker, whose number starts EmoDB's file names."""
