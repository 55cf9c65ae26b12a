"""Simulated homes, composed of clips from one split and scored by a student.

A home has its own ambience bed, its own microphone gain and its own sounds: the clips of randomly
drawn groups, in two halves. Every sound is rendered into the home's bed by `streams` in several
takes, at different levels and positions, and scored by the student once. Nights of any length are
then composed from these score tracks: sounds drawn with replacement, pauses filled with the bed.
Since no sound recurs at exactly the same level and position, each time its scores are shifted on
the logistic scale by a normal deviate, with the spread between takes of a clip in that home;
without the shift, eight hours would contain all the variation there is. Recordings and scores are
real; the homes, the shifts and the independence of successive sounds are not.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.special import expit

from crydistill.audio.windows import (
    WINDOW_HOP_SAMPLES,
    WINDOW_HOP_SECONDS,
    WINDOW_SAMPLES,
)
from crydistill.corpora.clip import Clip
from crydistill.detector.calibrate import score_logits
from crydistill.detector.vote import Scores
from crydistill.errors import CorpusError
from crydistill.evaluation.scorers import Scorer
from crydistill.experiment.streams import StreamOptions
from crydistill.nights.alarms import ScoredStream
from crydistill.nights.bouts import Measured
from crydistill.nights.hearing import score_together
from crydistill.nights.streams import Kind, StreamPlan, compose, measure_clips, render
from crydistill.npz_file import keep_arrays, kept_arrays
from crydistill.progress import Progress, silent
from crydistill.seeds import generator

FEWEST_CLIPS = 20
"""With fewer clips, half of them in each part, the tail of the scores is not resolved."""

_SYNTHETIC_BED_SHARE = 1 / 3
_RENDERED_GAP_SECONDS = 2.5
_MEDIAN_TO_DEVIATION = 1.0484
"""Median distance of two normal deviates to the standard deviation: 1.4826 / sqrt 2."""


@dataclass(frozen=True)
class HomeOptions:
    """How homes are composed.

    homes : number of homes
    clips : per home, in both halves together
    clips_per_group : maximum; a group is one person, device or source item
    takes : renderings of each clip, each at another level and position
    episodes : of crying, to measure a threshold's recall
    mean_pause_seconds : between sounds of a composed night; pauses are exponential
    observed_hours : length of the observed nights
    """

    homes: int = 24
    clips: int = 300
    clips_per_group: int = 10
    takes: int = 2
    episodes: int = 12
    mean_pause_seconds: float = 20.0
    observed_hours: float = 24.0


@dataclass(frozen=True)
class Home:
    """The sounds and acoustics of a home.

    parts : two halves of its sounds: those present while calibrating, and those not
    bed : its ambience; if empty, a synthetic room tone
    """

    number: int
    parts: tuple[tuple[Clip, ...], tuple[Clip, ...]]
    bed: tuple[Clip, ...]
    bed_dbfs: float
    microphone_db: float


@dataclass(frozen=True, eq=False)
class Part:
    """Score tracks of half of a home's sounds.

    sounds : scores of the windows that contain a sound, one array `[windows]` per sound
    quiet : scores of the windows that contain only the bed, concatenated
    spread : standard deviation, on the logistic scale, of a sound's highest score between takes
    """

    sounds: tuple[Scores, ...]
    quiet: Scores
    spread: float

    def night(
        self, hours: float, mean_pause_seconds: float, highest: float, rng: np.random.Generator
    ) -> Scores:
        """Compose a night, `[windows]`: sounds drawn with replacement, and pauses."""
        wanted = round(hours * 3600 / WINDOW_HOP_SECONDS)
        pieces: list[Scores] = []
        missing = wanted
        while missing > 0:
            pause = int(rng.exponential(mean_pause_seconds) / WINDOW_HOP_SECONDS)
            start = int(rng.integers(len(self.quiet)))
            sound = self.sounds[int(rng.integers(len(self.sounds)))]
            shifted = _shifted(sound, float(rng.normal(0, self.spread)), highest)
            piece = np.concatenate([np.resize(np.roll(self.quiet, -start), pause), shifted])
            pieces.append(piece)
            missing -= len(piece)
        return np.concatenate(pieces)[:wanted]


@dataclass(frozen=True, eq=False)
class ScoredHome:
    """A home as scored by a student.

    parts : as in `Home`
    crying : continuous audio with its episodes of crying, in the home's bed
    """

    number: int
    parts: tuple[Part, Part]
    crying: ScoredStream


def draw_homes(
    clips: Sequence[Clip], bed: Sequence[Clip], options: HomeOptions, *, seed: int
) -> list[Home]:
    """Draw homes from clips without a cry; the same arguments give the same homes.

    Parameters
    ----------
    clips : of one split; those not labelled noncry are left out, and so are those of the bed
    bed : long ambience; a home has recordings of one group, or (one home in three) none

    Raises
    ------
    CorpusError
        if there are too few clips for a home.
    """
    of_bed = {clip.id for clip in bed}
    groups = _by_group([clip for clip in clips if clip.label == "noncry" and clip.id not in of_bed])
    beds = _by_group(bed)
    return [_home(number, groups, beds, options, seed) for number in range(options.homes)]


def score_homes(
    homes: Sequence[Home],
    cries: Sequence[Clip],
    scorer: Scorer,
    folder: str | Path,
    *,
    highest: float,
    options: HomeOptions,
    seed: int,
    progress: Progress = silent,
) -> tuple[list[ScoredHome], dict[str, str]]:
    """Score homes with a student; scores are cached in `folder`, one file per home.

    Parameters
    ----------
    highest : upper end of the student's scores (`detector.calibrate.highest_score`)

    Returns
    -------
    the homes, and clips left out (unreadable or silent), by id, with the reason.
    """
    every = {
        clip.id: clip for home in homes for clips in (*home.parts, home.bed) for clip in clips
    } | {clip.id: clip for clip in cries}
    measured, unusable = measure_clips(list(every.values()), progress=progress)
    scored = []
    with progress("homes", len(homes), "homes") as advance:
        for home in homes:
            plans = _plans(home, cries, measured, options, seed)
            path = Path(folder) / f"home-{home.number:03}.npz"
            scored.append(_cached(path, home, plans, scorer, highest))
            advance(1)
    return scored, unusable


def _by_group(clips: Sequence[Clip]) -> dict[str, list[Clip]]:
    groups: dict[str, list[Clip]] = {}
    for clip in clips:
        groups.setdefault(clip.group, []).append(clip)
    return groups


def _home(
    number: int,
    groups: Mapping[str, list[Clip]],
    beds: Mapping[str, list[Clip]],
    options: HomeOptions,
    seed: int,
) -> Home:
    rng = generator(seed, "home", str(number))
    clips: list[Clip] = []
    for name in rng.permutation(sorted(groups)).tolist():
        members = groups[name]
        chosen = rng.permutation(len(members))[: options.clips_per_group]
        clips += [members[index] for index in chosen]
        if len(clips) >= options.clips:
            break
    clips = [clips[index] for index in rng.permutation(len(clips))[: options.clips]]
    if len(clips) < FEWEST_CLIPS:
        raise CorpusError(
            f"{len(clips)} clips without a cry are too few for a home; choose a split with at "
            f"least {FEWEST_CLIPS}"
        )
    bed: list[Clip] = []
    if beds and rng.random() >= _SYNTHETIC_BED_SHARE:
        bed = beds[sorted(beds)[int(rng.integers(len(beds)))]]
    usual = StreamOptions()
    half = len(clips) // 2
    return Home(
        number=number,
        parts=(tuple(clips[:half]), tuple(clips[half:])),
        bed=tuple(bed),
        bed_dbfs=float(rng.uniform(*usual.bed_dbfs)),
        microphone_db=float(rng.uniform(*usual.microphone_db)),
    )


def _plans(
    home: Home,
    cries: Sequence[Clip],
    measured: Mapping[str, Measured],
    options: HomeOptions,
    seed: int,
) -> tuple[list[list[StreamPlan]], StreamPlan]:
    """Plans of the takes of both halves and of the crying; nothing is rendered yet."""
    usual = StreamOptions(
        episodes=0,
        clips=(1, 1),
        mean_gap_seconds=_RENDERED_GAP_SECONDS,
        bed_dbfs=(home.bed_dbfs, home.bed_dbfs),
        microphone_db=(home.microphone_db, home.microphone_db),
    )

    crying = replace(usual, episodes=options.episodes, clips=StreamOptions.clips)

    def plan(sounds: Sequence[Clip], use: str, how: StreamOptions) -> StreamPlan:
        return compose(
            sounds=sounds,
            cries=cries if how.episodes else (),
            bed=home.bed,
            measured=measured,
            options=how,
            seed=int(generator(seed, "plan", str(home.number), use).integers(2**31)),
        )

    takes = [
        [plan(part, f"part {number}, take {take}", usual) for take in range(options.takes)]
        for number, part in enumerate(home.parts)
    ]
    return takes, plan((), "crying", crying)


def _cached(
    path: Path,
    home: Home,
    plans: tuple[list[list[StreamPlan]], StreamPlan],
    scorer: Scorer,
    highest: float,
) -> ScoredHome:
    """Read a home's scores from an earlier run's file, or score the home and write it."""
    takes, crying = plans
    flat = [plan for part in takes for plan in part]
    fingerprint = _fingerprint([*flat, crying], scorer)
    if (tracks := kept_arrays(path, fingerprint)) is None:
        tracks = {
            f"plan_{number:05}": _scores(plan, scorer)
            for number, plan in enumerate((*flat, crying))
        }
        keep_arrays(path, fingerprint, tracks)
    *of_takes, of_crying = tracks.values()
    queue = iter(zip(flat, of_takes, strict=True))
    parts = [_part([next(queue) for _ in part], highest) for part in takes]
    return ScoredHome(home.number, (parts[0], parts[1]), ScoredStream(of_crying, crying.episodes))


def _fingerprint(plans: Sequence[StreamPlan], scorer: Scorer) -> str:
    parts = [scorer.fingerprint, *(plan.fingerprint for plan in plans)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _scores(plan: StreamPlan, scorer: Scorer) -> Scores:
    (scores,) = score_together(render(plan), [scorer.listen()])
    return scores


def _part(takes: Sequence[tuple[StreamPlan, Scores]], highest: float) -> Part:
    sounds: list[Scores] = []
    quiet: list[Scores] = []
    peaks: dict[str, list[float]] = {}
    for plan, scores in takes:
        end = 0
        for clip, first, last in _sound_windows(plan):
            quiet.append(scores[end:first])
            sounds.append(scores[first:last])
            peaks.setdefault(clip, []).append(
                float(score_logits(scores[first:last].max(), highest))
            )
            end = last
        quiet.append(scores[end:])
    return Part(tuple(sounds), np.concatenate(quiet), _spread(list(peaks.values())))


def _spread(peaks: Sequence[Sequence[float]]) -> float:
    """Standard deviation between takes, from the median to be robust; 0 for a single take.

    Sounds in which the student hears nothing at all have no say: their takes all score the least
    there is, however the microphone hears them.
    """
    nothing = score_logits(0, 1)
    heard = [takes for takes in peaks if max(takes) > nothing]
    differences = [abs(one - other) for takes in heard for one, other in pairwise(takes)]
    return _MEDIAN_TO_DEVIATION * float(np.median(differences)) if differences else 0.0


def _shifted(scores: Scores, shift: float, highest: float) -> Scores:
    """Scores shifted on the logistic scale."""
    return np.asarray(expit(score_logits(scores, highest) + shift) * highest, dtype=np.float32)


def _sound_windows(plan: StreamPlan) -> Iterator[tuple[str, int, int]]:
    """Each sound's clip, its first window, and the first window after it or with the next sound."""
    sounds = [item for item in plan.placed if item.kind is Kind.SOUND]
    firsts = [max(0, (item.start - WINDOW_SAMPLES) // WINDOW_HOP_SAMPLES + 1) for item in sounds]
    windows = (plan.samples - WINDOW_SAMPLES) // WINDOW_HOP_SAMPLES + 1
    for item, first, following in zip(sounds, firsts, [*firsts[1:], windows], strict=True):
        yield item.clip, first, min(-(-item.stop // WINDOW_HOP_SAMPLES), following)
