"""Tasks on worker processes of this machine, any of which may be killed."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_TRIES: Final = 2
# Each worker uses one thread, in the core and in the linear algebra of NumPy.
_ONE_THREAD: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Lost:
    """The result of a task whose process was killed."""

    reason: str


@dataclass
class _Worker(Generic[T]):
    process: BaseProcess
    pipe: Connection
    task: T
    tries: int


def in_processes(
    work: Callable[[T], R], tasks: Iterable[T], jobs: int
) -> Iterator[tuple[T, R | Lost]]:
    """Yield each task with work(task), in the order of completion, computed by `jobs` processes.

    `work` must be importable; it, the tasks and the results are pickled, and its exceptions are
    raised here. The processes are spawned, as a fork would copy locks of a BLAS, and have one
    thread each unless `work` starts more.

    A task whose process is killed is repeated once by another process; then its result is Lost.
    When the iterator is closed, or its process ends in any way, the workers end as well.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, not {jobs}")
    fresh = ((task, 1) for task in tasks)
    again: deque[tuple[T, int]] = deque()  # tasks with the number of the attempt
    workers: list[_Worker[T]] = []

    def following() -> tuple[T, int] | None:
        return again.popleft() if again else next(fresh, None)

    try:
        while True:
            while len(workers) < jobs and (more := following()) is not None:
                workers.append(_start(work, *more))
            if not workers:
                return
            ready = wait([worker.pipe for worker in workers])
            for worker in [worker for worker in workers if worker.pipe in ready]:
                task = worker.task
                try:
                    error, result = worker.pipe.recv()
                except (EOFError, OSError):
                    workers.remove(worker)
                    reason = _end_of(worker)
                    if worker.tries < _TRIES:
                        again.append((task, worker.tries + 1))
                    else:
                        yield task, Lost(reason)
                    continue
                if error is not None:
                    raise error
                if (more := following()) is None:
                    workers.remove(worker)
                    _dismiss(worker)
                else:
                    worker.task, worker.tries = more
                    _send(worker.pipe, worker.task)
                yield task, result
    finally:
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.process.join()
            worker.pipe.close()


def _start(work: Callable[[T], R], task: T, tries: int) -> _Worker[T]:
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, work), daemon=True)
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ |= dict.fromkeys(_ONE_THREAD, "1")
    try:
        process.start()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    theirs.close()
    _send(ours, task)
    return _Worker(process, ours, task, tries)


def _send(pipe: Connection, task: Any) -> None:
    try:
        pipe.send(task)
    except BrokenPipeError:  # the worker was killed while idle, which reading will detect
        return


def _dismiss(worker: _Worker[Any]) -> None:
    worker.pipe.close()  # ends the worker
    worker.process.join()


def _end_of(worker: _Worker[Any]) -> str:
    worker.process.join()
    worker.pipe.close()
    code = worker.process.exitcode or 0
    if code < 0:
        return f"its process was ended by {signal.Signals(-code).name}, twice"
    return f"its process ended with code {code}, twice"


def _serve(pipe: Connection, work: Callable[[Any], Any]) -> None:
    """Compute the tasks of a pipe until it is closed; the main function of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # on Ctrl-C the parent ends the workers
    threading.Thread(target=_follow_parent, daemon=True).start()
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        try:
            answer = None, work(task)
        except Exception as error:
            pipe.send((error, None))
        else:
            pipe.send(answer)


def _follow_parent() -> None:
    """End the process when its parent is killed, even during a task."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
