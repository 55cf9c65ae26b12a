"""Catalogue of public corpora: download URLs, licences and labels."""

import glob
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from crydistill.corpora import listings
from crydistill.corpora.clip import Clip


@dataclass(frozen=True)
class Archive:
    """One file to download.

    size : in bytes, None if not published
    md5 : as published, None if not published
    """

    url: str
    size: int | None = None
    md5: str | None = None

    @property
    def file_name(self) -> str:
        return self.url.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Place:
    """Maps files that manifests name by a public repository (see `Origin`) to a corpus's files.

    origin : regular expression for `OWNER/REPOSITORY/PATH`, full match
    files : glob pattern below `data/`; {0}, {1}, ... are the expression's groups
    """

    origin: str
    files: str = "*/{0}"

    def pattern(self, origin: str) -> str | None:
        """Glob pattern of one file below `data/`; None if the corpus does not contain it."""
        match = re.fullmatch(self.origin, origin)
        return match and self.files.format(*map(glob.escape, match.groups()))


@dataclass(frozen=True)
class PublicCorpus:
    """An entry of the catalogue.

    archives : groups of files; the parts of a split zip are one group
    about_bytes : approximate size of all archives, for display and for the disk space check
    labels : what counts as a cry, for display
    files : paths below `data/` to unpack (patterns of `PurePosixPath.match`)
    listing : lists the recordings below `data/`; None for a set of impulse responses
    impulses : glob patterns of the room impulse responses below `data/`, if any
    places : where to find files that are named by a public repository
    """

    name: str
    title: str
    page: str
    licence: str
    archives: tuple[tuple[Archive, ...], ...]
    about_bytes: int
    labels: str
    files: tuple[str, ...]
    listing: Callable[[Path], Iterable[Clip]] | None = None
    impulses: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()


def _one(url: str, size: int | None = None, md5: str | None = None) -> tuple[tuple[Archive]]:
    """The `archives` of a corpus with a single archive."""
    return ((Archive(url, size, md5),),)


def _on_github(
    repository: str,
    *,
    name: str,
    title: str,
    licence: str,
    about_bytes: int,
    files: tuple[str, ...],
    listing: Callable[[Path], Iterable[Clip]],
    labels: str = "nothing is a cry",
    branch: str = "HEAD",
) -> PublicCorpus:
    """A corpus from a GitHub branch, without a published size or checksum."""
    page = f"https://github.com/{repository}"
    return PublicCorpus(
        name=name,
        title=title,
        page=page,
        licence=licence,
        archives=_one(f"{page}/archive/{branch}.zip"),
        about_bytes=about_bytes,
        labels=labels,
        files=files,
        listing=listing,
        # All files, whatever the archive's top folder is called.
        places=(Place(re.escape(repository) + "/(.+)"),),
    )


_ZENODO = "https://zenodo.org/records"


_OPENSLR = "https://www.openslr.org/resources"


_FSD50K_PART_BYTES = 3_221_225_472


_FSD50K_TABLES = (
    (
        Archive(
            f"{_ZENODO}/4060432/files/FSD50K.ground_truth.zip",
            334_701,
            "ca27382c195e37d2269c4c866dd73485",
        ),
    ),
    (
        Archive(
            f"{_ZENODO}/4060432/files/FSD50K.metadata.zip",
            6_700_838,
            "b9ea0c829a411c1d42adb9da539ed237",
        ),
    ),
)


_FSD50K_FILES = ("FSD50K.*/*.wav", "FSD50K.*/*.csv", "FSD50K.*/*.json")


def _fsd50k_part(name: str, last_bytes: int, *md5: str) -> tuple[Archive, ...]:
    """The split zip FSD50K.NAME_audio; `md5` of .z01, .z02, ..., and of .zip last."""
    base = f"{_ZENODO}/4060432/files/FSD50K.{name}_audio"
    parts = (
        Archive(f"{base}.z{number:02d}", _FSD50K_PART_BYTES, digest)
        for number, digest in enumerate(md5[:-1], start=1)
    )
    return (*parts, Archive(f"{base}.zip", last_bytes, md5[-1]))


CATALOGUE = MappingProxyType(
    {
        corpus.name: corpus
        for corpus in (
            _on_github(
                "gveres/donateacry-corpus",
                branch="refs/heads/master",
                name="donateacry",
                title="donateacry corpus (cleaned): infants' cries recorded with phones, 8 kHz",
                licence="ODbL 1.0 / DbCL 1.0",
                about_bytes=300_000_000,
                labels="every recording is a cry",
                files=(
                    "donateacry_corpus_cleaned_and_updated_data/*/*.wav",
                    # The raw uploads, which manifests name in addition to the cleaned clips.
                    "donateacry-android-upload-bucket/*.3gp",
                    "donateacry-ios-upload-bucket/*.caf",
                ),
                listing=listings.donateacry,
            ),
            _on_github(
                "karolpiczak/ESC-10",
                name="esc-10",
                title="ESC-10: 400 environmental sounds of 10 classes, the first edition",
                licence="CC BY 3.0; each clip CC0 or CC BY",
                about_bytes=40_000_000,
                labels="Baby cry is cry, the other 9 classes are not",
                files=("[0-9]* - */*.ogg",),
                listing=listings.esc_10,
            ),
            _on_github(
                "giulbia/baby_cry_detection",
                name="baby-cry-detection",
                title="baby_cry_detection: cries, baby laughter and silence beside ESC-50's sounds",
                licence="none stated: not to train what is passed on",
                about_bytes=500_000_000,
                labels="Crying baby is cry, the other classes are not",
                files=("[0-9]* - */*.ogg", "[0-9]* - */*.wav"),
                listing=listings.baby_cry_detection,
            ),
            PublicCorpus(
                name="esc-50",
                title="ESC-50: 2,000 environmental sounds of 50 classes",
                page="https://github.com/karolpiczak/ESC-50",
                licence="CC BY-NC 3.0 (the ESC-10 classes: CC BY 3.0)",
                archives=_one(
                    "https://github.com/karolpiczak/ESC-50/archive/refs/heads/master.zip"
                ),
                about_bytes=650_000_000,
                labels="crying_baby is cry, the other 49 classes are not",
                files=("audio/*.wav", "meta/esc50.csv"),
                listing=listings.esc_50,
                # After the two corpora with the same recordings under other names.
                places=(
                    Place(
                        r"(?:karolpiczak/ESC-10|giulbia/baby_cry_detection/data)"
                        r"/[^/]+/(\d-\d+-[A-Z])\.ogg",
                        "*/audio/{0}-*.wav",
                    ),
                ),
            ),
            PublicCorpus(
                name="urbansound8k",
                title="UrbanSound8K: 8,732 street sounds of 10 classes",
                page=f"{_ZENODO}/1203745",
                licence="CC BY-NC 3.0",
                archives=_one(
                    f"{_ZENODO}/1203745/files/UrbanSound8K.tar.gz",
                    6_023_741_708,
                    "9aa69802bbf37fb986f71ec1483a196e",
                ),
                about_bytes=6_030_000_000,
                labels="nothing is a cry; children_playing has the hard negatives",
                files=("audio/*/*.wav", "metadata/UrbanSound8K.csv"),
                listing=listings.urbansound8k,
                # A copy of it, resampled to 22,050 Hz.
                places=(Place("Alejandro-131004/AC-II/UrbanSound8K/(audio/.+)"),),
            ),
            PublicCorpus(
                name="fsd50k",
                title="FSD50K, development part: 40,966 Freesound clips in AudioSet's classes",
                page=f"{_ZENODO}/4060432",
                licence="CC BY 4.0; each clip its own (CC0, CC BY, CC BY-NC, CC Sampling+)",
                archives=(
                    *_FSD50K_TABLES,
                    _fsd50k_part(
                        "dev",
                        2_306_663_327,
                        "faa7cf4cc076fc34a44a479a5ed862a3",
                        "8f9b66153e68571164fb1315d00bc7bc",
                        "1196ef47d267a993d30fa98af54b7159",
                        "d088ac4e11ba53daf9f7574c11cccac9",
                        "81356521aa159accd3c35de22da28c7f",
                        "c480d119b8f7a7e32fdb58f3ea4d6c5a",
                    ),
                ),
                about_bytes=18_420_000_000,
                labels="Crying_and_sobbing (adults' too) is cry, all else is not",
                files=_FSD50K_FILES,
                listing=listings.fsd50k,
            ),
            PublicCorpus(
                name="fsd50k-eval",
                title="FSD50K, evaluation part: 10,231 Freesound clips in AudioSet's classes",
                page=f"{_ZENODO}/4060432",
                licence="CC BY 4.0; each clip its own (CC0, CC BY, CC BY-NC, CC Sampling+)",
                archives=(
                    *_FSD50K_TABLES,
                    _fsd50k_part(
                        "eval",
                        3_037_675_767,
                        "3090670eaeecc013ca1ff84fe4442aeb",
                        "6fa47636c3a3ad5c7dfeba99f2637982",
                    ),
                ),
                about_bytes=6_270_000_000,
                labels="Crying_and_sobbing (adults' too) is cry, all else is not",
                files=_FSD50K_FILES,
                listing=listings.fsd50k,
            ),
            PublicCorpus(
                name="musan",
                title="MUSAN: music, speech and noise for augmentation",
                page="https://www.openslr.org/17",
                licence="CC BY 4.0",
                archives=_one(
                    f"{_OPENSLR}/17/musan.tar.gz", md5="0c472d4fc0c5141eca47ad1ffeb2a7df"
                ),
                about_bytes=11_000_000_000,
                labels="assumed to have no cries; its noise was not checked for infants",
                files=("musan/*/*/*.wav",),
                listing=listings.musan,
            ),
            PublicCorpus(
                name="speechocean762",
                title="speechocean762: 5,000 English sentences read by adults and children",
                page="https://www.openslr.org/101",
                licence="CC BY 4.0",
                archives=_one(f"{_OPENSLR}/101/speechocean762.tar.gz"),
                about_bytes=520_000_000,
                labels="nothing is a cry",
                files=("WAVE/*/*.WAV",),
                listing=listings.speechocean762,
                places=(Place("jimbozhang/speechocean762/(WAVE/.+)"),),
            ),
            _on_github(
                "Jakobovski/free-spoken-digit-dataset",
                name="fsdd",
                title="Free Spoken Digit Dataset: digits in English, 8 kHz",
                licence="CC BY-SA 4.0",
                about_bytes=20_000_000,
                files=("recordings/*.wav",),
                listing=listings.fsdd,
            ),
            _on_github(
                "Picovoice/speech-to-intent-benchmark",
                name="speech-to-intent",
                title="Picovoice's speech-to-intent benchmark: commands to a coffee machine",
                licence="Apache 2.0",
                about_bytes=200_000_000,
                files=("data/speech/clean/*.wav",),
                listing=listings.speech_to_intent,
            ),
            PublicCorpus(
                name="speech-commands",
                title="Speech Commands 0.02: only its six long background noise recordings",
                page="https://www.tensorflow.org/datasets/catalog/speech_commands",
                licence="CC BY 4.0",
                archives=_one(
                    "https://storage.googleapis.com/download.tensorflow.org"
                    "/data/speech_commands_v0.02.tar.gz",
                    2_428_923_189,
                    "6b74f3901214cb2c2934e98196829835",
                ),
                about_bytes=2_430_000_000,
                labels="nothing is a cry",
                files=("_background_noise_/*.wav",),
                listing=listings.speech_commands,
                places=(Place("chaeyoung-lee/wids_tutorial/data/(_background_noise_/.+)", "{0}"),),
            ),
            _on_github(
                "rafaelmardojai/blanket",
                name="blanket",
                title="Blanket: ambient sounds for sleep or work",
                licence="each sound its own: CC0, CC BY, CC BY-SA, public domain",
                about_bytes=60_000_000,
                files=("resources/sounds/*.ogg", "resources/sounds/*/*.ogg"),
                listing=listings.blanket,
            ),
            _on_github(
                "brarcher/baby-sleep-sounds",
                name="baby-sleep-sounds",
                title="Baby Sleep Sounds: noise to help an infant sleep",
                licence='CC BY-NC-SA 3.0 / "Personal Use"',
                about_bytes=60_000_000,
                files=("app/src/main/res/raw/*.mp3",),
                listing=listings.baby_sleep_sounds,
            ),
            _on_github(
                "sylaschacko/voice-emotion-analysis",
                name="voice-emotion-analysis",
                title="A copy of EmoDB: two seconds of each German sentence spoken by actors",
                licence="EmoDB: free for research; the repository states none",
                about_bytes=200_000_000,
                files=("wav/*.wav",),
                listing=listings.voice_emotion_analysis,
            ),
            PublicCorpus(
                name="rirs-noises",
                title="RIRS_NOISES: measured and simulated room impulse responses",
                page="https://www.openslr.org/28",
                licence="Apache 2.0",
                archives=_one(
                    f"{_OPENSLR}/28/rirs_noises.zip",
                    1_311_166_223,
                    "e6f48e257286e05de56413b4779d8ffb",
                ),
                about_bytes=1_320_000_000,
                labels="rooms, not recordings",
                files=("simulated_rirs/*/*/*.wav", "real_rirs_isotropic_noises/*_rir_*.wav"),
                impulses=(
                    "RIRS_NOISES/real_rirs_isotropic_noises/*_rir_*.wav",
                    "RIRS_NOISES/simulated_rirs/*/*/*.wav",
                ),
            ),
        )
    }
)
"""The public corpora of `crydistill fetch NAME`. Sizes and checksums are the publishers'; GitHub
archives have neither, and their `about_bytes` is an estimate."""
