"""List the clips of a corpus in the config."""

from collections.abc import Callable
from pathlib import Path

from crydistill.corpora.audioset import read_segments
from crydistill.corpora.captures import hold_out, read_captures
from crydistill.corpora.catalogue import corpus_clips
from crydistill.corpora.clip import Clip
from crydistill.corpora.folder import read_corpus
from crydistill.corpora.youtube import fetched_clips
from crydistill.experiment.schema import CorpusConfig
from crydistill.progress import Progress, silent
from crydistill.settings import audioset_dir, cache_dir, captures_dir
from crydistill.synthesis.formulas import write_formulas
from crydistill.synthesis.nursery import write_nursery

Say = Callable[[str], None]
"""Shows the user one line of progress."""


def list_clips(
    corpus: CorpusConfig,
    stores: Path,
    *,
    progress: Progress = silent,
    say: Say = lambda line: None,
) -> list[Clip]:
    """List the clips of a corpus; synthetic ones are rendered below `stores` if needed.

    Captures held out for the private report are left out.

    Raises
    ------
    CorpusError
        if the source is missing, malformed or empty.
    """
    if corpus.path is not None:
        return read_corpus(
            corpus.path,
            where=corpus.where,
            without=corpus.without,
            licence=corpus.licence,
            private=corpus.private,
            name=corpus.store_name,
            say=say,
        )
    if corpus.catalogue is not None:
        return corpus_clips(corpus.catalogue, cache_dir())
    if corpus.audioset is not None:
        return fetched_clips(read_segments(corpus.audioset), audioset_dir())
    if corpus.captures:
        captures = read_captures(captures_dir())
        if captures.unreadable:
            say(f"captures: {len(captures.unreadable)} unreadable recordings left out")
        kept, _ = hold_out(captures)
        return kept
    if corpus.formulas_seed is not None:
        folder = stores / corpus.store_name
        manifest = write_formulas(
            folder,
            clips=corpus.formulas_clips,
            seed=corpus.formulas_seed,
            kind=corpus.formulas_kind,
            progress=progress,
        )
        return read_corpus(manifest, where=corpus.where, private=False)
    assert corpus.nursery_seed is not None  # the config has exactly one source
    folder = stores / f"nursery-{corpus.nursery_seed}"
    manifest = write_nursery(folder, seed=corpus.nursery_seed, progress=progress)
    return read_corpus(manifest, where=corpus.where, private=False)
