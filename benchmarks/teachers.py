"""Both teachers on TensorFlow and on PyTorch, which is the way to a GPU."""

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.material import Material, torch_process
from benchmarks.records import COMMON, Benchmark, Comparison, Measured
from benchmarks.rounds import in_turn
from crydistill.audio.files import read_audio
from crydistill.audio.mel import log_mel
from crydistill.audio.windows import window_count
from crydistill.teacher.base import Recording

CLIPS = 40
CONTEXT_CLIPS = 4

BENCHMARK = Benchmark(
    "teachers",
    "Teachers on PyTorch",
    "`KERAS_BACKEND=torch` runs the teachers on PyTorch, on a GPU where PyTorch finds one.",
    (
        *COMMON, "benchmarks/teachers.py", "src/crydistill/teacher/network.py",
        "src/crydistill/teacher/yamnet.py", "src/crydistill/teacher/efficientat.py",
        "src/crydistill/teacher/mn_network.py",
    ),
)  # fmt: skip


def measure(material: Material) -> Measured:
    cases = [("YAMNet", material.weights(), CLIPS)]
    if material.context_teacher is not None:
        cases.append(("EfficientAT over 5 s", material.context_teacher, CONTEXT_CLIPS))
    with torch_process() as torch:
        return Measured([_compared(*case, torch, material) for case in cases])


def _compared(
    title: str, weights: Path, clips: int, torch: ProcessPoolExecutor | None, material: Material
) -> Comparison:
    paths = tuple(clip.path for clip in material.clips("dev", material.size(clips)))
    work = functools.partial(scores, weights, paths)
    ways: dict[str, Callable[[], np.ndarray]] = {"crydistill, TensorFlow": work}
    if torch is not None:
        device = torch.submit(torch_device).result()
        name = f"crydistill, PyTorch on {device}"
        ways[name] = lambda: torch.submit(work).result()
        apart = np.abs(work() - ways[name]()).max()
        title = f"{title} (logits differ by {apart:.1e} at most)"
    windows = sum(window_count(len(each.frames)) for each in _recordings(paths))
    return Comparison(title, "windows", windows, in_turn(ways, material.rounds))


def torch_device() -> str:
    """The device that Keras uses in this process, as PyTorch names it."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "the CPU"


def scores(weights: Path, paths: Sequence[Path]) -> np.ndarray:
    """Logits of the windows of recordings, one after the other; network and sounds are kept."""
    from crydistill.teacher.load import is_efficientat

    network, recordings = _opened(weights), _recordings(paths)
    if is_efficientat(weights):
        return np.concatenate([network.causal_logits(each.samples) for each in recordings])
    return np.concatenate(network.logits(recordings))


@functools.cache
def _opened(weights: Path):
    from crydistill.teacher.load import is_efficientat, load_efficientat, load_teacher

    return load_efficientat(weights) if is_efficientat(weights) else load_teacher(weights)


@functools.cache
def _recordings(paths: Sequence[Path]) -> list[Recording]:
    sounds = [read_audio(path).samples for path in paths]
    return [Recording(str(n), samples, log_mel(samples)) for n, samples in enumerate(sounds)]
