"""The catalogue of students: costs, ranking metrics and presets.

A student is an experiment with one record per seed (`run_tables`). Two more records beside them
fill the columns that an evaluation does not measure:

- `profile-NAME.json`: output of `crydistill profile RUN --json` for one of the seeds;
- `night-NAME.json`: a night of one of the seeds, from `crydistill tables add`.

A figure without a record is a dash, and a note below the table says how to record it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from crydistill.device.cost_record import library_bytes
from crydistill.errors import ConfigError
from crydistill.evaluation.compare import METRICS
from crydistill.json_file import read_json
from crydistill.metrics.intervals import NOTHING
from crydistill.metrics.records import (
    Record,
    estimate_text,
    markdown_table,
    number_text,
)
from crydistill.reports.night_tables import facts, read_night
from crydistill.reports.run_tables import (
    COST_TITLES,
    SEEDS_EXPLAINED,
    metric_of,
    read_seeds,
    seeds_text,
)
from crydistill.roles import Role
from crydistill.student.manifest import MANIFEST_NAME, StudentManifest, load_manifest
from crydistill.student.packaged import packaged_student

RANKS = ("roc_auc", "average_precision", "recall_at_fpr_1pct", "recall_at_fpr_0.1pct")
"""Keys of `compare.METRICS` in the catalogue."""

_PROFILE_REMEDY = (
    "Save what `crydistill profile RUN --json` prints as `profile-NAME.json` beside the records."
)
_NIGHT_REMEDY = (
    "Run `crydistill night CORPUS --model RUN --out FOLDER`, then "
    "`crydistill tables add FOLDER night-NAME`."
)


@dataclass(frozen=True)
class SeedNight:
    """Results of one of a student's seeds on a night.

    seed : which
    facts : the night's content, in a sentence
    presets : metrics of each preset, by name
    """

    seed: int
    facts: str
    presets: Record


@dataclass(frozen=True)
class CatalogueEntry:
    """A student and its records.

    seeds : one record per seed; costs are the first seed's
    profile, night : of one of the seeds; None if not recorded
    """

    name: str
    seeds: Sequence[Record]
    profile: Record | None
    night: SeedNight | None

    @property
    def library_ram_bytes(self) -> int | None:
        """Arena and state (`struct crydistill`) of the C library, without the stack.

        None without a profile, or if the library has no kernel for some operator.
        """
        arena = self.profile["memory"]["library"] if self.profile else None
        _, _, listener = library_bytes()
        return None if arena is None else arena + listener

    def holds(self, sha256: str) -> bool:
        """Whether the `.tflite` with this hash is one of the seeds'."""
        return any(sha256 == _sha256(seed) for seed in self.seeds)


def models_table(names: Sequence[str], records: Path) -> str:
    """Tabulate the catalogue: `<!-- models: NAME NAME ... -->` of `reports.documents`.

    Raises
    ------
    ConfigError
        if there is no record of a name; if a profile or a night is of another student.
    """
    entries = [_read_entry(name, records) for name in names]
    packaged = load_manifest(packaged_student() / MANIFEST_NAME)
    nights = [entry.night for entry in entries if entry.night]
    presets = list(dict.fromkeys(preset for night in nights for preset in night.presets))
    columns = [
        "INT8 student", "seeds", *COST_TITLES.values(), "RAM of the C library, bytes",
        *(METRICS[key] for key in RANKS), *(f"preset {preset}" for preset in presets),
        "training data",
    ]  # fmt: skip
    rows = [_row(entry, presets, packaged) for entry in entries]
    parts = [markdown_table(columns, rows), _explained(entries), _missing(entries)]
    if any(entry.holds(packaged.tflite.sha256) for entry in entries):
        parts.append(_licences(packaged))
    return "\n\n".join(filter(None, parts))


def _read_entry(name: str, records: Path) -> CatalogueEntry:
    seeds = read_seeds(records, name)
    profile, night = records / f"profile-{name}.json", records / f"night-{name}.json"
    return CatalogueEntry(
        name,
        seeds,
        _profile(profile, seeds) if profile.is_file() else None,
        _seed_night(night, seeds) if night.is_file() else None,
    )


def _profile(path: Path, seeds: Sequence[Record]) -> Record:
    remedy = "save what `crydistill profile RUN --json` prints"
    profile = read_json(path, remedy)
    if "memory" not in profile:
        raise ConfigError(f"{path}: not the JSON of a profile; {remedy}")
    _seed_among(seeds, [profile["sha256"]], path)
    return profile


def _seed_night(path: Path, seeds: Sequence[Record]) -> SeedNight:
    night = read_night(path)
    models = {model["sha256"]: model for model in night["models"].values()}
    seed = _seed_among(seeds, models, path)
    presets: Record = models[_sha256(seed)]["presets"]
    return SeedNight(seed["provenance"]["config"]["seed"], " ".join(facts(night)), presets)


def _seed_among(seeds: Sequence[Record], sha256s: Collection[str], path: Path) -> Record:
    """Return the first seed that is one of the students recorded at `path`."""
    for seed in seeds:
        if _sha256(seed) in sha256s:
            return seed
    raise ConfigError(f"{path}: belongs to none of the recorded seeds; record it again")


def _sha256(seed: Record) -> str:
    sha256: str = seed["provenance"]["student"]["sha256"]
    return sha256


def _row(entry: CatalogueEntry, presets: Sequence[str], packaged: StudentManifest) -> list[str]:
    made = entry.seeds[0]["provenance"]
    costs = (
        made["student"]["size_bytes"],
        made.get("arena_bytes"),
        made.get("macs"),
        entry.library_ram_bytes,
    )
    ranks = [[metric_of(seed["models"][Role.INT8], key) for seed in entry.seeds] for key in RANKS]
    done = entry.night.presets if entry.night else {}
    return [
        f"{entry.name} (packaged)" if entry.holds(packaged.tflite.sha256) else entry.name,
        str(len(entry.seeds)),
        *(number_text(cost, "{:,}") for cost in costs),
        *(_two_lines(seeds_text(estimates)) for estimates in ranks),
        *(_preset_text(done.get(preset)) for preset in presets),
        _data_text(made["config"]),
    ]


def _two_lines(text: str) -> str:
    """Put an interval below its value, to keep a wide table narrow."""
    return text.replace(" [", "<br>[")


def _preset_text(figures: Record | None) -> str:
    if figures is None:
        return NOTHING
    alarms = estimate_text(figures["false_alarms_per_hour"], "{:.1f}")
    return f"{alarms} per hour<br>{estimate_text(figures['caught'], '{:.2f}')} caught"


def _data_text(config: Record) -> str:
    return ", ".join(dict.fromkeys(_source_text(corpus) for corpus in config["data"]["train"]))


def _source_text(corpus: Record) -> str:
    """Describe a corpus of a config, with the licences it selects."""
    if corpus["path"]:
        return f"recordings ({corpus['where'].get('licence_class', 'any')} licences)"
    # Left out of records where not given.
    if data_set := corpus.get("parquet") or corpus.get("webdataset"):
        return Path(data_set).name
    if corpus["nursery_seed"] is None and corpus["formulas_seed"] is None:
        return corpus["catalogue"] or "AudioSet"
    return "generated sounds"


def _explained(entries: Sequence[CatalogueEntry]) -> str:
    clips = entries[0].seeds[0]["clips"]
    nights = [
        f"Presets of {entry.name}: false alarms per hour and share of episodes caught, for seed "
        f"{entry.night.seed}, with 95 % confidence intervals. {entry.night.facts}"
        for entry in entries
        if entry.night
    ]
    ranks = (
        f"Ranking metrics on {clips['clips']:,} clips, {clips['cries']:,} of them cries; clip "
        f"score: mean over windows. {SEEDS_EXPLAINED} Arena: measured in TFLite Micro. RAM of the "
        "C library: arena and `struct crydistill`, without the stack."
    )
    return "\n\n".join([ranks, *nights])


def _missing(entries: Sequence[CatalogueEntry]) -> str:
    """List the students without a profile or a night, and how to record them."""
    without_profile = [entry.name for entry in entries if entry.profile is None]
    without_night = [entry.name for entry in entries if entry.night is None]
    parts = []
    if without_profile:
        parts.append(f"No profile of {', '.join(without_profile)}. {_PROFILE_REMEDY}")
    if without_night:
        parts.append(f"No night of {', '.join(without_night)}. {_NIGHT_REMEDY}")
    return f"{NOTHING}: not recorded. {' '.join(parts)}" if parts else ""


def _licences(packaged: StudentManifest) -> str:
    licences = sorted(packaged.training.licences.items(), key=lambda item: (-item[1], item[0]))
    table = markdown_table(["licence", "clips"], [[name, f"{clips:,}"] for name, clips in licences])
    return f"Training clips of the packaged student, `{packaged.name}`, by licence:\n\n{table}"
