"""All stages in order."""

from crydistill.stages.context import Context
from crydistill.stages.evaluate import evaluate
from crydistill.stages.night import night
from crydistill.stages.quantize import quantize
from crydistill.stages.score import score
from crydistill.stages.select import select
from crydistill.stages.train import train


def run_all(context: Context) -> None:
    """Take an experiment from audio to report and night; what is up to date is passed over."""
    for stage in (score, select, train, quantize, evaluate, night):
        stage(context)
