"""A training in a file, from which it goes on: JSON, replaced as a whole."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnth._curvature.losses import Array
from nnth._data.states import as_json, from_json


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Where a training is, and what was seen of it after which steps.

    settings: of the training, which must agree.
    """

    settings: dict[str, Any]
    step: int
    theta: Array
    velocity: Array
    seen_at: list[int]
    seen: list[Any]


def read_checkpoint(file: Path, settings: Mapping[str, Any]) -> Checkpoint:
    """Return what is in a file. Raises ValueError where it is no checkpoint of these settings."""
    try:
        kept = from_json(json.loads(file.read_text(encoding="utf-8")))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"checkpoint {file} is damaged or none: {error}") from None
    if not isinstance(kept, Checkpoint):
        raise ValueError(f"checkpoint {file} must be one of a training")
    for name, value in settings.items():
        if kept.settings.get(name) != value:
            raise ValueError(
                f"checkpoint {file} is of a training with {name} {kept.settings.get(name)}, not "
                f"{value}"
            )
    return kept


def require_seen(
    file: str | os.PathLike[str] | None,
    settings: Mapping[str, Any],
    fits: Callable[[Any], bool],
    what: str,
) -> None:
    """Raise ValueError where a checkpoint, if there is one, keeps what was seen in another way.

    fits: whether something is as it is to be seen now. what: would have seen all like that.
    """
    if file is None or not Path(file).exists():
        return
    if not all(map(fits, read_checkpoint(Path(file), settings).seen)):
        raise ValueError(f"checkpoint {file} must be of {what}")


def write_checkpoint(
    file: Path,
    settings: Mapping[str, Any],
    step: int,
    theta: Array,
    velocity: Array,
    seen: Mapping[int, Any],
) -> None:
    """Write a checkpoint: a kill or a power cut leaves the one before or this, and never half."""
    kept = Checkpoint(dict(settings), step, theta, velocity, list(seen), list(seen.values()))
    text = json.dumps(as_json(kept))
    draft = None
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=file.parent, prefix=f".{file.name}.", delete=False
        ) as stream:
            draft = Path(stream.name)
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(file)
    except BaseException as error:
        if draft is not None:
            draft.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(file)  # writes, as to a full disk, name none
        raise
