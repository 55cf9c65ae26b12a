"""Score on a Ray cluster: workers that load the teacher once and are handed one shard at a time.

Ray starts processes, places them and tells which have died; the rest is in the files. A shard is
the same work whoever does it and however often (`crydistill.teacher.work`), so what a worker, a
machine or this process leaves undone is simply handed out again. Only paths travel to the workers
and only counts come back: all machines must see the same files under the same paths.
"""

import os
import platform
import secrets
import signal
import socket
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from crydistill import __version__
from crydistill.errors import (
    CrydistillError,
    MissingExtraError,
    SetupError,
    StoreError,
    first_line,
)
from crydistill.lock import BusyError
from crydistill.progress import Advance, Progress, silent
from crydistill.teacher.scoring import Scoring
from crydistill.teacher.work import TeacherFiles, Teachers, Work, score_work

WORKER_CPUS = 2
"""Processors of a worker: one decodes while the other runs the network."""

_ERRORS_ALLOWED = 3
"""Times that a shard may fail with an error that is not one of ours, such as a full disk."""

_DEATHS_ALLOWED = 20
"""Times that a worker may vanish under a shard: machines that can be taken away often are."""

_STARTS_ALLOWED = 5
"""Workers that may die one after the other before they have begun."""

_INITS_TRIED = 3
"""Ray gives up after 30 seconds when it starts, which is too soon on a machine that is busy."""

_SECONDS_BETWEEN_LOOKS = 1.0
_SECONDS_TO_CONNECT = 10.0
_CHECKS_AT_ONCE = 16
_OBJECT_STORE_BYTES = 128 << 20
"""Only paths and counts travel; Ray would take a third of the memory."""


@dataclass(frozen=True)
class Cluster:
    """Where to score.

    address : of a running cluster, such as `auto` or `10.0.0.1:6379`; None: one of this machine's
        processors is started, and ended with the work
    worker_cpus : processors of a worker; on a cluster with GPUs a worker also has one of these
    """

    address: str | None = None
    worker_cpus: int = WORKER_CPUS

    def score(
        self,
        works: Sequence[Work],
        *,
        progress: Progress = silent,
        say: Callable[[str], None] = lambda line: None,
    ) -> list[Scoring]:
        """Score pieces of work; those that are finished are not handed out again.

        Returns
        -------
        A result for each work, see `crydistill.teacher.work.score_work`.

        Raises
        ------
        MissingExtraError
            if Ray is not installed.
        SetupError
            if the cluster cannot be reached, its workers cannot start, or a shard fails again and
            again.
        CrydistillError
            what a worker raised.
        """
        ray = _ray()
        with ThreadPoolExecutor(_CHECKS_AT_ONCE) as pool:
            results = list(pool.map(Work.finished, works))
        todo = {n: works[n].anywhere() for n, result in enumerate(results) if result is None}
        if todo:
            clips = sum(len(work.clips) for work in todo.values())
            with _connected(ray, self.address), progress("scoring", clips, "clips") as advance:
                shift = _Shift(ray, self.worker_cpus, todo, advance, say)
                for number, result in shift.results():
                    results[number] = result
        return [result for result in results if result is not None]


class Worker:
    """An actor: holds teachers, scores a shard at a time, and tells meanwhile how far it is."""

    def __init__(self, cpus: int) -> None:
        self._teachers, self._cpus, self._done = Teachers(), cpus, 0

    def version(self) -> str:
        """Of the package on this machine."""
        return __version__

    def done(self) -> int:
        """Clips of the shard in work that are in its store."""
        return self._done

    def score(self, work: Work) -> Scoring | CrydistillError:
        """Score a shard; return an error that is meant for people, so that it arrives as it is."""
        self._done = 0
        if not work.directory.is_dir():
            return StoreError(
                f"{work.directory}: not there on {platform.node()}; all machines of the cluster "
                "must see the same files under the same paths"
            )

        @contextmanager
        def counted(task: str, total: int, unit: str) -> Iterator[Advance]:
            self._done = len(work.clips) - total

            def advance(units: int, note: str = "", /) -> None:
                self._done += units

            yield advance

        try:
            return score_work(work, lambda: self._teacher(work.teacher), progress=counted)
        except CrydistillError as error:
            return error

    def _teacher(self, files: TeacherFiles) -> Any:
        if not files.recorded:
            limit_threads(self._cpus)
        return self._teachers.get(files)


def limit_threads(count: int) -> None:
    """Have the network's library use so many threads in this process.

    Ray sets the number for OpenMP only, and TensorFlow has a pool of its own, as large as the
    machine. It cannot be changed once TensorFlow has run anything; then it stays.
    """
    try:
        import keras
    except ModuleNotFoundError:
        return  # a .tflite needs none
    if keras.backend.backend() == "torch":
        import torch

        torch.set_num_threads(count)
        return
    import tensorflow

    if tensorflow.config.threading.get_intra_op_parallelism_threads() != count:
        tensorflow.config.threading.set_intra_op_parallelism_threads(count)
        tensorflow.config.threading.set_inter_op_parallelism_threads(1)


@dataclass
class _Hired:
    """A worker and the shard it has; None while it starts."""

    actor: Any
    number: int | None = None
    asked: Any = None
    done: int = 0


class _Shift:
    """Hands out the shards until all are done."""

    def __init__(
        self,
        ray: Any,
        cpus: int,
        todo: dict[int, Work],
        advance: Advance,
        say: Callable[[str], None],
    ) -> None:
        self._ray, self._cpus, self._works, self._say = ray, cpus, todo, say
        self._advance, self._shown, self._clips_done = advance, 0, 0
        self._waiting = deque(todo)
        self._left = set(todo)
        self._hired: dict[Any, _Hired] = {}
        self._errors: Counter[int] = Counter()
        self._deaths: Counter[int] = Counter()
        self._failed_starts = 0

    def results(self) -> Iterator[tuple[int, Scoring]]:
        """Yield number and result of each shard, in the order in which they are done."""
        try:
            while self._left:
                self._hire()
                if not self._hired:
                    time.sleep(_SECONDS_BETWEEN_LOOKS)
                    continue
                refs = list(self._hired)
                ready, _ = self._ray.wait(refs, timeout=_SECONDS_BETWEEN_LOOKS)
                for ref in ready:
                    yield from self._settle(self._hired.pop(ref), ref)
                self._report()
        finally:
            for worker in self._hired.values():
                self._ray.kill(worker.actor)

    def _hire(self) -> None:
        """Start workers for which there is room and work."""
        options, room = self._room()
        for _ in range(min(room, len(self._left)) - len(self._hired)):
            actor = self._ray.remote(Worker).options(**options, max_concurrency=2)
            worker = _Hired(actor.remote(options["num_cpus"]))
            self._hired[worker.actor.version.remote()] = worker

    def _room(self) -> tuple[dict[str, Any], int]:
        """What a worker needs, and how many the machines that are there now have room for."""
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        cpus = [int(node.get("CPU", 0)) for node in nodes]
        gpus = [int(node.get("GPU", 0)) for node in nodes]
        each = max(1, min(self._cpus, max(cpus, default=1)))
        if sum(gpus):
            room = sum(min(c // each, g) for c, g in zip(cpus, gpus, strict=True))
            return {"num_cpus": each, "num_gpus": 1}, room
        return {"num_cpus": each}, sum(c // each for c in cpus)

    def _settle(self, worker: _Hired, ref: Any) -> Iterator[tuple[int, Scoring]]:
        """Take what a worker has to say, and give it the next shard."""
        number = worker.number
        try:
            answer = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:
            assert number is not None  # telling one's version does not fail
            self._again(number, self._errors, _ERRORS_ALLOWED, error.cause)
        except self._ray.exceptions.RayError as error:
            self._bury(worker, error)
            return
        else:
            if number is None:
                self._greet(answer)
            elif isinstance(answer, BusyError):
                time.sleep(_SECONDS_BETWEEN_LOOKS)  # not to ask again and again
                self._waiting.append(number)
            elif isinstance(answer, CrydistillError):
                self._hired[ref] = worker  # to be ended with the others
                raise answer
            else:
                self._left.discard(number)
                self._clips_done += len(self._works[number].clips)
                yield number, answer
        self._give(worker)

    def _give(self, worker: _Hired) -> None:
        if not self._waiting:
            self._ray.kill(worker.actor)
            return
        worker.number, worker.done = self._waiting.popleft(), 0
        self._hired[worker.actor.score.remote(self._works[worker.number])] = worker

    def _greet(self, version: str) -> None:
        self._failed_starts = 0
        if version != __version__:
            raise SetupError(
                f"a worker has crydistill {version} and this machine {__version__}; install the "
                "same version on all machines"
            )

    def _bury(self, worker: _Hired, reason: Exception) -> None:
        """Hand out again what a worker has left that died, or whose machine vanished."""
        if worker.number is not None:
            self._again(worker.number, self._deaths, _DEATHS_ALLOWED, reason)
            return
        self._failed_starts += 1
        if self._failed_starts >= _STARTS_ALLOWED:
            raise SetupError(f"workers cannot start: {first_line(reason)}")

    def _again(self, number: int, failures: Counter[int], allowed: int, reason: Exception) -> None:
        failures[number] += 1
        name = self._works[number].name
        if failures[number] >= allowed:
            raise SetupError(f"{name}: failed {allowed} times: {first_line(reason)}")
        self._say(f"{name}: handed out again ({first_line(reason)})")
        self._waiting.append(number)

    def _report(self) -> None:
        """Ask the workers how far they are, without waiting, and show it."""
        busy = [worker for worker in self._hired.values() if worker.number is not None]
        for worker in busy:
            if worker.asked is None:
                worker.asked = worker.actor.done.remote()
            elif self._ray.wait([worker.asked], timeout=0)[0]:
                try:
                    worker.done = self._ray.get(worker.asked)
                except self._ray.exceptions.RayError:
                    worker.done = 0  # it is about to be buried
                worker.asked = None
        done = self._clips_done + sum(worker.done for worker in busy)
        shards = len(self._works)
        note = f"{shards - len(self._left)} of {shards} shards, {len(busy)} workers"
        # What a dead worker had done counts again only when another has done as much.
        self._advance(max(0, done - self._shown), note)
        self._shown = max(self._shown, done)


def _ray() -> Any:
    try:
        import ray
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "scoring on a cluster needs Ray: pip install 'crydistill[ray]'"
        ) from error
    return ray


@contextmanager
def _connected(ray: Any, address: str | None) -> Iterator[None]:
    """Connect to a cluster, or start one that ends with the block."""
    with ExitStack() as stack:
        stack.callback(ray.shutdown)
        try:
            with _own_sigterm():
                if address:
                    _require_reachable(address)
                    ray.init(address=address, log_to_driver=False, logging_level="ERROR")
                else:
                    folder = tempfile.TemporaryDirectory(
                        prefix="crydistill-ray-",
                        # Names of sockets have at most 107 letters, and Ray's are long.
                        dir="/tmp" if os.name == "posix" else None,
                        ignore_cleanup_errors=True,
                    )
                    stack.enter_context(folder)
                    stack.callback(ray.shutdown)  # before the folder goes
                    _start(ray, folder.name)
        except Exception as error:  # Ray raises many kinds, and plain ones
            raise SetupError(_unreachable(address, error)) from error
        yield


def _require_reachable(address: str) -> None:
    """Raise OSError for an address where nobody listens: Ray would try for minutes, then exit."""
    host, colon, port = address.rpartition(":")
    if colon and host and port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), _SECONDS_TO_CONNECT).close()


def _unreachable(address: str | None, error: Exception) -> str:
    if address is None:
        return f"Ray does not start here ({first_line(error)})"
    if "InvalidAuthToken" in f"{error} {error.__cause__}":
        return (
            f"the Ray cluster at {address} asks for a token: set RAY_AUTH_MODE=token and "
            "RAY_AUTH_TOKEN to it"
        )
    return f"no Ray cluster at {address} ({first_line(error)})"


@cache
def _token() -> str:
    """Secret of clusters that this process starts; left to itself Ray writes one to the home."""
    return secrets.token_hex(32)


def _start(ray: Any, folder: str) -> None:
    # What Ray's processes inherit.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_AUTH_TOKEN"] = _token()
    for tried in range(1, _INITS_TRIED + 1):
        try:
            ray.init(
                address="local",
                include_dashboard=False,
                log_to_driver=False,
                logging_level="ERROR",
                object_store_memory=_OBJECT_STORE_BYTES,
                _temp_dir=folder,
                # Left to itself Ray lets every other process of the machine go first.
                _system_config={"worker_niceness": 0},
            )
        except Exception:
            ray.shutdown()
            if tried == _INITS_TRIED:
                raise
        else:
            return


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keep this program's answer to SIGTERM, which Ray replaces by an end without cleaning up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit as end:
        signal.signal(signal.SIGTERM, before)
        if end.code == signal.SIGTERM:  # Ray has answered already
            signal.raise_signal(signal.SIGTERM)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
