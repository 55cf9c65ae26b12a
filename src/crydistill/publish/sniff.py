"""Detect audio by its magic bytes or frame headers, at any offset in a file.

Every pattern requires enough structure (eight fixed bytes, or five consecutive frames) that
weights, text and source code do not match by chance.

Sources: the containers' specifications; MPEG header tables of ISO/IEC 11172-3 and 13818-3.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_Bytes = npt.NDArray[np.uint8]
_Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sound:
    """Audio found in a blob.

    kind : container or codec
    offset : byte at which it starts
    """

    kind: str
    offset: int


@dataclass(frozen=True)
class _Magic:
    """`anchor` is searched for; `pattern` must then match from `back` bytes before it."""

    kind: str
    anchor: bytes
    back: int
    pattern: re.Pattern[bytes]


def _magic(kind: str, anchor: bytes, pattern: bytes, back: int = 0) -> _Magic:
    return _Magic(kind, anchor, back, re.compile(pattern, re.DOTALL))


_RIFF_CHUNK = rb"(?:fmt |JUNK|junk|ds64|bext|LIST|fact|PEAK|data|iXML|id3 |ID3 |PAD |FLLR|cue )"
_AIFF_CHUNK = rb"(?:COMM|FVER|SSND|MARK|COMT|INST|NAME|AUTH|ANNO|ID3 |CHAN|APPL)"
_MP4_BRAND = (
    rb"(?:M4[ABPV] |isom|iso[2-9]|mp4[12]|mp71|qt  |3g[p2][0-9a-z]|dash|avc1|MSNV|f4[av] |mmp4|NDAS"
    rb"|aax )"
)
_AMR_FIRST_FRAME = rb"[\x04\x0c\x14\x1c\x24\x2c\x34\x3c\x44\x4c\x7c]"

_ANYWHERE = (
    _magic("WAV", b"WAVE", rb"(?:RIF[FX]|FFIR|RF64|BW64).{4}WAVE" + _RIFF_CHUNK, back=8),
    _magic("AVI", b"AVI LIST", rb"RIFF.{4}AVI\x20LIST", back=8),
    _magic("Wave64", b"riff\x2e\x91\xcf\x11", rb".{24}wave\xf3\xac\xd3\x11"),
    _magic("FLAC", b"fLaC", rb"fLaC[\x00\x80]\x00\x00\x22"),
    _magic("Ogg", b"OggS\x00", rb"OggS\x00[\x00-\x07].{20}[\x01-\xff]"),
    _magic("AIFF", b"AIF", rb"FORM.{4}AIF[FC]" + _AIFF_CHUNK, back=8),
    _magic("AU", b".snd\x00\x00", rb"\.snd\x00\x00.{6}\x00\x00\x00[\x01-\x1b]\x00"),
    _magic("CAF", b"caff\x00\x01\x00\x00", rb"caff"),
    _magic("MP4", b"ftyp", rb"\x00\x00[\x00-\x03][\x08-\xff]ftyp" + _MP4_BRAND, back=4),
    _magic("Matroska", b"\x1a\x45\xdf\xa3", rb".{4}.{1,60}?(?:webm|matroska)"),
    _magic("AMR", b"#!AMR", rb"#!AMR(?:-WB)?(?:_MC1\.0)?\n" + _AMR_FIRST_FRAME),
    _magic("WavPack", b"wvpk", rb"wvpk.{4}[\x00-\x20]\x04"),
    _magic("WMA", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", rb".{8}\xa6\xd9\x00\xaa\x00\x62\xce\x6c"),
    _magic("VOC", b"Creative Voice File\x1a", rb"C"),
)

_AT_START = (
    _magic("WAV", b"", rb"(?:RIF[FX]|FFIR|RF64|BW64).{4}WAVE"),
    _magic("AIFF", b"", rb"FORM.{4}AIF[FC]"),
    _magic("AMR", b"", rb"#!AMR(?:-WB)?(?:_MC1\.0)?\n"),
    _magic("MP3", b"", rb"ID3[\x02-\x04][\x00\xff][\x00-\xf0][\x00-\x7f]{4}"),
    _magic("Musepack", b"", rb"MPCK|MP\+[\x07\x17]"),
    _magic("Monkey's Audio", b"", rb"MAC .\x0f"),
    _magic("True Audio", b"", rb"TTA[12]"),
    _magic("SPHERE", b"", rb"NIST_1A\n"),
    _magic("IFF", b"", rb"FORM.{4}(?:8SVX|16SV)"),
    _magic("IRCAM", b"", rb"\x64\xa3[\x01-\x04]\x00|\x00[\x01-\x04]\xa3\x64"),
    _magic("PAF", b"", rb" paf\x00|fap \x00"),
    _magic("PVF", b"", rb"PVF1\n"),
    _magic("AVR", b"", rb"2BIT.{8}\x00"),
    _magic("Psion", b"", rb"ALawSoundFile"),
    _magic("XI", b"", rb"Extended Instrument: "),
    _magic("RealAudio", b"", rb"\.ra\xfd|\.RMF\x00"),
    _magic("DSD", b"", rb"DSD \x1c\x00\x00\x00|FRM8.{8}DSD "),
    _magic("QuickTime", b"", rb"[\x00-\x08].{3}(?:moov|mdat|wide)"),
    _magic("FLV", b"", rb"FLV\x01"),
    _magic("MPEG-PS", b"", rb"\x00\x00\x01\xba"),
    _magic("MPEG-TS", b"", rb"G.{187}G.{187}G.{187}G"),
    _magic("ADIF", b"", rb"ADIF"),
)

FRAMES_IN_A_ROW = 5
"""Consecutive frames required of a raw MPEG or AAC stream: a tenth of a second of audio."""

_MPEG_RATES = np.array([44_100, 48_000, 32_000, 0])
_LAYER_2_KBIT = np.array(
    [
        [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0],
        [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 0],
    ]
)
_LAYER_3_KBIT = np.array(
    [
        [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0],
        [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0],
    ]
)
"""Bit rates in kbit/s by index; the first row is MPEG-2 and 2.5, the second MPEG-1."""


def find_sound(data: bytes) -> Sound | None:
    """First audio in a blob, or None. Text that mentions a format is not audio."""
    for magic in _AT_START:
        if magic.pattern.match(data):
            return Sound(magic.kind, 0)
    found = [sound for magic in _ANYWHERE for sound in _first_magic(data, magic)]
    array = np.frombuffer(data, dtype=np.uint8)
    found += _first_in_chain("MP3", *_mpeg_headers(array))
    found += _first_in_chain("AAC", *_adts_headers(array))
    return min(found, key=lambda sound: sound.offset, default=None)


def _first_magic(data: bytes, magic: _Magic) -> Iterator[Sound]:
    position = data.find(magic.anchor, magic.back)
    while position >= 0:
        start = position - magic.back
        if magic.pattern.match(data, start):
            yield Sound(magic.kind, start)
            return
        position = data.find(magic.anchor, position + 1)


def _sync_positions(array: _Bytes, mask: int, value: int) -> _Ints:
    """Positions of 0xFF followed by a byte that equals `value` under `mask`."""
    if len(array) < 8:
        return np.empty(0, dtype=np.int64)
    sync = (array[:-7] == 0xFF) & ((array[1:-6] & mask) == value)
    return np.flatnonzero(sync)


def _mpeg_headers(array: _Bytes) -> tuple[_Ints, _Ints, _Ints]:
    """Positions, lengths in bytes and constant fields of all valid MPEG audio frame headers.

    Layers II and III only: layer I is unused, and its headers are common in executables.
    """
    at = _sync_positions(array, 0xE0, 0xE0)
    second, third = array[at + 1].astype(np.int64), array[at + 2].astype(np.int64)
    version, layer = second >> 3 & 3, 4 - (second >> 1 & 3)
    rate_index, padding = third >> 2 & 3, third >> 1 & 1
    row, column = (version == 3).astype(np.int64), third >> 4
    rate = _MPEG_RATES[rate_index] // np.array([4, 1, 2, 1])[version]
    kbit = np.where(layer == 2, _LAYER_2_KBIT[row, column], _LAYER_3_KBIT[row, column])
    bytes_per_kbit = np.where((layer == 3) & (row == 0), 72_000, 144_000)
    length = bytes_per_kbit * kbit // np.maximum(rate, 1) + padding
    valid = ((layer == 2) | (layer == 3)) & (version != 1) & (rate_index < 3) & (kbit > 0)
    constant = second << 2 | rate_index
    return at[valid], length[valid], constant[valid]


def _adts_headers(array: _Bytes) -> tuple[_Ints, _Ints, _Ints]:
    """Positions, lengths in bytes and constant fields of all valid AAC (ADTS) frame headers."""
    at = _sync_positions(array, 0xF6, 0xF0)
    field = [array[at + byte].astype(np.int64) for byte in range(6)]
    length = (field[3] & 3) << 11 | field[4] << 3 | field[5] >> 5
    valid = ((field[2] >> 2 & 15) < 13) & (length > 8)
    constant = field[1] << 16 | field[2] << 8 | field[3] & 0xF0
    return at[valid], length[valid], constant[valid]


def _first_in_chain(kind: str, at: _Ints, length: _Ints, constant: _Ints) -> list[Sound]:
    """First header that is followed, frame by frame, by enough headers of the same stream."""
    if len(at) == 0:
        return []
    following = np.searchsorted(at, at + length)
    following = np.minimum(following, len(at) - 1)
    linked = (at[following] == at + length) & (constant[following] == constant)
    chained = linked.copy()
    reached = following
    for _ in range(FRAMES_IN_A_ROW - 2):
        chained &= linked[reached]
        reached = following[reached]
    hits = np.flatnonzero(chained)
    return [Sound(kind, int(at[hits[0]]))] if len(hits) else []
