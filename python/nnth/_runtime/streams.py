"""The registry of random streams: the streams of a seed that each kind of random number uses.

Random numbers are a function of (seed, stream, draw). Networks and other samples take the first
streams: sample s is stream s. All other random numbers of a computation with the same seed take
separate streams, so that no two quantities share numbers. `USED_TOGETHER` lists, for each
computation, all its kinds of random numbers; a test checks that their ranges are disjoint. Two
different computations may use the same streams.

The core's samplers of layers (`gp`) and of Gram matrices (`paths angles`) also change the seed, by
a separate constant, and need no entry here.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True)
class Streams:
    """The streams first, ..., first + count - 1 of a seed."""

    first: int
    count: int = 1


SAMPLES: Final = Streams(0, 2**32)

# Data sets with a name.
CLUSTERS: Final = Streams(2**34)
CLUSTER_CENTERS: Final = Streams(2**34 + 1)

# Random networks trained on data: the noise of the targets of network s.
TARGET_NOISE: Final = Streams(2**32, 2**32)

# Solvers of linear systems with kernel matrices.
SOLVER_PIVOTS: Final = Streams(2**39)
SOLVER_PROBES: Final = Streams(2**39 + 1)

# Random features: streams of a layer for each of several maps, and the order of the points.
FEATURE_WEIGHTS: Final = Streams(2**40, 2**32)
FEATURE_POINTS: Final = Streams(2**39 + 2)

LAZY_OUTPUT_WEIGHTS: Final = Streams(2**33, 2**32)
LAZY_DATA: Final = Streams(2**34)

RATES_GRADIENT_NOISE: Final = Streams(2**33)
RATES_TARGETS: Final = Streams(2**34)
RATES_INPUTS: Final = Streams(2**35)
SCALINGS_DATA: Final = Streams(2**33, 2**32)

# Learning curves on the sphere: the target of sample s, and its test points.
RKHS_TARGETS: Final = Streams(2**33, 2**32)
RKHS_TEST_POINTS: Final = Streams(2**34, 2**32)

QUADRATIC_DATA: Final = Streams(2**33)

MUP_INPUTS: Final = Streams(2**33)
MUP_TARGETS: Final = Streams(2**33 + 1)

# Trainings whose curvature is measured: a stream for each epoch, of at most 10^9 steps.
BATCHES: Final = Streams(2**35, 10**9)
# Noise of the trainings of random networks: that of network s is stream s of these.
LABEL_NOISE: Final = Streams(2**38, 2**32)
GRADIENT_NOISE: Final = Streams(2**38 + 2**32, 2**32)
HESSIAN_START: Final = Streams(2**36)
HESSIAN_PROBES: Final = Streams(2**36 + 1, 2**36 - 1)
SHARPNESS_START: Final = Streams(2**37)
CLASS_PROBES: Final = Streams(2**37)
CLASS_START: Final = Streams(2**37 + 1)

SGD_CHAINS: Final = Streams(0, 2**40)
SGD_INPUTS: Final = Streams(2**40)
SGD_TARGET_NOISE: Final = Streams(2**40 + 1)
SGD_NET_DATA: Final = Streams(2**40)
SGD_NET_BATCHES: Final = Streams(2**41)

PATH_NETWORKS: Final = Streams(0, 2**39)
PATH_FROZEN_WEIGHTS: Final = Streams(2**40, 2**40)
PATH_INPUTS: Final = Streams(2**41)

# Slice i of network s is stream (s + 1) 2^32 + i.
SLICES: Final = Streams(2**32, 2**64 - 2**32 - 1)
SLICE_POINTS: Final = Streams(2**64 - 1)

# Random points of the box on which network s is measured: stream s of these.
MEASURE_POINTS: Final = Streams(2**32, 2**32)

ENTROPY_POINTS: Final = Streams(2**63)

GRAM_START: Final = Streams(2**36)  # of Lanczos, for matrices on disk

_DATA: Final = (CLUSTERS, CLUSTER_CENTERS)
_SOLVER: Final = (SOLVER_PIVOTS, SOLVER_PROBES)
_TRAINING: Final = (SAMPLES, *_DATA, BATCHES, LABEL_NOISE, GRADIENT_NOISE)

USED_TOGETHER: Final = MappingProxyType(
    {
        "predict": (SAMPLES, TARGET_NOISE, *_SOLVER, *_DATA),
        "rkhs fit": (*_SOLVER, *_DATA),
        "rkhs fit --features": (FEATURE_WEIGHTS, FEATURE_POINTS, *_DATA),
        "rkhs curve": (SAMPLES, *_SOLVER, *_DATA),
        "lazy": (SAMPLES, LAZY_OUTPUT_WEIGHTS, LAZY_DATA),
        "lazy on given data": (SAMPLES, LAZY_OUTPUT_WEIGHTS, *_DATA),
        "rates descent": (SAMPLES, RATES_TARGETS, RATES_INPUTS),
        "rates descent on given inputs": (SAMPLES, RATES_TARGETS, *_DATA),
        "rates noise": (RATES_GRADIENT_NOISE, RATES_INPUTS),
        "rates noise on given data": (RATES_GRADIENT_NOISE, *_DATA),
        "rates training": (SAMPLES, SCALINGS_DATA),
        "rates training on given data": (SAMPLES, *_DATA),
        "quadratic": (SAMPLES, QUADRATIC_DATA),
        "mup": (SAMPLES, MUP_INPUTS, MUP_TARGETS),
        "hessian": (*_TRAINING, HESSIAN_START, HESSIAN_PROBES),
        "sharpness": (*_TRAINING, SHARPNESS_START),
        "classes": (*_TRAINING, CLASS_PROBES, CLASS_START),
        "collapse": _TRAINING,
        "sgd regression": (SGD_CHAINS, SGD_INPUTS, SGD_TARGET_NOISE),
        "sgd net": (SAMPLES, SGD_NET_DATA, SGD_NET_BATCHES),
        "paths": (PATH_NETWORKS, PATH_FROZEN_WEIGHTS, PATH_INPUTS),
        "paths on given inputs": (PATH_NETWORKS, PATH_FROZEN_WEIGHTS, *_DATA),
        "regions": (SAMPLES, SLICES, SLICE_POINTS),
        "regions measure": (SAMPLES, MEASURE_POINTS),
        "entropy": (SAMPLES, ENTROPY_POINTS),
        "rkhs curve on the sphere": (
            *(SAMPLES, TARGET_NOISE, RKHS_TARGETS, RKHS_TEST_POINTS),
            *_SOLVER,
        ),
        "gram": (*_DATA, GRAM_START),
    }
)
