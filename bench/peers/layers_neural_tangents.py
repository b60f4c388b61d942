"""The kernels of networks of layers by neural-tangents; run by the python of its environment.

    python layers_neural_tangents.py x.npy networks.json kernels.npz [--seconds]

networks.json has lists of layers by name, as bench/layer_networks.py; kernels.npz gets `NAME.nngp`
and `NAME.ntk`. Prints one JSON object: the seconds of each network, the second call of its compiled
function.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from gram_neural_tangents import import_peer


def serial(stax: Any, layers: list[Any]) -> Any:
    """Return the layers one after another.

    A scale, which neural-tangents has not, is taken into the dense before it: A z has the kernels
    of weights and biases with A^2 times their variances.
    """
    made: list[Any] = []
    for name, *numbers in layers:
        if name == "scale":
            _, cw, cb = made.pop()
            made.append(["dense", numbers[0] ** 2 * cw, numbers[0] ** 2 * cb])
        else:
            made.append([name, *numbers])
    return stax.serial(*(layer(stax, *one) for one in made))


def layer(stax: Any, name: str, *numbers: Any) -> Any:
    if name == "dense":
        cw, cb = numbers
        return stax.Dense(
            1, W_std=cw**0.5, b_std=cb**0.5 if cb > 0 else None, parameterization="ntk"
        )
    if name == "residual":
        both = stax.parallel(serial(stax, numbers[0]), stax.Identity())
        return stax.serial(stax.FanOut(2), both, stax.FanInSum())
    if name == "layernorm":
        return stax.LayerNorm(eps=0.0)
    if name == "dropout":
        return stax.Dropout(1.0 - numbers[0], mode="train")
    if name == "leaky_relu":
        return stax.LeakyRelu(numbers[0])
    return {
        "relu": stax.Relu,
        "erf": stax.Erf,
        "gelu": stax.Gelu,
        "abs": stax.Abs,
        "sin": stax.Sin,
    }[name]()


def main() -> None:
    inputs, networks, save = map(Path, sys.argv[1:4])
    jax, nt, _ = import_peer()
    x = np.load(inputs)
    kernels, seconds = {}, {}
    for name, layers in json.loads(networks.read_text()).items():
        kernel_fn = serial(nt.stax, layers)[2]

        def gram(data: Any, kernel_fn: Any = kernel_fn) -> Any:
            return tuple(kernel_fn(data, None, ("nngp", "ntk")))

        call = jax.jit(gram)
        for _ in range(2):  # the first call compiles
            start = time.perf_counter()
            nngp, ntk = jax.block_until_ready(call(x))
            seconds[name] = time.perf_counter() - start
        kernels[f"{name}.nngp"], kernels[f"{name}.ntk"] = np.asarray(nngp), np.asarray(ntk)
    np.savez(save, **kernels)
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
