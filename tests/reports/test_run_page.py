"""The report is self-contained, escaped and consistent with the evaluation."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from tests.evaluation.made_up import clip, noisy_model, nursery_clips

from crydistill.corpora.clip import Label
from crydistill.evaluation.clips import EvaluatedClips
from crydistill.evaluation.compare import Evaluation, choose_thresholds, evaluate
from crydistill.metrics.ranking import ClipScore
from crydistill.reports import run_page as report
from crydistill.reports.run_page import WorstMistake, write_report
from crydistill.student.manifest import TrainingData

EVIL = "<script>alert('x')</script>\"$title"
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """Collects tags in order of opening and attributes, and checks that tags are balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    clips = nursery_clips()
    models = [
        noisy_model("teacher", clips, noise=0.15),
        noisy_model("float", clips, noise=0.15, seed=3),
        noisy_model("int8", clips, noise=0.4, seed=1),
    ]
    return evaluate(
        clips, models, thresholds=choose_thresholds(clips, models), replicates=100, seed=8
    )


def mistake(clip_id: str, label: Label, model: str = "int8") -> WorstMistake:
    rng = np.random.default_rng(len(clip_id))
    tracks = rng.uniform(size=(2, 5))
    return WorstMistake(
        clip_id, label, 0.456, rng.normal(size=(300, 64)), tracks[0], tracks[1], model
    )


@pytest.fixture(scope="module")
def html(evaluation: Evaluation, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(
        path,
        title="A run",
        evaluation=evaluation,
        history=[
            {"epoch": 1, "learning_rate": 1e-3, "loss": 3.0},
            {"epoch": 2, "learning_rate": 1e-4, "loss": 2.0, "val_loss": 2.5, "val_auc": 0.9},
        ],
        provenance={"commit": "abc123", "config": {"seed": 3, "layers": [8, 16]}, "note": None},
        worst=[mistake("clip 0", Label.CRY), mistake("clip 30", Label.NONCRY)],
        limits=["The teacher is a stand-in."],
    )
    return path.read_text(encoding="utf-8")


def test_the_page_says_what_the_evaluation_says(html: str, evaluation: Evaluation) -> None:
    text = Page(html).text
    judged = evaluation.models["int8"].by_score[ClipScore.MEAN]
    recall = judged.metrics["recall_at_fpr_1pct"]
    assert f"int8 finds {recall.value:.1%} of the cries" in text
    assert (
        "tells cries from other sounds worse than teacher, and most likely would on other" in text
    )
    assert f"{recall.value:.3f} [{recall.low:.3f}, {recall.high:.3f}]" in text
    beside = text.partition("By the mean of the 4 highest windows")[2].partition("Curves")[0]
    for model in ("teacher", "float", "int8"):
        for key in ("roc_auc", "recall_at_fpr_0.1pct"):
            loudest = evaluation.models[model].by_score[ClipScore.TOP4].metrics[key]
            assert str(loudest).partition(" ")[0] in beside
    assert "80 clips, 20 of them cries, from 40 groups" in text
    assert "100 bootstrap resamples (seed 8)" in text
    assert "There are 60 non-cries: FPR 1 % allows 0 of them" in text
    assert "The teacher is a stand-in." in text
    assert "config.layers [8, 16]" in text
    assert "val_auc" in text
    for heading in ("Curves", "Where it fails", "Worst mistakes", "Training", "Provenance"):
        assert heading in text


def test_clips_that_do_not_tell_models_apart_are_said_to(html: str) -> None:
    sentence = Page(html).text.partition("float finds")[2].partition("int8 finds")[0]
    assert "cannot be said from these clips (difference in ROC AUC: " in sentence
    assert "significant" not in Page(html).text


def test_the_page_needs_nothing_else(html: str) -> None:
    links = [value or "" for name, value in Page(html).attributes if name.endswith(("src", "href"))]
    assert links
    assert all(link.startswith(("#", "data:")) for link in links)
    assert not re.search(r"""(src|href)\s*=\s*["']?\s*(https?:)?//""", html)
    assert not re.search(r"url\(\s*[^#)]|@import", html)
    assert "script" not in Page(html).tags
    assert len(html.encode()) < 3_000_000


def test_ids_are_referred_to_and_colours_are_defined(html: str) -> None:
    ids = [value for name, value in Page(html).attributes if name == "id"]
    assert len(set(ids)) == len(ids)
    for used in re.findall(r'(?:url\(#|href="#)([^)"]+)', html):
        assert used in ids
    for variable in set(re.findall(r"var\((--\w+)\)", html)):
        # Light and dark.
        assert html.count(f"{variable}: #") == 2


def test_text_from_data_is_escaped(tmp_path: Path) -> None:
    listed = [
        clip(n, cry=n < 20, category=f"{EVIL} category {n % 2}", source=f"{EVIL} source")
        for n in range(30)
    ]
    clips = EvaluatedClips.from_clips(listed)
    clips = EvaluatedClips(
        [f"{EVIL} {name}" for name in clips.ids],
        clips.labels,
        clips.groups,
        clips.categories,
        clips.sources,
        clips.native_rates,
    )
    teacher, student = f"{EVIL} teacher", f"{EVIL} student"
    models = [noisy_model(name, clips, noise=0.3) for name in (teacher, student)]
    write_report(
        tmp_path / "report.html",
        title=f"{EVIL} report",
        evaluation=evaluate(clips, models, reference=teacher, replicates=20),
        history=[{"epoch": 1, f"{EVIL}_loss": 1.0, f"val_{EVIL}": 2.0}],
        provenance={f"{EVIL} key": f"{EVIL} value", "list": [EVIL]},
        worst=[mistake(f"{EVIL} clip 1", Label.CRY, student)],
        limits=[f"{EVIL} limit"],
        training=TrainingData(summary=f"{EVIL} data", licences={f"{EVIL} MIT": 1}, private=False),
    )
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(html)
    assert "<script" not in html
    assert "script" not in page.tags
    for what in (
        "category 1",
        "source",
        "clip 1",
        "student",
        "key",
        "value",
        "limit",
        "data",
        "MIT",
    ):
        assert f"{EVIL} {what}" in page.text
    assert f"{EVIL}_loss" in page.text


def test_a_private_evaluation_is_marked(tmp_path: Path) -> None:
    clips = EvaluatedClips.from_clips([clip(n, cry=n < 3, private=True) for n in range(9)])
    evaluation = evaluate(clips, [noisy_model("teacher", clips, noise=0.1)], replicates=10)
    write_report(tmp_path / "report.html", title="Home", evaluation=evaluation)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "nothing may be published" in html
    assert "listen.html" not in html


def test_the_page_that_listens_is_linked_where_it_is_there(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    (tmp_path / "listen.html").touch()
    write_report(tmp_path / "report.html", title="A run", evaluation=evaluation)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert 'href="listen.html"' in html


@pytest.mark.parametrize(("negatives", "allowed"), [(0, 0), (99, 0), (100, 1), (2071, 20)])
def test_the_number_of_allowed_false_positives(negatives: int, allowed: int) -> None:
    assert report._allowed(negatives, 0.01) == allowed


def test_a_public_evaluation_is_not(html: str) -> None:
    assert "nothing may be published" not in html


RATE = re.compile(r"\d\.\d{2,3} \[|\d+\.\d ?%")
"""A rate with an interval, or in tenths of a percent."""


@pytest.mark.parametrize(
    ("cries", "others", "why"),
    [
        (
            0,
            9,
            "0 cries of 0 groups where 20 of 10 are needed; 9 groups without a cry where 10",
        ),
        (19, 40, "19 cries of 19 groups where 20 of 10 are needed"),
        (40, 9, "9 groups without a cry where 10 are needed"),
    ],
)
def test_too_few_clips_make_a_report_without_rates(
    tmp_path: Path, cries: int, others: int, why: str
) -> None:
    listed = [clip(n, cry=n < cries, category="fan") for n in range(cries + others)]
    clips = EvaluatedClips.from_clips(listed)
    models = [noisy_model(name, clips, noise=0.2) for name in ("teacher", "student")]
    worst = [mistake(f"clip {cries}", Label.NONCRY, "student")]
    evaluation = evaluate(clips, models, replicates=10)
    write_report(tmp_path / "report.html", title="Fans", evaluation=evaluation, worst=worst)
    text = Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert f"Too little to tell : {why}" in text
    assert not RATE.search(text.partition("Fans")[2].rpartition("}")[2])
    for heading in ("Scores", "Worst mistakes", "Limits"):
        assert heading in text
    for heading in ("Curves", "Where it fails", "All metrics"):
        assert heading not in text


def test_few_clips_of_a_kind_are_counted(html: str) -> None:
    assert not RATE.fullmatch("2 of 7")
    few = nursery_clips(cries=40, others=12)
    models = [noisy_model(name, few, noise=0.4) for name in ("teacher", "student")]
    clips = EvaluatedClips(
        few.ids, few.labels, [f"{n}" for n in range(52)], few.categories, few.sources,
        few.native_rates,
    )  # fmt: skip
    section = report.slices(evaluate(clips, models, replicates=10), ClipScore.MEAN)
    cats = section.partition(">cat<")[2].partition("</tr>")[0]
    assert re.search(r">\d of 3</td>", cats)
    assert "[" not in cats


def test_it_says_what_the_student_was_trained_on(evaluation: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    training = TrainingData(
        summary="tapes: 12 clips", licences={"MIT": 5, "not stated": 7}, private=False,
        undeclared={"tapes": 7},
    )  # fmt: skip
    write_report(path, title="A", evaluation=evaluation, training=training)
    text = Page(path.read_text(encoding="utf-8")).text
    assert "Trained on tapes: 12 clips. Licences, by clips: MIT (5), not stated (7)." in text
    assert "Nobody has declared licence and privacy of some of these clips: tapes (7)." in text
    declared = training.model_copy(update={"undeclared": {}, "licences": {"MIT": 12}})
    write_report(path, title="A", evaluation=evaluation, training=declared)
    assert "Nobody has declared" not in path.read_text(encoding="utf-8")
