"""Figures for the page, and picture files."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.evaluation.made_up import noisy_model, nursery_clips

from crydistill.evaluation.compare import Evaluation, evaluate
from crydistill.metrics.ranking import ClipScore
from crydistill.reports import figures


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    clips = nursery_clips()
    models = [
        noisy_model("teacher", clips, noise=0.2),
        noisy_model("_student $x_1$", clips, noise=0.3, seed=1),
    ]
    return evaluate(clips, models, replicates=20)


def assert_fit_for_the_page(svg: str) -> None:
    root = ET.fromstring(svg)
    assert root.tag.endswith("svg")
    assert root.get("role") == "img"
    # Every colour but black clip paths and white masks follows the page.
    colours = set(re.findall(r"#[0-9a-f]{6}\b", svg))
    assert not colours & set(figures._VARIABLES)
    assert "var(--ink)" in svg
    assert "var(--model0)" in svg or "var(--model1)" in svg
    assert "mathdefault" not in svg


def test_curves_follow_the_page(evaluation: Evaluation) -> None:
    curves = figures.curves_of(evaluation, ClipScore.MEAN)
    assert list(curves) == ["teacher", "_student $x_1$"]
    for draw in (figures.roc_svg, figures.precision_recall_svg, figures.det_svg):
        svg = draw(curves)
        assert_fit_for_the_page(svg)
        assert svg == draw(curves)


def test_histogram_follows_the_page(evaluation: Evaluation) -> None:
    scores = evaluation.models["teacher"].by_score[ClipScore.MEAN].clip_scores
    labels = evaluation.clips.labels
    assert_fit_for_the_page(figures.histogram_svg(scores, labels, model=1, threshold=0.5, top=1.0))
    # One class alone, no threshold.
    assert_fit_for_the_page(
        figures.histogram_svg(scores, np.zeros_like(labels), model=0, threshold=None, top=1.0)
    )


def test_training_curves_skip_epochs_without_a_value() -> None:
    history = [{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0, "val_loss<": 1.5}]
    svg = figures.epochs_svg(history, ["loss", "val_loss<"])
    ET.fromstring(svg)
    assert "val_loss&lt;" in svg


def test_a_long_mistake_stays_small() -> None:
    rng = np.random.default_rng(0)
    frames = rng.normal(size=(6_500, 64)).astype(np.float16)
    track = rng.uniform(0, 1.4, size=134)
    svg = figures.mistake_svg(frames, track, track / 2, model=1)
    assert_fit_for_the_page(svg)
    assert "data:image/png;base64" in svg
    assert len(svg) < 150_000


def test_shrinking_a_spectrogram_averages_frames() -> None:
    frames = np.arange(2_100, dtype=np.float64)[:, None] * np.ones(64)
    shrunk = figures._shrunk(frames)
    assert shrunk.shape == (420, 64)
    assert shrunk[:2, 0].tolist() == [2.0, 7.0]
    assert figures._shrunk(frames[:499]).shape == (499, 64)


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_summary_figure(evaluation: Evaluation, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"summary{suffix}"
    figures.summary_figure(evaluation, path)
    if suffix == ".svg":
        assert "_student $x_1$: ROC AUC" in path.read_text(encoding="utf-8")
    else:
        with Image.open(path) as picture:
            assert picture.width > 1_000
            assert len(picture.convert("RGB").getcolors(1_000_000) or []) > 50
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
