"""Ray: real clusters of several workers, which die, and whose driver dies."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
from tests.teacher.scored import LoudnessTeacher, SlowFiles, assert_same, make_clips, work_on

import crydistill
from crydistill.audio.windows import window_count
from crydistill.corpora.clip import Clip
from crydistill.corpora.folder import read_corpus
from crydistill.errors import MissingExtraError, SetupError, StoreError
from crydistill.synthesis.nursery import write_nursery
from crydistill.teacher import cluster
from crydistill.teacher.cluster import Cluster, Worker
from crydistill.teacher.scores import WINDOW_SCORES, ScoreStore
from crydistill.teacher.shards import divided
from crydistill.teacher.work import TeacherFiles, Work, score_work

PATIENCE = 300
"""Seconds to wait for what takes a few on an idle machine."""

RECORDED = TeacherFiles((Path(str(files("crydistill") / "data" / "nursery_scores.npz")),), True)
SHARDS = 12

DRIVER = """
import pickle, sys
from pathlib import Path
from crydistill.cli.common import resumable
from crydistill.teacher.cluster import Cluster

works, address = pickle.loads(Path(sys.argv[1]).read_bytes())
with resumable():
    Cluster(address, worker_cpus=1).score(works, say=lambda line: print(line, file=sys.stderr))
"""


class Family:
    """All processes that this one has started since, and those that they have started.

    Ray's change their titles and wipe their environment, and orphans lose their parents: so they
    are counted while they live.
    """

    def __init__(self) -> None:
        self._seen: set[tuple[int, str]] = set()
        self._before = _descendants()  # of tests before this one, which may live on

    def watch(self) -> None:
        """Take down who is there now."""
        self._seen |= _descendants() - self._before

    def alive(self) -> list[int]:
        """Those that have not ended."""
        self.watch()
        found = {pid: _stat(pid) for pid, _ in self._seen}
        return [
            pid
            for pid, start in self._seen
            if (now := found[pid]) and now[0] != "Z" and now[2] == start
        ]

    def eventually(self, is_so: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not is_so():
            assert time.monotonic() < deadline, what
            self.watch()
            time.sleep(0.05)

    def end(self) -> None:
        for pid in self.alive():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def scoring(self, store: Path) -> list[int]:
        """Those that have a file of a store open: workers with a shard in work."""
        return [pid for pid in self.alive() if _has_open(pid, str(store))]


def _descendants() -> set[tuple[int, str]]:
    """Processes below this one, with their time of start."""
    parents = {pid: found for pid in _pids() if (found := _stat(pid))}
    inside = {os.getpid()}
    while more := {pid for pid, (_, up, _) in parents.items() if up in inside} - inside:
        inside |= more
    return {(pid, parents[pid][2]) for pid in inside - {os.getpid()}}


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _stat(pid: int) -> tuple[str, int, str] | None:
    """State, parent and time of start of a process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return fields[0], int(fields[1]), fields[19]


def _has_open(pid: int, folder: str) -> bool:
    with suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if str(link.readlink()).startswith(folder):
                    return True
    return False


@pytest.fixture
def family(monkeypatch: pytest.MonkeyPatch) -> Iterator[Family]:
    """The processes of a test, which are ended after it whatever happens."""
    # Workers import the package that is tested, and the teachers of these tests.
    places = [Path(crydistill.__file__).parents[1], Path(__file__).parents[2]]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, places)))
    before = set(Path("/tmp").glob("crydistill-ray-*"))
    family = Family()
    yield family
    family.end()
    # What a driver that is killed at once cannot remove; not what a test beside this one uses.
    for folder in set(Path("/tmp").glob("crydistill-ray-*")) - before:
        if not any(_has_open(pid, str(folder)) for pid in _pids()):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running_cluster(*, cpus: int = 4, gpus: int = 0) -> Iterator[str]:
    """A Ray cluster of its own process tree, as `ray start` makes one; its address."""
    code = (
        "import os, ray, sys\n"
        "os.environ.update(RAY_USAGE_STATS_ENABLED='0', RAY_AUTH_MODE='disabled')\n"
        f"context = ray.init('local', num_cpus={cpus}, num_gpus={gpus}, include_dashboard=False,"
        " object_store_memory=100 << 20, _system_config={'worker_niceness': 0})\n"
        "print(context.address_info['gcs_address'], flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as head:
        assert head.stdin and head.stdout
        try:
            yield head.stdout.readline().strip()
        finally:
            head.stdin.close()
            head.wait(timeout=PATIENCE)


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    clips = read_corpus(write_nursery(tmp_path_factory.mktemp("nursery"), seed=0))
    return [*clips]


@pytest.fixture(scope="module")
def whole(nursery: list[Clip], tmp_path_factory: pytest.TempPathFactory) -> ScoreStore:
    directory = tmp_path_factory.mktemp("whole")
    work = Work("nursery", directory, tuple(nursery), RECORDED, WINDOW_SCORES)
    score_work(work, RECORDED.load)
    return ScoreStore(directory)


def shards_of(nursery: list[Clip], store: Path, of: int = SHARDS) -> list[Work]:
    store.mkdir(exist_ok=True)
    work = Work("nursery", store, tuple(nursery), RECORDED, WINDOW_SCORES)
    parts = divided(nursery, of)
    return [replace(work, clips=tuple(clips), shard=shard) for shard, clips in parts.items()]


def slowly(works: list[Work]) -> list[Work]:
    return [replace(work, teacher=SlowFiles(RECORDED.paths, True)) for work in works]


def start_driver(works: list[Work], address: str | None, folder: Path) -> "subprocess.Popen[str]":
    import pickle

    plan = folder / "works.pickle"
    plan.write_bytes(pickle.dumps((works, address)))
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(plan)], stderr=subprocess.PIPE, text=True
    )


def finished(store: Path) -> int:
    return sum(path.name.count("part") == 0 for path in store.glob("shard-*") if path.is_dir())


def test_workers_and_driver_die_and_nothing_is_lost_or_doubled(
    nursery: list[Clip], whole: ScoreStore, tmp_path: Path, family: Family
) -> None:
    """On a running cluster: workers are killed at random, then the driver, which begins again."""
    store = tmp_path / "store"
    works = shards_of(nursery, store)
    rng = random.Random(0)
    with running_cluster() as address:
        driver = start_driver(slowly(works), address, tmp_path)
        try:
            for killed in range(3):
                family.eventually(
                    lambda killed=killed: (finished(store) > killed and family.scoring(store))
                    or driver.poll() is not None,
                    "no shard was finished",
                )  # fmt: skip
                if victims := family.scoring(store):
                    os.kill(rng.choice(victims), signal.SIGKILL)
        finally:
            driver.kill()
            driver.communicate()
        done = {path.name: path.stat().st_ino for path in store.glob("shard-*-of-???")}
        again = start_driver(works, address, tmp_path)
        _, said = again.communicate(timeout=PATIENCE)
        assert again.returncode == 0, said
    assert {name: (store / name).stat().st_ino for name in done} == done
    assert sorted(path.name for path in store.iterdir()) == [work.shard.name for work in works]
    assert_same(ScoreStore(store), whole)
    family.eventually(lambda: not family.alive(), "processes are left")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_a_stopped_driver_leaves_no_processes_and_is_gone_on_with(
    nursery: list[Clip],
    whole: ScoreStore,
    tmp_path: Path,
    family: Family,
    number: signal.Signals,
    code: int,
) -> None:
    """With a cluster of its own, which ends with it however it ends."""
    store = tmp_path / "store"
    works = shards_of(nursery, store)
    driver = start_driver(slowly(works), None, tmp_path)
    try:
        family.eventually(
            lambda: finished(store) or driver.poll() is not None, "nothing was scored"
        )
        driver.send_signal(number)
        _, said = driver.communicate(timeout=PATIENCE)
    finally:
        driver.kill()
    assert driver.returncode in (code, 0), said  # 0: it was faster
    assert "Traceback" not in said
    family.eventually(lambda: not family.alive(), "processes are left")
    for work in works:
        score_work(work, RECORDED.load)
    assert_same(ScoreStore(store), whole)


def test_what_workers_say_is_said_here(nursery: list[Clip], tmp_path: Path, family: Family) -> None:
    """One cluster, started here; three questions, since starting one takes seconds."""
    with running_cluster(cpus=4, gpus=2) as address:
        ray = cluster._ray()
        store = tmp_path / "store"
        works = shards_of(nursery, store, 2)
        (bad, _) = works
        bad = replace(bad, teacher=TeacherFiles((tmp_path / "none.h5",)))
        with pytest.raises(Exception, match=r"none.h5: cannot be read") as raised:
            Cluster(address).score([bad])
        assert type(raised.value).__name__ == "TeacherError"
        assert not ray.is_initialized()
        gone = replace(works[0], directory=tmp_path / "elsewhere")
        with pytest.raises(StoreError, match="all machines of the cluster must see the same files"):
            Cluster(address).score([gone])
        with cluster._connected(ray, address):
            shift = cluster._Shift(ray, 2, {}, lambda units, note="": None, print)
            assert shift._room() == ({"num_cpus": 2, "num_gpus": 1}, 2)
    family.eventually(lambda: not family.alive(), "processes are left")


def test_no_cluster_there_is_one_line(nursery: list[Clip], tmp_path: Path, family: Family) -> None:
    works = shards_of(nursery, tmp_path / "store", 1)
    with pytest.raises(SetupError, match=r"no Ray cluster at 127.0.0.1:9"):
        Cluster("127.0.0.1:9").score(works)


def test_sigterm_while_ray_starts_is_answered_by_this_program() -> None:
    def ours(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, ours)
    try:
        with pytest.raises(KeyboardInterrupt), cluster._own_sigterm():
            signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(number))  # as Ray does
            signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is ours
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_missing_extra_is_one_line(
    nursery: list[Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"needs Ray: pip install 'crydistill\[ray\]'"):
        Cluster().score(shards_of(nursery, tmp_path / "store", 1))


def test_nothing_to_do_starts_no_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = work_on(tmp_path / "store", make_clips(tmp_path / "clips", 2))
    (work,) = [replace(work, shard=shard) for shard in divided(work.clips, 1)]
    score_work(work, LoudnessTeacher)
    monkeypatch.setattr(cluster, "_connected", None)
    assert [result.failures for result in Cluster().score([work])] == [()]


def test_a_worker_tells_how_far_it_is(
    nursery: list[Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (work,) = shards_of(nursery[:6], tmp_path / "store", 1)
    worker = Worker(1)
    seen = []

    class Asked(LoudnessTeacher):
        def logits(self, recordings: list[object]) -> list[object]:
            seen.append(worker.done())
            return super().logits(recordings)

    monkeypatch.setattr("crydistill.teacher.scoring.WINDOWS_PER_BATCH", 1)
    monkeypatch.setattr(TeacherFiles, "load", lambda _: Asked())
    assert worker.score(work).scored == 6
    # The teacher hears the next clips while one is stored: how many, no test can say.
    assert len(seen) == 6
    assert seen == sorted(seen)
    assert all(done <= asked for asked, done in enumerate(seen))
    assert worker.done() == 6


THREADS = """
import json, sys
from crydistill.teacher.cluster import limit_threads
limit_threads(3)
limit_threads(3)
import keras
if keras.backend.backend() == "torch":
    import torch
    found = [torch.get_num_threads()]
else:
    import tensorflow
    pools = tensorflow.config.threading
    tensorflow.constant([1.0]) + 1
    limit_threads(3)
    found = [pools.get_intra_op_parallelism_threads(), pools.get_inter_op_parallelism_threads()]
print(json.dumps(found))
"""


@pytest.mark.parametrize(("backend", "expected"), [("tensorflow", [3, 1]), ("torch", [3])])
def test_the_librarys_own_threads_are_limited(backend: str, expected: list[int]) -> None:
    pytest.importorskip(backend)
    done = subprocess.run(
        [sys.executable, "-c", THREADS], env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == expected


@pytest.mark.slow
@pytest.mark.shared
def test_the_real_teacher_on_several_workers(shared: Path, tmp_path: Path, family: Family) -> None:
    """Real recordings; both ways have the same shards, so that batches are the same, too."""
    clips = read_corpus(shared / "audio", where={"split": "dev"})[:60]
    teacher = TeacherFiles((shared / "teacher" / "yamnet_rebuilt.h5",))
    stores = []
    for name in ("here", "cluster"):
        store = tmp_path / name
        store.mkdir()
        work = Work("dev", store, tuple(clips), teacher, WINDOW_SCORES)
        works = [
            replace(work, clips=tuple(part), shard=shard)
            for shard, part in divided(clips, 4).items()
        ]
        stores.append((store, works))
    loaded = teacher.load()
    for work in stores[0][1]:
        score_work(work, lambda: loaded)
    with running_cluster(cpus=2) as address:
        driver = start_driver(stores[1][1], address, tmp_path)
        family.eventually(
            lambda: finished(stores[1][0]) or driver.poll() is not None, "nothing was scored"
        )
        if victims := family.scoring(stores[1][0]):
            os.kill(victims[0], signal.SIGKILL)
        _, said = driver.communicate(timeout=2 * PATIENCE)
        assert driver.returncode == 0, said
    here, there = (ScoreStore(store) for store, _ in stores)
    assert sorted(here.entries) == sorted(there.entries)
    for name, entry in here.entries.items():
        assert entry.windows == there.entries[name].windows == window_count(entry.frames)
        assert abs(here.cry_scores(name) - there.cry_scores(name)).max(initial=0) < 2e-3
        assert (here.frames(name) == there.frames(name)).all()
