from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crydistill.errors import ConfigError
from crydistill.experiment.load import load_config
from crydistill.experiment.schema import AugmentationConfig, CorpusConfig
from crydistill.run_directory import RunDirectory, fingerprint

MINIMAL = {"data": {"train": [{"path": "a", "where": {"split": "train"}}], "test": [{"path": "b"}]}}


def write(directory: Path, config: object) -> Path:
    path = directory / "mine.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def test_defaults_are_the_reference_recipe(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, MINIMAL))
    assert config.name == "mine"
    assert (config.selection.positive_above, config.selection.negative_below) == (0.30, 0.05)
    assert config.training.learning_rate.drop_epoch == 30
    assert config.student.architecture == "dscnn"


def test_the_packaged_default_loads() -> None:
    assert load_config(None).name == "nursery"


def test_overrides(tmp_path: Path) -> None:
    config = load_config(
        write(tmp_path, MINIMAL),
        ["training.epochs=5", "data.train.0.path=elsewhere", "teacher.path=t.h5", "seed=3",
         "data.train.0.where={split: dev}", "training.learning_rate.initial=0.01"],
    )  # fmt: skip
    assert config.training.epochs == 5
    assert config.data.train[0].path == Path("elsewhere")
    assert config.data.train[0].where == {"split": "dev"}
    assert config.teacher.path == Path("t.h5")
    assert config.seed == 3
    assert config.training.learning_rate.initial == 0.01


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("epochs", "write it as key=value"),
        ("=5", "write it as key=value"),
        ("training.epoch=5", "unknown key 'training.epoch'"),
        ("training.epochs=many", "training.epochs: Input should be a valid integer"),
        ("data.train.7.path=x", "not an index of that list of 1"),
        ("data.train.first.path=x", "not an index of that list of 1"),
        ("data.test.9=x", "not an index of that list of 1"),
        ("data.train.0.path.x=1", "a single value"),
        ("training.epochs=[1", "not valid YAML"),
        ("selection.negative_below=0.5", "negative_below is above positive_above"),
        ("data.train.0.nursery_seed=1", "give exactly one of path"),
        ("name=a/b", "name: 'a/b' cannot name a run's folder"),
        (f"name={101 * 'a'}", "at most 100 letters"),
        ("seed=4294967296", "seed: Input should be less than 4294967296"),
        ("name=..", "name: "),
        ("name=.", "name: "),
        ("data.train.².path=x", "not an index of that list of 1"),
        ("training.learning_rate.initial=.inf", "initial: Input should be a finite number"),
        ("stores=~nobody-of-this-name/x", "stores: whose home"),
        ("name=2026-11-31", "'2026-11-31' is no valid timestamp"),
        ("data.train=[{path: x, path: y}]", "the key 'path' is there twice"),
        ("stores=" + "[" * 3000, "not valid YAML (values are nested too deeply)"),
    ],
)
def test_bad_overrides_are_one_clear_line(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, MINIMAL), [override])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be a mapping"),
        ("- a\n- b", "must be a mapping"),
        ("data: [", "not valid YAML"),
        ("data: " + "[" * 5_000, "not valid YAML"),
        ("colour: red", "unknown key 'colour'"),
        ("data: {train: [], test: [{path: x}]}", "data.train: "),
        ("seed: 1\nstores: x\nseed: 2\n", "the key 'seed' is there twice"),
        ("data: {train: [{path: x, path: y}]}", "the key 'path' is there twice"),
        ("name: 2026-11-31", "'2026-11-31' is no valid timestamp"),
    ],
)
def test_bad_files_are_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert "bad.yaml" in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_a_mapping_merges_may_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "merged.yaml"
    path.write_text(
        "data:\n"
        "  train:\n"
        "    - &first {path: a, weight: 2.0}\n"
        "    - {<<: *first, path: b}\n"
        "  test: [{path: c}]\n"
    )
    train = load_config(path).data.train
    assert [(corpus.path, corpus.weight) for corpus in train] == [(Path("a"), 2), (Path("b"), 2)]


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    config = load_config(
        write(tmp_path, MINIMAL),
        ["data.train.0.path=~/mine", "teacher.also=[~/a.h5]", "stores=~/stores"],
    )
    assert config.data.train[0].path == tmp_path / "mine"
    assert config.teacher.also == [tmp_path / "a.h5"]
    assert config.stores == tmp_path / "stores"


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such config file"):
        load_config(tmp_path / "none.yaml")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=120), override=st.text(max_size=40))
def test_anything_gives_a_config_or_one_clear_line(
    tmp_path: Path, text: str, override: str
) -> None:
    path = tmp_path / "any.yaml"
    path.write_text(text, encoding="utf-8", errors="replace")
    for config, overrides in ((path, []), (write(tmp_path, MINIMAL), [override])):
        try:
            load_config(config, overrides)
        except ConfigError as error:
            assert str(error).strip()


def test_the_resolved_config_loads_again(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, MINIMAL), ["training.epochs=7"])
    run = RunDirectory(tmp_path / "run")
    run.start(config)
    assert load_config(run.config) == config


def test_stages_are_remembered_by_key(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    output = tmp_path / "output"
    assert not run.is_done("train", "key", [output])
    output.touch()
    run.mark_done("train", "key")
    run.mark_done("score", "other")
    assert run.is_done("train", "key", [output])
    assert not run.is_done("train", "another key", [output])
    output.unlink()
    assert not run.is_done("train", "key", [output])


def test_fingerprints_tell_sections_apart(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, MINIMAL))
    other = load_config(write(tmp_path, MINIMAL), ["training.epochs=7"])
    assert fingerprint(config.training) == fingerprint(config.training)
    assert fingerprint(config.training) != fingerprint(other.training)


def test_a_config_extends_others(tmp_path: Path) -> None:
    write(tmp_path, {**MINIMAL, "training": {"epochs": 9, "batch_size": 8}, "name": "base"})
    (tmp_path / "data.yaml").write_text("data: {test: [{path: c}, {path: d}]}\n")
    child = tmp_path / "child.yaml"
    child.write_text("extends: [mine.yaml, data.yaml]\nname: child\ntraining: {epochs: 3}\n")
    config = load_config(child)
    assert config.name == "child"
    assert (config.training.epochs, config.training.batch_size) == (3, 8)
    assert [str(corpus.path) for corpus in config.data.test] == ["c", "d"]
    assert [str(corpus.path) for corpus in config.data.train] == ["a"]


@pytest.mark.parametrize(
    ("extends", "message"),
    [
        ("child.yaml", "in a circle"),
        ("none.yaml", "none.yaml: no such config file, which .*child.yaml extends"),
        ("[1]", "must name a config"),
    ],
)
def test_bad_extends(tmp_path: Path, extends: str, message: str) -> None:
    child = tmp_path / "child.yaml"
    child.write_text(f"extends: {extends}\n")
    with pytest.raises(ConfigError, match=message):
        load_config(child)


def test_rivals_need_an_output_of_the_students_own(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL)
    with pytest.raises(ConfigError, match=r"rival_floor needs student\.outputs"):
        load_config(path, ["training.rival_floor=0.1"])
    outputs = "student.outputs={cry: [/t/dd00002]}"
    assert load_config(path, ["training.rival_floor=0.1", outputs]).training.rival_floor == 0.1


def test_mixup_needs_probabilities_to_mix(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL)
    with pytest.raises(ConfigError, match=r"mixup needs student\.outputs"):
        load_config(path, ["training.mixup=0.3"])
    outputs = "student.outputs={cry: [/t/dd00002]}"
    assert load_config(path, ["training.mixup=0.3", outputs]).training.mixup == 0.3


def test_recorded_scores_are_of_one_teacher(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL)
    with pytest.raises(ConfigError, match=r"teacher\.also averages networks"):
        load_config(path, ["teacher={recorded: true, also: [b.tflite]}"])
    two = load_config(path, ["teacher={path: a.h5, also: [b.tflite]}"]).teacher
    assert two.also == [Path("b.tflite")]


def test_private_captures_only_train(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL)
    assert load_config(path, ["data.train=[{path: a}, {captures: true, weight: 0.5}]"])
    for override in (
        "data.test=[{captures: true}]",
        "data.validation.corpora=[{captures: true}]",
        "data.train=[{captures: true}]",
    ):
        with pytest.raises(ConfigError, match="captures"):
            load_config(path, [override])


def test_kinds_of_formulas_are_sources_of_their_own() -> None:
    kinds = ("sounds", "voices", "scenes", "soundalikes")
    corpora = [
        CorpusConfig.model_validate({"formulas_seed": 3, "formulas_kind": kind}) for kind in kinds
    ]
    assert len({corpus.source for corpus in corpora}) == len(kinds)
    assert len({corpus.store_name for corpus in corpora}) == len(kinds)


def test_a_recorder_is_dumped_only_where_one_is_asked_for() -> None:
    """The keys of the score stores are hashes of the dump: former ones stay valid."""
    assert "recorder" not in AugmentationConfig().model_dump(mode="json")
    assert AugmentationConfig(recorder=0.3).model_dump(mode="json")["recorder"] == 0.3


CONFIGS = Path(__file__).parents[1] / "configs"


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_our_own_configs_are_valid(path: Path) -> None:
    assert load_config(path).data.train


def test_a_renamed_key_says_its_new_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"the key 'training\.aware' is now 'training\.qat'"):
        load_config(None, ["training.aware={epochs: 1}"])


def test_stage_keys_do_not_depend_on_the_new_name_of_qat() -> None:
    """The hash of the training section as 0.1 computed it, of the packaged configuration."""
    training = load_config(None).training
    former = training.model_dump(mode="json")
    former["aware"] = former.pop("qat")
    assert fingerprint(training) == fingerprint(former)


def test_a_config_that_declares_nothing_keeps_its_hash() -> None:
    plain = CorpusConfig(path=Path("tapes"))
    assert not {"licence", "private"} & plain.model_dump(mode="json").keys()
    declared = CorpusConfig(path=Path("tapes"), licence="MIT", private=False)
    stated = declared.model_dump(mode="json")
    assert (stated["licence"], stated["private"]) == ("MIT", False)
    assert fingerprint(plain) != fingerprint(declared)


def test_a_declaration_is_of_its_recordings_only(tmp_path: Path) -> None:
    data = {
        "train": [{"path": "a", "licence": "MIT", "private": False}],
        "test": [{"path": "b", "private": False}],
    }
    file = write(tmp_path, {"data": data})
    kept = load_config(file, ["data.train.0.weight=2"]).data.train[0]
    assert (kept.licence, kept.private) == ("MIT", False)
    mine = load_config(file, ["data.train.0.path=mine", "data.test.0.path=held-out"]).data
    assert (mine.train[0].path, mine.train[0].licence, mine.train[0].private) == (
        Path("mine"), "", None,
    )  # fmt: skip
    assert mine.test[0].private is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"train": [{"nursery_seed": 0, "private": False}]}, "declare the recordings of path"),
        ({"train": [{"captures": True, "licence": "MIT"}]}, "declare the recordings of path"),
        (
            {"train": [{"path": "a"}], "test": [{"path": "b", "private": True}]},
            "b is private: use them for training",
        ),
        ({"train": [{"path": "a", "private": True}]}, "only private clips in train"),
    ],
)
def test_declarations_that_do_not_hold(
    tmp_path: Path, data: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(write(tmp_path, {"data": {"test": [{"path": "t"}], **data}}))


def test_a_description_is_not_inherited(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(yaml.safe_dump({**MINIMAL, "description": "all open"}))
    (tmp_path / "mine.yaml").write_text("extends: base.yaml\nseed: 3\n")
    assert load_config(tmp_path / "base.yaml").description == "all open"
    assert load_config(tmp_path / "mine.yaml").description == ""


def test_only_a_manifest_has_rows_to_leave_out(tmp_path: Path) -> None:
    corpus = {"nursery_seed": 1, "without": {"split": "test"}}
    path = write(tmp_path, {"data": {"train": [corpus], "test": [{"path": "dev"}]}})
    with pytest.raises(
        ConfigError, match="without leaves out rows of the manifest at `path`, of no other source"
    ):
        load_config(path)


def test_a_corpus_without_anything_left_out_keeps_its_key() -> None:
    assert "without" not in CorpusConfig(path=Path("a")).model_dump()
    assert "without" in CorpusConfig(path=Path("a"), without={"split": "b"}).model_dump()


def test_a_cell_of_a_manifest_may_be_a_whole_number() -> None:
    where = {"fold": 3, "take": [1, "2b"]}
    assert CorpusConfig(path="x", where=where).where == {"fold": "3", "take": ["1", "2b"]}


@pytest.mark.parametrize("value", [1.5, True, None, {"a": "b"}])
def test_a_cell_that_yaml_has_rewritten_wants_quotes(value: object) -> None:
    with pytest.raises(ValueError, match="is no text; put it into quotes"):
        CorpusConfig(path="x", where={"fold": value})
