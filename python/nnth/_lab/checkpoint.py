"""Checkpoints of a training: JSON files from which it resumes, replaced atomically."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnth._data.states import as_json, from_json
from nnth._lab.descent import Descent
from nnth._networks.passes import Array


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state of a training, its evaluations so far, and the settings that must match."""

    settings: dict[str, Any]
    step: int
    theta: Array
    state: list[Array]
    evaluated_steps: list[int]
    evaluations: list[Any]


def read_checkpoint(file: Path, settings: Mapping[str, Any]) -> Checkpoint:
    """Return the checkpoint in a file. Raises ValueError if it is none or of other settings."""
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


def check_evaluations(
    file: str | os.PathLike[str] | None,
    settings: Mapping[str, Any],
    is_current: Callable[[Any], bool],
    expected: str,
) -> None:
    """Raise ValueError if the file exists and has evaluations of another kind.

    `is_current` tells whether an evaluation is of the kind to be computed now, and `expected`
    names the computation that makes such evaluations.
    """
    if file is None or not Path(file).exists():
        return
    if not all(map(is_current, read_checkpoint(Path(file), settings).evaluations)):
        raise ValueError(f"checkpoint {file} must be of {expected}")


def write_checkpoint(
    file: Path,
    settings: Mapping[str, Any],
    descent: Descent,
    evaluations: Mapping[int, Any],
) -> None:
    """Write a checkpoint; a crash leaves either the previous one or the new one."""
    kept = Checkpoint(
        dict(settings),
        descent.step,
        descent.theta,
        descent.state,
        list(evaluations),
        list(evaluations.values()),
    )
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
            error.filename = str(file)  # errors of a write, as to a full disk, name no file
        raise
