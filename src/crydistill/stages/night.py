"""Stage 6: the INT8 student on continuous audio made of the test clips."""

import json

from crydistill import atomic
from crydistill.corpora.clip import Label
from crydistill.detector.vote import DEFAULT_HOLD_SECONDS, VoteSettings
from crydistill.evaluation.alarms import ScoredStream
from crydistill.evaluation.nights import ClipNight, clip_night, hear, judge
from crydistill.evaluation.nightview import write_night_view
from crydistill.evaluation.operating import measure_presets, with_presets
from crydistill.evaluation.scorers import student_scorers
from crydistill.evaluation.streams import StreamOptions, write_plan
from crydistill.experiment import fingerprint
from crydistill.provenance import git_commit, versions
from crydistill.stages.context import Context
from crydistill.stages.evaluate import evaluate_key, names_of
from crydistill.student.manifest import load_manifest, save_manifest


def night_key(context: Context) -> str:
    """Names the night: the evaluated student and test clips, and how many episodes there are."""
    return fingerprint(evaluate_key(context), "night")


def night(context: Context) -> None:
    """Write the night's plan, figures and page, and into the manifest what its presets did there.

    Raises
    ------
    ConfigError
        if the student was not evaluated with this config.
    """
    run, config = context.run, context.config
    key = night_key(context)
    if run.is_done("night", key, [run.night, run.night_page, run.night_plan]):
        context.say("the night is up to date")
        return
    context.require("evaluate", evaluate_key(context), run.metrics)
    built = _built(context)
    for clip, reason in built.unusable.items():
        context.say(f"left out of the night: {clip}: {reason}")
    (heard,) = hear(built, student_scorers(run.path, fp32=False), progress=context.progress)
    manifest = load_manifest(run.manifest)
    settings = {
        name: VoteSettings(
            threshold=preset.threshold, n=preset.n, m=preset.m, hold_seconds=preset.hold_seconds
        )
        for name, preset in manifest.presets.items()
    }
    stream = ScoredStream(heard.scores, built.episodes)
    measured = measure_presets(settings, [stream], audio=built.corpus)
    save_manifest(run.manifest, with_presets(manifest, measured))
    result = judge(
        built,
        [heard],
        hold_seconds=DEFAULT_HOLD_SECONDS,
        replicates=config.evaluation.replicates,
        seed=config.seed,
        progress=context.progress,
    )
    provenance = {
        "git_commit": git_commit(),
        "versions": versions(),
        "kernels": "reference",
        "seed": config.seed,
        "hold_seconds": DEFAULT_HOLD_SECONDS,
        "replicates": config.evaluation.replicates,
    }
    record = {**result.to_json(), "provenance": provenance}
    atomic.write_text(run.night, json.dumps(record, indent=1) + "\n")
    write_plan(built.plan, run.night_plan)
    write_night_view(run.night_page, result, record, progress=context.progress)
    run.mark_done("night", key)
    for name, preset in measured.items():
        context.say(
            f"{name}: threshold {preset.threshold:.3g}, share of episodes caught {preset.recall}, "
            f"{preset.false_alarms_per_hour} false alarms an hour in {built.seconds / 3600:.1f} h"
        )


def _built(context: Context) -> ClipNight:
    clips = [
        clip
        for _, part in context.splits.test
        for clip in part
        if clip.label is not Label.UNLABELLED
    ]
    crying = any(clip.is_cry for clip in clips)
    return clip_night(
        clips,
        corpus=names_of(context.config.data.test),
        options=StreamOptions(
            episodes=context.config.evaluation.episodes if crying else 0, mean_gap_seconds=0.0
        ),
        seed=context.config.seed,
        progress=context.progress,
    )
