"""Make the files of tests/reference/networks by the libraries that own their formats.

`python tests/make_network_files.py torch torch_kernel keras sklearn jax` makes those of the names
given, each of which may need an environment of its own: torch with onnx; torch_kernel, which also
keeps a tangent kernel, with torch alone; keras with h5py; sklearn with skl2onnx; jax with flax and
safetensors. Beside the networks NAME.npz keeps the inputs `x` and, for each file, the outputs that
the library computes, in double precision. A file without outputs is one to refuse. Those of HDF5,
which is padded with zeros, are compressed. No line here is shared with the readers.
"""

from __future__ import annotations

import gzip
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent / "reference" / "networks"
X = np.random.default_rng(20).standard_normal((5, 3))


def torch_files() -> dict[str, Any]:
    import torch
    from torch import nn

    torch.manual_seed(1)
    torch.set_default_dtype(torch.float64)
    x = torch.from_numpy(X)
    found = {}

    def relu(*extra: nn.Module) -> nn.Sequential:
        return nn.Sequential(
            nn.Linear(3, 4), nn.ReLU(), *extra, nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)
        )

    def outputs(model: nn.Module) -> np.ndarray:
        return model.eval()(x).detach().numpy()

    def keep(name: str, model: nn.Module, content: Any = None) -> None:
        torch.save(model.state_dict() if content is None else content, FOLDER / f"{name}.pt")
        found[f"{name}.pt"] = outputs(model)

    def export(name: str, model: nn.Module, given: torch.Tensor = x) -> None:
        found[f"{name}.onnx"] = model.eval()(given).detach().numpy()
        torch.onnx.export(model, (given,), FOLDER / f"{name}.onnx", dynamo=False, opset_version=20)

    model = relu()
    keep("torch_sequential", model)
    optimizer = torch.optim.Adam(model.parameters())
    model(x).sum().backward()
    optimizer.step()
    checkpoint = {"epoch": 3, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    keep("torch_checkpoint", model, {**checkpoint, "loss": 0.5, "best": None, "names": ["a", "b"]})
    half = relu()
    content = {name: one.to(torch.bfloat16) for name, one in half.state_dict().items()}
    half.load_state_dict(content)
    keep("torch_bfloat16", half, content)
    turned = {name: one.t().contiguous().t() for name, one in model.state_dict().items()}
    keep("torch_strided", model, turned)
    normalized = nn.Sequential(
        nn.Linear(3, 4),
        nn.BatchNorm1d(4),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(4, 4),
        nn.ReLU(),
        nn.BatchNorm1d(4, affine=False),
        nn.Linear(4, 2, bias=False),
    )
    for _ in range(20):
        normalized(3.0 * torch.randn(50, 3) + 1.0)
    nn.init.normal_(normalized[1].weight)
    nn.init.normal_(normalized[1].bias)
    keep("torch_normalized", normalized)
    export("torch_normalized", normalized)

    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.entry = nn.Linear(3, 4)
            self.hidden = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
            self.out = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for layer in (self.entry, *self.hidden):
                x = torch.tanh(layer(x))
            return self.out(x)

    keep("torch_named", Named())

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.fc2 = nn.Linear(3, 4), nn.Linear(4, 2)
            self.net = nn.Sequential(self.fc1, nn.ReLU(), self.fc2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x)

    keep("torch_tied", Tied())
    torch.save(model, FOLDER / "torch_whole.pt")
    torch.save(
        nn.Sequential(nn.Conv1d(1, 2, 1), nn.ReLU(), nn.Linear(3, 2)).state_dict(),
        FOLDER / "torch_convolution.pt",
    )
    torch.save(
        nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2), nn.ReLU(), nn.Linear(2, 2)).state_dict(),
        FOLDER / "torch_layer_norm.pt",
    )
    torch.save(
        nn.Sequential(nn.Linear(2, 1)).state_dict(),
        FOLDER / "torch_old.pt",
        _use_new_zipfile_serialization=False,
    )
    acts = {
        "tanh": nn.Tanh(),
        "sigmoid": nn.Sigmoid(),
        "gelu": nn.GELU(),
        "silu": nn.SiLU(),
        "softplus": nn.Softplus(),
        "leaky_relu": nn.LeakyReLU(0.1),
    }
    for name, act in acts.items():
        export(f"torch_{name}", nn.Sequential(nn.Linear(3, 4), act, nn.Linear(4, 1)))
    image = nn.Sequential(nn.Flatten(), nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    export("torch_flatten", image, x.reshape(5, 1, 3))

    class Skip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = torch.relu(self.a(x))
            return self.c(h + torch.relu(self.b(h)))

    export("torch_skip", Skip())
    del found["torch_skip.onnx"]
    return found


def keras_files() -> dict[str, Any]:
    os.environ["KERAS_BACKEND"] = "numpy"
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    keras.config.set_floatx("float64")
    found = {}

    def outputs(model: Any) -> np.ndarray:
        return np.asarray(model.predict(X, verbose=0))

    model = keras.Sequential(
        [
            layers.Input((3,)),
            layers.Dense(4, use_bias=False),
            layers.BatchNormalization(),
            layers.Activation("gelu"),
            layers.Dropout(0.1),
            layers.Dense(2),
        ]
    )
    random = np.random.default_rng(5)
    model.layers[1].set_weights([random.uniform(0.2, 2.0, 4) for _ in range(4)])
    model.save(FOLDER / "keras_normalized.keras")
    found["keras_normalized.keras"] = outputs(model)
    given = layers.Input((3,))
    hidden = layers.Dense(4, activation="tanh")(given)
    logits = layers.Dense(2)(hidden)
    chain = keras.Model(given, layers.Softmax()(logits))
    chain.save(FOLDER / "keras_softmax.keras")
    found["keras_softmax.keras"] = outputs(keras.Model(given, logits))
    model = keras.Sequential(
        [layers.Input((3,)), layers.Dense(4, activation="relu"), layers.Dense(2)]
    )
    model.save_weights(FOLDER / "keras.weights.h5")
    found["keras.weights.h5"] = outputs(model)
    model.save(FOLDER / "keras_model.h5")
    found["keras_model.h5"] = outputs(model)
    for name in found:
        (FOLDER / f"{name}.gz").write_bytes(gzip.compress((FOLDER / name).read_bytes(), mtime=0))
        (FOLDER / name).unlink()
    return found


def sklearn_files() -> dict[str, Any]:
    from skl2onnx import to_onnx
    from sklearn.neural_network import MLPRegressor

    found = {}
    targets = np.sin(X.sum(axis=1))
    for act in ("logistic", "tanh"):
        model = MLPRegressor(
            hidden_layer_sizes=(4, 4), activation=act, solver="lbfgs", max_iter=5, random_state=0
        )
        model.fit(X, targets)
        arrays = {f"coefs_{i}": one for i, one in enumerate(model.coefs_)}
        arrays |= {f"intercepts_{i}": one for i, one in enumerate(model.intercepts_)}
        np.savez(FOLDER / f"sklearn_{act}.npz", activation=model.activation, **arrays)
        (FOLDER / f"sklearn_{act}.onnx").write_bytes(to_onnx(model, X).SerializeToString())
        for suffix in ("npz", "onnx"):
            found[f"sklearn_{act}.{suffix}"] = model.predict(X)[:, None]
    return found


def jax_files() -> dict[str, Any]:
    import jax

    jax.config.update("jax_enable_x64", True)
    from flax import linen, traverse_util
    from safetensors.numpy import save_file

    class Net(linen.Module):
        @linen.compact
        def __call__(self, x: Any) -> Any:
            for width in (4, 5):
                x = linen.tanh(linen.Dense(width, param_dtype=X.dtype)(x))
            return linen.Dense(2, param_dtype=X.dtype)(x)

    parameters = Net().init(jax.random.key(0), X)
    flat = traverse_util.flatten_dict(parameters, sep="/")
    arrays = {name: np.asarray(one) for name, one in flat.items()}
    np.savez(FOLDER / "flax.npz", **arrays)
    save_file(arrays, FOLDER / "flax.safetensors", {"activation": "tanh"})
    outputs = np.asarray(Net().apply(parameters, X))
    leaves = jax.tree_util.tree_leaves_with_path(parameters)
    np.savez(
        FOLDER / "flax_paths.npz",
        **{jax.tree_util.keystr(path): np.asarray(one) for path, one in leaves},
    )
    return dict.fromkeys(("flax.npz", "flax.safetensors", "flax_paths.npz"), outputs)


def torch_kernel_files() -> dict[str, Any]:
    """Layers with and without biases, some of them 0, and the tangent kernel of all parameters."""
    import torch
    from torch import nn

    torch.manual_seed(2)
    torch.set_default_dtype(torch.float64)
    x = torch.from_numpy(X)
    model = nn.Sequential(
        nn.Linear(3, 4, bias=False),
        nn.ReLU(),
        nn.Linear(4, 5),
        nn.ReLU(),
        nn.Linear(5, 2, bias=False),
    )
    nn.init.zeros_(model[2].bias)
    torch.save(model.state_dict(), FOLDER / "torch_unbiased.pt")
    parameters = dict(model.named_parameters())

    def outputs(own: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.func.functional_call(model, own, (x,))

    jacobian = torch.func.jacrev(outputs)(parameters)
    kernel = sum(torch.einsum("ikab,jkab->ij", j, j) for j in map(_matrices, jacobian.values()))
    return {
        "torch_unbiased.pt": outputs(parameters).detach().numpy(),
        "kernel": kernel.detach().numpy(),
    }


def _matrices(jacobian: Any) -> Any:
    """Return the derivatives of outputs `(m, outputs)` in one parameter, as a matrix each."""
    return jacobian.reshape(*jacobian.shape[:3], -1)


MAKERS = {
    "torch_kernel": torch_kernel_files,
    "torch": torch_files,
    "keras": keras_files,
    "sklearn": sklearn_files,
    "jax": jax_files,
}

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for library in sys.argv[1:]:
        np.savez(FOLDER / f"{library}.npz", x=X, **MAKERS[library]())
