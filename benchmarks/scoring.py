"""Windows a second through the teacher, from files to a score store."""

import contextlib
import io
import os
import shutil
import tempfile
from itertools import count
from pathlib import Path

from benchmarks import reference
from benchmarks.material import Material
from benchmarks.records import COMMON, Benchmark, Comparison, Measured
from benchmarks.rounds import in_turn

CLIPS = 160

BENCHMARK = Benchmark(
    "scoring",
    "Scoring with the teacher",
    "From recordings to logits of every window, with the same FP32 YAMNet in TensorFlow. The "
    "reference way decodes and computes the mel with librosa, one recording after the other, and "
    "calls the network's graph for each window. LiteRT runs the converted network on its XNNPACK "
    "kernels, one window at a time on all cores; its scores differ in the last digits. The second "
    "comparison is of the network alone.",
    (
        *COMMON, "benchmarks/scoring.py", "benchmarks/reference.py",
        "src/crydistill/teacher/scoring.py", "src/crydistill/teacher/network.py",
        "src/crydistill/teacher/yamnet.py", "src/crydistill/audio/mel.py",
        "src/crydistill/audio/files.py", "src/crydistill/audio/decoding.py",
    ),
)  # fmt: skip


def measure(material: Material) -> Measured:
    from crydistill.teacher.base import Recording
    from crydistill.teacher.network import KerasYamnet
    from crydistill.teacher.scores import ScoreStore
    from crydistill.teacher.scoring import score_corpus

    material.add_librosa()
    clips = material.clips("dev", material.size(CLIPS))
    teacher, call = KerasYamnet(material.weights()), reference.teacher_call(material.weights())
    with tempfile.TemporaryDirectory() as scratch:
        stores = (Path(scratch) / str(number) for number in count())

        def ours() -> None:
            store = next(stores)
            score_corpus(clips, teacher, store)
            shutil.rmtree(store)

        whole = in_turn(
            {
                "crydistill": ours,
                "the reference way": lambda: reference.score([c.path for c in clips], call),
            },
            material.rounds,
        )
        kept = next(stores)
        score_corpus(clips, teacher, kept)
        windows = sum(entry.windows for entry in ScoreStore(kept).entries.values())
    recordings = []
    for clip in clips:
        samples = reference.load(clip.path)
        recordings.append(Recording(clip.id, samples, reference.frames(samples)))
    lite = _lite(material.weights())
    network = in_turn(
        {
            "crydistill": lambda: teacher.logits(recordings),
            "a graph call a window": lambda: _each(recordings, call),
            "LiteRT with XNNPACK": lambda: _each(recordings, lite),
        },
        material.rounds,
    )
    least = {"the reference way": 6.0}
    return Measured(
        (
            Comparison(f"{len(clips)} clips, from file to store", "windows", windows, whole, least),
            Comparison("The network alone", "windows", windows, network),
        )
    )


def _each(recordings, call) -> None:
    from crydistill.audio.windows import windows

    for recording in recordings:
        for patch in windows(recording.frames):
            call(patch)


def _lite(weights: Path):
    """The network in LiteRT on XNNPACK, as a function of one window."""
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    from crydistill.teacher.yamnet import load_yamnet

    with contextlib.redirect_stdout(io.StringIO()):  # Keras describes what it saves on the way
        content = tf.lite.TFLiteConverter.from_keras_model(load_yamnet(weights)).convert()
    interpreter = Interpreter(model_content=content, num_threads=os.cpu_count())
    interpreter.allocate_tensors()
    given, found = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

    def call(patch):
        interpreter.set_tensor(given["index"], patch[None])
        interpreter.invoke()
        return interpreter.get_tensor(found["index"])[0]

    return call
