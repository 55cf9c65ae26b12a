"""Bundles: complete, checked, and refused for every possible reason."""

import hashlib
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.publish.runs import COMMIT, public_manifest, public_metrics, write_run
from tests.student_fixtures import (
    manifest_for,
    memory_tflite,  # noqa: F401 - fixture
    seeded_model,
    synthetic_patches,
)
from tests.tflite.running import run_float
from typer.testing import CliRunner

from crydistill.audio.mel import log_mel
from crydistill.audio.windows import windows
from crydistill.cli import app
from crydistill.corpora.captures import read_captures
from crydistill.errors import CheckFailed, ConfigError, CrydistillError, ModelError
from crydistill.publish import golden
from crydistill.publish.bundle import (
    SUMS_NAME,
    Bundle,
    check_bundle,
    declare,
    make_bundle,
    parse_sums,
)
from crydistill.publish.fingerprints import fingerprint_private
from crydistill.quantize.int8 import quantize_ptq
from crydistill.student.manifest import (
    Provenance,
    StudentManifest,
    TrainingData,
    load_manifest,
    save_manifest,
)
from crydistill.tflite.interpreters import LiteRt, dequantize

FILES = {
    "README.md",
    "SHA256SUMS",
    "bundle.json",
    "c/crydistill_model.c",
    "c/crydistill_model.h",
    "c/crydistill_tables.c",
    "c/crydistill_tables.h",
    "check.json",
    "config.yaml",
    "golden/golden.json",
    "golden/logits.i8",
    "golden/patches.i8",
    "golden/pcm.s16",
    "golden/votes.txt",
    "metrics.json",
    "space/README.md",
    "space/index.html",
    "student.json",
    "student.tflite",
    "student_float.tflite",
}
LIBRARY = Path(__file__).parents[2] / "firmware" / "src"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A valid bundle."""
    folder = tmp_path_factory.mktemp("bundle")
    return make_bundle(write_run(folder / "run"), folder / "bundle", code_commit=COMMIT)


@pytest.fixture
def copy(bundle: Bundle, tmp_path: Path) -> Path:
    """A copy of it to tamper with."""
    return Path(shutil.copytree(bundle.directory, tmp_path / "copy"))


def resum(directory: Path) -> None:
    """Rewrite SHA256SUMS, as an attacker would."""
    (directory / SUMS_NAME).unlink()
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(directory)}\n"
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    ]
    (directory / SUMS_NAME).write_text("".join(lines), encoding="utf-8")


def test_bundle_is_complete(bundle: Bundle) -> None:
    assert set(bundle.files) == FILES
    assert not bundle.draft
    assert check_bundle(bundle.directory) == bundle
    about = json.loads((bundle.directory / "bundle.json").read_text(encoding="utf-8"))
    assert about["code_commit"] == COMMIT


def test_the_same_run_gives_the_same_bytes(bundle: Bundle, tmp_path: Path) -> None:
    again = make_bundle(write_run(tmp_path / "run"), tmp_path / "bundle", code_commit=COMMIT)
    assert again.files == bundle.files


def test_nothing_is_left_of_a_refused_bundle(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", public_manifest(presets={}))
    with pytest.raises(CrydistillError):
        make_bundle(run, tmp_path / "out" / "bundle", code_commit=COMMIT)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_golden_vectors_fit_together(bundle: Bundle) -> None:
    folder, manifest = bundle.directory / "golden", bundle.manifest
    pcm = np.frombuffer((folder / "pcm.s16").read_bytes(), dtype="<i2")
    patches = np.frombuffer((folder / "patches.i8").read_bytes(), np.int8).reshape(-1, 96, 64)
    outputs = manifest.output.shape[-1]
    logits = np.frombuffer((folder / "logits.i8").read_bytes(), np.int8).reshape(-1, outputs)
    mel = windows(log_mel(pcm.astype(np.float32) / 32768))
    assert len(mel) == len(patches) == len(logits) == 23
    real = dequantize(patches, manifest.input.scale, manifest.input.zero_point)
    inside = np.abs(patches.astype(int)) < 127
    assert np.abs(real - mel)[inside].max() <= manifest.input.scale * 0.501
    litert = LiteRt((bundle.directory / "student.tflite").read_bytes()).run(patches)
    assert np.abs(litert.astype(int) - logits).max() <= 1
    votes = (folder / "votes.txt").read_text(encoding="ascii")
    assert "case balanced\nsettings 3e4ccccd 5 9 10000\nwindows 23\n" in votes


def test_twin_gives_the_golden_logits(bundle: Bundle) -> None:
    twin = (bundle.directory / "student_float.tflite").read_bytes()
    student = LiteRt((bundle.directory / "student.tflite").read_bytes())
    patches = np.fromfile(bundle.directory / "golden" / "patches.i8", np.int8).reshape(-1, 96, 64)
    source, result = bundle.manifest.input, bundle.manifest.output
    logits = run_float(twin, dequantize(patches, source.scale, source.zero_point))
    expected = dequantize(student.run(patches), result.scale, result.zero_point)
    assert logits.tobytes() == expected.tobytes()


def test_a_sigmoid_student_with_named_outputs(tmp_path: Path) -> None:
    tflite = quantize_ptq(seeded_model(outputs=3), synthetic_patches())
    public = public_manifest()
    manifest = manifest_for(
        tflite,
        activation="sigmoid",
        outputs=("cry", "speech", "cat"),
        cry_outputs=(0,),
        presets=public.presets,
        training=public.training,
        arena=public.arena,
        provenance=public.provenance,
    )
    run = write_run(tmp_path / "run", manifest)
    (run / "student.tflite").write_bytes(tflite)
    made = make_bundle(run, tmp_path / "bundle", code_commit=COMMIT)
    logits = np.fromfile(made.directory / "golden" / "logits.i8", np.int8).reshape(-1, 3)
    first = dequantize(logits, manifest.output.scale, manifest.output.zero_point)[0, 0]
    score = np.float32(1 / (1 + np.exp(-np.float64(first))))
    votes = (made.directory / "golden" / "votes.txt").read_text(encoding="ascii")
    bits = int(votes.splitlines()[5].split()[0], 16)
    assert np.uint32(bits).view(np.float32) == pytest.approx(score, rel=1e-6)


def test_a_student_with_memory(tmp_path: Path, memory_tflite: bytes) -> None:  # noqa: F811
    public = public_manifest()
    manifest = manifest_for(
        memory_tflite,
        presets=public.presets,
        training=public.training,
        arena=public.arena,
        provenance=public.provenance,
    )
    run = write_run(tmp_path / "run", manifest)
    (run / "student.tflite").write_bytes(memory_tflite)
    folder = make_bundle(run, tmp_path / "bundle", code_commit=COMMIT).directory
    assert check_bundle(folder).manifest.memory == manifest.memory
    logits = np.fromfile(folder / "golden" / "logits.i8", np.int8).reshape(-1, 1)
    patches = np.fromfile(folder / "golden" / "patches.i8", np.int8).reshape(-1, 96, 64)
    stream, alone = LiteRt(memory_tflite), LiteRt(memory_tflite)
    assert np.abs(stream.run(patches).astype(int) - logits).max() <= 2
    last = alone.run(patches[-1:])[0].astype(int)
    assert np.abs(last - logits[-1]).max() > 2
    about = json.loads((folder / "golden" / "golden.json").read_text(encoding="utf-8"))
    assert "in turn from an empty memory" in about["logits"]
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "embeddings of the last 4 windows (1.92 s), int8 [1, 4, 6]" in card
    assert "second output is the next call's second input" in card
    assert "by the last 2.9 seconds of audio" in card
    assert (
        f"| teacher | none, sha256 `{'0' * 16}...`; of the memory: one, 5 s, sha256 `1111" in card
    )
    assert "those of one, 5 s for the last seconds" in card


def test_no_file_says_where_things_lay(tmp_path: Path) -> None:
    manifest = public_manifest()
    run = write_run(tmp_path / "run", manifest)
    config = (
        "name: testling\nstores: /home/somebody/stores\ndata:\n  test:\n  - path: /data/x/audio\n"
    )
    (run / "config.yaml").write_text(config, encoding="utf-8")
    made = make_bundle(run, tmp_path / "bundle", code_commit=COMMIT)
    for name in made.files:
        content = (made.directory / name).read_bytes()
        assert b"/home/somebody" not in content, name
        assert b"/data/x" not in content, name
        assert str(tmp_path).encode() not in content, name
    text = (made.directory / "config.yaml").read_text(encoding="utf-8")
    assert text == "name: testling\nstores: stores\ndata:\n  test:\n  - path: audio\n"
    metrics = json.loads((made.directory / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["provenance"]["config"]["data"]["test"][0]["path"] == "audio"
    # The run itself stays as it was.
    assert (run / "config.yaml").read_text(encoding="utf-8") == config


@pytest.mark.parametrize("name", ["metrics.json", "check.json", "student.json"])
def test_a_bundle_that_says_where_things_lay_is_refused(name: str, copy: Path) -> None:
    record = json.loads((copy / name).read_text(encoding="utf-8"))
    if name == "student.json":
        record["training"]["summary"] = "/home/somebody/audio"
    else:
        record["stores"] = "/home/somebody/stores"
    (copy / name).write_text(json.dumps(record), encoding="utf-8")
    resum(copy)
    with pytest.raises(CheckFailed, match="an absolute path of the build machine"):
        check_bundle(copy)


def test_library_lies_beside_the_student(tmp_path: Path) -> None:
    made = make_bundle(
        write_run(tmp_path / "run"), tmp_path / "bundle", code_commit=COMMIT, library=LIBRARY
    )
    assert {"c/crydistill.c", "c/crydistill.h", "c/crydistill_kernels.c"} <= made.files.keys()
    with pytest.raises(ConfigError, match=r"crydistill\.h"):
        make_bundle(
            tmp_path / "run", tmp_path / "other", code_commit=COMMIT, library=tmp_path / "run"
        )


def with_commit(commit: str | None) -> StudentManifest:
    base = public_manifest()
    return public_manifest(
        provenance=Provenance(**(base.provenance.model_dump() | {"git_commit": commit}))
    )


PRIVATE = TrainingData(summary="home", licences={"none": 3}, private=True)


@pytest.mark.parametrize(
    ("manifest", "code", "message"),
    [
        (public_manifest(training=PRIVATE), COMMIT, "private recordings"),
        (with_commit(f"{COMMIT}-dirty"), COMMIT, "student.json.*uncommitted"),
        (with_commit(None), COMMIT, "student.json.*unknown"),
        (public_manifest(), f"{COMMIT}-dirty", "the bundling code"),
    ],
)
def test_a_run_that_must_not_be_published_is_refused(
    manifest: StudentManifest, code: str, message: str, tmp_path: Path
) -> None:
    run = write_run(tmp_path / "run", manifest)
    with pytest.raises(CheckFailed, match=message):
        make_bundle(run, tmp_path / "bundle", code_commit=code)
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (("clips", "private"), True, "private clips"),
        (("provenance", "git_commit"), f"{COMMIT}-dirty", r"metrics\.json.*uncommitted"),
        (("provenance", "student", "sha256"), "0" * 64, "another student"),
    ],
)
def test_figures_that_must_not_be_published_are_refused(
    where: tuple[str, ...], value: object, message: str, tmp_path: Path
) -> None:
    metrics: dict[str, Any] = public_metrics(public_manifest())
    node = metrics
    for key in where[:-1]:
        node = node[key]
    node[where[-1]] = value
    run = write_run(tmp_path / "run", metrics=metrics)
    with pytest.raises(CheckFailed, match=message):
        make_bundle(run, tmp_path / "bundle", code_commit=COMMIT)


def test_a_draft_takes_uncommitted_code_but_nothing_private(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", with_commit(f"{COMMIT}-dirty"))
    made = make_bundle(run, tmp_path / "bundle", code_commit=None, draft=True)
    assert made.draft
    assert check_bundle(made.directory).draft
    private = write_run(tmp_path / "private", public_manifest(training=PRIVATE))
    with pytest.raises(CheckFailed, match="private recordings"):
        make_bundle(private, tmp_path / "other", code_commit=None, draft=True)


def test_a_student_with_the_wrong_hash_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    data = bytearray((run / "student.tflite").read_bytes())
    data[-20] ^= 1
    (run / "student.tflite").write_bytes(data)
    with pytest.raises(ModelError, match="sha256"):
        make_bundle(run, tmp_path / "bundle", code_commit=COMMIT)


def test_a_run_that_was_not_evaluated_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    (run / "metrics.json").unlink()
    with pytest.raises(ModelError, match="evaluate the run first"):
        make_bundle(run, tmp_path / "bundle", code_commit=COMMIT)


def test_a_folder_that_is_there_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    with pytest.raises(ConfigError, match="already exists"):
        make_bundle(write_run(tmp_path / "run"), tmp_path / "bundle", code_commit=COMMIT)


@pytest.mark.parametrize("name", sorted(FILES - {SUMS_NAME}))
def test_every_changed_file_is_noticed(name: str, copy: Path) -> None:
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(ModelError, match=f"{Path(name).name}: its sha256"):
        check_bundle(copy)


def test_missing_and_foreign_files_are_noticed(copy: Path) -> None:
    (copy / "notes.txt").write_text("x", encoding="utf-8")
    with pytest.raises(ModelError, match=r"notes\.txt: not in SHA256SUMS"):
        check_bundle(copy)
    (copy / "notes.txt").unlink()
    (copy / "config.yaml").unlink()
    with pytest.raises(ModelError, match=r"config\.yaml: listed in SHA256SUMS but missing"):
        check_bundle(copy)


@pytest.mark.parametrize(
    "name",
    ["golden/logits.i8", "golden/pcm.s16", "golden/votes.txt", "space/index.html"],
)
def test_changed_vectors_and_pages_are_noticed_even_with_new_sums(name: str, copy: Path) -> None:
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    resum(copy)
    with pytest.raises(CheckFailed, match=Path(name).name):
        check_bundle(copy)


def test_a_changed_twin_is_noticed_even_with_new_sums(copy: Path) -> None:
    data = bytearray((copy / "student_float.tflite").read_bytes())
    data[-30] ^= 1
    (copy / "student_float.tflite").write_bytes(data)
    resum(copy)
    with pytest.raises(CheckFailed, match="twin"):
        check_bundle(copy)


def test_a_private_manifest_is_noticed_even_with_new_sums(copy: Path) -> None:
    manifest = load_manifest(copy / "student.json")
    save_manifest(copy / "student.json", manifest.model_copy(update={"training": PRIVATE}))
    resum(copy)
    with pytest.raises(CheckFailed, match="private recordings"):
        check_bundle(copy)


def test_audio_is_noticed_even_with_new_sums(copy: Path) -> None:
    soundfile.write(copy / "c" / "notes.wav", np.zeros(16_000), 16_000)
    resum(copy)
    with pytest.raises(CheckFailed, match=r"notes\.wav: audio"):
        check_bundle(copy)


def test_private_samples_are_noticed_in_a_table(copy: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    noise = np.random.default_rng(0).normal(0, 3_000, 48_000).astype("<i2")
    at = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
    soundfile.write(home / f"cry-{at:%Y%m%dT%H%M%S%z}.wav", noise, 16_000)
    known = fingerprint_private(read_captures(home).clips)
    check_bundle(copy, private=known)
    (copy / "c" / "table.bin").write_bytes(noise[1000:9000].tobytes())
    resum(copy)
    with pytest.raises(CheckFailed, match="private recording"):
        check_bundle(copy, private=known)


def test_golden_audio_is_the_only_one_that_passes() -> None:
    pcm = golden.golden_pcm()
    assert np.abs(pcm).max() > 1_000
    assert hashlib.sha256(pcm.astype("<i2").tobytes()).hexdigest() in golden.allowed_audio()
    assert len(golden.allowed_audio()) == 1


@given(st.text(max_size=200))
def test_any_text_as_sums_is_read_or_refused(text: str) -> None:
    try:
        stated = parse_sums(text, "SHA256SUMS")
    except ModelError as error:
        assert "\n" not in str(error)
    else:
        assert all(not name.startswith("/") and ".." not in name.split("/") for name in stated)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(name=st.sampled_from(["metrics.json", "bundle.json", "student.json"]), data=st.binary())
def test_any_json_is_read_or_refused(bundle: Bundle, name: str, data: bytes) -> None:
    path = bundle.directory / name
    original = path.read_bytes()
    sums = (bundle.directory / SUMS_NAME).read_text(encoding="utf-8")
    was, now = (hashlib.sha256(content).hexdigest() for content in (original, data))
    try:
        path.write_bytes(data)
        (bundle.directory / SUMS_NAME).write_text(sums.replace(was, now), encoding="utf-8")
        with pytest.raises(CrydistillError) as raised:
            check_bundle(bundle.directory)
        assert "\n" not in str(raised.value)
    finally:
        path.write_bytes(original)
        (bundle.directory / SUMS_NAME).write_text(sums, encoding="utf-8")


def test_the_verb_lists_what_it_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CRYDISTILL_CAPTURES", raising=False)
    run = write_run(tmp_path / "run")
    words = ["bundle", str(run), str(tmp_path / "bundle"), "--draft", "--licence", "apache-2.0"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.exception
    assert str(tmp_path / "bundle" / "student.tflite") in result.output
    assert "license: apache-2.0" in (tmp_path / "bundle" / "README.md").read_text(encoding="utf-8")


FOLDER = TrainingData(
    summary="tapes: 42 clips", licences={"not stated": 42}, private=False, undeclared={"tapes": 42}
)


@pytest.fixture(scope="module")
def from_tapes(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("tapes")
    run = write_run(folder / "run", public_manifest(training=FOLDER))
    return make_bundle(run, folder / "bundle", code_commit=COMMIT)


def test_undeclared_recordings_make_a_marked_bundle(from_tapes: Bundle) -> None:
    assert from_tapes.undeclared == "42 training clips of tapes"
    assert check_bundle(from_tapes.directory) == from_tapes
    text = (from_tapes.directory / "README.md").read_text(encoding="utf-8")
    assert "Undeclared recordings" in text
    assert "license: unknown" in text


def test_a_declaration_is_recorded_and_clears_the_bundle(
    from_tapes: Bundle, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(from_tapes.directory, tmp_path / "copy"))
    declare(folder, "CC BY 4.0")
    checked = check_bundle(folder)
    assert checked.undeclared == ""
    about = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    assert about["declaration"] == {
        "licence": "CC BY 4.0", "private": False, "recordings": "42 training clips of tapes",
    }  # fmt: skip
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert "their licence: CC BY 4.0" in text
    assert "Undeclared" not in text
    # Only the record, the card and the sums have changed.
    same = {name for name in FILES if checked.files[name] == from_tapes.files[name]}
    assert FILES - same == {"README.md", "bundle.json", SUMS_NAME}


def test_a_declaration_needs_a_licence_and_something_to_declare(
    from_tapes: Bundle, copy: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="leave out --declare"):
        declare(copy, "MIT")
    with pytest.raises(ConfigError, match="needs the recordings' licence"):
        declare(from_tapes.directory, " ")
    edited = Path(shutil.copytree(from_tapes.directory, tmp_path / "edited"))
    card = edited / "README.md"
    card.write_text(card.read_text(encoding="utf-8") + "More.\n", encoding="utf-8")
    resum(edited)
    with pytest.raises(CheckFailed, match="has no place in it"):
        declare(edited, "MIT")


def test_a_card_that_hides_what_is_undeclared_is_refused(
    from_tapes: Bundle, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(from_tapes.directory, tmp_path / "copy"))
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8")
    card.write_text(text.replace("**not known**", "none"), encoding="utf-8")
    resum(folder)
    with pytest.raises(CheckFailed, match="does not say which recordings are undeclared"):
        check_bundle(folder)


def test_a_declaration_of_other_recordings_is_refused(from_tapes: Bundle, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(from_tapes.directory, tmp_path / "copy"))
    declare(folder, "MIT")
    about = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    about["declaration"]["recordings"] = "1 training clips of tapes"
    (folder / "bundle.json").write_text(json.dumps(about), encoding="utf-8")
    resum(folder)
    with pytest.raises(CheckFailed, match="declaration: of other recordings"):
        check_bundle(folder)
