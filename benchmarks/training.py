"""Windows a second through a training step of the reference student."""

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import reference
from benchmarks.material import Material, torch_process
from benchmarks.records import COMMON, Benchmark, Comparison, Measured
from benchmarks.rounds import in_turn

WINDOWS = 2_048
BATCHES = (32, 128)

BENCHMARK = Benchmark(
    "training",
    "Training",
    "An epoch of the reference student (DS-CNN, 80,713 parameters), from a score store to updated "
    "weights. The reference way is an eager loop over windows in memory; Keras's `fit` shuffles "
    "the same arrays and trains on them. crydistill is measured with TensorFlow, the default, and "
    "with PyTorch (`KERAS_BACKEND=torch`) in a process of its own.",
    (
        *COMMON, "benchmarks/training.py", "benchmarks/reference.py",
        "src/crydistill/distill/step.py", "src/crydistill/distill/feeds.py",
        "src/crydistill/distill/losses.py", "src/crydistill/student/layers.py",
        "src/crydistill/student/dscnn.py", "src/crydistill/selection/pool.py",
    ),
)  # fmt: skip


def measure(material: Material) -> Measured:
    windows = material.size(WINDOWS)
    with tempfile.TemporaryDirectory() as scratch, torch_process() as torch:
        store = Path(scratch) / "store"
        _write_store(store, windows)
        comparisons = []
        for batch in BATCHES:
            fit, eager = _others(windows, batch)
            ways = {
                "crydistill, TensorFlow": _epoch(store, batch),
                "the reference way": eager,
                "Keras's fit": fit,
            }
            if torch is not None:
                work = functools.partial(epoch_in_process, store, batch)
                ways["crydistill, PyTorch"] = lambda work=work: torch.submit(work).result()
            measured = in_turn(ways, material.rounds)
            least = {"the reference way": 8.0} if batch == BATCHES[0] else {}
            comparisons.append(
                Comparison(
                    f"Batches of {batch}", "windows", windows // batch * batch, measured, least
                )
            )
    return Measured(comparisons)


@functools.cache
def _epoch(store: Path, batch: int) -> Callable[[], None]:
    """This project's way: batches from the store, a compiled step."""
    import keras

    from crydistill.corpora.clip import Clip, Label
    from crydistill.distill.feeds import WindowFeed
    from crydistill.distill.losses import kl_softmax
    from crydistill.distill.step import training_step
    from crydistill.distill.targets import teacher_logits
    from crydistill.selection.pool import window_pool
    from crydistill.selection.sampler import FixedSampler
    from crydistill.student.zoo import build
    from crydistill.teacher.scores import ScoreStore

    scores = ScoreStore(store)
    clips = [Clip(name, Path(name), Label.NONCRY, name) for name in scores.entries]
    pool = window_pool([(scores, clips)])
    model = build("dscnn")
    model.compile(optimizer=keras.optimizers.AdamW(1e-3), loss=kl_softmax, jit_compile=False)
    step = training_step(model, kl_softmax)
    sampler = FixedSampler(np.arange(len(pool)), seed=0)
    feed = WindowFeed(pool, teacher_logits(pool), sampler, batch)

    def epoch() -> None:
        loss = 0.0
        for inputs, taught in feed.batches(0):
            loss = step(inputs, taught)
        float(loss)  # waits for a GPU

    return epoch


def epoch_in_process(store: Path, batch: int) -> None:
    """The same in a process of its own, which keeps network and store from call to call."""
    _epoch(store, batch)()


def _others(windows: int, batch: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """Keras's `fit` and the eager loop on random windows in memory."""
    import keras

    from crydistill.distill.losses import kl_softmax
    from crydistill.student.layers import plain
    from crydistill.student.zoo import build

    rng = np.random.default_rng(0)
    count = windows // batch * batch
    patches = rng.normal(-3, 2, (count, 96, 64)).astype(np.float32)
    logits = rng.normal(-5, 2, (count, 521)).astype(np.float32)
    fitted = plain(build("dscnn"))
    fitted.compile(optimizer=keras.optimizers.AdamW(1e-3), loss=kl_softmax)
    loop = reference.EagerTraining()

    def eager() -> None:
        order = rng.permutation(count).reshape(-1, batch)
        for which in order:
            loop.batch(patches[which], logits[which])

    return lambda: fitted.fit(patches[..., None], logits, batch_size=batch, verbose=0), eager


def _write_store(directory: Path, windows: int) -> None:
    from crydistill.teacher.scores import TeacherIdentity, open_for_writing

    rng = np.random.default_rng(0)
    with open_for_writing(directory, TeacherIdentity("noise", "0" * 64)) as store:
        for start in range(0, windows, 16):
            count = min(16, windows - start)
            store.append(
                str(start), sha256="0" * 64, duration=1.0, notes=(),
                frames=rng.normal(-3, 2, (48 * (count + 1), 64)).astype(np.float32),
                logits=rng.normal(-5, 2, (count, 521)).astype(np.float32),
            )  # fmt: skip
