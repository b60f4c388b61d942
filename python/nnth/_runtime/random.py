"""Random streams: draw i of stream s is a pure function of (seed, s, i), on every machine.

The generator is Philox4x32-10 (Salmon et al., SC'11); cpp/nnth/numerics/random.hpp states the map.
A stream belongs to an item of work, a sample, and never to a thread: then nothing depends on how
the work was shared out.
"""

import numpy as np
from numpy.typing import NDArray

from nnth import _core

_LIMIT = 2**64


def uniforms(
    seed: int, stream: int, count: int, start: int = 0, *, threads: int = 0
) -> NDArray[np.float64]:
    """Draws start, ..., start + count - 1 of a stream, uniform on (0, 1).

    uniform(i) = (floor(word(i) / 2**12) + 1/2) / 2**52, word(i) being 64 bits of Philox: an odd
    multiple of 2**-53, never 0 and never 1.

    `seed`, `stream`, `start`: integers in [0, 2**64). `count`: at least 0, and start + count at
    most 2**64. `threads`: 0 means all; the values do not depend on it. Returns shape (count,).
    About 1 ns a draw on one AVX-512 core. Raises ValueError for an argument outside its range.
    Draw i as a uniform and as a normal is made of the same bits: for independent sequences take
    different streams.
    """
    _check(seed, stream, count, start, threads)
    return _core.uniforms(seed, stream, start, count, threads)


def normals(
    seed: int, stream: int, count: int, start: int = 0, *, threads: int = 0
) -> NDArray[np.float64]:
    """Draws start, ..., start + count - 1 of a stream, standard normal.

    normal(2b) = r cos(theta) and normal(2b + 1) = r sin(theta), with r = sqrt(-2 log u) and theta
    = 2 pi v of 64 random bits each. The tail is as fine as the center; the largest |z| is 9.493,
    which a normal exceeds with probability 2e-21.

    `seed`, `stream`, `start`: integers in [0, 2**64). `count`: at least 0, and start + count at
    most 2**64. `threads`: 0 means all; the values do not depend on it. Returns shape (count,).
    About 3 ns a draw on one AVX-512 core. Raises ValueError for an argument outside its range.
    Draw i as a uniform and as a normal is made of the same bits: for independent sequences take
    different streams. Box & Muller (1958), Ann. Math. Stat. 29, 610.
    """
    _check(seed, stream, count, start, threads)
    return _core.normals(seed, stream, start, count, threads)


def _check(seed: int, stream: int, count: int, start: int, threads: int) -> None:
    for name, value in (("seed", seed), ("stream", stream), ("start", start)):
        if not 0 <= value < _LIMIT:
            raise ValueError(f"{name} must be in [0, 2**64), not {value}")
    if count < 0:
        raise ValueError(f"count must be at least 0, not {count}")
    if start + count > _LIMIT:
        raise ValueError(f"start + count must be at most 2**64, not {start + count}")
    if threads < 0:
        raise ValueError(f"threads must be at least 0, not {threads}")
