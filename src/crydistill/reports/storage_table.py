"""What score stores cost and lose, from the record of `benchmarks/score_storage.py`."""

from crydistill.metrics.records import Record, commit_text, markdown_table

_AUDIOSET_WINDOWS = 41.6e6


def storage_table(record: Record) -> str:
    """Format the record as a Markdown table with a line on what was measured."""
    rows = [_row(kept, record["windows"]) for kept in record["kept"]]
    columns = [
        "`scores.logits`", "bytes a window", "AudioSet, GB", "cry score", "cry target",
        "521 targets, mean", "521 targets, max", "KL of softmax", "selected otherwise",
    ]  # fmt: skip
    frames = record["frames_bytes"]
    said = (
        f"{record['windows']:,} windows of {record['clips']:,} clips of {record['audio']}; teacher "
        f"{record['provenance']['teacher']['name']}; commit {commit_text(record['provenance'])}. "
        "Differences are the largest in any window, unless a mean is named, from the teacher's "
        "float32 logits; *cry target* is that of `training.rival_floor: "
        f"{record['provenance']['rival_floor']}`; *selected otherwise* are windows that "
        "`teacher_filter` takes for another kind. Frames take another "
        f"{frames:,} bytes a window, {frames * _AUDIOSET_WINDOWS / 1e9:.0f} GB for AudioSet, with "
        "`scores.frames: keep`, and none with `recompute`."
    )
    return f"{said}\n\n{markdown_table(columns, rows)}"


def _row(kept: Record, windows: int) -> list[str]:
    name = "all" if kept["logits"] == "all" else f"{kept['logits']} highest"
    differences = (
        "cry_score_max_difference", "cry_target_max_difference", "class_targets_mean_difference",
        "class_targets_max_difference", "softmax_kl",
    )  # fmt: skip
    return [
        name,
        f"{kept['bytes']:,}",
        f"{kept['bytes'] * _AUDIOSET_WINDOWS / 1e9:.1f}",
        *(f"{kept[key]:.1g}" if kept[key] < 1e-3 else f"{kept[key]:.3f}" for key in differences),
        f"{kept['windows_selected_otherwise']:,} of {windows:,}",
    ]
