"""Every closed form against the quadrature, where variances are small and correlations negative."""

import numpy as np
import pytest

from nnth.gram import gram
from nnth.kernel import kernel

FORMS = (
    "relu", "leaky_relu:-0.5", "abs", "relu_power:2", "erf", "gelu",
    "sin", "cos", "exp", "gaussian",
)  # fmt: skip


@pytest.mark.parametrize("rho", [-0.99, -0.9, -0.6, 0.2, 0.9])
@pytest.mark.parametrize("norm", [1e-4, 1e-2, 1.0, 10.0])
@pytest.mark.parametrize("act", FORMS)
def test_closed_form_and_quadrature_agree(act: str, norm: float, rho: float) -> None:
    closed, summed = (
        kernel(act, depth=1, cb=0.0, cw=1.0, norm=norm, rho=rho, method=method)
        for method in ("closed", "quadrature")
    )
    # Each is good to some 1e-15 of the geometric mean of the diagonals.
    assert abs(closed["k_ab"][-1] - summed["k_ab"][-1]) <= 1e-14 * closed["k_aa"][-1]
    assert abs(closed["theta_ab"][-1] - summed["theta_ab"][-1]) <= 1e-14 * closed["theta_aa"][-1]


@pytest.mark.parametrize("variance", [1e-4, 1e-6, 1e-8, 1e-10])
def test_cosines_of_small_inputs_keep_their_gap(variance: float) -> None:
    # For equal norms E[(cos z_a - cos z_b)^2] = (1 - exp(-S/2)) (1 - exp(-g/2)), here to first
    # order in each factor: K^2 (1 - rho^2), up to a relative K.
    gap = kernel("cos", depth=1, cb=0.0, cw=1.0, norm=variance, rho=0.5)["gap"][-1]
    assert gap == pytest.approx(0.75 * variance**2, rel=2 * variance)


@pytest.mark.parametrize("act", ["relu_power:0.5", "sqrt(abs(z))", "step", "step(z-0.3)"])
def test_slopes_without_a_mean_square_make_theta_infinite(act: str) -> None:
    table = kernel(act, depth=1, cb=0.0, cw=1.0)
    assert table["theta_aa"][-1] == np.inf
    assert table["status"][-1] == "infinite"
    assert np.isfinite(table["theta_ab"][-1])


@pytest.mark.threads
def test_more_threads_than_any_machine_has_change_nothing() -> None:
    x = np.random.default_rng(0).standard_normal((130, 3))
    many, one = (gram(x, "erf", depth=2, threads=threads) for threads in (100_000, 1))
    assert many.ntk is not None
    assert one.ntk is not None
    assert many.ntk.tobytes() == one.ntk.tobytes()
