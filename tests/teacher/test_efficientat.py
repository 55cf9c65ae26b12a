from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.teacher import mn_reference
from tests.teacher.checkpoints import Tensors, tiny_mn, write_checkpoint

from crydistill.audio.files import read_audio
from crydistill.audio.mel import frame_count, log_mel
from crydistill.audio.windows import window_count
from crydistill.corpora.clip import Clip, Label
from crydistill.errors import StoreError, TeacherError
from crydistill.synthesis.nursery.clips import compose, render
from crydistill.teacher.base import Recording

pytest.importorskip("keras", reason="needs the full install")

from crydistill.teacher.efficientat import (
    BABY_CRY,
    CRYING,
    CausalEfficientAT,
    CausalTeacher,
    EfficientAT,
    causal_kind,
    hear_cries,
)
from crydistill.teacher.mn_mel import MnMelStream
from crydistill.teacher.mn_network import build_mn
from crydistill.teacher.scores import LogitStore, ScoreStore, TeacherIdentity
from crydistill.teacher.scoring import score_corpus, unscored
from crydistill.teacher.torch_file import read_tensors

WEIGHTS = "efficientat_mn04_as.pt"

SPEECH, CAT = 0, 81

NURSERY = {
    "baby_cry-15": (-3.02, -2.69, -1.73, -7.65),
    "cat-07": (-2.81, -9.08, -8.66, 1.49),
    "music_box-00": (-3.61, -8.40, -8.38, -8.61),
    "speech-04": (0.98, -8.46, -8.45, -8.14),
}
"""Logits of speech, crying, baby cry and cat over the last 5 s that end with the last score, from a
PyTorch program of the authors' definitions: soxr at 32 kHz, torch.stft, nothing folded."""

RECORDINGS = {
    "donateacry/F95D4BCE-2FB0-4A0C-A058-BFB0674539AF-1430055809-1_0-m-26-hu.opus": (
        (-1.06, -2.37, -1.65, -3.88)
    ),
    "donateacry/6639C63C-F634-489C-91B3-E3DB5930EFD5-1431370257-1_1-m-04-hu.opus": (
        (-3.13, -1.21, -1.30, -6.55)
    ),
    "esc10/4-164021-A.opus": (-4.29, -6.37, -6.65, -5.04),
    "esc10/5-187979-A.opus": (-1.65, -7.07, -9.06, -6.99),
}
"""The same of recordings of `../shared/audio/dev`."""


@pytest.fixture(scope="module")
def tensors() -> Tensors:
    return tiny_mn()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory, tensors: Tensors) -> EfficientAT:
    path = tmp_path_factory.mktemp("weights") / "mn01_as.pt"
    write_checkpoint(path, tensors)
    return EfficientAT(path)


@pytest.fixture(scope="module")
def mn04(shared: Path) -> EfficientAT:
    return EfficientAT(shared / "teacher" / WEIGHTS)


def noise(seconds: float) -> np.ndarray:
    random = np.random.default_rng(4)
    return random.normal(0.0, 0.1, round(seconds * 16_000)).astype(np.float32)


def noise_recording(seconds: float) -> Recording:
    samples = noise(seconds)
    return Recording("", samples, log_mel(samples))


def patches(frames: int, count: int = 2) -> np.ndarray:
    return np.random.default_rng(1).normal(0.0, 0.7, (count, frames, 128)).astype(np.float32)


@pytest.mark.parametrize("frames", [96, 101])
def test_the_network_is_its_definition(tensors: Tensors, frames: int) -> None:
    batch = patches(frames)
    found = np.asarray(build_mn(tensors).predict_on_batch(batch))
    expected = [mn_reference.network(patch, tensors) for patch in batch]
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert np.ptp(expected) > 1.0, "weights that say nothing prove nothing"


@pytest.mark.shared
def test_mn04_is_its_definition(shared: Path, mn04: EfficientAT) -> None:
    tensors = read_tensors(shared / "teacher" / WEIGHTS)
    frames = MnMelStream().push(noise(1.2))[:96]
    np.testing.assert_allclose(
        mn04.logits([frames])[0], mn_reference.network(frames, tensors), atol=1e-3
    )


def test_patches_of_any_length_in_any_order(tiny: EfficientAT) -> None:
    lengths = [96, 120, 96, 300, 120] + [96] * 20
    audio = patches(300, count=len(lengths))
    mixed = [patch[:length] for patch, length in zip(audio, lengths, strict=True)]
    together = tiny.logits(mixed)
    assert together.shape == (len(lengths), 527)
    for patch, row in zip(mixed, together, strict=True):
        np.testing.assert_allclose(tiny.logits([patch])[0], row, atol=1e-4)
    assert tiny.logits([]).shape == (0, 527)


def test_a_window_has_the_seconds_up_to_its_end(tiny: EfficientAT) -> None:
    samples = noise(7.0)
    frames = MnMelStream().push(samples)
    found = tiny.causal_logits(samples, contexts=(1.0, 5.0), classes=(22, 23, 500))
    assert found.shape == (window_count(frame_count(len(samples))), 2, 3)
    for window in range(len(found)):
        end = 48 * (window // 2 * 2) + 96
        for column, context in enumerate((100, 500)):
            (expected,) = tiny.logits([frames[max(0, end - context) : end]])
            np.testing.assert_allclose(found[window, column], expected[[22, 23, 500]], atol=1e-4)


@pytest.mark.parametrize("size", [160, 7_680, 15_600, 30_001])
def test_a_stream_has_the_scores_of_the_whole(tiny: EfficientAT, size: int) -> None:
    samples = noise(9.0)
    stream = CausalEfficientAT(tiny, contexts=(2.0,))
    parts, heard = [], 0
    for start in range(0, len(samples), size):
        parts.append(stream.push(samples[start : start + size]))
        heard = min(len(samples), start + size)
        assert sum(map(len, parts)) == window_count(frame_count(heard)), "late or early"
    whole = tiny.causal_logits(samples, contexts=(2.0,))
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=2e-3)


def test_later_audio_changes_nothing(tiny: EfficientAT) -> None:
    samples = noise(6.0)
    changed = samples.copy()
    changed[3 * 16_000 :] = 0.0
    before, after = (tiny.causal_logits(each) for each in (samples, changed))
    known = window_count(frame_count(3 * 16_000))
    np.testing.assert_array_equal(before[:known], after[:known])
    assert abs(before[-1] - after[-1]).max() > 0.01


def test_recordings_together_have_the_scores_of_each(tiny: EfficientAT) -> None:
    teacher = CausalTeacher(tiny, (1.0, 3.0), (23,))
    recordings = [noise_recording(seconds) for seconds in (4.0, 0.5, 1.0, 9.3)]
    together = teacher.logits(recordings)
    for recording, rows in zip(recordings, together, strict=True):
        alone = tiny.causal_logits(recording.samples, (1.0, 3.0), (23,))
        np.testing.assert_allclose(rows, alone, atol=1e-3)
    assert teacher.logits([]) == []


def test_a_corpus_has_a_store_of_its_own_kind(tiny: EfficientAT, tmp_path: Path) -> None:
    clips = []
    for seconds in (2.0, 6.0):
        path = tmp_path / f"{seconds}.wav"
        soundfile.write(path, noise(seconds), 16_000, subtype="FLOAT")
        clips.append(Clip(path.name, path, Label.CRY, group=path.name))
    teacher = CausalTeacher(tiny, (1.0, 5.0), (22, 23))
    directory = tmp_path / "store"
    for batch in (clips[:1], clips):
        waiting = unscored(batch, directory, teacher.kind)
        assert score_corpus(waiting, teacher, directory, kind=teacher.kind).scored == 1
    assert unscored(clips, directory, teacher.kind) == []
    store = LogitStore(directory, causal_kind((1.0, 5.0), (22, 23)))
    assert store.identity == TeacherIdentity(tiny.name, tiny.fingerprint)
    expected = tiny.causal_logits(noise(6.0), (1.0, 5.0), (22, 23))
    np.testing.assert_allclose(store.logits("6.0.wav"), expected, atol=0.02)
    assert (directory / "frames.f16").stat().st_size == 0


def test_a_store_of_other_scores_is_refused(tiny: EfficientAT, tmp_path: Path) -> None:
    teacher = CausalTeacher(tiny, (1.0, 5.0), (23,))
    score_corpus([], teacher, tmp_path, kind=teacher.kind)
    for contexts, classes, message in (
        ((1.0, 3.0), (23,), r"holds scores with contexts \[1\.0, 5\.0\], not \[1\.0, 3\.0\]"),
        ((1.0, 5.0), (22,), r"holds scores with classes \[23\], not \[22\]"),
        ((5.0,), (23,), r"holds scores with score_shape \[2, 1\], not \[1, 1\]"),
    ):
        kind = causal_kind(contexts, classes)
        with pytest.raises(StoreError, match=message):
            LogitStore(tmp_path, kind)
        with pytest.raises(StoreError, match=message):
            score_corpus([], CausalTeacher(tiny, contexts, classes), tmp_path, kind=kind)
    with pytest.raises(StoreError, match=r"holds scores with score_shape \[2, 1\], not \[521\]"):
        ScoreStore(tmp_path)


def test_cries_heard_in_pieces(tiny: EfficientAT) -> None:
    samples = noise(12.5)
    hear, found = hear_cries(tiny), []
    for first, last in ((0, 3), (3, 4), (4, 11), (11, 24)):
        piece = samples[7_680 * first : 7_680 * (last - 1) + 15_600]
        scores = hear(Recording("", piece, log_mel(piece)))
        assert len(scores) == last - first
        found.append(scores)
    expected = 1 / (1 + np.exp(-tiny.causal_logits(samples)[:, 0, 0]))
    np.testing.assert_allclose(np.concatenate(found), expected[:24], atol=1e-3)
    assert np.ptp(expected) > 0.02, "scores all alike prove nothing"


def test_shorter_than_a_window(tiny: EfficientAT) -> None:
    assert tiny.causal_logits(noise(0.9)).shape == (0, 1, 1)
    assert tiny.causal_logits(noise(0.0)).shape == (0, 1, 1)


@pytest.mark.parametrize(
    ("contexts", "classes", "message"),
    [((0.5,), (23,), "at least 0.96"), ((5.0,), (527,), "0 to 526"), ((5.0,), (-1,), "0 to 526")],
)
def test_what_cannot_be_asked(
    tiny: EfficientAT, contexts: tuple[float], classes: tuple[int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        CausalEfficientAT(tiny, contexts, classes)


def test_the_width_is_in_the_tensors(tiny: EfficientAT, tmp_path: Path) -> None:
    assert tiny.name == "efficientat mn01 (unpinned)"
    write_checkpoint(tmp_path / "any_name.pt", tiny_mn(channels=16, hidden=640))
    assert EfficientAT(tmp_path / "any_name.pt").name == "efficientat mn05 (unpinned)"


@pytest.mark.shared
def test_identity(mn04: EfficientAT) -> None:
    assert mn04.name == "efficientat mn04"
    assert mn04.fingerprint.startswith("899a8c62")


def assert_hears(mn04: EfficientAT, samples: np.ndarray, expected: tuple[float, ...]) -> None:
    logits = mn04.causal_logits(samples, classes=(SPEECH, CRYING, BABY_CRY, CAT))[:, 0]
    np.testing.assert_allclose(logits[-1], expected, atol=0.1)


@pytest.mark.shared
@pytest.mark.parametrize("clip_id", NURSERY)
def test_what_mn04_hears_in_the_nursery(mn04: EfficientAT, clip_id: str) -> None:
    (clip,) = [clip for clip in compose(0) if clip.id == clip_id]
    assert_hears(mn04, render(clip).astype(np.float32) / 32_768, NURSERY[clip_id])


@pytest.mark.shared
@pytest.mark.parametrize("name", RECORDINGS)
def test_what_mn04_hears_in_recordings(mn04: EfficientAT, shared: Path, name: str) -> None:
    samples = read_audio(shared / "audio" / "dev" / name).samples
    assert_hears(mn04, samples, RECORDINGS[name])


@pytest.mark.parametrize("name", ["mn10_as_hop_5_mAP_475", "mn10_as_mels_64_mAP_461", "mn04_im"])
def test_a_variant_with_another_input(tmp_path: Path, tensors: Tensors, name: str) -> None:
    write_checkpoint(tmp_path / f"{name}.pt", tensors)
    with pytest.raises(TeacherError, match=f"{name}.pt: a variant"):
        EfficientAT(tmp_path / f"{name}.pt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("classifier.2.bias"), "has no tensor 'classifier.2.bias'"),
        (lambda t: t.pop("features.7.block.1.1.running_var"), "has no tensor 'features.7"),
        (lambda t: t.update(tiny_mn(classes=50)), "50 classes"),
        (lambda t: t.update({"features.3.block.1.0.weight": np.ones((7, 1, 3, 3))}), "shapes"),
        (lambda t: t.update({"features.3.block.1.0.weight": np.ones((7,))}), "shapes"),
        (lambda t: t.update({"classifier.5.weight": np.ones((527, 3))}), "shapes"),
    ],
)
def test_another_network(tmp_path: Path, tensors: Tensors, change, message: str) -> None:
    changed = dict(tensors)
    change(changed)
    write_checkpoint(tmp_path / "mn04_as.pt", changed)
    with pytest.raises(TeacherError, match=message) as caught:
        EfficientAT(tmp_path / "mn04_as.pt")
    assert "family mn01 to mn40" in str(caught.value)
    assert "\n" not in str(caught.value)
