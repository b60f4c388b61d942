"""Random features of the kernels of infinitely wide networks: finite networks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from nnth._kernels.features.maps import on_threads
from nnth._kernels.kernel import InfiniteNetwork
from nnth._runtime import streams
from nnth._runtime.random import normals
from nnth._runtime.typing import Floats

_KINDS: Final = 3  # of weights: of the network, and two of the tangent features
_LAYERS: Final = 2**24  # above the largest depth


@dataclass(frozen=True, eq=False)
class NetworkFeatures:
    """N features of the NNGP or the tangent kernel of a network.

    With independent standard normal matrices W, U, V and n neurons of a hidden layer, from the
    inputs h^0 = x to the features after the last hidden layer::

        phi^l = (sqrt(C_w/n) h^(l-1), sqrt(C_b)),     z^l = W phi^l,  h^l = s(z^l)
        psi^l = (sqrt(c/n) h^(l-1), sqrt(b), p^(l-1)),  p^l = sqrt(C_w/n) s'(z^l) (U, V) psi^l

    where Theta^(l+1) = b + c E[s s] + C_w E[s' s'] Theta^l. An entry of p^l is a random function of
    covariance C_w E[s' s'] Theta^l: the product of the features of two kernels, by products with
    random vectors. All hidden layers but the last have N neurons. The last has N for the NNGP
    kernel, N/2 for the tangent kernel; one feature is the constant, where there is one.

    With one hidden layer E phi.phi is the kernel. With more, a kernel of a mean of n terms is not
    the mean of kernels: the bias is O(1/n), less than the standard deviation of O(1/sqrt(n)).

    Args:
        kind: The kernel.
        network: The network.
        count: The number N, above that of constants and at least 4.
        seed: The seed.
        member: The number of this one of several independent maps of a seed.

    Source: Han et al. (2021), Zandieh et al. (2021), with a random product in place of their
    sketch; Lee et al. (2018) for the limit.
    """

    kind: Literal["nngp", "ntk"]
    network: InfiniteNetwork
    count: int
    seed: int
    member: int = 0

    @property
    def _direct(self) -> tuple[float, float]:
        """Return b and c of Theta^(l+1) = b + c E[s s] + C_w E[s' s'] Theta^l."""
        convention = self.network.ntk if self.kind == "ntk" else "ntk"
        cb, cw = self.network.cb, self.network.cw
        return {"ntk": (cb, cw), "bias": (1.0, cw), "pdlt": (1.0, 1.0)}[convention]

    @property
    def _constants(self) -> int:
        return int(self._direct[0] > 0.0)

    @property
    def draws(self) -> int:
        """Return the number of neurons of the last hidden layer."""
        left = self.count - self._constants
        return left if self.kind == "nngp" else left - left // 2

    def block(self, x: Floats, *, threads: int) -> Floats:
        """Return the features of inputs `(rows, n_0)`; see `FeatureMap`."""
        h, products = x, np.empty((len(x), 0))
        depth = self.network.depth
        for layer in range(1, depth + 1):
            last = layer == depth
            width = self.draws if last else self.count
            pairs = 0
            if self.kind == "ntk":
                pairs = self.count - self._constants - width if last else width
            h, products = self._layer(layer, h, products, width, pairs, threads)
        b, c = self._direct
        found = np.empty((len(x), self.count))
        end = h.shape[1]
        np.multiply(h, math.sqrt(c / end), out=found[:, :end])
        found[:, end : end + products.shape[1]] = products
        if self._constants:
            found[:, -1] = math.sqrt(b)
        return found

    def _layer(
        self, layer: int, h: Floats, products: Floats, width: int, pairs: int, threads: int
    ) -> tuple[Floats, Floats]:
        """Return h^l of `width` neurons, and p^l of the first `pairs` of them."""
        act, cb, cw = self.network.act.core, self.network.cb, self.network.cw
        b, c = self._direct
        rows = len(h)
        new, new_products = np.empty((rows, width)), np.empty((rows, pairs))

        def fill(panel: slice) -> None:
            z = self._sums(0, layer, panel, (cw, cb), h)
            value, slope = np.empty_like(z), np.empty_like(z)
            act.evaluate_into(z, value, slope)
            new[:, panel] = value
            some = slice(panel.start, min(panel.stop, pairs))
            if some.start >= some.stop:
                return
            tangent = self._sums(1, layer, some, (c, b), h)
            if products.shape[1]:
                v = self._normals(2, layer, some, products.shape[1])
                tangent += products @ v.T
            tangent *= slope[:, : some.stop - some.start]
            new_products[:, some] = tangent

        on_threads(fill, width, threads)
        # The mean of `pairs` terms: a layer has as many of them as neurons, but for the last one.
        new_products *= math.sqrt(cw / pairs) if pairs else 1.0
        return new, new_products

    def _sums(
        self, kind: int, layer: int, panel: slice, variances: tuple[float, float], h: Floats
    ) -> Floats:
        """Return (sqrt(w/n) h, sqrt(b)) times weights of some neurons."""
        fan_in = h.shape[1]
        weight, bias = variances
        drawn = self._normals(kind, layer, panel, fan_in + 1)
        sums = h @ (drawn[:, :fan_in] * math.sqrt(weight / fan_in)).T
        if bias > 0.0:
            sums += math.sqrt(bias) * drawn[:, fan_in]
        return np.ascontiguousarray(sums)

    def _normals(self, kind: int, layer: int, panel: slice, fan_in: int) -> Floats:
        stream = streams.FEATURE_WEIGHTS.first + (_KINDS * self.member + kind) * _LAYERS + layer
        many = panel.stop - panel.start
        drawn = normals(self.seed, stream, many * fan_in, panel.start * fan_in, threads=1)
        return drawn.reshape(many, fan_in)
