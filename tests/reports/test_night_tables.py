import copy
import json
from pathlib import Path
from typing import Any

import pytest

from crydistill.errors import ConfigError
from crydistill.reports.night_tables import (
    add_night,
    answers,
    facts,
    night_presets,
    night_seeds,
    night_summary,
    night_table,
    read_night,
    sheets,
    summary_table,
)


def estimate(value: float | None, low: float | None = None, high: float | None = None) -> Any:
    return {"value": value, "low": low, "high": high}


def figures(threshold: float, false_alarms: int, caught: float) -> dict[str, Any]:
    return {
        "settings": {"threshold": threshold, "n": 5, "m": 9, "hold_seconds": 10.0},
        "hours": 2.0,
        "passes": 1,
        "false_alarms": false_alarms,
        "false_alarms_per_hour": estimate(false_alarms / 2, 0.1, 9.5),
        "false_alarms_per_night": estimate(4.0 * false_alarms, 0.8, 76.0),
        "episodes": 50,
        "caught": estimate(caught, 0.5, 0.9),
        "delay_s": {"median": 4.25, "p90": None},
        "time_in_alert": 0.0123,
        "if_windows_were_independent": {"false_alarms_per_hour": 7.5},
    }


def part(name: str, hours: float | None, false_alarms: int | None) -> dict[str, Any]:
    return {
        "name": name, "episodes": 10, "caught": 7, "hours": hours, "false_alarms": false_alarms,
    }  # fmt: skip


def record(*, private: bool = False, episodes: int = 10) -> dict[str, Any]:
    def model(kind: str, presets: dict[str, Any], sounds: dict[str, int]) -> dict[str, Any]:
        hindsight = [
            {"wanted_per_hour": wanted, **figures(0.3, 1, 0.8)}
            for wanted in (10.0, 1.0, 0.25, 0.125)
        ]
        return {
            "kind": kind,
            "sha256": "ab" * 32,
            "presets": presets,
            "votes": [{"n": 5, "m": 9, "in_hindsight": hindsight, "at_thresholds": []}],
            "shown": {
                "because": "preset balanced",
                "settings": {"n": 5, "m": 9},
                "false_alarms_by_sound": sounds,
                "by_snr": [part("10 to 20 dB", None, None)],
                "by_source": [part("esc", 1.5, 2)],
                "by_corpus": [part("audio", 1.0, 1), part("more", 0.5, 1)],
            },
        }

    return {
        "format": 2,
        "night": {
            "kind": "stream", "title": "t", "private": private, "hours": 2.0, "labelled": True,
            "episodes": episodes, "corpus": "audio (split dev)", "nights": 1, "seeds": [3],
            "corpora": ["audio (split dev)"], "sounds": 1234,
            "sound_hours": 1.5, "sounds_heard_again": 0, "crying_groups": 40,
        },
        "models": {
            "teacher": model("teacher", {}, {"Cat": 1}),
            "student INT8": model(
                "student INT8", {"balanced": figures(0.25, 2, 0.7)}, {"a|b": 5, "Cat": 2}
            ),
        },
        "pairs": [
            {
                "ours": "student INT8", "theirs": "teacher", "wanted_per_hour": 0.25,
                "our_share": estimate(0.5, 0.4, 0.6), "their_share": estimate(0.6, 0.5, 0.7),
                "difference": estimate(-0.1, -0.2, 0.05),
            }
        ],
        "provenance": {"git_commit": "0123456789abcdef-dirty", "kernels": "reference"},
    }  # fmt: skip


@pytest.fixture
def night(tmp_path: Path) -> Path:
    (tmp_path / "night").mkdir()
    (tmp_path / "night" / "night.json").write_text(json.dumps(record()))
    return tmp_path / "night"


def test_a_recorded_night_becomes_tables(night: Path, tmp_path: Path) -> None:
    assert add_night(night, tmp_path / "records", "dev") == tmp_path / "records" / "dev.json"
    text = night_table(read_night(tmp_path / "records" / "dev.json"))
    assert "2.00 h from audio (split dev), seed 3: 1,234 sounds (1.50 h), each once; 10" in text
    assert (
        "| student INT8 | preset balanced | 5 of 9 | 0.2500 | 2 | 1.00 [0.10, 9.50] | "
        "8.0 [0.8, 76.0] | 7.5 | 0.70 [0.50, 0.90] | 4.2 (–) | 1.23% |" in text
    )
    assert "| teacher | 1 per night, hindsight | 5 of 9 |" in text
    assert "10 per hour" not in text
    assert "| 10 to 20 dB | 7 of 10 | 7 of 10 |" in text
    assert "| a/b | 0 | 5 |\n| Cat | 1 | 2 |" in text
    assert "commit 0123456789-dirty" in text and "abababababab" in text
    assert "| esc (1.50 h) | 7 of 10; 2 false | 7 of 10; 2 false |" in text
    assert "| more (0.50 h) |" in text
    assert text.count("\n\n**") == 7


def test_a_recorded_night_tells_no_place_on_a_machine(night: Path, tmp_path: Path) -> None:
    made = {**record(), "clips": {"path": "/home/somebody/audio"}}
    (night / "night.json").write_text(json.dumps(made))
    kept = json.loads(add_night(night, tmp_path / "records", "dev").read_text())
    assert kept["clips"] == {"path": "audio"}


def test_networks_are_compared_at_equal_rates() -> None:
    many = record(episodes=300)
    (row,) = sheets(many)[1].rows
    assert list(row) == [
        "student INT8 against teacher", "1 in 4 hours", "0.50 [0.40, 0.60]", "0.60 [0.50, 0.70]",
        "-0.10 [-0.20, +0.05]",
    ]  # fmt: skip
    # Of a few episodes a difference says nothing.
    assert not any("Differences" in sheet.title for sheet in sheets(record(episodes=10)))


def test_the_whole_night_is_not_repeated_as_its_only_corpus() -> None:
    alone = record()
    for model in alone["models"].values():
        model["shown"]["by_corpus"] = model["shown"]["by_corpus"][:1]
    assert not any("by corpus" in sheet.title for sheet in sheets(alone))


def test_every_row_has_a_cell_for_every_column() -> None:
    for sheet in sheets(record()):
        assert all(len(row) == len(sheet.columns) for row in sheet.rows), sheet.title


def test_a_night_without_crying_has_no_table_of_catches() -> None:
    titles = [sheet.title for sheet in sheets(record(episodes=0))]
    assert not any("by votes" in title for title in titles)


def test_hindsight_is_of_the_first_vote_where_the_shown_one_was_not_judged() -> None:
    other = record()
    for model in other["models"].values():
        model["shown"]["settings"] = {"n": 2, "m": 3}
    rows = sheets(other)[0].rows
    assert [row[1] for row in rows if row[0] == "teacher"] == [
        "1 per hour, hindsight", "1 in 4 hours, hindsight", "1 per night, hindsight",
    ]  # fmt: skip


def test_too_little_audio_gives_counts_and_no_rates() -> None:
    short = record()
    short["models"]["student INT8"]["presets"]["balanced"] |= {"hours": 0.9, "episodes": 10}
    rows = [row for row in sheets(short)[0].rows if row[1] == "preset balanced"]
    assert rows[0][5:9] == ["too little to tell", "too little to tell", "7.5", "7 of 10"]
    cells = [list(column.cells)[5] for column in summary_table(short).columns]
    assert cells[:4] == ["preset balanced", "0.2500", "too little to tell", "7 of 10"]


def test_facts_say_what_is_no_evidence() -> None:
    reused = record()
    reused["night"]["sounds_heard_again"] = 17
    assert "17 of them repeats" in facts(reused)[0]
    several = record()
    several["night"] |= {"nights": 3, "seeds": [0, 1, 2], "episodes": 300}
    assert "3 nights of the same clips (2.00 h)" in facts(several)[0]
    assert (
        "seeds 0, 1, 2. Each: 1,234 sounds (1.50 h), each once; 100 episodes" in facts(several)[0]
    )
    recording = {"night": {"kind": "recording", "hours": 8.0, "labelled": False, "episodes": 0}}
    assert "every alert counts as false" in facts(recording)[0]


def test_the_terminal_shows_every_network() -> None:
    table = summary_table(record())
    first = list(table.columns[0].cells)
    assert first == [
        "teacher", "1 per hour, hindsight", "1 in 4 hours, hindsight", "1 per night, hindsight",
        "student INT8", "preset balanced", "1 per hour, hindsight", "1 in 4 hours, hindsight",
        "1 per night, hindsight",
    ]  # fmt: skip


def test_private_nights_are_not_recorded(night: Path, tmp_path: Path) -> None:
    (night / "night.json").write_text(json.dumps(record(private=True)))
    with pytest.raises(ConfigError, match="private"):
        add_night(night, tmp_path / "records", "dev")
    assert not (tmp_path / "records").exists()


def test_what_is_no_night_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"dev\.json: cannot be read"):
        read_night(tmp_path / "dev.json")
    (tmp_path / "dev.json").write_text("{}")
    with pytest.raises(ConfigError, match="not the JSON of a night"):
        read_night(tmp_path / "dev.json")
    (tmp_path / "dev.json").write_text(json.dumps(record() | {"format": 1}))
    with pytest.raises(ConfigError, match=r"dev\.json: format 1 of a night, not 2"):
        read_night(tmp_path / "dev.json")


def test_the_summary_says_each_settings_votes() -> None:
    made = record()
    (name, student), *_ = ((n, m) for n, m in made["models"].items() if m["presets"])
    preset = next(iter(student["presets"].values()))
    preset["settings"] = {**preset["settings"], "n": 2, "m": 3}
    rows = [line for line in night_summary(made).splitlines() if line.startswith(f"| {name} |")]
    assert " | 2 of 3 | " in rows[0] and " | 5 of 9 | " in rows[-1]


def test_each_network_is_summed_up_at_the_setting_that_is_shown() -> None:
    found = record()
    for model in found["models"].values():
        model["shown"]["settings"] = model["votes"][0]["in_hindsight"][0]["settings"]
    (teacher, student) = answers(found)
    assert (teacher.network, teacher.setting) == ("teacher", "preset balanced")
    assert teacher.told == (
        "1 false alarm, 0.50 [0.10, 9.50] an hour, episodes caught: 0.80 [0.50, 0.90], "
        "half of these within 4.2 s"
    )
    assert student.network == "student INT8"


def test_of_a_night_without_crying_only_alarms_are_told() -> None:
    silent = record(episodes=0)
    for model in silent["models"].values():
        model["shown"]["settings"] = model["votes"][0]["in_hindsight"][0]["settings"]
        for figures in model["votes"][0]["in_hindsight"]:
            figures["delay_s"] = {"median": None, "p90": None}
            figures["hours"] = 0.2
    assert answers(silent)[0].told == "1 false alarm, too little audio for a rate"


def test_what_the_columns_mean_is_said_on_the_page() -> None:
    settings = sheets(record())[0]
    assert "if independent, per hour" in settings.columns
    assert "If independent: the false alarms that" in settings.note


def test_the_shortest_table_is_of_presets_alone() -> None:
    assert night_presets(record()) == (
        "| preset | false alarms an hour | episodes caught | delay, s |\n"
        "| --- | ---: | ---: | ---: |\n"
        "| balanced | 1.0 [0.1, 9.5] | 0.70 [0.50, 0.90] | 4.2 |"
    )


def test_seeds_are_averaged_at_each_setting() -> None:
    night = record()
    other = copy.deepcopy(night["models"]["student INT8"])
    other["presets"]["balanced"] |= {"false_alarms_per_hour": estimate(3.0)}
    other["presets"]["balanced"] |= {"caught": estimate(0.9), "delay_s": {"median": None}}
    night["models"]["other seed INT8"] = other
    table = night_seeds(night)
    assert "| preset balanced | 2.0 [0.0, 14.7] | 0.80 [0.00, 2.07] | 0.70 to 0.90 | 4.2 |" in table
    assert "Means of 2 seeds" in table
    assert "5 of 9 votes" in table
    assert "teacher" not in table


def test_settings_that_one_seed_lacks_are_left_out() -> None:
    night = record()
    night["models"]["other seed INT8"] = night["models"]["student INT8"] | {"presets": {}}
    table = night_seeds(night)
    assert "preset" not in table
    assert "| 1 per hour, hindsight | 0.5 [0.5, 0.5] |" in table


def test_seeds_of_a_night_without_crying_caught_nothing() -> None:
    night = record(episodes=0)
    for model in night["models"].values():
        for each in [*model["presets"].values(), *model["votes"][0]["in_hindsight"]]:
            each |= {"caught": estimate(None), "delay_s": {"median": None}}
    assert "| preset balanced | 1.0 | – | – | – |" in night_seeds(night)


def test_a_night_of_teachers_has_no_seeds() -> None:
    night = record()
    del night["models"]["student INT8"]
    with pytest.raises(ConfigError, match="without students has no seeds"):
        night_seeds(night)
