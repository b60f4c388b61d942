"""Time neural-tangents on a Gram matrix; run by the python of its own environment (README.md).

    python gram_neural_tangents.py inputs.npy --act relu --depth 50 --cb 0 --cw 2 [--jit]

Prints one JSON object. Conventions: nnth's C_w is W_std^2 and C_b is b_std^2, `depth` hidden layers
and a last Dense, parameterization "ntk"; the results are nnth's `nngp` and `ntk` (`--ntk ntk`) as
they stand, without a factor.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import statistics
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from serving import paced, peak_rss_mb


def import_peer() -> tuple[Any, Any, bool]:
    """jax, neural_tangents, and whether TensorFlow came along.

    The package imports TensorFlow for a converter that a Gram matrix never calls. Where it was
    left out of the environment, empty modules stand in; the timings are then kinder to the peer in
    import time and memory, so the output says so.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import jax

    jax.config.update("jax_enable_x64", True)  # float32 otherwise
    full = importlib.util.find_spec("tensorflow") is not None
    if not full:

        class Anything(types.ModuleType):
            def __getattr__(self, name: str) -> Any:
                if name.startswith("__"):
                    raise AttributeError(name)
                return Any

        for name in ("tensorflow", "tf2jax", "jax.experimental.jax2tf"):
            sys.modules[name] = Anything(name)
        import jax.experimental

        jax.experimental.jax2tf = sys.modules["jax.experimental.jax2tf"]
    import neural_tangents

    return jax, neural_tangents, full


def activation(stax: Any, jax: Any, name: str, degree: int) -> Callable[[], Any]:
    """nnth's activation names, as far as the peer has them."""
    base, _, parameter = name.partition(":")
    if base == "leaky_relu":
        return lambda: stax.LeakyRelu(float(parameter or 0.01))
    table: dict[str, Callable[[], Any]] = {
        "relu": stax.Relu,
        "abs": stax.Abs,
        "erf": stax.Erf,
        "gelu": stax.Gelu,
        "sin": stax.Sin,
        "cos": stax.Cos,
        "exp": stax.Exp,
        "gaussian": stax.Gaussian,
        # No closed form: its Gauss-Hermite quadrature, whose degree decides time and error.
        "tanh": lambda: stax.ElementwiseNumerical(jax.numpy.tanh, deg=degree),
        "silu": lambda: stax.ElementwiseNumerical(jax.nn.silu, deg=degree),
    }
    if base not in table:
        raise SystemExit(f"neural-tangents has no activation {name!r}; known: {sorted(table)}")
    return table[base]


def network(stax: Any, act: Callable[[], Any], depth: int, cb: float, cw: float) -> Any:
    def dense() -> Any:
        return stax.Dense(
            1, W_std=cw**0.5, b_std=cb**0.5 if cb > 0 else None, parameterization="ntk"
        )

    layers = [dense()]
    for _ in range(depth):
        layers += [act(), dense()]
    return stax.serial(*layers)[2]


def main() -> None:
    parser = argparse.ArgumentParser(description="Time a neural-tangents Gram matrix.")
    parser.add_argument("inputs", type=Path, help=".npy, a row a data point")
    parser.add_argument("--act", default="relu")
    parser.add_argument("--depth", type=int, default=50, help="hidden layers")
    parser.add_argument("--cb", type=float, default=0.0)
    parser.add_argument("--cw", type=float, default=2.0)
    parser.add_argument("--kernel", choices=["nngp", "ntk", "both"], default="both")
    parser.add_argument(
        "--degree", type=int, default=25, help="nodes where there is no closed form"
    )
    parser.add_argument("--batch", type=int, default=0, help="nt.batch of so many rows; 0 for none")
    parser.add_argument("--jit", action="store_true", help="compile first; that time is `warm_up`")
    parser.add_argument("--runs", type=int, default=3, help="timed runs after one warm-up")
    parser.add_argument("--paced", action="store_true", help="a run a request, after a warm-up")
    parser.add_argument("--save", type=Path, help=".npz with the matrices")
    args = parser.parse_args()
    if args.runs < 1:
        parser.error("--runs must be at least 1")

    x = np.load(args.inputs).astype(np.float64)
    start = time.perf_counter()
    jax, nt, full = import_peer()
    import_seconds = time.perf_counter() - start
    act = activation(nt.stax, jax, args.act, args.degree)
    kernel_fn = network(nt.stax, act, args.depth, args.cb, args.cw)
    if args.batch:  # compiled by itself
        kernel_fn = nt.batch(kernel_fn, batch_size=args.batch, device_count=0)
    get = ("nngp", "ntk") if args.kernel == "both" else (args.kernel,)

    def gram(data: Any) -> Any:
        return tuple(kernel_fn(data, None, get))

    call = jax.jit(gram) if args.jit else gram

    before = peak_rss_mb()
    results: list[Any] = []

    def timed() -> float:
        results.clear()  # two results alive would overstate the peak
        begin = time.perf_counter()
        results.append(jax.block_until_ready(call(x)))  # jax returns before the work is done
        return time.perf_counter() - begin

    seconds = paced(timed) if args.paced else [timed() for _ in range(args.runs + 1)]
    warm_up, *seconds = seconds
    out = results[0]
    if args.save:
        matrices: dict[str, Any] = {n: np.asarray(k) for n, k in zip(get, out, strict=True)}
        np.savez(args.save, **matrices)
    outputs = sum(matrix.nbytes for matrix in out) / 2**20
    record = {
        "peer": "neural-tangents",
        "act": args.act,
        "depth": args.depth,
        "cb": args.cb,
        "cw": args.cw,
        "m": x.shape[0],
        "n0": x.shape[1],
        "kernel": args.kernel,
        "jit": args.jit,
        "batch": args.batch,
        "dtype": str(out[0].dtype),
        "seconds_min": min(seconds),
        "seconds_median": statistics.median(seconds),
        "seconds": seconds,
        "warm_up_seconds": warm_up,
        "import_seconds": import_seconds,
        "peak_rss_mb": peak_rss_mb(),
        "extra_mb": peak_rss_mb() - before - outputs,
        "cpus": len(os.sched_getaffinity(0)),
        "tensorflow_loaded": full,
        "versions": {
            "python": platform.python_version(),
            **{
                p: importlib.metadata.version(p)
                for p in ("neural-tangents", "jax", "jaxlib", "numpy", "scipy")
            },
        },
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
