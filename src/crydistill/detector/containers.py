"""Recognise audio files by their first bytes, so that they are not heard as raw PCM.

Sources: the formats' specifications; for MPEG audio and ADTS, whose frames carry no name, the
headers of ISO/IEC 11172-3 and 14496-3.
"""

from crydistill.detector.byte_stream import ByteStream

_SIGNATURES = (
    (0, b"fLaC", "FLAC"),
    (0, b"OggS", "Ogg"),
    (0, b"ID3", "MP3"),
    (4, b"ftyp", "MP4, M4A or 3GP"),
    (0, b"\x1a\x45\xdf\xa3", "Matroska or WebM"),
    (0, b"FORM", "AIFF"),
    (0, b".snd", "AU"),
    (0, b"caff", "CAF"),
    (0, b"#!AMR", "AMR"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "WMA"),
    (0, b"RIFX", "big-endian WAV"),
    (0, b"riff\x2e\x91\xcf\x11", "Wave64"),
    (0, b"wvpk", "WavPack"),
    (0, b"FLV\x01", "FLV"),
    (0, b"NIST_1A", "SPHERE"),
)
_SIGNATURE_BYTES = 12
_WAV = (b"RIFF", b"RF64", b"BW64")
_TEXT_BYTES, _SHORTEST_TEXT = 64, 12
_TEXT = frozenset(b"\t\n\r" + bytes(range(32, 127)))
_TS_PACKET_BYTES, _TS_SYNC = 188, 0x47

_MPEG1_KILOBITS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG2_KILOBITS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_MPEG1_HERTZ = (44_100, 48_000, 32_000)
_FRAME_HEADER_BYTES = 6


def is_wav(stream: ByteStream) -> bool:
    """Whether a WAV file begins at the stream's next byte."""
    start = stream.peek(_SIGNATURE_BYTES)
    return start[:4] in _WAV and start[8:12] == b"WAVE"


def container(stream: ByteStream) -> str | None:
    """Name the file format that begins at the stream's next byte; None for raw PCM and WAV."""
    start = stream.peek(_SIGNATURE_BYTES)
    for offset, signature, name in _SIGNATURES:
        if start[offset:].startswith(signature):
            return name
    if start[:4] in _WAV and not is_wav(stream):
        return "RIFF without sound"
    packets = stream.peek(2 * _TS_PACKET_BYTES + 1)[::_TS_PACKET_BYTES]
    if packets == bytes([_TS_SYNC] * 3):
        return "MPEG-TS"
    for length_of, name in ((_mp3_frame, "MP3"), (_adts_frame, "AAC")):
        # Two frames in a row: raw PCM may begin with the bytes of one header, by chance.
        length = length_of(start[:_FRAME_HEADER_BYTES])
        if length and length_of(stream.peek(length + _FRAME_HEADER_BYTES)[length:]):
            return name
    return None


def text_start(stream: ByteStream) -> str:
    """How the text begins that arrives in place of sound, such as an error; empty for sound."""
    start = stream.peek(_TEXT_BYTES)
    if len(start) < _SHORTEST_TEXT or not _TEXT.issuperset(start):
        return ""
    return " ".join(start.decode("ascii").split())


def _mp3_frame(header: bytes) -> int:
    """Length in bytes of the layer III frame with this header; 0 if it is none."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return 0
    version = header[1] >> 3 & 3  # 0: MPEG 2.5, 2: MPEG 2, 3: MPEG 1
    rate, hertz, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or rate in (0, 15) or hertz == 3:
        return 0
    if version == 3:
        return 144_000 * _MPEG1_KILOBITS[rate] // _MPEG1_HERTZ[hertz] + padding
    halved = _MPEG1_HERTZ[hertz] // (2 if version == 2 else 4)
    return 72_000 * _MPEG2_KILOBITS[rate] // halved + padding


def _adts_frame(header: bytes) -> int:
    """Length in bytes of the AAC frame with this ADTS header; 0 if it is none."""
    if len(header) < 6 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0:
        return 0
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return length if length > _FRAME_HEADER_BYTES else 0
