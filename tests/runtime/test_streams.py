"""The registry of random streams: no computation draws two quantities from the same stream."""

import re
from itertools import combinations
from pathlib import Path

import pytest

import nnth
from nnth._runtime import streams
from nnth._runtime.streams import USED_TOGETHER, Streams

NAMED = {name: value for name, value in vars(streams).items() if isinstance(value, Streams)}
SOURCES = sorted(Path(nnth.__file__).parent.rglob("*.py"))


def overlap(one: Streams, other: Streams) -> bool:
    return one.first < other.first + other.count and other.first < one.first + one.count


# The streams that two parts of a computation share, with the reason why this is acceptable.
KNOWN = {
    # Targets are drawn only if none are given, which the command line does with named data.
    "rates descent on given inputs": {("RATES_TARGETS", "CLUSTERS")},
    # Network 2^34 of a run would use the random numbers of the clusters of the same seed.
    "paths on given inputs": {("PATH_NETWORKS", "CLUSTERS"), ("PATH_NETWORKS", "CLUSTER_CENTERS")},
}


@pytest.mark.parametrize("computation", USED_TOGETHER)
def test_a_computation_uses_no_stream_twice(computation: str) -> None:
    names = {id(value): name for name, value in NAMED.items()}
    pairs = combinations(USED_TOGETHER[computation], 2)
    shared = {(names[id(a)], names[id(b)]) for a, b in pairs if overlap(a, b)}
    assert shared == KNOWN.get(computation, set())


def test_overlap_is_seen_at_both_ends() -> None:
    assert overlap(Streams(5, 3), Streams(7))
    assert not overlap(Streams(5, 3), Streams(8))
    assert overlap(Streams(5), Streams(0, 10))
    assert not overlap(Streams(5, 3), Streams(2, 3))


def test_every_stream_lies_within_the_generator() -> None:
    for name, value in NAMED.items():
        assert value.count > 0, name
        assert value.first >= 0, name
        assert value.first + value.count <= 2**64, name


def test_every_entry_is_used_by_a_computation_and_by_the_code() -> None:
    listed = {id(value) for used in USED_TOGETHER.values() for value in used}
    code = "\n".join(file.read_text(encoding="utf-8") for file in SOURCES)
    for name, value in NAMED.items():
        assert id(value) in listed, name
        # Chains of SGD are numbered in the core, slices by `random_slices`.
        assert name in ("SGD_CHAINS", "SLICES") or f"streams.{name}." in code, name


def test_streams_have_no_numbers_outside_the_registry() -> None:
    large = re.compile(r"(?i)stream\w*(: \w+)? = [\d(]*2\*\*|(?:normals|uniforms)\([^()]*2\*\*")
    for file in SOURCES:
        if file.name != "streams.py":
            assert not large.search(file.read_text(encoding="utf-8")), file


def test_streams_that_tell_epochs_and_slices_apart_are_enough() -> None:
    from nnth._lab.setup import MAX_STEPS
    from nnth._networks.ensemble import MAX_SAMPLES

    assert streams.BATCHES.count >= MAX_STEPS
    last = MAX_SAMPLES - 2  # samples and lines are below MAX_SAMPLES
    assert (last + 1) * MAX_SAMPLES + last < streams.SLICES.first + streams.SLICES.count
