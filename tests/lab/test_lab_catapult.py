"""The core trains the networks of `nnth catapult`; the laboratory trains the same ones."""

from __future__ import annotations

import numpy as np
import pytest

from nnth import activation, catapult, lab, normals
from nnth._lab.derivatives import tangent_kernel

WIDTH, N0, SEED, SAMPLE = 64, 5, 4, 1


def networks() -> tuple[lab.Model, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Return z = n^(-1/2) sum_i v_i relu(u_i.x/n_0^(1/2)) and the parameters of network 1."""
    scales = (
        lab.LayerScale(1.0, weight_multiplier=N0**-0.5),
        lab.LayerScale(1.0, weight_multiplier=WIDTH**-0.5),
    )
    model = lab.Model((N0, WIDTH, 1), (activation("relu"),), scales, (False, False))
    draws = normals(SEED, SAMPLE, WIDTH * (N0 + 1))
    return model, np.concatenate([draws[WIDTH:], draws[:WIDTH]])


@pytest.mark.parametrize("kind", ["frozen gates", "relu"])
@pytest.mark.parametrize("eta_lambda0", [1.0, 3.0])
def test_the_core_and_the_laboratory_train_the_same_networks(kind: str, eta_lambda0: float) -> None:
    steps = 25
    table = catapult(
        eta_lambda0=eta_lambda0, target=0.5, width=WIDTH, n0=N0, samples=2, seed=SEED, steps=steps
    )
    rows = table[(table["model"] == kind) & (table["sample"] == SAMPLE)]
    model, theta = networks()
    if kind == "frozen gates":
        model = lab.Model(model.sizes, model.acts, model.scales, model.biased, gates=theta)
    x = np.ones((1, N0))  # |x|^2 = n_0
    objective = lab.Objective(model, x, [[0.5]], mean=False)
    descent = lab.Descent(objective, lab.SGD(eta=float(rows["eta"][0])), theta)
    found: list[tuple[float, float]] = []
    for step in range(len(rows["step"])):
        if step:
            next(descent.take(1))
        z = float(objective.outputs(descent.theta)[0, 0])
        found.append((z, float(tangent_kernel(model, descent.theta, x)[0, 0])))
    outputs, curvatures = np.array(found).T
    # Errors grow as the loss does, which is by a factor of some hundred here.
    size = np.abs(rows["z"] - 0.5).max()
    assert np.abs(outputs - rows["z"]).max() <= 1e-9 * size
    assert np.allclose(curvatures, rows["lambda"], rtol=1e-9)
