"""The model card: every figure from the run, no required statement omitted."""

from dataclasses import replace
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard
from tests.publish.runs import COMMIT, FIGURES, LICENCES, public_manifest, public_metrics

from crydistill.errors import CheckFailed
from crydistill.publish.bundle import NOTES
from crydistill.publish.card import CardSources, check_card, make_card, require_complete, undeclared
from crydistill.student.manifest import StudentManifest, TrainingData


def sources(manifest: StudentManifest | None = None, **changes: Any) -> CardSources:
    manifest = manifest or public_manifest()
    fields = {"metrics": public_metrics(manifest), "licence": "mit", "files": NOTES}
    return CardSources(manifest, **(fields | changes))


def test_card_says_what_it_must() -> None:
    card = make_card(sources())
    text = " ".join(card.text.split())
    for words in (
        "not a medical device and not a safety device",
        "does not replace a person who watches over a child",
        "crydistill calibrate",
        "| roc".replace("roc", "ROC AUC | 0.912 | 0.851 to 0.963"),
        "Average precision | 0.811 | 0.702 to 0.903",
        "Recall at a false-positive rate of 0.1 % | 0.100 | too few clips",
        "87.5% | 1.25",
        "made-up nights, 3 h",
        "99 clips, 24 of them with a cry, of 44 separate",
        "| CC BY 4.0 | 30 |",
        "| CC0 / public domain | 12 |",
        "cat (2 of 8 clips)",
        "25% (0.100 to 0.400) of 16 wide-band cries and 2 of 8 narrow-band cries",
        "teacher has a ROC AUC of 0.962",
        COMMIT,
        "audio (split dev)",
    ):
        assert words in text
    assert "$" not in text
    assert "0.778" not in text, "a figure chosen in hindsight is shown"
    assert sum(LICENCES.values()) == 42


def test_card_names_no_folder_of_the_maker() -> None:
    assert "secret-place" not in str(make_card(sources()))


@pytest.mark.parametrize("kind", ["path", "audioset", "parquet", "webdataset"])
def test_card_names_test_data_of_every_kind(kind: str) -> None:
    metrics = public_metrics(public_manifest())
    metrics["provenance"]["config"]["data"]["test"] = [{"path": None, kind: "somewhere/held-out"}]
    assert "Measured with the int8 model on held-out:" in make_card(sources(metrics=metrics)).text


def test_model_index_reads_back_with_intervals() -> None:
    card = ModelCard(str(make_card(sources())))
    assert card.data.license == "mit"
    assert card.data.model_name == "crydistill testling"
    results = {result.metric_name: result for result in card.data.eval_results or ()}
    value, low, high = FIGURES["roc_auc"]
    assert results["ROC AUC"].metric_value == value
    assert results["ROC AUC"].metric_args["interval"] == [low, high]
    assert results["ROC AUC"].dataset_name == "audio (split dev)"
    assert results["ROC AUC"].task_type == "audio-classification"


def test_metadata_is_plain_yaml() -> None:
    _, metadata, _ = str(make_card(sources())).split("---\n", 2)
    index = yaml.safe_load(metadata)["model-index"]
    assert len(index[0]["results"][0]["metrics"]) == len(FIGURES) - 1


def test_a_sigmoid_student_with_named_outputs() -> None:
    base = public_manifest()
    manifest = base.model_copy(
        update={
            "activation": "sigmoid",
            "outputs": ("cry", "speech", "cat"),
            "cry_outputs": (0,),
            "output": base.output.model_copy(update={"shape": (1, 3)}),
        }
    )
    text = make_card(sources(manifest)).text
    assert "3 int8 logits (cry, speech, cat); sigmoid; cry score: sum of outputs 0" in text


def test_a_draft_says_so() -> None:
    assert "**Draft.**" in make_card(sources(draft=True)).text
    assert "**Draft.**" not in make_card(sources()).text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"presets": {}}, "student.json: presets"),
        (
            {"training": TrainingData(summary="x", licences={}, private=False)},
            r"training\.licences",
        ),
        ({"arena": None}, "student.json: arena"),
    ],
)
def test_a_manifest_with_gaps_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckFailed, match=message):
        make_card(sources(public_manifest(**changes)))


def test_presets_that_were_not_measured_are_refused() -> None:
    manifest = public_manifest()
    bare = manifest.presets["balanced"].model_copy(update={"recall": None, "measured_on": None})
    with pytest.raises(CheckFailed, match=r"presets\.balanced\.recall.*measured_on"):
        require_complete(sources(public_manifest(presets={"balanced": bare})))


@pytest.mark.parametrize("missing", ["models", "clips", "intervals"])
def test_figures_with_gaps_are_refused(missing: str) -> None:
    metrics = public_metrics(public_manifest())
    del metrics[missing]
    with pytest.raises(CheckFailed, match=rf"metrics\.json: {missing}"):
        require_complete(sources(metrics=metrics))


def test_a_figure_without_interval_is_refused() -> None:
    metrics = public_metrics(public_manifest())
    figures = metrics["models"]["student INT8"]["clip_scores"]["mean"]["metrics"]
    figures["roc_auc"]["low"] = None
    with pytest.raises(CheckFailed, match=r"metrics\.json: roc_auc"):
        require_complete(sources(metrics=metrics))


def test_a_card_without_licence_is_refused() -> None:
    with pytest.raises(CheckFailed, match="licence"):
        make_card(sources(licence=""))


def test_a_card_edited_by_hand_is_checked() -> None:
    text = str(make_card(sources()))
    check_card(text.replace("# crydistill testling", "# Our listener"))
    with pytest.raises(CheckFailed, match="license"):
        check_card(text.replace("license: mit\n", ""))
    with pytest.raises(CheckFailed, match="safety device"):
        check_card(text.replace("safety", "lovely"))
    with pytest.raises(CheckFailed, match="metadata"):
        check_card(text.replace("license: mit", "license: [mit"))


FOLDER = TrainingData(
    summary="tapes: 42 clips", licences={"not stated": 42}, private=False, undeclared={"tapes": 42}
)


def test_a_card_says_what_nobody_has_declared() -> None:
    made = sources(public_manifest(training=FOLDER))
    text = " ".join(make_card(made).text.split())
    assert "> **Undeclared recordings.**" in text
    assert (
        "**not known**. Nobody has stated licence and privacy of 42 training clips of tapes."
        in text
    )
    assert "none are in the training data" not in text
    declared = " ".join(make_card(replace(made, declared="CC BY 4.0")).text.split())
    assert "Undeclared" not in declared
    assert "declares that none of them is private, and their licence: CC BY 4.0." in declared
    public = " ".join(make_card(sources()).text.split())
    assert "none are in the training data, by what the sources of all its clips state." in public


def test_undeclared_test_clips_count_too() -> None:
    metrics = public_metrics(public_manifest())
    metrics["clips"]["undeclared"] = 9
    assert undeclared(public_manifest(), metrics) == "9 clips of the test data"
    assert "of 9 clips of the test data" in make_card(sources(metrics=metrics)).text


def test_figures_of_too_little_audio_are_not_shown() -> None:
    metrics = public_metrics(public_manifest())
    metrics["clips"] |= {"cries": 7, "cry_groups": 3, "groups": 12}
    figures = metrics["models"]["student INT8"]["clip_scores"]["mean"]["metrics"]
    figures["roc_auc"] |= {"value": 1.0, "low": None, "high": None}
    few = (
        public_manifest()
        .presets["balanced"]
        .model_copy(
            update={
                "recall": None,
                "false_alarms_per_hour": None,
                "measured_on": "nights; too little to tell (0.04 h)",
                "caution": "chosen on too little audio",
            }
        )
    )
    card = make_card(sources(public_manifest(presets={"balanced": few}), metrics=metrics))
    text = " ".join(card.text.split())
    assert (
        "**too little to tell** (7 cries of 3 groups where 20 of 10 are needed; 9 groups without"
        in text
    )
    assert "| balanced | 0.2 | 5 of 9 | 10 s | too little to tell | too little to tell |" in text
    assert "The thresholds were chosen on too little audio: calibrate." in text
    assert "ROC AUC" not in text
    assert "At a false-positive rate" not in text
    assert not card.data.eval_results
