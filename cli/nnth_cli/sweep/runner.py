"""Computes the points of a sweep on an engine, and writes their rows."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias, TypeVar

from nnth._runtime.workers import Lost, in_processes
from nnth._tables.table import Table
from nnth_cli.sweep.journal import Journal, OtherColumnsError
from nnth_cli.sweep.parts import Parts
from nnth_cli.sweep.points import Failure, Point, Task, merge_point, run_task

T = TypeVar("T")
R = TypeVar("R")

# Yields each task with its result, in any order.
Engine: TypeAlias = Callable[[Callable[[T], R], Iterable[T]], Iterator[tuple[T, R | Lost]]]
Report: TypeAlias = Callable[[int, int, int], None]  # numbers of tasks done, tasks, failed points


def engine_of(jobs: int, scheduler: str | None) -> Engine[Any, Any]:
    """Return the engine: worker processes, a dask cluster, or this process."""
    if scheduler is not None:
        from nnth._runtime.cluster import on_cluster

        return partial(on_cluster, address=scheduler)
    return partial(in_processes, jobs=jobs) if jobs else in_turn


def in_turn(work: Callable[[T], R], tasks: Iterable[T]) -> Iterator[tuple[T, R | Lost]]:
    """Compute one task after another in this process."""
    for task in tasks:
        yield task, work(task)


@dataclass
class Runner:
    """The points of one sweep, and the files of their rows.

    `check` is called with the first table before it is written, and may raise ValueError.
    """

    journal: Journal
    points: Sequence[Point]
    parts: Parts | None
    split: int
    threads: int
    check: Callable[[Table], None]
    shard: tuple[int, int] = (1, 1)
    reason: str = field(default="", init=False)  # the message of the last failure
    _checked: bool = field(default=False, init=False)
    _failures: int = field(default=0, init=False)  # in this run

    def missing(self) -> list[Task]:
        """Return the tasks that this sweep, or this shard, still has to compute."""
        number, count = self.shard
        if self.parts is None:
            mine = self.points[number - 1 :: count]
            return [Task(p, self.threads) for p in mine if p not in self.journal]
        tasks = [
            Task(p, self.threads, (i, self.split)) for p in self.points for i in range(self.split)
        ]
        return [
            task
            for task in tasks[number - 1 :: count]
            if task.point not in self.journal
            and task.part is not None
            and not self.parts.has(task.point, task.part[0])
        ]

    @property
    def failed(self) -> int:
        """Number of failed points of this sweep."""
        return sum(point.key in self.journal.failed for point in self.points)

    def run(self, engine: Engine[Any, Any], tasks: Sequence[Task], report: Report | None) -> None:
        """Compute the tasks, write each result, and report the progress."""
        results = engine(run_task, tasks)
        try:
            self._merge_whole(self.points)  # parts of a sweep that was killed before merging
            for done, (task, result) in enumerate(results, 1):
                self._keep(task, result)
                if report is not None:
                    report(done, len(tasks), self._failures)
        finally:
            if hasattr(results, "close"):
                results.close()  # ends worker processes
            self.journal.close()
        if self.parts is not None:
            self.journal.refresh()
            if all(point in self.journal for point in self.points):
                self.parts.remove(self.points)
            self.parts.close()
            self.journal.close()

    def _keep(self, task: Task, result: Table | list[Any] | Failure | Lost) -> None:
        if isinstance(result, Table):
            self._add(task.point, result)
        elif isinstance(result, Failure | Lost):
            self._fail(task.point, result.reason)
        elif self.parts is not None and task.part is not None:
            self.parts.add(task.point, task.part[0], result)
            self._merge_whole([task.point])

    def _merge_whole(self, points: Iterable[Point]) -> None:
        if self.parts is None:
            return
        for point in points:
            if self.parts.is_whole(point) and point not in self.journal:
                merged = merge_point(point, self.threads, self.parts.drawn(point))
                if isinstance(merged, Table):
                    self._add(point, merged)
                else:
                    self._fail(point, merged.reason)

    def _add(self, point: Point, table: Table) -> None:
        if not self._checked:
            self.check(table)
            self._checked = True
        try:
            self.journal.add(point, table)
        except OtherColumnsError as error:
            self._fail(point, str(error))

    def _fail(self, point: Point, reason: str) -> None:
        self.journal.add_failure(point, reason)
        self._failures += 1
        self.reason = reason
