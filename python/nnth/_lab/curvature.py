"""A loss at one theta, to second order: products with its Hessian and with the Jacobian.

Products with the Hessian follow Pearlmutter (1994), written out for fully connected layers: they
are exact, and cost two to three gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnth._lab.objective import Objective, add_parameter_gradient, blocks
from nnth._networks.passes import (
    Array,
    Pass,
    Workspace,
    backward,
    backward_tangent,
    tangent,
)
from nnth._runtime.typing import Floats


@dataclass(frozen=True, eq=False)
class _Block:
    """The values of a block of examples.

    deltas: the gradients in z^l; curvatures: s''(z^l) times the gradients in h^l; state: that of
    the second derivative of the loss.
    """

    run: Pass
    deltas: Sequence[Array]
    curvatures: Sequence[Array]
    state: Array


class Curvature:
    """The loss at one theta `(P,)`: value, gradient, and products with vectors.

    It keeps 4 numbers per example and neuron. A product takes the time of two to three gradients.
    Penalties are left out.

    Args:
        objective: The loss.
        theta: The parameters `(P,)`.

    Attributes:
        value: The loss.
        gradient: Its gradient `(P,)`.
        outputs: The outputs `(m, n_(L+1))`.

    Example:
        >>> from nnth import lab
        >>> model = lab.model(2, (8,), act="tanh")
        >>> objective = lab.Objective(model, [[0.0, 1.0], [1.0, 0.0]], [[1.0], [-1.0]])
        >>> curvature = lab.Curvature(objective, model.draw(seed=1)[0])
        >>> hessian = curvature.hessian(np.eye(model.size))
        >>> bool(np.allclose(hessian, hessian.T))
        True

    Source: Pearlmutter (1994), Neural Computation 6, 147; for the Gauss-Newton matrix
    G = (1/m) sum_i J_i^T l''(f_i) J_i, Schraudolph (2002), Neural Computation 14, 1723.
    """

    def __init__(self, objective: Objective, theta: Array) -> None:
        self._objective, self._model = objective, objective.model
        self._workspace = Workspace()
        self.gradient = np.zeros(theta.shape, theta.dtype)
        self.outputs = np.empty_like(objective.y)
        total: Floats = np.zeros(())
        self._blocks: list[_Block] = []
        for rows in blocks(objective.examples):
            block, value = self._block(theta, rows)
            self._blocks.append(block)
            self.outputs[rows] = block.run.outputs
            total = total + value
        self._finish(self.gradient)
        self.value = float(total) / (objective.examples if objective.mean else 1)

    def hessian(self, v: Array) -> Array:
        """Return the Hessian times a vector `(P,)`, or several, `(k, P)`."""
        return self._product(v, gauss_newton=False)

    def gauss_newton(self, v: Array) -> Array:
        """Return the Gauss-Newton matrix times a vector `(P,)`, or several, `(k, P)`."""
        return self._product(v, gauss_newton=True)

    def output_change(self, v: Array) -> Array:
        """Return J v `(m, outputs)`, the derivative of the outputs along a vector `(P,)`."""
        directions = self._model.effective_layers(v)
        changes = [
            tangent(block.run, directions, workspace=self._workspace).outputs.copy()
            for block in self._blocks
        ]
        return np.concatenate(changes, axis=-2)

    def pull_back(self, u: Array) -> Array:
        """Return J^T u `(P,)` = sum_i J_i^T u_i for u `(m, outputs)`."""
        out = np.zeros(self._model.size, self._objective.dtype)
        for block, change in self._by_block(u):
            add_parameter_gradient(self._model, block.run, change, out, self._workspace)
        return self._scaled(out)

    def error_signals(self, u: Array) -> list[Array]:
        """Return the pull-back of u `(m, outputs)` to the z^l `(m, n_l)` of every layer."""
        found: list[list[Array]] = [[] for _ in self._model.sizes[1:]]
        for block, change in self._by_block(u):
            for layer, delta in backward(block.run, change):
                found[layer].append(delta)
        return [np.concatenate(parts) for parts in found]

    def layer_inputs(self) -> list[Array]:
        """Return the inputs of every layer: x `(m, n_0)`, h^1 `(m, n_1)`, ..., h^L."""
        return [
            np.concatenate([block.run.inputs[layer] for block in self._blocks])
            for layer in range(len(self._model.sizes) - 1)
        ]

    def _by_block(self, u: Array) -> list[tuple[_Block, Array]]:
        found, start = [], 0
        for block in self._blocks:
            end = start + block.run.outputs.shape[-2]
            found.append((block, u[start:end]))
            start = end
        return found

    def _block(self, theta: Array, rows: slice) -> tuple[_Block, Floats]:
        objective = self._objective
        run = self._model.run(theta, objective.x[rows], order=2)
        total, delta = objective.loss.value_and_gradient(run.outputs, objective.y[rows])
        deltas: list[Array] = []
        parts = self._model.layers(self.gradient)
        for layer, signal in backward(run, delta):
            w, b = parts[layer]
            w += signal.T @ run.inputs[layer]
            if b is not None:
                b += signal.sum(axis=0)
            deltas.insert(0, signal)
        for layer, second_derivative in enumerate(run.second_derivatives):
            second_derivative *= deltas[layer + 1] @ run.layers[layer + 1][0]
        state = objective.loss.state(run.outputs)
        return _Block(run, deltas, run.second_derivatives, state), total

    def _product(self, v: Array, *, gauss_newton: bool) -> Array:
        objective, workspace = self._objective, self._workspace
        out = np.zeros(v.shape, objective.dtype)
        directions, parts = self._model.effective_layers(v), self._model.layers(out)
        for block in self._blocks:
            run = block.run
            along = tangent(run, directions, workspace=workspace)
            change = objective.loss.curvature(block.state, along.outputs)
            if gauss_newton:
                add_parameter_gradient(self._model, run, change, out, workspace)
                continue
            for layer, moved in backward_tangent(
                run, block.deltas, along, change, block.curvatures, workspace=workspace
            ):
                w, b = parts[layer]
                product = workspace.array("gradient", layer, w.shape, w.dtype)
                w += np.matmul(np.swapaxes(moved, -1, -2), run.inputs[layer], out=product)
                h = along.inputs[layer]
                if h is not None:
                    w += np.matmul(np.swapaxes(block.deltas[layer], -1, -2), h, out=product)
                if b is not None:
                    b += moved.sum(axis=-2)
        self._finish(out)
        return out

    def _finish(self, gradient: Array) -> None:
        """Make the gradient in W and b of a sum that of the loss in theta."""
        if self._objective.mean:
            gradient /= self._objective.examples
        self._scaled(gradient)

    def _scaled(self, gradient: Array) -> Array:
        if self._model.multipliers is not None:
            gradient *= self._model.multipliers.astype(gradient.dtype, copy=False)
        return gradient
