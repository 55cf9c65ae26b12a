"""List the clips of a corpus in the config."""

from collections.abc import Callable
from pathlib import Path

from crydistill.corpora.audioset import read_segments
from crydistill.corpora.captures import hold_out, read_captures
from crydistill.corpora.catalogue import corpus_clips
from crydistill.corpora.clip import Clip
from crydistill.corpora.declaration import Declaration
from crydistill.corpora.fields import Layout
from crydistill.corpora.folder import read_corpus
from crydistill.corpora.parquet import read_parquet
from crydistill.corpora.webdataset import read_webdataset
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
    if corpus.formulas_seed is not None or corpus.nursery_seed is not None:
        return read_corpus(_rendered(corpus, stores, progress), where=corpus.where, private=False)
    if data_set := corpus.parquet or corpus.webdataset:
        read = read_parquet if corpus.parquet else read_webdataset
        return read(data_set, _layout(corpus), say=say)
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
    assert corpus.path is not None  # the config has exactly one source
    return read_corpus(
        corpus.path,
        where=corpus.where,
        without=corpus.without,
        licence=corpus.licence,
        private=corpus.private,
        name=corpus.store_name,
        say=say,
    )


def _rendered(corpus: CorpusConfig, stores: Path, progress: Progress) -> Path:
    """Manifest of a synthetic corpus, rendered if it is not there."""
    if corpus.formulas_seed is not None:
        return write_formulas(
            stores / corpus.store_name,
            clips=corpus.formulas_clips,
            seed=corpus.formulas_seed,
            kind=corpus.formulas_kind,
            progress=progress,
        )
    assert corpus.nursery_seed is not None
    folder = stores / f"nursery-{corpus.nursery_seed}"
    return write_nursery(folder, seed=corpus.nursery_seed, progress=progress)


def _layout(corpus: CorpusConfig) -> Layout:
    declaration = Declaration(corpus.licence, corpus.private)
    fields = {str(meaning): name for meaning, name in corpus.fields.items()}
    return Layout(fields, corpus.cry, declaration, corpus.store_name)
