"""Record a teacher's scores of the synthetic nursery, for the packaged default run."""

import tempfile
from pathlib import Path

from crydistill import __version__
from crydistill.corpora.folder import read_corpus
from crydistill.progress import Progress, silent
from crydistill.provenance import git_commit
from crydistill.synthesis.nursery import write_nursery
from crydistill.teacher.load import load_teacher
from crydistill.teacher.recorded import record
from crydistill.teacher.scores import ScoreStore
from crydistill.teacher.scoring import score_corpus


def record_nursery(
    weights: str | Path, path: str | Path, *, seed: int = 0, progress: Progress = silent
) -> None:
    """Render the nursery, score it with the network in `weights`, write the scores to `path`.

    Raises
    ------
    TeacherError
        if the weights are missing or damaged.
    """
    teacher = load_teacher(weights)
    with tempfile.TemporaryDirectory() as scratch:
        clips = read_corpus(write_nursery(Path(scratch) / "audio", seed=seed, progress=progress))
        score_corpus(clips, teacher, Path(scratch) / "store", progress=progress)
        provenance = {
            "audio": f"synthetic nursery, seed {seed}",
            "package_version": __version__,
            "git_commit": git_commit(),
        }
        record(ScoreStore(Path(scratch) / "store"), path, provenance=provenance)
