"""Calls with absurd options and values, checked by the rules for every call."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnth_cli import main as program
from referees.calls import EXTREMES, Case, Draw, text

# A small call of each command, with the files of `_files`, into which hostile values are inserted.
CALLS = {
    "kernel": "--act tanh --depth 3",
    "gram matrices": "x.npy --act gelu --depth 2 --save k.npz",
    "gram training": "--data data.npz --widths 4 --steps 3 --at 0,3",
    "predict": "--x x.npy --y y.npy --x-test u.npy --ridge 0.1 --times 0,1,inf",
    "critical points": "--act tanh",
    "critical decay": "--act tanh --depth 5",
    "phase": "--act tanh --cw lin:0.5:3:3 --cb 0.1",
    "gp": "--samples 20 --width 4,6 --depth 2",
    "hermite coefficients": "--act gelu --terms 5",
    "rates layers": "--depth 2 --width 8 --samples 4",
    "rates descent": "--x x.npy --y y.npy --samples 1 --width 4 --steps 9",
    "rates noise": "--x x.npy --samples 20 --steps 30",
    "rates training": "--width 4,8 --samples 2 --steps 5",
    "catapult trajectory": "--eta-lambda0 1,3 --steps 4",
    "catapult phases": "--eta-lambda0 1,3 --width 3 --samples 2 --steps 4",
    "quadratic": "--parameters 6 --points 2 --times 1,inf --eps 0.1",
    "lazy": "--width 8,16 --points 2 --samples 2",
    "regions count": "--widths 4,3",
    "regions along": "plane --widths 4,3 --lines 2",
    "regions through": "x.npy --widths 4,3",
    "regions bounds": "--widths 4,3",
    "paths moments": "--width 5 --depth 2 --samples 40",
    "paths distribution": "--width 5 --depth 2 --samples 40",
    "paths spectrum": "--width 5 --depth 2 --points 3 --n0 4 --samples 40",
    "paths angles": "--width 5 --depth 2 --rho 0,0.5 --samples 40",
    "mp": "--points 8 --n0 5 --rows 9 --samples 2",
    "classes parts": "--data data.npz --widths 4 --steps 3",
    "classes outliers": "--data data.npz --widths 4 --steps 3 --top 2",
    "classes layers": "--data data.npz --widths 4 --steps 3",
    "collapse": "--data data.npz --widths 4 --steps 3 --at 0,3",
    "hessian": "--data data.npz --widths 3 --steps 3",
    "sharpness path": "--data data.npz --widths 4 --steps 3 --at 0,3",
    "sharpness scan": "--data data.npz --widths 4 --steps 3 --eta-lambda0 1,3",
    "product": "--n0 4 --width 3 --depth 1,2 --samples 99",
    "bayes evidence": "--norm2 2 --points 4 --n0 9 --width 20 --depth 1,2 --samples 50",
    "bayes predict": "--points 4 --n0 9 --width 20 --depth 1,2",
    "diagonal": "--x x.npy --y y.npy --alpha 0.1,1",
    "margin": "--x x.npy --y labels.npy --log-times 1,10",
    "sgd regression": "--n0 2 --points 6 --steps 2000",
    "sgd valley": "--steps 20",
    "sgd circle": "--places 8 --steps 20",
    "sgd net": "--width 2 --steps 64",
    "rkhs spectrum": "--kernel ntk --n0 4 --levels 5",
    "rkhs fit": "--x x.npy --y y.npy --kernel rbf:1 --ridge 0.1",
    "rkhs curve": "--x x.npy --y y.npy --kernel rbf:1 --ridge 0.1 --sizes 2,3 --samples 3",
    "rkhs sample": "--x x.npy --kernel rbf:1 --samples 50",
    "entropy": "--set interval --bits 0,1,4",
}
# Options that would write to other places, or start other programs.
LEFT_OUT = {"--install-completion", "--show-completion", "--help", "--plot", "--append", "--output"}
WHOLE = ("0", "1", "2", "-1", "3", "1000000000", "9223372036854775808", "1" + "0" * 30, "1.5", "")
LISTS = (
    "0",
    "1,2",
    "2,1",
    "1,1",
    "0:3",
    "lin:0:1:3",
    "log:1:8:3",
    "log:0:1:3",
    "inf",
    "nan,1",
    "1e300",
    "1e-300",
    ",",
    "3:1",
    "1:2:0",
    "-1,0",
)
ACTS = (
    "relu",
    "tanh",
    "step",
    "z**2",
    "z**3",
    "exp",
    "1",
    "z",
    "0*z",
    "1/z",
    "abs(z)**0.3",
    "1e200*z",
    "exp(z**2/16)",
    "sin(1e6*z)",
    "where(z > 0, 1, -1)",
    "log(z)",
    "relu_power:0.6",
    "leaky_relu:1e9",
    "elu:-3",
    "z z",
    "tanh(",
)
TEXTS = (
    "",
    "nonsense",
    "é",
    "x.npy",
    "missing.npy",
    "box:1,2",
    "ball:0",
    "power:1e300",
    "rbf:0",
    "rbf:1e-200",
    "rbf:1e200",
    "telgarsky:3",
    "clusters:0",
    "clusters:1:1:1",
    "lipschitz:0,1",
    "axes:1,0",
)


def _files(draw: Draw) -> None:
    """Write awkward data: equal, opposite and zero rows, huge and tiny ones."""
    x = draw.rng.normal(size=(6, 3))
    match draw.whole(0, 7):
        case 0:
            x[1] = x[0]
        case 1:
            x[1] = -x[0]
        case 2:
            x[2] = 0.0
        case 3:
            x *= draw.pick((1e-160, 1e-20, 1e20, 1e150, 1e290))
        case 4:
            x[0] *= 1e12
        case 5:
            x = np.round(x)
    draw.save("x.npy", x)
    draw.save("y.npy", x.sum(axis=1) * draw.pick((1.0, 1.0, 0.0, 1e8)))
    draw.save("u.npy", x[:2] + draw.pick((0.1, 0.0)))
    draw.save("labels.npy", np.where(x[:, 0] > 0, 1.0, -1.0))
    labels = np.array([0, 1, 2, 0, 1, 2])
    np.savez(draw.folder / "data.npz", X=x, y=labels)


def _value(draw: Draw, option: Any) -> str:
    kind, metavar = type(option.type).__name__, option.metavar or ""
    if kind == "Choice":
        return str(draw.pick([*option.type.choices, "nonsense"]))
    if "--act" in option.opts:
        return str(draw.pick(ACTS))
    if "Int" in kind:
        return str(draw.pick(WHOLE))
    if "Float" in kind:
        return text(draw.pick(EXTREMES))
    if metavar.startswith("FILE"):
        return str(draw.pick(("x.npy", "y.npy", "data.npz", "missing.npy")))
    if "," in metavar or ":" in metavar or metavar in ("N", "L", "X"):
        return str(draw.pick((*LISTS, *map(text, EXTREMES), *WHOLE)))
    return str(draw.pick((*TEXTS, *LISTS)))


def hostile(draw: Draw) -> Case:
    command = draw.pick(list(CALLS))
    _files(draw)
    words = [*command.split(), *CALLS[command].split()]
    options = [
        o
        for o in program.load(command).params
        if o.param_type_name == "option" and not LEFT_OUT & set(o.opts)
    ]
    for option in draw.random.sample(options, draw.pick((1, 1, 1, 2, 3))):
        name = next(o for o in option.opts if o.startswith("--"))
        if option.is_flag:
            words.append(name)
        else:
            words.append(f"{name}={_value(draw, option)}")
    return Case(words, hostile=True, command=command)


CASES = {"hostile": hostile}
