"""Fixtures of the tests of all commands."""

from pathlib import Path

import numpy as np
import pytest

import nnth


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with small data files, the current directory of the test."""
    x = np.random.default_rng(0).normal(size=(6, 3))
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", x.sum(axis=1))
    np.save(tmp_path / "u.npy", x[:2] + 0.1)
    np.save(tmp_path / "triangle.npy", x[:3])
    simplex = np.vstack([-np.eye(3), np.ones((1, 3))])  # x_j >= -1, x_1 + x_2 + x_3 <= 1
    np.savez(tmp_path / "simplex.npz", A=simplex, b=np.ones(4))
    for name, width in (("small", 4), ("large", 8)):
        net = nnth.random_network(3, [width, width], seed=width)
        net.save(tmp_path / f"{name}.npz")
        after = nnth.Network([1.001 * w for w in net.weights], net.biases, "relu")
        after.save(tmp_path / f"{name}2.npz")
    monkeypatch.chdir(tmp_path)
    # The program may not discard the buffered output of the tests.
    monkeypatch.setattr("nnth_cli.process._discard_output", lambda: None)
    return tmp_path
