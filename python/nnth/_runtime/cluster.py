"""Tasks on a dask distributed cluster (the extra `cluster`)."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from itertools import islice
from typing import Any, TypeVar

from nnth import __version__
from nnth._runtime.workers import Lost

T = TypeVar("T")
R = TypeVar("R")

_TIMEOUT = 10  # seconds to wait for the scheduler, and for a first worker


class ClusterError(Exception):
    """The scheduler does not answer, or has no workers."""


def on_cluster(
    work: Callable[[T], R], tasks: Iterable[T], address: str
) -> Iterator[tuple[T, R | Lost]]:
    """Yield each task with work(task), in the order of completion, from a dask cluster.

    `work` must be importable on the workers, in the same version; its exceptions are raised here.
    `address` is that of the scheduler, as in tcp://127.0.0.1:8786.

    A task whose worker is killed is given to another; after 3 failures (dask's `allowed-failures`)
    its result is Lost. A few tasks per thread are submitted at a time. When the iterator is closed,
    tasks that have not started are cancelled.

    Raises ValueError if dask distributed is not installed or the workers have another version of
    nnth, and ClusterError if there is no scheduler or no worker.
    """
    if find_spec("distributed") is None:
        raise ValueError("scheduler needs dask distributed: pip install 'nnth[cluster]'")
    _require_scheduler(address)
    distributed: Any = import_module("distributed")
    # Loading it sets log levels. That it computes again what a killed worker had is no news.
    logging.getLogger("distributed.client").setLevel(logging.ERROR)
    try:
        client = distributed.Client(address, timeout=_TIMEOUT, set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise ClusterError(f"scheduler {address} does not answer: {error}") from None
    with client, _silenced("distributed.client"):
        _require_workers(client, address)
        threads = sum(client.nthreads().values())
        waiting = iter(tasks)
        under_way = {}
        results: Any = distributed.as_completed(loop=client.loop)

        def submit(count: int) -> None:
            for task in islice(waiting, count):
                future = client.submit(work, task, pure=False)
                under_way[future.key] = task
                results.add(future)

        submit(max(8, 4 * threads))
        try:
            while under_way:
                future = next(results)
                task = under_way.pop(future.key)
                submit(1)
                try:
                    # dask computes the task again if its worker was killed with the result.
                    result: R | Lost = future.result()
                except distributed.KilledWorker:
                    result = Lost("its workers on the cluster were killed")
                yield task, result
        finally:
            client.cancel([*results.futures], force=True)


@contextmanager
def _silenced(name: str) -> Iterator[None]:
    """Do not report workers that come and go, which dask handles."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _require_scheduler(address: str) -> None:
    """Raise ClusterError if nothing listens at the address; dask itself would retry for long."""
    addressing: Any = import_module("distributed.comm.addressing")
    try:
        host, port = addressing.get_address_host_port(address, strict=True)
    except ValueError:
        raise ValueError(
            f"scheduler must be an address as in tcp://127.0.0.1:8786, not {address!r}"
        ) from None
    try:
        socket.create_connection((host, port), timeout=_TIMEOUT).close()
    except OSError as error:
        raise ClusterError(f"scheduler {address} does not answer: {error.strerror}") from None


def _require_workers(client: Any, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=_TIMEOUT)
    except TimeoutError:
        raise ClusterError(f"scheduler {address} has no workers") from None
    try:
        versions = client.run(_version)
    except ImportError as error:
        raise ValueError(f"scheduler {address}: its workers have no nnth: {error}") from None
    for worker, version in versions.items():
        if version != __version__:
            raise ValueError(
                f"scheduler {address}: worker {worker} must have nnth {__version__}, not {version}"
            )


def _version() -> str:
    return __version__
