"""Statements about the curvature of the loss, checked on trained networks."""

from __future__ import annotations

from typing import Final

import numpy as np

from nnth._course.statement import Check, Run, Statement
from nnth._curvature.class_statements import CLASS_STATEMENTS
from nnth._curvature.hessian import hessian
from nnth._curvature.scan import sharpness_scan
from nnth._curvature.sharpness import sharpness
from nnth._lab.losses import softmax
from nnth._lab.setup import TrainingSetup
from nnth._lab.training import Snapshot

HESSIAN: Final = "10/3"
SHARPNESS: Final = "10/5"

_ZERO: Final = 1e-10  # relative to the largest eigenvalue; smaller ones count as 0


def _dense(product: object, size: int) -> np.ndarray:
    rows = [product(unit) for unit in np.eye(size)]  # type: ignore[operator]
    return np.array(rows)


def fisher_information(run: Run) -> list[Statement]:
    """The Gauss-Newton matrix of cross-entropy is the Fisher information of the softmax model."""
    training = TrainingSetup(
        data="clusters:1:3:4", points=12, widths=(5,), seed=run.seed
    ).training()
    curvature = Snapshot(training, training.descent()).curvature
    p = softmax(curvature.outputs)
    classes = training.examples.classes
    fisher = np.zeros((training.model.size, training.model.size))
    for i in range(len(p)):
        for c in range(classes):  # the labels are distributed as the model predicts
            signal = np.zeros_like(p)
            signal[i] = p[i] - np.eye(classes)[c]
            g = curvature.pull_back(signal)
            fisher += p[i, c] * np.outer(g, g) / len(p)
    values, vectors = np.linalg.eigh(fisher)
    v = vectors[:, -1]
    return [
        Statement(
            HESSIAN,
            "v.G v for the top eigenvector of the Fisher information F (notes: -F^-1)",
            float(values[-1]),
            float(v @ curvature.gauss_newton(v)),
            error=1e-12 * values[-1],
            notes=-1.0 / float(values[-1]),
        )
    ]


def ranks(run: Run) -> list[Statement]:
    """The Gauss-Newton matrix has rank at most m (C - 1); the Hessian may have a larger one."""
    m, classes = 4, 3
    training = TrainingSetup(data="clusters:1:3:4", points=m, widths=(6,), seed=run.seed).training()
    curvature, size = Snapshot(training, training.descent()).curvature, training.model.size

    def rank(matrix: np.ndarray) -> float:
        values = np.abs(np.linalg.eigvalsh(0.5 * (matrix + matrix.T)))
        return float(np.count_nonzero(values > _ZERO * values.max()))

    bound = float(m * (classes - 1))
    return [
        Statement(
            HESSIAN,
            "rank of the Gauss-Newton matrix = m (C - 1), 4 examples, 3 classes",
            bound,
            rank(_dense(curvature.gauss_newton, size)),
            notes=float(min(m, size)),
        ),
        Statement(
            HESSIAN,
            "rank of the Hessian > m (C - 1), 4 examples, 3 classes",
            bound + 1.0,
            rank(_dense(curvature.hessian, size)),
            relation=">=",
        ),
    ]


def outliers(run: Run) -> list[Statement]:
    """Two separated clusters have one outlier, and the gradient lies in its direction."""
    found = hessian(TrainingSetup(data="clusters:0.05", steps=0, seed=run.seed)).table()
    chance = float(found["chance"][0])
    return [
        Statement(
            HESSIAN,
            "number of outliers = C - 1, two clusters of variance 0.05, before training",
            1.0,
            float(found["outliers"][0]),
        ),
        Statement(
            HESSIAN,
            "|P g|^2/|g|^2 for the top eigenvector >= 100 times chance",
            100.0 * chance,
            float(found["gradient_fraction"][0]),
            relation=">=",
        ),
    ]


def stable_space(run: Run) -> list[Statement]:
    """In training by batches the top eigenspace becomes constant and contains much of g."""
    steps = 400 if run.quick else 1000
    setup = TrainingSetup(
        data="clusters:2:4:10", batch=16, steps=steps, widths=(16, 16), seed=run.seed
    )
    found = hessian(setup, at=(0, steps // 2, steps), top=8, tolerance=1e-4).table()
    last = found["step"] == steps
    fraction = float(found["gradient_fraction"][last & (found["index"] == 3)][0])
    chance = float(found["chance"][last & (found["index"] == 3)][0])
    return [
        Statement(
            HESSIAN,
            "overlap of the top eigenspaces, k = C - 1 = 3, in the second half of the training",
            0.5,
            float(found["overlap"][last][0]),
            relation=">=",
        ),
        Statement(
            HESSIAN,
            "|P g|^2/|g|^2 for the top C - 1 eigenvectors >= 10 times chance, trained in batches",
            10.0 * chance,
            fraction,
            relation=">=",
        ),
    ]


def edge_of_stability(run: Run) -> list[Statement]:
    """Sharpness rises to 2/eta and stays there, while the loss still falls."""
    steps = 2000 if run.quick else 6000
    setup = TrainingSetup(
        data="clusters:2:10:20", loss="squared", eta=0.35, steps=steps, seed=run.seed
    )
    late = range(3 * steps // 4, steps + 1, steps // 40)
    found = sharpness(setup, at=[0, *late]).table()
    return [
        Statement(
            SHARPNESS,
            "mean of sharpness eta/2 in the last quarter of gradient descent, squared loss",
            1.0,
            float(found["ratio"][1:].mean()),
            error=0.03,
        ),
        Statement(
            SHARPNESS,
            "loss after gradient descent over the loss when its last quarter begins",
            1.0,
            float(found["loss"][-1] / found["loss"][1]),
            relation="<=",
        ),
    ]


def edges_of_optimizers(run: Run) -> list[Statement]:
    """Nesterov's momentum and Adam settle at thresholds of their own."""
    steps = 1500
    found = {}
    for name, eta in (("nesterov", 0.25), ("adam", 0.03)):
        setup = TrainingSetup(
            data="clusters:2:10:20",
            loss="squared",
            eta=eta,
            optimizer=name,  # type: ignore[arg-type]
            steps=steps,
            seed=run.seed,
        )
        late = range(3 * steps // 4, steps + 1, steps // 40)
        found[name] = float(sharpness(setup, at=late).table()["ratio"].mean())
    return [
        Statement(
            SHARPNESS,
            "sharpness over 2 (1 + m)/((1 + 2 m) eta) in the last quarter, Nesterov's momentum m "
            "= 0.9",
            1.0,
            found["nesterov"],
            error=0.03,
        ),
        Statement(
            SHARPNESS,
            "preconditioned sharpness eta/38 in the last quarter, Adam",
            1.0,
            found["adam"],
            error=0.03,
        ),
    ]


def large_rates(run: Run) -> list[Statement]:
    """ReLU networks train at rates up to about 12/lambda_0, three times the limit of the model.

    This is an observation, not a theorem (Lewkowycz et al. (2020), section 1), and the largest rate
    depends on the initialization.
    """
    rates, limits = (4.0, 6.0, 9.0, 12.0, 16.0, 24.0, 36.0), []
    for start in range(2 if run.quick else 5):
        setup = TrainingSetup(
            data="clusters:0.5:4:20",
            points=100,
            widths=(96, 96, 96),
            act="relu",
            loss="squared",
            steps=60,
            seed=run.seed + start,
        )
        found = sharpness_scan(setup, eta_lambda0=rates)
        back = np.isin(found["phase"], ("lazy", "catapult"))
        limits.append(float(found["eta_lambda0"][back].max(initial=0.0)))
    text = "mean of the largest eta lambda_0 at which ReLU networks train, about 12,"
    largest = float(np.mean(limits))
    return [
        Statement(SHARPNESS, f"{text} >= half of 12", 6.0, largest, relation=">="),
        Statement(SHARPNESS, f"{text} <= twice 12", 24.0, largest, relation="<="),
    ]


STATEMENTS: Final[tuple[Check, ...]] = (
    fisher_information,
    ranks,
    outliers,
    stable_space,
    edge_of_stability,
    edges_of_optimizers,
    large_rates,
    *CLASS_STATEMENTS,
)
