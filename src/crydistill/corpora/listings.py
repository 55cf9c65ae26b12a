"""What the recordings of each public corpus are: from the layout of its unpacked archive to clips.

Each function takes the folder an archive was unpacked into and reads its tables, not its audio.
They raise CorpusError naming the file, and the line of a malformed row.

Groups are named by what they are in the world (`fs:` a Freesound item, `dac:` an installation of
the Donate-a-cry app, `so:` a speaker of speechocean762): one item is one group across corpora.
"""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

from crydistill.corpora.clip import Clip, Label
from crydistill.errors import CorpusError
from crydistill.taxonomy import BABY_CRY, CRY_MIDS

_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")

_LICENCE_NAMES = (
    ("publicdomain/zero", "CC0 1.0"),
    ("licenses/by-nc", "CC BY-NC 3.0"),
    ("licenses/by", "CC BY 3.0"),
    ("licenses/sampling+", "CC Sampling+ 1.0"),
)
"""What an address in FSD50K's metadata holds, and the licence it is of."""


def donateacry(data: Path) -> Iterator[Clip]:
    """Every recording is a cry; the group is the app's installation."""
    for path in sorted(data.glob("*/donateacry_corpus_cleaned_and_updated_data/*/*.wav")):
        # The file name begins with the id of the app's installation: one household.
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
    """Clips with a cry class of AudioSet are cries; each clip has a licence of its own."""
    for audio in sorted(data.glob("FSD50K.*_audio")):
        part = audio.name.removeprefix("FSD50K.").removesuffix("_audio")
        info_path = data / "FSD50K.metadata" / f"{part}_clips_info_FSD50K.json"
        try:
            info = json.loads(info_path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CorpusError(f"{info_path}: cannot be read ({error}); fetch it again") from error
        table = data / "FSD50K.ground_truth" / f"{part}.csv"
        for place, row in _rows(table, "fname", "labels", "mids"):
            path = audio / f"{row['fname']}.wav"
            mids = tuple(row["mids"].split(","))
            try:
                address = str(info[row["fname"]]["license"])
            except (KeyError, TypeError) as error:
                raise CorpusError(f"{place}: {info_path.name} has no licence of it") from error
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
    """No cries, as far as is known."""
    for path in sorted(data.glob("musan/*/*/*.wav")):
        yield Clip(
            id=path.relative_to(data).as_posix(),
            path=path,
            label=Label.NONCRY,
            group=f"musan:{path.stem}",
            category=path.relative_to(data).parts[1],
            source="musan",
            licence="CC BY 4.0",
            native_rate=16_000,
        )


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
    """Place and fields of each row of a metadata table that has these columns."""
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
