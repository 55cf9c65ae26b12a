"""Stage 6: evaluate the INT8 student on continuous audio composed of the test clips."""

from crydistill.corpora.clip import Label
from crydistill.evaluation.scorers import student_scorers
from crydistill.experiment.streams import StreamOptions
from crydistill.nights.hearing import score_night
from crydistill.nights.night import ClipNight, clip_nights
from crydistill.reports.night_files import annotate_presets, record_nights
from crydistill.run_directory import fingerprint
from crydistill.stages.context import Context
from crydistill.stages.evaluate import evaluate_key, names_of
from crydistill.tflite.interpreters import Kernels


def night_key(context: Context) -> str:
    """Key of the night: evaluated student, test clips and number of episodes."""
    return fingerprint(evaluate_key(context), "night")


def night(context: Context) -> None:
    """Write the night's plan, metrics and page; add the presets' results to the manifest.

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
        context.leave_out(f"left out of the night: {clip}: {reason}")
    kernels = Kernels.REFERENCE
    scorers = student_scorers(run.path, kernels=kernels, fp32=False)
    result, _ = record_nights(
        [built],
        [score_night(built, scorers, progress=context.progress)],
        run.night,
        plan=run.night_plan,
        page=run.night_page,
        kernels=kernels,
        replicates=config.evaluation.replicates,
        seed=config.seed,
        progress=context.progress,
    )
    presets = annotate_presets(result)[run.manifest]
    run.mark_done("night", key)
    context.say(f"night: {len(presets)} presets measured on {built.seconds / 3600:.1f} h")
    # All presets are chosen on the same audio.
    if caution := next(iter(presets.values())).caution:
        context.say(f"the presets are there to try, but {caution}")


def _built(context: Context) -> ClipNight:
    clips = [
        clip
        for _, part in context.splits.test
        for clip in part
        if clip.label is not Label.UNLABELLED
    ]
    crying = any(clip.is_cry for clip in clips)
    (built,) = clip_nights(
        {names_of(context.config.data.test): clips},
        options=StreamOptions(episodes=context.config.evaluation.episodes if crying else 0),
        seeds=[context.config.seed],
        progress=context.progress,
    )
    return built
