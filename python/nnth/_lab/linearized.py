"""A network linearized at its parameters, in training: linear algebra on its tangent kernel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from nnth._kernels.modes import Modes, descent_gain, flow_gain
from nnth._lab.derivatives import tangent_kernel
from nnth._lab.losses import LOSSES
from nnth._lab.model import as_inputs
from nnth._lab.objective import Objective
from nnth._networks.passes import Array
from nnth._runtime.blas import serial_blas
from nnth._runtime.checks import check_integer
from nnth._runtime.typing import Floats


class Linearized:
    """The outputs of f(x; theta) + J(x) (theta' - theta) in training: see `linearized`."""

    def __init__(self, objective: Objective, theta: Array) -> None:
        if objective.loss is not LOSSES["squared"] or objective.penalty is not None:
            raise ValueError("objective must be the squared loss, without a penalty")
        self._objective, self._theta = objective, np.array(theta, dtype=np.float64)
        self._scale = 1.0 / objective.examples if objective.mean else 1.0
        self._start = objective.model.outputs(self._theta, objective.x)
        self._modes = Modes.of(self._scale * self._kernel(objective.x))
        missing = _flat(objective.y - self._start)
        self._missing = np.matmul(self._modes.vectors.swapaxes(-1, -2), missing[..., None])[..., 0]

    @property
    def eigenvalues(self) -> Floats:
        """The rates of the modes under gradient flow over eta, `(..., m n_(L+1))`, ascending."""
        return self._modes.rates

    @serial_blas
    def flow(self, times: Sequence[float], x_test: ArrayLike | None = None) -> Floats:
        """Return the outputs under gradient flow.

        Args:
            times: Times in units of 1/eta, at least 0; inf is allowed.
            x_test: Inputs `(m_test, n_0)`, or `(networks, m_test, n_0)`; by default those of the
                objective.

        Returns:
            The outputs `(times, ..., m_test, n_(L+1))`.
        """
        for time in times:
            if not time >= 0.0:
                raise ValueError(f"times must be at least 0, not {time:g}")
        return self._outputs([self._flow_gain(time) for time in times], x_test)

    @serial_blas
    def descent(self, eta: float, steps: Sequence[int], x_test: ArrayLike | None = None) -> Floats:
        """Return the outputs under gradient descent of all examples.

        Args:
            eta: The learning rate.
            steps: Numbers of steps, at least 0.
            x_test: Inputs as in `flow`.

        Returns:
            The outputs `(steps, ..., m_test, n_(L+1))`. A mode whose rate exceeds 2/eta diverges.
        """
        counts = [check_integer("steps", count, minimum=0) for count in steps]
        gains = [descent_gain(self._modes.rates, [(eta, count)]) for count in counts]
        return self._outputs(gains, x_test)

    def _flow_gain(self, time: float) -> Floats:
        rates = self._modes.rates
        if np.isfinite(time):
            return flow_gain(rates, time)
        # Modes of rate 0 are not learned: the gradients of the outputs have no part in them.
        rounding = rates.shape[-1] * np.finfo(float).eps * rates[..., -1:]
        learned = rates > rounding
        return np.divide(1.0, rates, out=np.zeros_like(rates), where=learned)

    def _outputs(self, gains: Sequence[Floats], x_test: ArrayLike | None) -> Floats:
        model = self._objective.model
        duals = [
            np.matmul(self._modes.vectors, (gain * self._missing)[..., None]) for gain in gains
        ]
        if x_test is None:
            start, across = self._start, self._kernel(self._objective.x)
        else:
            inputs = as_inputs(model, x_test)
            start, across = model.outputs(self._theta, inputs), self._kernel(inputs)
        found = np.empty((len(gains), *start.shape))
        for place, dual in zip(found, duals, strict=True):
            change = np.matmul(across, dual)[..., 0]
            place[...] = start + self._scale * change.reshape(start.shape)
        return found

    def _kernel(self, rows: Array) -> Floats:
        """Return the tangent kernel of pairs of an input and an output, with those in training."""
        objective = self._objective
        full = tangent_kernel(objective.model, self._theta, objective.x, rows, full=True)
        *before, m_rows, m, outputs, _ = full.shape
        return np.moveaxis(full, -2, -3).reshape(*before, m_rows * outputs, m * outputs)


def _flat(outputs: Floats) -> Floats:
    return outputs.reshape(*outputs.shape[:-2], -1)


@serial_blas
def linearized(objective: Objective, theta: Array) -> Linearized:
    """Return a network, or an ensemble, linearized at its parameters, in training on its data.

    The first-order expansion f(x; theta) + J(x) (theta' - theta) has the constant tangent kernel
    T = J R J^T, R the learning rates over eta. With the squared loss, summed over the examples, its
    outputs are in closed form, for gradient flow and for n steps of gradient descent::

        f(x_*; t) = f(x_*) + T_* T^-1 (1 - exp(-eta T t)) (y - f(x))
        f(x_*; n) = f(x_*) + T_* T^-1 (1 - (1 - eta T)^n) (y - f(x))

    and T/m stands in the place of T where the loss is the mean over m examples. In the
    parametrization "ntk" the distance of trained networks from it falls as 1/width.

    Args:
        objective: The squared loss on training data, without a penalty: that of `gradient_flow` and
            `Descent`, so that times and learning rates are the same.
        theta: The parameters of the expansion, `(P,)` or `(networks, P)`.

    Returns:
        A Linearized, whose methods `flow` and `descent` return outputs on any inputs.

    Raises:
        ValueError: If the objective has another loss or a penalty.
        MemoryError: If the kernel does not fit in memory.

    Accuracy: that of the eigenvectors of T. Cost: one eigendecomposition of m n_(L+1) unknowns, and
    for each time two products with a vector.

    Example:
        >>> import numpy as np
        >>> from nnth import lab
        >>> model = lab.model(2, (512,), act="tanh", parametrization="ntk")
        >>> objective = lab.Objective(model, [[1.0, 0.0], [0.0, 1.0]], [[1.0], [-1.0]], mean=False)
        >>> linear = lab.linearized(objective, model.draw()[0])
        >>> linear.flow([0.0, np.inf], [[1.0, 0.0]])[-1].round(6)
        array([[1.]])

    Source: Lee et al. (2019), eqs. 8-11; for the power of the width Dyer and Gur-Ari (2020).
    """
    return Linearized(objective, theta)
