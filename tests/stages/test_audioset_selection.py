"""AudioSet end to end without AudioSet: a local server with faults, scores, selection."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.fileserver import Fault, file_server

from crydistill.audio.mel import SAMPLE_RATE
from crydistill.audio.windows import window_count
from crydistill.corpora.audioset import Segment, read_segments, write_segments
from crydistill.corpora.ledger import State, read_ledger
from crydistill.corpora.youtube import Pace, fetch_segments
from crydistill.corpora.ytdlp import check_tools, find_tools
from crydistill.errors import SetupError
from crydistill.experiment.load import load_config
from crydistill.run_directory import RunDirectory
from crydistill.settings import audioset_dir
from crydistill.stages.context import Context
from crydistill.stages.select import select
from crydistill.taxonomy import cry_indices
from crydistill.teacher.base import Recording
from crydistill.teacher.scoring import score_corpus

pytestmark = pytest.mark.slow

CRY, SPEECH = ("/t/dd00002", "/m/0463cq4"), ("/m/09x0r",)
FAULTS = {1: Fault(status=503), 2: Fault(status=429), 3: Fault(drop_after=5000)}
GONE = (5, 6)


class Loudness:
    """Hears a cry in what is loud."""

    name, fingerprint = "loudness", "0" * 64

    def logits(self, recordings: list[Recording]) -> list[np.ndarray]:
        found = []
        for recording in recordings:
            logits = np.full((window_count(len(recording.frames)), 521), -9.0, dtype=np.float32)
            logits[:, cry_indices()[0]] = 5.0 if np.abs(recording.samples).max() > 0.2 else -5.0
            found.append(logits)
        return found


def wav(number: int, loud: bool) -> bytes:
    out = io.BytesIO()
    level = 0.4 if loud else 0.05
    tone = level * np.sin(np.arange(45 * SAMPLE_RATE) * 0.02 * (number + 1))
    soundfile.write(out, tone, SAMPLE_RATE, format="WAV")
    return out.getvalue()


def test_from_a_list_to_the_selected_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        tools = find_tools()
        check_tools(tools)
    except SetupError as error:
        pytest.skip(str(error))
    monkeypatch.setenv("CRYDISTILL_CACHE", str(tmp_path / "cache"))
    segments = [Segment(f"-{n:010d}", 30.0, 40.0, CRY if n % 2 else SPEECH) for n in range(14)]
    for name, rows in (("train", segments[:10]), ("test", segments[10:])):
        write_segments(tmp_path / f"{name}.csv", rows)
    listed = [s for name in ("train", "test") for s in read_segments(tmp_path / f"{name}.csv")]
    pace = Pace(per_hour=1e9, backoff=(0.05, 0.1), timeout=300.0)
    with file_server() as server:
        for n, segment in enumerate(segments):
            if n not in GONE:
                faults = [FAULTS[n]] if n in FAULTS else []
                server.put(segment.youtube_id, wav(n, segment.label == "cry"), *faults)
        template = f"{server.address}/{{id}}"
        for _ in range(3):
            report = fetch_segments(listed, audioset_dir(), tools, pace=pace, url_template=template)
            if not report.waiting:
                break
    assert report.states == {State.DONE: 12, State.REMOVED: 2}
    assert len(read_ledger(audioset_dir())) == 14
    (tmp_path / "teacher.h5").write_bytes(b"stands for its fingerprint")
    config = {
        "stores": str(tmp_path / "stores"),
        "teacher": {"path": str(tmp_path / "teacher.h5")},
        "data": {
            "train": [{"audioset": str(tmp_path / "train.csv")}],
            "test": [{"audioset": str(tmp_path / "test.csv")}],
        },
    }
    (tmp_path / "end.yaml").write_text(json.dumps(config))
    context = Context(load_config(tmp_path / "end.yaml"), RunDirectory(tmp_path / "run"))
    for corpus, clips in [*context.splits.train, *context.splits.test]:
        result = score_corpus(clips, Loudness(), context.store_directory(corpus))
        assert not result.failures
    select(context)
    facts = json.loads(context.run.selection.read_text())
    kept = [clip for _, clips in context.splits.train for clip in clips]
    assert {clip.id for clip in kept}.isdisjoint(segments[n].youtube_id for n in GONE)
    cries = sum(clip.is_cry for clip in kept)
    assert facts["confident_positive"] == 19 * cries
    assert facts["confident_negative"] == 19 * (len(kept) - cries)
    assert facts["windows_per_epoch_by_source"] == {"audioset": facts["windows_per_epoch"]}
