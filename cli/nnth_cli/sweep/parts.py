"""The file of the parts of samples, beside that of a sweep, until their points are merged."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nnth._data.states import as_json, from_json
from nnth_cli.sweep.points import Point
from nnth_cli.sweep.shared_lines import SharedLines


class Parts(SharedLines):
    """A file with a line per part: its point, its index, the number of parts, and its samples."""

    def __init__(self, output: Path, count: int) -> None:
        super().__init__(output.resolve().with_name(f".{output.name}.parts"))
        self._count = count
        self.forget()

    def forget(self) -> None:
        self._places: dict[str, dict[int, tuple[int, int]]] = {}

    def has(self, point: Point, index: int) -> bool:
        """Return whether a part of a point is in the file."""
        return index in self._places.get(point.key, ())

    def is_whole(self, point: Point) -> bool:
        """Return whether all parts of a point are in the file."""
        return len(self._places.get(point.key, ())) == self._count

    def add(self, point: Point, index: int, drawn: list[Any]) -> None:
        """Add the samples of a part."""
        content = {"point": point.key, "part": index, "of": self._count, "drawn": as_json(drawn)}
        line = f"{json.dumps(content)}\n".encode()
        if not self.path.exists():
            self.create(b"")
        with self.locked():
            if not self.has(point, index):
                start = self._end
                self.write(line)
                self._places.setdefault(point.key, {})[index] = (start, len(line))

    def drawn(self, point: Point) -> list[list[Any]]:
        """Return the samples of all parts of a point, in order."""
        places = self._places[point.key]
        lines = (self.bytes_at(*places[index]) for index in range(self._count))
        return [from_json(json.loads(line)["drawn"]) for line in lines]

    def remove(self, points: Iterable[Point]) -> None:
        """Remove the file, if it contains only parts of these points."""
        self.refresh()
        if self.path.exists() and set(self._places) <= {point.key for point in points}:
            with self.locked():
                self.path.unlink()
        self.close()

    def read_lines(self, data: bytes) -> int:
        start, end = self._end, 0
        for line in data.splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break
            content = json.loads(line)
            if content["of"] == self._count:
                place = (start + end, len(line))
                self._places.setdefault(content["point"], {})[content["part"]] = place
            end += len(line)
        return end
