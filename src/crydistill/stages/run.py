"""Run all stages of an experiment in order."""

from crydistill.stages.context import Context
from crydistill.stages.evaluate import evaluate
from crydistill.stages.night import night
from crydistill.stages.quantize import quantize
from crydistill.stages.score import score
from crydistill.stages.select import select
from crydistill.stages.train import train


def run_all(context: Context) -> None:
    """Run an experiment from audio to report and night, skipping stages that are up to date."""
    for stage in (score, select, train, quantize, evaluate, night):
        stage(context)
