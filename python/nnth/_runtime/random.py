"""Random streams: draw i of stream s is a function of (seed, s, i), the same on every machine.

The generator is Philox4x32-10 (Salmon et al. 2011); cpp/nnth/numerics/random.hpp states the map. A
stream belongs to a sample, never to a thread, so that no result depends on the number of threads.
The registry of the streams that computations use is `nnth._runtime.streams`.
"""

import numpy as np
from numpy.typing import NDArray

from nnth import _core

_LIMIT = 2**64


def uniforms(
    seed: int, stream: int, count: int, start: int = 0, *, threads: int = 0
) -> NDArray[np.float64]:
    """Return draws of a random stream that are uniform on (0, 1).

    Draw i is a function of (seed, stream, i)::

        uniform(i) = (floor(word(i)/2^12) + 1/2)/2^52

    where word(i) are 64 bits of Philox. It is an odd multiple of 2^-53, so never 0 and never 1.

    Args:
        seed: The seed, an integer in [0, 2^64).
        stream: The stream of the seed, an integer in [0, 2^64).
        count: The number of draws, at least 0; start + count is at most 2^64.
        start: The index of the first draw, an integer in [0, 2^64).
        threads: The number of threads, 0 for all. The values do not depend on it.

    Returns:
        The draws start, ..., start + count - 1, an array `(count,)`.

    Raises:
        ValueError: If an argument is outside its range.

    Uniform and normal draws with the same index are made of the same bits; take different streams
    for independent sequences. A draw takes about 1 ns on one AVX-512 core.

    Example:
        >>> nnth.uniforms(7, 3, 4, start=2)[:2] == nnth.uniforms(7, 3, 4)[2:]
        array([ True,  True])

    Source: Salmon et al. (2011), Parallel random numbers: as easy as 1, 2, 3.
    """
    _check(seed, stream, count, start, threads)
    return _core.uniforms(seed, stream, start, count, threads)


def normals(
    seed: int, stream: int, count: int, start: int = 0, *, threads: int = 0
) -> NDArray[np.float64]:
    """Return draws of a random stream that are standard normal.

    Draw i is a function of (seed, stream, i)::

        normal(2b) = r cos(theta),  normal(2b + 1) = r sin(theta),
        r = sqrt(-2 log u),  theta = 2 pi v,

    where u and v are uniform numbers of 64 random bits each. The tails are as fine as the center;
    the largest possible `|z|` is 9.493, which a normal variable exceeds with probability 2e-21.

    Args:
        seed: The seed, an integer in [0, 2^64).
        stream: The stream of the seed, an integer in [0, 2^64).
        count: The number of draws, at least 0; start + count is at most 2^64.
        start: The index of the first draw, an integer in [0, 2^64).
        threads: The number of threads, 0 for all. The values do not depend on it.

    Returns:
        The draws start, ..., start + count - 1, an array `(count,)`.

    Raises:
        ValueError: If an argument is outside its range.

    Uniform and normal draws with the same index are made of the same bits; take different streams
    for independent sequences. A draw takes about 3 ns on one AVX-512 core.

    Example:
        >>> nnth.normals(7, 3, 4, start=2)[:2] == nnth.normals(7, 3, 4)[2:]
        array([ True,  True])

    Source: Box and Muller (1958), Ann. Math. Stat. 29, 610.
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
