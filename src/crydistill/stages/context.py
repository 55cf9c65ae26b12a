"""The context shared by all stages: config, run directory, clips and score stores."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from crydistill.audio.variation import Variation
from crydistill.boundary import require_outside_work_tree
from crydistill.corpora.clip import Clip, Label
from crydistill.corpora.folder import LAYOUT
from crydistill.corpora.split import hold_out_groups
from crydistill.download import sha256_of
from crydistill.errors import ConfigError, CorpusError
from crydistill.experiment.schema import CorpusConfig, ExperimentConfig
from crydistill.progress import Progress, silent
from crydistill.run_directory import RunDirectory, fingerprint
from crydistill.selection.pool import WindowPool, window_pool
from crydistill.settings import cache_dir, private_dir
from crydistill.stages.sources import Say, list_clips
from crydistill.teacher.ensemble import joint_fingerprint
from crydistill.teacher.fetch import teacher_path as official_teacher
from crydistill.teacher.scores import Kind, ScoreStore, corpus_fingerprint, window_scores
from crydistill.teacher.work import TeacherFiles, Varied, recomputing

_Shared = TypeVar("_Shared")

Part = tuple[CorpusConfig, list[Clip]]
"""A corpus and those of its clips that are in a split."""

_FOLDERS = 1 << 12
"""Folders whose place on the disk is remembered while clips are compared."""


@dataclass(frozen=True)
class Splits:
    """The clips of an experiment by split. No group is in two splits."""

    train: list[Part]
    validation: list[Part]
    test: list[Part]


@dataclass(frozen=True)
class Context:
    """An experiment's configuration and run directory, and how to report to the user.

    left_out : what the stages that ran in this process had to do without
    """

    config: ExperimentConfig
    run: RunDirectory
    progress: Progress = silent
    say: Say = lambda line: None
    left_out: list[str] = field(default_factory=list)

    def leave_out(self, line: str) -> None:
        """Report a clip that a stage has to do without, and remember it for the exit code."""
        self.left_out.append(line)
        self.say(line)

    @cached_property
    def _shared(self) -> dict[str, Any]:
        return {}

    def share(self, name: str, make: Callable[[], _Shared]) -> _Shared:
        """What the stages of this process have in common under a name.

        Parameters
        ----------
        make : makes it for the first that asks; what it raises is raised, and kept from nobody
        """
        if name not in self._shared:
            self._shared[name] = make()
        shared: _Shared = self._shared[name]
        return shared

    @cached_property
    def splits(self) -> Splits:
        """The clips for training, validation and test.

        Raises
        ------
        CorpusError
            if a corpus is missing or malformed, a group or a recording is in two splits,
            validation or test clips lack a label, or one of them is private.
        """
        data = self.config.data
        train = [self._part(corpus) for corpus in data.train]
        validation = [self._part(corpus) for corpus in data.validation.corpora]
        if share := data.validation.held_out_share:
            named = {clip.group for _, clips in validation for clip in clips}
            train, held = self._held_out(train, share, named)
            validation += held
        splits = Splits(train, validation, [self._part(corpus) for corpus in data.test])
        _require_disjoint(splits)
        _require_public([*splits.validation, *splits.test])
        if absent := _absent_labels(splits.validation):
            raise CorpusError(_lacking("validation", splits.validation, absent))
        if absent := _absent_labels(splits.test):
            fault = _lacking("test", splits.test, absent)
            if len(absent) > 1:
                raise CorpusError(fault)
            self.say(f"warning: {fault}; what needs both kinds will not be measured")
        return splits

    @cached_property
    def teacher_paths(self) -> list[Path]:
        """Files of the teacher: one, or several whose logits are averaged."""
        teacher = self.config.teacher
        if teacher.is_recording:
            return [Path(str(files("crydistill").joinpath("data/nursery_scores.npz")))]
        return [teacher.path or official_teacher(cache_dir()), *teacher.also]

    @property
    def teacher_files(self) -> TeacherFiles:
        """The teacher, to be loaded by whoever needs it."""
        return TeacherFiles(tuple(self.teacher_paths), self.config.teacher.is_recording)

    @cached_property
    def teacher_fingerprint(self) -> str:
        """The sha256 of the teacher's file, or a joint one of several files.

        Raises
        ------
        CorpusError
            if a file is missing.
        """
        for path in self.teacher_paths:
            if not path.is_file():
                raise CorpusError(
                    f"{path}: no such teacher file; set teacher.path, and teacher.also for an "
                    "ensemble, to weights files such as `crydistill teacher fetch` prints"
                )
        return joint_fingerprint([sha256_of(path) for path in self.teacher_paths])

    def require(self, stage: str, key: str, output: Path) -> None:
        """Check that the previous stage ran with the same config and data.

        Raises
        ------
        ConfigError
            naming the command to run first.
        """
        if not self.run.is_done(stage, key, [output]):
            raise ConfigError(
                f"{output}: missing, or made with another config or other data; "
                f"run `crydistill {stage}` first, or `crydistill run` for everything"
            )

    def store_directory(self, corpus: CorpusConfig, round_number: int | None = None) -> Path:
        """Directory of this teacher's scores of a corpus; outside any work tree if it is private.

        Parameters
        ----------
        round_number : of the varied copies, from 0; None: the original recordings

        Raises
        ------
        CorpusError
            if the directory for private stores is inside a git work tree.
        """
        stores = self.config.stores
        if corpus.is_private or corpus.store_name in self._with_private_clips:
            stores = private_dir()
            require_outside_work_tree(stores, "the scores of private recordings")
        name = f"{corpus.store_name}-{self.teacher_fingerprint[:8]}"
        if round_number is not None:
            name += f"-varied-{self.variation_key[:8]}-{round_number}"
        return stores / f"{name}{self.reduction_suffix}"

    @property
    def kind(self) -> Kind:
        """What the stores of the teacher's scores hold."""
        scores = self.config.scores
        return window_scores(keep_frames=scores.frames == "keep", top=scores.top)

    @property
    def reduction_suffix(self) -> str:
        """Ends the names of stores of reduced logits, which are never mixed with whole ones."""
        top = self.config.scores.top
        return f"-top{top}" if top else ""

    def varied_by(self, number: int) -> Varied:
        """How a round of varied copies is made."""
        options = self.config.data.augmentation
        return Varied(
            tuple(self.noises),
            Variation(**options.model_dump(exclude={"rounds", "weight", "seed", "noises"})),
            count=options.noises,
            seed=options.seed,
            round_number=number,
        )

    @cached_property
    def _with_private_clips(self) -> set[str]:
        """Names of the corpora whose manifests mark some clips as private."""
        return {
            corpus.store_name
            for corpus, clips in self.splits.train
            if any(clip.private for clip in clips)
        }

    @cached_property
    def noises(self) -> list[Clip]:
        """Public clips without a cry, of corpora that vary, which may be mixed into others."""
        return [
            clip
            for corpus, clips in self.splits.train
            for clip in clips
            if corpus.vary and clip.label is Label.NONCRY and not clip.private
        ]

    @cached_property
    def variation_key(self) -> str:
        """Identifies how training clips are varied and with which noises, but not the rounds."""
        options = self.config.data.augmentation.model_dump(
            mode="json", exclude={"rounds", "weight"}
        )
        return fingerprint(options, [(clip.source, clip.id) for clip in self.noises])

    @property
    def train_rounds(self) -> list[tuple[int | None, CorpusConfig, list[Clip]]]:
        """Round, corpus and clips for training: first the original ones, which are of no round."""
        return [*((None, *part) for part in self.splits.train), *self.varied]

    def require_known_sources(self) -> None:
        """Check that there are clips of the sources to leave out.

        Raises
        ------
        ConfigError
            naming one that has none.
        """
        sources = {clip.source for _, clips in self.splits.train for clip in clips}
        if unknown := sorted(set(self.config.selection.leave_out) - sources):
            raise ConfigError(
                f"selection.leave_out: no training clip has source '{unknown[0]}'; "
                f"choose from {', '.join(sorted(sources))}"
            )

    @cached_property
    def varied(self) -> list[tuple[int, CorpusConfig, list[Clip]]]:
        """Round, corpus and clips of all varied copies for training."""
        return [
            (number, corpus, clips)
            for number in range(self.config.data.augmentation.rounds)
            for corpus, clips in self.splits.train
            if corpus.vary
        ]

    def pool(self, parts: Sequence[Part]) -> WindowPool:
        """All windows of a split's scored clips.

        Raises
        ------
        StoreError
            if the corpus has not been scored by this teacher.
        """
        return window_pool((self.store(corpus), clips) for corpus, clips in parts)

    def data_key(self, parts: Sequence[Part]) -> str:
        """Fingerprint of the recordings and labels of a split."""
        keys = []
        for corpus, clips in parts:
            store = self.store(corpus)
            scored = [clip for clip in clips if clip.id in store]
            labels = [(clip.label, clip.group) for clip in scored]
            keys.append([corpus_fingerprint(store, [clip.id for clip in scored]), labels])
        reduced = [self.reduction_suffix] if self.reduction_suffix else []
        return fingerprint(keys, self.teacher_fingerprint, *reduced)

    @cached_property
    def _stores(self) -> dict[Path, ScoreStore]:
        return {}

    def store(self, corpus: CorpusConfig, round_number: int | None = None) -> ScoreStore:
        """The teacher's scores of a corpus, or of a round of its varied copies.

        Raises
        ------
        CorpusError
            as `store_directory`.
        StoreError
            if it has not been scored, or not all of its shards.
        """
        # One object per store, so that pools of several splits share its memory map.
        directory = self.store_directory(corpus, round_number)
        if directory not in self._stores:
            varied = None if round_number is None else self.varied_by(round_number)
            frames_of = recomputing(self.clips_by_store[corpus.store_name], varied)
            self._stores[directory] = ScoreStore(directory, self.kind, frames_of)
        return self._stores[directory]

    @cached_property
    def clips_by_store(self) -> dict[str, list[Clip]]:
        """All clips of each corpus, whatever their split, by the name of its store."""
        splits = self.splits
        found: dict[str, dict[str, Clip]] = {}
        for corpus, clips in [*splits.train, *splits.validation, *splits.test]:
            found.setdefault(corpus.store_name, {}).update({clip.id: clip for clip in clips})
        return {name: list(by_id.values()) for name, by_id in found.items()}

    def _part(self, corpus: CorpusConfig) -> Part:
        clips = list_clips(corpus, self.config.stores, progress=self.progress, say=self.say)
        return corpus, clips

    def _held_out(
        self, train: list[Part], share: float, also: set[str]
    ) -> tuple[list[Part], list[Part]]:
        """Hold out public groups, including `also`; all private clips stay in training."""
        private = {clip.group for _, clips in train for clip in clips if clip.private}
        divided = [
            (corpus, [clip for clip in clips if clip.group not in private])
            for corpus, clips in train
            if corpus.hold_out
        ]
        if absent := _absent_labels(divided):
            raise CorpusError(_lacking("training", divided, absent))
        _, held = hold_out_groups(
            [clip for _, clips in divided for clip in clips],
            share=share,
            seed=self.config.data.validation.seed,
        )
        groups = {clip.group for clip in held} | also
        return (
            [(corpus, [c for c in clips if c.group not in groups]) for corpus, clips in train],
            [(corpus, [c for c in clips if c.group in groups]) for corpus, clips in train],
        )


def _require_disjoint(splits: Splits) -> None:
    """Refuse a group, or a file below two corpora, that is in more than one split."""
    others = {key for name in ("validation", "test") for key, _ in _keys(splits, name)}
    # Of the training clips, which may be millions, only those are kept that another split has.
    owner = {key: "train" for key, _ in _keys(splits, "train") if key in others}
    for name in ("validation", "test"):
        for (what, which), clip in _keys(splits, name):
            other = owner.setdefault((what, which), name)
            if other != name:
                raise CorpusError(
                    f"{what} {which} is in both {other} and {name} ({clip.id}); give each "
                    "split clips of its own in the config"
                )


def _keys(splits: Splits, name: str) -> Iterator[tuple[tuple[str, str], Clip]]:
    """What no other split may have, group and file of each clip of a split."""
    resolved = lru_cache(maxsize=_FOLDERS)(os.path.realpath)
    for _, clips in getattr(splits, name):
        for clip in clips:
            yield ("group", clip.group), clip
            folder, file = os.path.split(clip.path)
            place = os.path.join(resolved(folder), file)  # noqa: PTH118 - of millions of clips
            if os.path.islink(place):  # noqa: PTH114
                place = os.path.realpath(place)
            yield ("recording", place), clip


def _require_public(parts: list[Part]) -> None:
    """Checkpoints, thresholds and figures come from recordings that are not private."""
    for corpus, clips in parts:
        for clip in clips:
            if clip.private:
                raise CorpusError(
                    f"{corpus.store_name}: {clip.id} is private: use it for training, not to "
                    "validate or test; leave it out there with `where`"
                )


def _absent_labels(parts: Sequence[Part]) -> list[Label]:
    found = {clip.label for _, clips in parts for clip in clips}
    return [label for label in (Label.CRY, Label.NONCRY) if label not in found]


def _lacking(split: str, parts: Sequence[Part], absent: Sequence[Label]) -> str:
    places = ", ".join(str(corpus.path or corpus.store_name) for corpus, _ in parts)
    return f"{places}: no {split} clip is labelled {' or '.join(absent)}; {LAYOUT}"
