"""A network as a quadratic model: its gradients and Hessians at the start of training."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from nnth._activations.activation import Activation, activation
from nnth._networks.network import Network
from nnth._quadratic.model import QuadraticModel, check_size
from nnth._runtime.typing import Floats

_MAX_PREACTIVATION: Final = 40.0  # kinks are searched for up to this size


@dataclass(frozen=True)
class SmallNet:
    """A fully connected network of one output on data x `(m, n_0)`.

    Its parameters theta `(P,)` are W_1 row by row, b_1, W_2, ...
    """

    act: Activation
    sizes: tuple[int, ...]  # n_0, the hidden widths, 1
    x: Floats
    y: Floats
    start: Floats

    def outputs(self, theta: Floats) -> Floats:
        """Return z `(m,)`."""
        return np.asarray(self._forward(theta)[-1][0][:, 0])

    def gradients(self, theta: Floats) -> Floats:
        """Return d z_a/d theta `(m, P)`, by back-propagation."""
        return self._backward(theta)[0]

    def time_derivative(self, theta: Floats) -> Floats:
        """Return d theta/d(eta t) of gradient flow on sum_a (z_a - y_a)^2/2."""
        gradients = self.gradients(theta)
        return np.asarray(-((self.outputs(theta) - self.y) @ gradients))

    def hessians(self, theta: Floats) -> Floats:
        """Return d^2 z_a/d theta^2 `(m, P, P)`, by back-propagation along each parameter."""
        return self._backward(theta, second=True)[1]

    def model(self) -> QuadraticModel:
        """Return the expansion at the start, with targets eps (y - z_0) away from the outputs z_0.

        z = z_0 + eps (Phi^T t + (eps/2) t^T Psi t) + O(eps^3) at theta = start + eps t.
        """
        phi, psi = self._backward(self.start, second=True)
        distance = self.y - self.outputs(self.start)
        symmetric = 0.5 * (psi + psi.transpose(0, 2, 1))
        kinks = self.act.core.breaks(_MAX_PREACTIVATION)
        note = "the activation has kinks: the expansion holds only between them" if kinks else ""
        start = np.zeros(len(self.start))
        return QuadraticModel(np.ascontiguousarray(phi.T), symmetric, distance, start, note)

    def nearer(self, eps: float) -> SmallNet:
        """Return the network with targets z_0 + eps (y - z_0)."""
        z = self.outputs(self.start)
        return SmallNet(self.act, self.sizes, self.x, z + eps * (self.y - z), self.start)

    def _layers(self, theta: Floats) -> list[tuple[Floats, Floats]]:
        """Return views of W and b: of one theta `(P,)`, or of many `(k, P)`."""
        out, at = [], 0
        for before, size in pairwise(self.sizes):
            w = theta[..., at : at + size * before]
            at += size * before
            out.append((w.reshape(*theta.shape[:-1], size, before), theta[..., at : at + size]))
            at += size
        return out

    def _forward(self, theta: Floats) -> list[tuple[Floats, Floats, Floats]]:
        """Return s, s', s'' of each layer; s of the input first and of the output last."""
        states: list[tuple[Floats, Floats, Floats]] = [(self.x, np.empty(0), np.empty(0))]
        layers = self._layers(theta)
        for i, (w, b) in enumerate(layers):
            z = states[-1][0] @ w.T + b
            if i + 1 == len(layers):
                states.append((z, np.empty(0), np.empty(0)))
            else:
                value, first, second = self.act.core.evaluate(z.ravel())
                shape = z.shape
                states.append((value.reshape(shape), first.reshape(shape), second.reshape(shape)))
        return states

    def _backward(self, theta: Floats, *, second: bool = False) -> tuple[Floats, Floats]:
        """Return gradients `(m, P)` and, with `second`, Hessians `(m, P, P)`."""
        states, layers = self._forward(theta), self._layers(theta)
        n, p = len(self.x), len(theta)
        # R-operator (Pearlmutter 1994): derivatives along direction k are `(k, ...)`.
        along = self._layers(np.eye(p)) if second else []
        moved = [np.zeros((p, *self.x.shape))] if second else []
        before = []  # R z of each hidden layer
        for i, (w, _) in enumerate(layers[:-1] if second else []):
            r_z = np.einsum("kij,nj->kni", along[i][0], states[i][0]) + moved[i] @ w.T
            r_z += along[i][1][:, None, :]
            before.append(r_z)
            moved.append(r_z * states[i + 1][1])
        delta = np.ones((n, 1))
        r_delta = np.zeros((p, n, 1)) if second else np.empty(0)
        first: list[Floats] = []
        rest: list[Floats] = []
        for i in range(len(layers) - 1, -1, -1):
            h = states[i][0]
            first = [(delta[:, :, None] * h[:, None, :]).reshape(n, -1), delta, *first]
            if second:
                r_w = r_delta[..., :, None] * h[:, None, :]
                r_w += delta[:, :, None] * moved[i][..., None, :]
                rest = [r_w.reshape(p, n, -1), r_delta, *rest]
            if i:
                pulled = delta @ layers[i][0]
                if second:
                    r_pulled = np.einsum("ni,kij->knj", delta, along[i][0])
                    r_pulled += r_delta @ layers[i][0]
                    r_delta = r_pulled * states[i][1] + pulled * states[i][2] * before[i - 1]
                delta = pulled * states[i][1]
        hessians = np.concatenate(rest, axis=2).transpose(1, 0, 2) if second else np.empty(0)
        return np.concatenate(first, axis=1), hessians


def small_net(net: Network, x: Floats, y: Floats) -> SmallNet:
    """Return the network on these data; raises ValueError, MemoryError."""
    if net.n_out != 1:
        raise ValueError(f"net must have one output, not {net.n_out}")
    if x.shape[1] != net.n0:
        raise ValueError(f"inputs must have {net.n0} columns, as net has inputs, not {x.shape[1]}")
    parts = [a for w, b in zip(net.weights, net.biases, strict=True) for a in (w.ravel(), b)]
    start = np.concatenate(parts)
    check_size(len(start), len(x))
    return SmallNet(activation(net.activation), (net.n0, *net.widths, 1), x, y, start)
