"""The loss of networks on data as a function of their parameters, and its gradient."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from nnth._lab.losses import LOSSES, Loss
from nnth._lab.model import Model, as_inputs
from nnth._networks.passes import Array, Pass, Workspace, backward
from nnth._runtime.typing import Floats

# Largest number of examples per block: their arrays stay in a core's cache, and matrix products
# are as fast as with more.
BLOCK: Final = 512
# Largest array of a layer of networks that are evaluated together, in numbers: as above.
_TOGETHER: Final = 2**16


@dataclass(frozen=True, eq=False)
class Penalty:
    """The penalty sum_p strength_p (theta_p - anchor_p)^2/2, added to the loss.

    Args:
        strength: A number, or one for each parameter, `(P,)`.
        anchor: The parameters at which it is 0: a number, `(P,)` or `(networks, P)`.
    """

    strength: Floats | float
    anchor: Floats | float = 0.0

    @classmethod
    def of_scaled(cls, model: Model, strength: float, anchor: Floats | float) -> Penalty:
        """Return `(strength/2) |p - p_0|^2`, p the parameters over the roots of their rates.

        Under gradient flow it adds `strength` to the eigenvalues of the tangent kernel. Parameters
        whose rate is 0 do not move, and are left out.
        """
        rates = model.rates
        if rates is None:
            return cls(strength, anchor)
        return cls(np.divide(strength, rates, out=np.zeros(model.size), where=rates > 0.0), anchor)

    def add_gradient(self, theta: Array, gradient: Array, workspace: Workspace) -> None:
        """Add strength (theta - anchor) to a gradient."""
        change = workspace.array("penalty", 0, theta.shape, theta.dtype)
        moved = theta if self._from_zero else np.subtract(theta, self.anchor, out=change)
        gradient += np.multiply(moved, self.strength, out=change)

    @cached_property
    def _from_zero(self) -> bool:
        return np.ndim(self.anchor) == 0 and float(self.anchor) == 0.0


class Objective:
    """The loss L(theta) of networks of one model on data: a number for each network.

    L is the mean, or the sum, of l(f(x_i; theta), y_i) over the examples, plus the penalty. Sums
    run over blocks of up to 512 examples in order, so that memory does not grow with m.

    Args:
        model: The model.
        x: Inputs `(m, n_0)`, or a set for each network of an ensemble, `(networks, m, n_0)`.
        y: Targets `(m, n_(L+1))`, one-hot for classes, or `(networks, m, n_(L+1))`.
        loss: "squared", `|f - y|^2/2`, or "cross-entropy".
        mean: Whether L is the mean over the examples, and not the sum.
        penalty: A penalty toward an anchor, of which only gradients know.
        dtype: The type of theta, float64 or float32, in which x and y are kept.

    Example:
        >>> from nnth import lab
        >>> model = lab.model(2, (16,), act="tanh")
        >>> objective = lab.Objective(model, [[0.0, 1.0], [1.0, 0.0]], [[1.0], [-1.0]])
        >>> theta = model.draw(samples=5)
        >>> losses, gradients = objective.gradient(theta)
        >>> losses.shape, gradients.shape == theta.shape
        ((5,), True)
    """

    def __init__(
        self,
        model: Model,
        x: ArrayLike,
        y: ArrayLike,
        *,
        loss: Loss = "squared",
        mean: bool = True,
        penalty: Penalty | None = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        self.model, self.loss, self.mean, self.penalty = model, LOSSES[loss], mean, penalty
        self.dtype = np.dtype(dtype)
        self.x = as_inputs(model, x, dtype)
        self.y = np.ascontiguousarray(y, dtype=dtype)
        expected = (self.x.shape[-2], model.sizes[-1])
        if self.y.shape[-2:] != expected:
            raise ValueError(f"y must have shape {expected}, not {self.y.shape}")
        self._workspace = Workspace()

    @property
    def examples(self) -> int:
        """The number of examples m."""
        return int(self.x.shape[-2])

    def of_network(self, i: int) -> Objective:
        """Return the loss of one network of an ensemble, on its own data where they differ."""
        one = copy(self)
        one.x, one.y = (a if a.ndim == 2 else a[i] for a in (self.x, self.y))
        if self.model.gates is not None and self.model.gates.ndim > 1:
            one.model = replace(self.model, gates=self.model.gates[i])
        if self.penalty is not None and np.ndim(self.penalty.anchor) > 1:
            one.penalty = Penalty(self.penalty.strength, np.asarray(self.penalty.anchor)[i])
        return one

    def outputs(self, theta: Array, x: Array | None = None) -> Array:
        """Return the outputs `(..., m, n_(L+1))`, for the inputs x if they are given."""
        if x is not None:
            return self.model.outputs(theta, as_inputs(self.model, x, self.dtype))
        return self.model.run(theta, self.x, workspace=self._workspace).outputs.copy()

    def value(self, theta: Array) -> Floats:
        """Return the loss without the penalty, of each network."""
        return self.value_of(self.outputs(theta))

    def value_of(self, outputs: Array) -> Floats:
        """Return the loss without the penalty, of outputs `(..., m, n_(L+1))`."""
        total, _ = self.loss.value_and_gradient(outputs, self.y)
        return total / self.examples if self.mean else total

    def gradient(
        self,
        theta: Array,
        examples: NDArray[np.intp] | None = None,
        targets: Array | None = None,
        *,
        factor: float = 1.0,
    ) -> tuple[Floats, Array]:
        """Return the loss without the penalty, and the gradient of the loss with it.

        Args:
            theta: `(P,)` or `(networks, P)`.
            examples: The examples of a batch, `(batch,)`, or `(networks, batch)` for a batch for
                each network; by default all.
            targets: The targets of the batch, in place of those of the objective.
            factor: A factor of the gradient of the mean over the batch; the penalty has none.

        Returns:
            The losses `()` or `(networks,)`, and the gradients, of the shape of theta. Gradients of
            layers that are not trained are 0. Without examples the loss is 0, and the gradient that
            of the penalty.
        """
        x = self.x if examples is None else _rows(self.x, examples)
        if targets is None:
            targets = self.y if examples is None else _rows(self.y, examples)
        # Where all layers are trained the first block of examples writes the whole gradient.
        gradient = (np.zeros if self.model.frozen else np.empty)(theta.shape, theta.dtype)
        count = x.shape[-2]
        together = self._networks_at_once(theta, count)
        if together >= len(theta):
            total = self._add_gradient(theta, gradient, x, targets, factor)
        else:
            total = np.empty(len(theta))
            for first in range(0, len(theta), together):
                some = slice(first, first + together)
                own_x, own_y = (a if a.ndim == 2 else a[some] for a in (x, targets))
                total[some] = self._add_gradient(theta[some], gradient[some], own_x, own_y, factor)
        if self.mean and count:
            total = total / count
        if self.model.multipliers is not None:
            gradient *= self.model.multipliers.astype(gradient.dtype, copy=False)
        if self.penalty is not None:
            self.penalty.add_gradient(theta, gradient, self._workspace)
        return total, gradient

    def _networks_at_once(self, theta: Array, examples: int) -> int:
        """Return how many networks of an ensemble are evaluated together."""
        if theta.ndim != 2 or (self.model.gates is not None and self.model.gates.ndim > 1):
            return len(theta)
        return max(1, _TOGETHER // (max(1, min(examples, BLOCK)) * max(self.model.sizes)))

    def _add_gradient(
        self, theta: Array, gradient: Array, x: Array, y: Array, factor: float
    ) -> Floats:
        """Return the summed loss, and add the gradient in W and b of the loss.

        The first block of examples overwrites `gradient`.
        """
        workspace, count = self._workspace, x.shape[-2]
        sums: list[Floats] = []
        for some_x, some_y in _in_blocks(x, y):
            run = self.model.run(theta, some_x, order=1, workspace=workspace)
            loss, delta = self.loss.value_and_gradient(run.outputs, some_y)
            if self.mean:
                delta /= count
                if factor != 1.0:
                    delta *= factor
            add_parameter_gradient(self.model, run, delta, gradient, workspace, overwrite=not sums)
            sums.append(loss)
        return sum(sums[1:], sums[0])


def add_parameter_gradient(
    model: Model,
    run: Pass,
    delta: Array,
    gradient: Array,
    workspace: Workspace,
    *,
    overwrite: bool = False,
) -> None:
    """Add the gradient in W and b, where delta is that in the outputs, to `gradient`.

    Layers that are not trained are left out. With `overwrite` the gradient replaces the values of
    `gradient`: adding to zeros would take longer.
    """
    parts = model.layers(gradient)
    for layer, signal in backward(run, delta, last=model.trained_from, workspace=workspace):
        if not model.scales[layer].trained:
            continue
        w, b = parts[layer]
        product = w if overwrite else workspace.array("gradient", layer, w.shape, w.dtype)
        np.matmul(signal.swapaxes(-1, -2), run.inputs[layer], out=product)
        if b is not None and overwrite:
            signal.sum(axis=-2, out=b)
        elif b is not None:
            b += signal.sum(axis=-2)
        if not overwrite:
            w += product


def _rows(data: Array, examples: NDArray[np.intp]) -> Array:
    """Return the rows of some examples, of one matrix or of that of each network."""
    if data.ndim == 2:
        return data.take(examples, axis=0)
    return np.take_along_axis(data, examples[..., None], axis=-2)


def _in_blocks(x: Array, y: Array) -> list[tuple[Array, Array]]:
    """Return the inputs and targets of the blocks of examples; of one without examples."""
    if x.shape[-2] <= BLOCK:
        return [(x, y)]
    return [(x[..., rows, :], y[..., rows, :]) for rows in blocks(x.shape[-2])]


def blocks(examples: int) -> Iterator[slice]:
    """Return the rows of as few blocks as possible, of about equal lengths."""
    count = -(-examples // BLOCK)
    return (slice(i * examples // count, (i + 1) * examples // count) for i in range(count))
