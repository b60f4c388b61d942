"""A network as a quadratic model: its gradients and Hessians at the start of training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from nnth._lab.derivatives import expansion
from nnth._lab.model import Model, model_of, theta_of
from nnth._lab.objective import Objective
from nnth._networks.network import Network
from nnth._quadratic.model import QuadraticModel, check_size
from nnth._runtime.typing import Floats

_MAX_PREACTIVATION: Final = 40.0  # kinks are searched for up to this size


@dataclass(frozen=True, eq=False)
class ExpandedNet:
    """A network of one output at its parameters `start`, with data x `(m, n_0)` and y `(m,)`."""

    model: Model
    start: Floats
    x: Floats
    y: Floats

    def objective(self, eps: float) -> Objective:
        """Return sum_a (z_a - y_a)^2/2 for the targets z_0 + eps (y - z_0)."""
        z = self.model.outputs(self.start, self.x)
        return Objective(self.model, self.x, z + eps * (self.y[:, None] - z), mean=False)

    def quadratic_model(self) -> QuadraticModel:
        """Return the expansion at the start, with targets eps (y - z_0) away from the outputs z_0.

        z = z_0 + eps (Phi^T t + (eps/2) t^T Psi t) + O(eps^3) at theta = start + eps t.
        """
        found = expansion(self.model, self.start, self.x)
        phi, psi = found.gradients[:, 0], found.hessians[:, 0]
        distance = self.y - found.outputs[:, 0]
        symmetric = 0.5 * (psi + psi.transpose(0, 2, 1))
        kinks = self.model.acts[0].core.breaks(_MAX_PREACTIVATION)
        note = "the activation has kinks: the expansion holds only between them" if kinks else ""
        start = np.zeros(len(self.start))
        return QuadraticModel(np.ascontiguousarray(phi.T), symmetric, distance, start, note)


def expanded_net(net: Network, x: Floats, y: Floats) -> ExpandedNet:
    """Return the network on these data; raises ValueError, MemoryError."""
    if net.n_out != 1:
        raise ValueError(f"net must have one output, not {net.n_out}")
    if x.shape[1] != net.n0:
        raise ValueError(f"inputs must have {net.n0} columns, as net has inputs, not {x.shape[1]}")
    model = model_of(net)
    check_size(model.size, len(x))
    return ExpandedNet(model, theta_of(net), x, y)
