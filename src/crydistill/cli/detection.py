"""Verbs that listen."""

import json
from pathlib import Path
from typing import Annotated

import typer

from crydistill.cli.common import complain
from crydistill.errors import AudioError, CheckFailed

app = typer.Typer()


@app.command()
def detect(
    files: Annotated[list[Path], typer.Argument(help="Recordings, of any rate and length.")],
    model: Annotated[
        Path | None,
        typer.Option(help="A student.tflite or its directory; the packaged one if left out."),
    ] = None,
    preset: Annotated[
        str, typer.Option(help="Operating point of the student's manifest.")
    ] = "balanced",
    threshold: Annotated[
        float | None, typer.Option(help="Score from which a window votes.")
    ] = None,
    n: Annotated[int | None, typer.Option("-n", help="Votes that raise an alert.")] = None,
    m: Annotated[int | None, typer.Option("-m", help="Windows that vote.")] = None,
    hold: Annotated[
        float | None, typer.Option(help="Seconds without a vote that end an alert.")
    ] = None,
    json_: Annotated[
        bool, typer.Option("--json", help="One JSON object a line and file, scores included.")
    ] = False,
) -> None:
    """Find cries in recordings. Works without TensorFlow."""
    from crydistill.detector.files import detect_file
    from crydistill.detector.settings import vote_settings
    from crydistill.quantize.interpreters import Kernels
    from crydistill.student.packaged import packaged_student
    from crydistill.student.runtime import TfliteStudent

    student = TfliteStudent.load(model or packaged_student(), Kernels.OPTIMIZED)
    settings = vote_settings(
        student.manifest, preset=preset, threshold=threshold, n=n, m=m, hold_seconds=hold
    )
    failures = 0
    for path in files:
        try:
            detection = detect_file(path, student, settings)
        except AudioError as error:
            failures += 1
            complain(str(error))
            continue
        if json_:
            print(json.dumps(detection.to_json()), flush=True)
        else:
            print("\n".join(detection.lines()), flush=True)
    if failures == len(files):
        raise typer.Exit(AudioError.exit_code)
    if failures:
        raise typer.Exit(CheckFailed.exit_code)
