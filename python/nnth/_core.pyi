"""The compiled core, as registered in cpp/bindings; one block a binding file."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

__version__: str
compiler: str

# numerics.cpp

def thread_count(threads: int = 0) -> int: ...

# random.cpp; the maps are in nnth/numerics/random.hpp and normal.hpp

def philox4x32(counter: Sequence[int], key: Sequence[int]) -> list[int]: ...
def normal_pair(words: Sequence[int]) -> list[float]: ...
def words(
    seed: int, stream: int, start: int, count: int, threads: int = 0
) -> NDArray[np.uint64]: ...
def uniforms(
    seed: int, stream: int, start: int, count: int, threads: int = 0
) -> NDArray[np.float64]: ...
def normals(
    seed: int, stream: int, start: int, count: int, threads: int = 0
) -> NDArray[np.float64]: ...
def normal_density(x: ArrayLike) -> NDArray[np.float64]: ...
def normal_probability(x: ArrayLike) -> NDArray[np.float64]: ...

# vmath.cpp; `name` is a function of one argument in nnth/numerics/vmath.hpp, or sin or cos

def vmath(name: str, x: ArrayLike) -> NDArray[np.float64]: ...
def vmath_atan2(y: ArrayLike, x: ArrayLike) -> NDArray[np.float64]: ...
