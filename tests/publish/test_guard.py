"""Canaries: a private clip hidden in every way we could think of must be found."""

import base64
import bz2
import gzip
import io
import json
import lzma
import os
import shutil
import struct
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

import crydistill
from crydistill.audio.mel import log_mel
from crydistill.audio.windows import windows
from crydistill.errors import ConfigError
from crydistill.publish import containers as unpack
from crydistill.publish import guard
from crydistill.publish.fingerprints import PrivateFingerprints, fingerprint_private
from crydistill.publish.guard import Finding, Rule, looks_like_audio, read_allowed, scan

h5py = pytest.importorskip("h5py", reason="needs h5py, which the full install has")

RATE = 16_000
RECORDED_AT = datetime(2026, 4, 12, 3, 15, tzinfo=timezone(timedelta(hours=10)))
# Put together here: written out, the guard would find it in this very file.
NAME = f"cry-{RECORDED_AT:%Y%m%dT%H%M%S%z}"
PLAIN_NAME = "bedroom_0042_left"

Samples = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Secret:
    """The private clip: its file, samples, frames and scores."""

    path: Path
    samples: Samples

    @property
    def floats(self) -> npt.NDArray[np.float32]:
        return self.samples.astype(np.float32) / np.float32(32_768)

    @property
    def frames(self) -> npt.NDArray[np.float32]:
        return log_mel(self.floats)

    @property
    def content(self) -> bytes:
        return self.path.read_bytes()

    def as_container(self, kind: str, subtype: str | None = None) -> bytes:
        buffer = io.BytesIO()
        soundfile.write(buffer, self.samples, RATE, format=kind, subtype=subtype)
        return buffer.getvalue()


def room(seconds: float, seed: int) -> Samples:
    """Something like a quiet room: coloured noise and a tone."""
    generator = np.random.default_rng(seed)
    count = int(RATE * seconds)
    noise = np.convolve(generator.standard_normal(count + 15), np.hanning(16), mode="valid")
    tone = np.sin(2 * np.pi * 440 * np.arange(count) / RATE)
    samples: Samples = np.rint(600 * noise + 900 * tone).astype(np.int16)
    return samples


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Secret:
    path = tmp_path_factory.mktemp("captures") / f"{NAME}.wav"
    samples = room(4.0, seed=1)
    soundfile.write(path, samples, RATE)
    soundfile.write(path.with_name(f"{PLAIN_NAME}.flac"), room(1.0, seed=2), RATE)
    return Secret(path, samples)


@pytest.fixture(scope="module")
def scores() -> npt.NDArray[np.float32]:
    """A teacher's scores of the private clip."""
    return np.random.default_rng(5).random((7, 521), dtype=np.float32)


@pytest.fixture(scope="module")
def private(secret: Secret, scores: npt.NDArray[np.float32]) -> PrivateFingerprints:
    return fingerprint_private(secret.path.parent, arrays=[scores])


def tflite_like(seed: int = 0) -> bytes:
    """110 kB with a FlatBuffer header and small int8 weights."""
    weights = np.random.default_rng(seed).normal(0, 25, 110_000).clip(-128, 127).astype(np.int8)
    return b"\x1c\x00\x00\x00TFL3" + weights.tobytes()


def png(seed: int = 0) -> bytes:
    """A small picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    pixels = np.random.default_rng(seed).integers(0, 255, (64, 193), dtype=np.uint8)
    pixels[:, 0] = 0
    head = struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(pixels.tobytes()))
    return b"\x89PNG\r\n\x1a\n" + parts + chunk(b"IEND", b"")


def html(*sources: str) -> str:
    return "<html><body>" + "".join(f'<img src="{source}">' for source in sources) + "</html>"


def data_uri(mime: str, content: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


def npz_bytes(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def zip_bytes(members: dict[str, bytes], comment: bytes = b"", deflate: bool = True) -> bytes:
    buffer = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.comment = comment
    return buffer.getvalue()


def tar_bytes(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def h5_bytes(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, compression="gzip", shuffle=True)
    return buffer.getvalue()


def keras_bytes(weights: bytes) -> bytes:
    return zip_bytes({"config.json": b'{"name": "student"}', "model.weights.h5": weights})


def safetensors_bytes(array: npt.NDArray[Any]) -> bytes:
    entry = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [0, array.nbytes]}
    head = json.dumps({"frames": entry}).encode()
    return struct.pack("<Q", len(head)) + head + array.tobytes()


@pytest.fixture
def small_bundle(tmp_path: Path) -> Path:
    """A model and a text, quick to scan."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "student.tflite").write_bytes(tflite_like())
    (folder / "README.md").write_text("# A cry detector\n")
    return folder


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The files of a release, with nothing private."""
    generator = np.random.default_rng(7)
    folder = tmp_path / "bundle"
    (folder / "plots").mkdir(parents=True)
    (folder / "student.tflite").write_bytes(tflite_like())
    (folder / "plots" / "roc.png").write_bytes(png())
    weights = generator.normal(0, 0.05, 80_713).astype(np.float32)
    kernel = generator.normal(0, 0.2, (3, 3, 64, 64)).astype(np.float32)
    (folder / "weights.npz").write_bytes(npz_bytes(flat=weights, kernel=kernel))
    (folder / "student.keras").write_bytes(keras_bytes(h5_bytes(flat=weights, kernel=kernel)))
    (folder / "report.html").write_text(html(data_uri("image/png", png(1))))
    facts = {
        "created": "2026-11-08T12:34:56Z",
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "sha256": "ab" * 32,
        "version": "0.dev20261023182759",
        "scores": generator.random(20_000).round(4).tolist(),
    }
    (folder / "student.json").write_text(json.dumps(facts))
    (folder / "README.md").write_text("# A cry detector\n\nMade on 2026-11-08 in one hour.\n")
    (folder / "model.h").write_text(
        "const signed char weights[] = {"
        + ", ".join(map(str, np.frombuffer(tflite_like(4)[8:20_000], dtype=np.int8)))
        + "};"
    )
    (folder / "model.cc").write_text(
        "const unsigned char model[] = {" + ", ".join(map(hex, tflite_like(3)[:20_000])) + "};"
    )
    np.save(folder / "night.npy", generator.random(60_000).astype(np.float32))
    return folder


Plant = Callable[[Secret, Path], None]
PLANTS: dict[str, tuple[Rule, Plant]] = {}


def plant(name: str, rule: Rule) -> Callable[[Plant], Plant]:
    def add(function: Plant) -> Plant:
        PLANTS[name] = (rule, function)
        return function

    return add


def plant_bytes(name: str, rule: Rule, file: str, content: Callable[[Secret], bytes]) -> None:
    PLANTS[name] = (rule, lambda secret, bundle: void((bundle / file).write_bytes(content(secret))))


def void(_: object) -> None:
    """Drop a value."""


# The file itself, in disguise.
plant_bytes("renamed", Rule.PRIVATE_FILE, "extra.bin", lambda s: s.content)
plant_bytes("as flac", Rule.PRIVATE_DATA, "notes.txt", lambda s: s.as_container("FLAC"))
plant_bytes("as aiff", Rule.PRIVATE_DATA, "thumb.png", lambda s: s.as_container("AIFF"))
plant_bytes("as caf", Rule.PRIVATE_DATA, "model.onnx", lambda s: s.as_container("CAF"))
plant_bytes("as w64", Rule.PRIVATE_DATA, "LICENSE", lambda s: s.as_container("W64"))
plant_bytes("as mp3", Rule.AUDIO, "weights.dat", lambda s: s.as_container("MP3"))
plant_bytes("as opus", Rule.AUDIO, "b.bin", lambda s: s.as_container("OGG", "OPUS"))
plant_bytes("behind a model", Rule.AUDIO, "student.tflite", lambda s: tflite_like() + s.content)
plant_bytes(
    "cut into a model",
    Rule.PRIVATE_DATA,
    "student.tflite",
    lambda s: tflite_like()[:50_001] + s.content[4_000:12_000] + tflite_like(1),
)
# Inside archives.
plant_bytes(
    "in a zip in a zip",
    Rule.PRIVATE_FILE,
    "a.zip",
    lambda s: zip_bytes({"b.zip": zip_bytes({"c.txt": s.content})}),
)
plant_bytes(
    "in a stored zip behind a model",
    Rule.PRIVATE_FILE,
    "student.tflite",
    lambda s: tflite_like() + zip_bytes({"labels.txt": s.content}, deflate=False),
)
plant_bytes(
    "in a zip inside a model",
    Rule.PRIVATE_FILE,
    "student.tflite",
    lambda s: tflite_like() + zip_bytes({"labels.txt": s.content}) + tflite_like(1),
)
plant_bytes(
    "in a tar.gz", Rule.PRIVATE_FILE, "src.tgz", lambda s: gzip.compress(tar_bytes("x", s.content))
)
plant_bytes("in bzip2", Rule.PRIVATE_FILE, "x", lambda s: b"head" + bz2.compress(s.content))
plant_bytes("in xz", Rule.PRIVATE_FILE, "x", lambda s: b"head" + lzma.compress(s.content))
plant_bytes(
    "in zlib", Rule.PRIVATE_FILE, "x", lambda s: b"head" + zlib.compress(s.content) + b"tail"
)
# Written as text.
plant_bytes(
    "in html as a data uri",
    Rule.PRIVATE_FILE,
    "report.html",
    lambda s: html(data_uri("audio/wav", s.content)).encode(),
)
plant_bytes(
    "in json as wrapped base64",
    Rule.PRIVATE_FILE,
    "a.json",
    lambda s: json.dumps({"blob": base64.encodebytes(s.content).decode()}).encode(),
)
plant_bytes(
    "as url-safe base64 glued to a word",
    Rule.PRIVATE_FILE,
    "a.txt",
    lambda s: b"id_" + base64.urlsafe_b64encode(s.content),
)
plant_bytes("as hex", Rule.PRIVATE_FILE, "a.txt", lambda s: s.content.hex(" ").encode())
plant_bytes(
    "as a C array",
    Rule.PRIVATE_FILE,
    "clip.h",
    lambda s: ("const uint8_t clip[] = {" + ",\n".join(map(hex, s.content)) + "};").encode(),
)
plant_bytes(
    "samples as json numbers",
    Rule.PRIVATE_DATA,
    "a.json",
    lambda s: json.dumps({"x": s.samples[5_000:9_000].tolist()}).encode(),
)
plant_bytes(
    "frames as csv",
    Rule.PRIVATE_DATA,
    "frames.csv",
    lambda s: "\n".join(
        f"{index}," + ",".join(repr(float(value)) for value in row)
        for index, row in enumerate(s.frames[40:50])
    ).encode(),
)
# As arrays.
plant_bytes("samples in npz", Rule.PRIVATE_DATA, "weights.npz", lambda s: npz_bytes(bias=s.samples))
plant_bytes(
    "samples as float64", Rule.PRIVATE_DATA, "w.npz", lambda s: npz_bytes(w=s.floats.astype("f8"))
)
plant_bytes("raw samples", Rule.PRIVATE_DATA, "w.bin", lambda s: b"odd" + s.samples.tobytes())
plant_bytes(
    "raw float samples",
    Rule.PRIVATE_DATA,
    "w.bin",
    lambda s: b"o" + s.floats[3_000:6_000].tobytes(),
)
plant_bytes(
    "four raw frames",
    Rule.PRIVATE_DATA,
    "w.bin",
    lambda s: bytes(777) + s.frames[101:105].astype(np.float16).tobytes() + bytes(77),
)
plant_bytes(
    "frames in safetensors",
    Rule.PRIVATE_DATA,
    "w.safetensors",
    lambda s: safetensors_bytes(s.frames[:20]),
)
plant_bytes(
    "windows for calibration",
    Rule.PRIVATE_DATA,
    "calibration.npz",
    lambda s: npz_bytes(x=windows(s.frames)[2:3].astype(np.float16)),
)
plant_bytes(
    "transposed frames in float64",
    Rule.PRIVATE_DATA,
    "w.npz",
    lambda s: npz_bytes(x=np.ascontiguousarray(s.frames.T.astype(np.float64))),
)
plant_bytes(
    "frames in keras",
    Rule.PRIVATE_DATA,
    "student.keras",
    lambda s: keras_bytes(h5_bytes(kernel=s.frames.reshape(2, -1, 64))),
)
plant_bytes(
    "the file in HDF5",
    Rule.PRIVATE_FILE,
    "w.h5",
    lambda s: h5_bytes(blob=np.frombuffer(s.content, dtype=np.uint8)),
)
plant_bytes(
    "as base64 in utf-16",
    Rule.PRIVATE_FILE,
    "a.txt",
    lambda s: base64.b64encode(s.content).decode().encode("utf-16"),
)
# Names, checksums and times.
plant_bytes("name in a text", Rule.PRIVATE_NAME, "README.md", lambda s: f"see {NAME}!".encode())
plant_bytes(
    "plain name in upper case",
    Rule.PRIVATE_NAME,
    "README.md",
    lambda s: f"![]({PLAIN_NAME.upper()}.png)".encode(),
)
plant_bytes(
    "name in a model",
    Rule.PRIVATE_NAME,
    "student.tflite",
    lambda s: tflite_like()[:70_000] + f"\0{PLAIN_NAME}\0".encode() + tflite_like(1),
)
plant_bytes(
    "name in utf-16", Rule.PRIVATE_NAME, "a.dat", lambda s: b"\xff" + PLAIN_NAME.encode("utf-16")
)
plant_bytes(
    "name as an npz key",
    Rule.PRIVATE_NAME,
    "w.npz",
    lambda s: npz_bytes(**{PLAIN_NAME: np.ones(1)}),
)
plant_bytes(
    "names in an npz array", Rule.PRIVATE_NAME, "w.npz", lambda s: npz_bytes(ids=[PLAIN_NAME, "x"])
)
plant_bytes(
    "names in HDF5",
    Rule.PRIVATE_NAME,
    "w.h5",
    lambda s: h5_bytes(ids=np.array([PLAIN_NAME.encode()] * 3, dtype=object)),
)
plant_bytes(
    "name in a zip's comment",
    Rule.PRIVATE_NAME,
    "a.zip",
    lambda s: zip_bytes({"x": b""}, comment=PLAIN_NAME.encode()),
)
plant_bytes(
    "name in keras", Rule.PRIVATE_NAME, "s.keras", lambda s: keras_bytes(h5_bytes(**{NAME: [1.0]}))
)
plant_bytes(
    "checksum in json",
    Rule.PRIVATE_NAME,
    "student.json",
    lambda s: json.dumps({"data": sha256(s.content).hexdigest()}).encode(),
)
plant_bytes(
    "time in utc",
    Rule.PRIVATE_TIME,
    "student.json",
    lambda s: json.dumps({"at": "2026-04-11 17:15:00Z"}).encode(),
)
plant_bytes("time of the wall clock", Rule.PRIVATE_TIME, "a", lambda s: b"2026-04-12T03:15:00")
plant_bytes(
    "time as seconds", Rule.PRIVATE_TIME, "a", lambda s: str(RECORDED_AT.timestamp()).encode()
)
plant_bytes(
    "time in an array",
    Rule.PRIVATE_TIME,
    "w.npz",
    lambda s: npz_bytes(t=np.array([RECORDED_AT.timestamp()])),
)


@plant("name of a file", Rule.PRIVATE_NAME)
def _(secret: Secret, bundle: Path) -> None:
    (bundle / f"{PLAIN_NAME}.json").write_text("{}")


@plant("name of a folder", Rule.CAPTURE_TIME)
def _(secret: Secret, bundle: Path) -> None:
    (bundle / NAME).mkdir()
    (bundle / NAME / "x.txt").write_text("x")


@plant("name in a link", Rule.PRIVATE_NAME)
def _(secret: Secret, bundle: Path) -> None:
    (bundle / "latest").symlink_to(f"elsewhere/{PLAIN_NAME}.flac")


@pytest.mark.parametrize("name", PLANTS)
def test_canary(
    name: str, secret: Secret, private: PrivateFingerprints, small_bundle: Path
) -> None:
    rule, hide = PLANTS[name]
    assert scan(small_bundle, private=private) == []
    hide(secret, small_bundle)
    findings = scan(small_bundle, private=private)
    assert rule in {finding.rule for finding in findings}
    assert not any(PLAIN_NAME in finding.what or NAME in finding.what for finding in findings)


def test_there_are_many_canaries() -> None:
    assert len(PLANTS) >= 20


def test_scores_of_a_private_clip(
    private: PrivateFingerprints, scores: npt.NDArray[np.float32], tmp_path: Path
) -> None:
    np.savez_compressed(tmp_path / "soft.npz", targets=scores[2:3].astype(np.float16))
    findings = scan(tmp_path / "soft.npz", private=private)
    assert {finding.rule for finding in findings} == {Rule.PRIVATE_DATA}
    assert all("computed from a private recording" in finding.what for finding in findings)


def test_clean_bundle_passes(bundle: Path, private: PrivateFingerprints) -> None:
    assert scan(bundle, private=private) == []
    shutil.make_archive(str(bundle), "zip", bundle)
    assert scan(bundle.with_suffix(".zip"), private=private) == []


def test_our_own_package_passes(private: PrivateFingerprints) -> None:
    package = Path(crydistill.__file__).parent
    assert scan(package, private=private) == []
    assert scan(Path(__file__)) == []


@pytest.mark.parametrize("seed", range(3))
def test_noise_and_weights_pass(seed: int, private: PrivateFingerprints, tmp_path: Path) -> None:
    generator = np.random.default_rng(seed)
    (tmp_path / "noise").write_bytes(generator.integers(0, 256, 2_000_000, np.uint8).tobytes())
    for spread in (3, 10, 40):
        weights = generator.normal(0, spread, 500_000).clip(-128, 127).astype(np.int8)
        (tmp_path / f"weights{spread}").write_bytes(weights.tobytes())
    assert scan(tmp_path, private=private) == []


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [
        ("WAV", None),
        ("WAV", "FLOAT"),
        ("RF64", None),
        ("FLAC", None),
        ("OGG", "VORBIS"),
        ("OGG", "OPUS"),
        ("MP3", None),
        ("AIFF", None),
        ("AU", None),
        ("CAF", None),
        ("W64", None),
    ],
)
def test_public_audio_is_found_without_fingerprints(
    kind: str, subtype: str | None, secret: Secret, tmp_path: Path
) -> None:
    content = secret.as_container(kind, subtype)
    (tmp_path / "plain.md").write_bytes(content)
    (tmp_path / "hidden.tflite").write_bytes(tflite_like() + content + b"tail")
    findings = scan(tmp_path)
    assert [finding.rule for finding in findings] == [Rule.AUDIO] * 2
    assert findings[0].what.endswith(f"at byte {len(tflite_like())}")


def test_capture_like_times_need_no_fingerprints(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text(f"fine\nplayed {NAME}.wav\n")
    (finding,) = scan(tmp_path)
    assert finding.rule is Rule.CAPTURE_TIME
    assert str(finding) == f"{tmp_path}/log.txt: a name or time like a capture's in line 2"


@pytest.mark.parametrize(
    "text",
    [
        NAME,
        f"{RECORDED_AT:%Y%m%dT%H%M%S}.npy",
        f"x = 'baby_{RECORDED_AT:%Y%m%d_%H%M%S}'",
        f"clip-{RECORDED_AT:%Y-%m-%d_%H-%M-%S}",
        RECORDED_AT.isoformat(),
        f"{RECORDED_AT:%Y-%m-%d %H:%M:%S %z}",
    ],
)
def test_looks_like_a_capture(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(text)
    assert [finding.rule for finding in scan(tmp_path)] == [Rule.CAPTURE_TIME]


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-08T12:34:56Z",
        "2026-11-08T12:34:56+00:00",
        "2026-11-08 12:34:56",
        "0.dev20261023182759",
        "run-20261108-120000",
        "cry-YYYYMMDDThhmmss+hhmm.wav",
        "20261308T123456",
        "120261108T123456",
        "1762600000",
    ],
)
def test_does_not_look_like_a_capture(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(text)
    assert scan(tmp_path) == []


def test_allowed_public_audio(secret: Secret, tmp_path: Path) -> None:
    snippet = secret.as_container("OGG")
    (tmp_path / "report.html").write_text(html(data_uri("audio/ogg", snippet)))
    assert [finding.rule for finding in scan(tmp_path)] == [Rule.AUDIO]
    allowed = {sha256(snippet).hexdigest()}
    assert scan(tmp_path, allowed=allowed) == []


def test_an_allowed_archive_covers_its_members(secret: Secret, tmp_path: Path) -> None:
    content = zip_bytes({"a.ogg": secret.as_container("OGG")})
    (tmp_path / "snippets.zip").write_bytes(content)
    assert scan(tmp_path)
    assert scan(tmp_path, allowed=[sha256(content).hexdigest()]) == []


def test_private_content_is_never_allowed(
    secret: Secret, private: PrivateFingerprints, tmp_path: Path
) -> None:
    (tmp_path / "a.wav").write_bytes(secret.content)
    allowed = [sha256(secret.content).hexdigest()]
    rules = {finding.rule for finding in scan(tmp_path, private=private, allowed=allowed)}
    assert rules == {Rule.PRIVATE_FILE, Rule.PRIVATE_DATA}


def test_allow_list(tmp_path: Path) -> None:
    path = tmp_path / "allowed.txt"
    path.write_text(f"# snippets\n\n{'AB' * 32}  report snippet\n{'cd' * 32}\n")
    assert read_allowed(path) == {"ab" * 32, "cd" * 32}
    path.write_text("abc\n")
    with pytest.raises(ConfigError, match=r"allowed.txt:1: 'abc' is not a sha256"):
        read_allowed(path)


def test_what_cannot_be_examined_is_a_finding(tmp_path: Path) -> None:
    encrypted = bytearray(zip_bytes({"a.txt": b"text"}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        encrypted[encrypted.find(signature) + offset] |= 1
    contents = {
        "encrypted.zip": bytes(encrypted),
        "damaged.zip": zip_bytes({"a.txt": bytes(100)})[:60],
        "damaged-member.zip": zip_bytes({"a": b"abc" * 100}, deflate=False).replace(b"abc", b"abd"),
        "a.7z": b"7z\xbc\xaf\x27\x1c" + bytes(100),
        "a.zst": b"\x28\xb5\x2f\xfd" + bytes(100),
        "damaged.h5": b"\x89HDF\r\n\x1a\n" + bytes(100),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    findings = scan(tmp_path)
    assert {finding.rule for finding in findings} == {Rule.UNEXAMINED}
    assert {Path(finding.where).name for finding in findings} == set(contents)


def test_bombs_are_findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "MAX_PART_BYTES", 1 << 20)
    monkeypatch.setattr(unpack, "MAX_MEMBERS", 100)
    nested = b"bomb"
    for _ in range(guard.MAX_DEPTH + 2):
        nested = zip_bytes({"a.zip": nested})
    (tmp_path / "deep.zip").write_bytes(nested)
    (tmp_path / "large.gz").write_bytes(gzip.compress(bytes(20 << 20)))
    (tmp_path / "large.zip").write_bytes(zip_bytes({"zeros": bytes(20 << 20)}))
    (tmp_path / "many.zip").write_bytes(zip_bytes({f"{index}": b"x" for index in range(200)}))
    findings = scan(tmp_path)
    assert {finding.rule for finding in findings} == {Rule.UNEXAMINED}
    assert {Path(finding.where.split("!")[0].split("@")[0]).name for finding in findings} == {
        "deep.zip",
        "large.gz",
        "large.zip",
        "many.zip",
    }


def test_a_file_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MAX_FILE_BYTES", 10)
    (tmp_path / "a").write_bytes(bytes(11))
    assert [finding.rule for finding in scan(tmp_path)] == [Rule.UNEXAMINED]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read every file")
def test_an_unreadable_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "a").chmod(0)
    assert [finding.rule for finding in scan(tmp_path)] == [Rule.UNEXAMINED]


def test_git_is_left_out_and_links_are_not_followed(secret: Secret, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "object").write_bytes(secret.content)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.bin").write_bytes(secret.content)
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to(outside, target_is_directory=True)
    (inside / "dangling").symlink_to("nowhere")
    assert scan(inside) == []
    assert [finding.where for finding in scan(tmp_path)] == [str(outside / "a.bin")]


def test_one_file_and_none(secret: Secret, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(secret.content)
    assert scan(tmp_path / "a.bin") == [
        Finding(str(tmp_path / "a.bin"), Rule.AUDIO, "audio (WAV) at byte 0")
    ]
    with pytest.raises(ConfigError, match="no such file or folder"):
        scan(tmp_path / "nowhere")


def test_arrays_that_look_like_audio(secret: Secret) -> None:
    generator = np.random.default_rng(0)
    audible: list[npt.NDArray[Any]] = [
        secret.samples,
        secret.floats,
        secret.floats.astype(np.float16),
        0.3 * secret.floats + generator.normal(0, 1e-6, len(secret.floats)),
        secret.floats[None, :],
        secret.floats[:, None],
        np.stack([secret.floats, secret.floats], axis=1),
        np.rint(generator.normal(0, 500, 20_000)).astype(np.int16),
        np.rint(generator.normal(0, 500, 20_000)) / 32_768,
        secret.floats.reshape(4, -1),
    ]
    other: list[npt.NDArray[Any]] = [
        generator.normal(0, 0.05, 80_713).astype(np.float32),
        generator.normal(0, 0.05, (1_000, 64)),
        np.rint(generator.normal(0, 25, 110_000)).astype(np.int16),
        generator.integers(0, 521, 60_000),
        np.abs(secret.floats),
        secret.floats[:4_000],
        np.cumsum(generator.random(60_000)),
        np.zeros(60_000),
        np.full(60_000, np.nan),
        np.arange(60_000),
        secret.frames,
        np.array(["text"] * 9_000),
    ]
    assert [looks_like_audio(array) for array in audible] == [True] * len(audible)
    assert [looks_like_audio(array) for array in other] == [False] * len(other)


def test_five_hundred_small_files_in_seconds(private: PrivateFingerprints, tmp_path: Path) -> None:
    sources = sorted(Path(crydistill.__file__).parent.rglob("*.py"))
    for index in range(500):
        shutil.copy(sources[index % len(sources)], tmp_path / f"{index}.py")
    start = time.perf_counter()
    assert scan(tmp_path, private=private) == []
    assert time.perf_counter() - start < 10
