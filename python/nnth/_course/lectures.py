"""The course as a table of lectures, systems and the commands that compute them."""

from __future__ import annotations

from typing import Final

from nnth._tables.table import Meta, Table

# Lecture, system, command. Every command runs as printed; a test runs them all.
COURSE: Final = (
    (
        "9/14",
        "networks at initialization: K' = C_b + C_w E[s(z_a) s(z_b)]",
        "nnth kernel --act relu --depth 50",
    ),
    (
        "9/14",
        "random networks of finite width tend to a Gaussian process",
        "nnth gp --act tanh --width 64,256 --depth 3",
    ),
    ("9/19", "critical initialization: K*, chi_par = chi_perp = 1", "nnth critical --act gelu"),
    (
        "9/19",
        "ordered and chaotic phases, and the edge of chaos between them",
        "nnth phase --act tanh --cw lin:0.5:3:50 --cb lin:0:0.5:50",
    ),
    ("9/19", "K^l = 1/(2l) of tanh at criticality", "nnth critical decay --act tanh --depth 1000"),
    (
        "9/21",
        "collective observables have a variance of order 1/n",
        "nnth gp --act tanh --width 64,128,256 --depth 2 --quantities observable_variance",
    ),
    (
        "9/21",
        "Gaussian-process regression: the prior, and the posterior given data",
        "nnth predict --x diabetes --kernel nngp --ridge 0.5",
    ),
    (
        "L7",
        "learning rates of weights and biases, layer by layer",
        "nnth rates --act relu --width 64 --depth 10",
    ),
    (
        "L7",
        "gradient descent below and above 2/lambda_max, and with noise",
        "nnth rates descent --x iris --act relu --depth 3",
    ),
    (
        "Pathologies",
        "wide networks train as kernel regression",
        "nnth predict --x diabetes --times log:1e-4:1:9",
    ),
    (
        "Pathologies",
        "lazy and mean-field training: changes in training against the width",
        "nnth rates training --width 64,256,1024",
    ),
    (
        "10/3",
        "the loss Hessian: bulk and outliers, and the gradient in the top eigenspace",
        "nnth hessian --data clusters:0.05 --at 0,100,1000",
    ),
    (
        "10/5",
        "three levels of the Gauss-Newton matrix: classes, pairs of classes, examples",
        "nnth classes outliers",
    ),
    (
        "10/5",
        "class and within-class parts of features and of errors, layer by layer",
        "nnth classes layers",
    ),
    (
        "10/5",
        "neural collapse: class means become a simplex, and the classifier its transpose",
        "nnth collapse --steps 10000",
    ),
    (
        "10/5",
        "the edge of stability: gradient descent sharpens the loss to 2/eta",
        "nnth sharpness --steps 3000",
    ),
    ("10/5", "large learning rates: lazy, catapult, divergent", "nnth sharpness scan"),
    ("10/10", "the tangent kernel of two inputs", "nnth kernel --act tanh --depth 3 --rho 0.9"),
    (
        "10/10",
        "Hermite coefficients, and where kernels are positive definite",
        "nnth hermite --act gelu",
    ),
    (
        "10/10",
        "kernel matrices of a data set and their least eigenvalues",
        "nnth gram wine --act relu --depth 3",
    ),
    (
        "10/12",
        "lazy training: the loss tends to zero, and the lemmas over widths",
        "nnth lazy --width 64,256,1024",
    ),
    (
        "10/31",
        "kernels on the sphere: eigenvalues, and the space H_K = T^(1/2) L^2",
        "nnth rkhs spectrum --kernel ntk --act relu --n0 3 --depth 1 --levels 20",
    ),
    (
        "10/31",
        "the representer theorem: regression, and a Gaussian process given data",
        "nnth rkhs fit --x diabetes --kernel rbf:4 --ridge 0.5",
    ),
    (
        "10/31",
        "determinantal processes of a kernel",
        "nnth rkhs sample --x iris --kernel rbf:1 --size 10",
    ),
    (
        "11/2",
        "quadratic models: gradient flow to first order",
        "nnth quadratic --parameters 20 --points 5",
    ),
    ("11/2", "a real network to second order", "nnth quadratic --net random --points 3"),
    ("11/7", "large learning rates on one data point: lazy, catapult, divergent", "nnth catapult"),
    (
        "11/7",
        "the phases lazy, catapult and divergent over rates, for ReLU networks",
        "nnth catapult phases --width 256 --samples 50",
    ),
    (
        "11/9",
        "diagonal linear networks: gradient flow solves a convex program, from l1 to l2",
        "nnth diagonal --alpha 1e-8,1e-2,1,100",
    ),
    (
        "11/14",
        "gradient flow on separable data tends to the largest margin, as 1/log t",
        "nnth margin --points 30 --n0 3",
    ),
    (
        "11/16",
        "relations in the stationary state of SGD, and its exact covariance in regression",
        "nnth sgd --n0 2",
    ),
    (
        "11/16",
        "noise makes valleys wider: the trace of the Hessian falls",
        "nnth sgd valley",
    ),
    ("11/16", "a walk on the circle spends more time where its steps are small", "nnth sgd circle"),
    (
        "11/28",
        "entropy numbers, Kolmogorov and stable widths",
        "nnth entropy --set power:1 --bits 1,10,100",
    ),
    (
        "11/28",
        "the space of a kernel as a model class",
        "nnth entropy --set sphere --kernel ntk --n0 3",
    ),
    (
        "11/28",
        "random networks as a class of functions, and Johnson-Lindenstrauss",
        "nnth entropy --set nets --widths 32,32 --bits 0,2,4,8",
    ),
    (
        "11/30",
        "path counting: E (dz/dx)^2k at finite width, log-normal in L/n",
        "nnth paths --width 64 --depth 20",
    ),
    (
        "11/30",
        "the distribution of (dz/dx)^2 compared with log-normal ones",
        "nnth paths distribution --width 64 --depth 20",
    ),
    (
        "11/30",
        "the tangent kernel off the diagonal",
        "nnth paths angles --rho 0.5,0 --width 64 --depth 1",
    ),
    (
        "-",
        "how far layers move, as a power of the width: maximal update parametrization",
        "nnth mup check --samples 6",
    ),
    ("12/5", "linear regions of random ReLU networks, counted", "nnth regions --n0 2 --width 64"),
    (
        "12/5",
        "bounds on the number of linear regions",
        "nnth regions bounds --n0 2 --widths 16,16",
    ),
    (
        "12/5",
        "Telgarsky's network: 2^k pieces from 3k - 1 neurons",
        "nnth regions --net telgarsky:12",
    ),
    (
        "12/5",
        "the number of sides of the region around 0",
        "nnth regions --n0 2 --width 32 --samples 100",
    ),
    (
        "-",
        "averages, extrema and level sets of a ReLU network, exactly",
        "nnth regions measure --widths 32,32 --box 2",
    ),
    (
        "-",
        "the distance of points to the nearest boundary between regions",
        "nnth regions distance --widths 32,32 --samples 100 --points 3",
    ),
    ("12/7", "the spectrum of sample covariances, Marchenko-Pastur", "nnth mp --alpha 0.5"),
    (
        "12/7",
        "products of Gaussian matrices: the limits of large width and of large depth",
        "nnth product --width 32 --depth 10",
    ),
    (
        "12/7",
        "Bayesian interpolation with deep linear networks, over depth",
        "nnth bayes --norm2 2 --points 20 --n0 50 --width 200 --depth 0:30",
    ),
)


def lectures() -> Table:
    """Return the course as a Table of lectures, systems and commands.

    Returns:
        A Table with a row per system: lecture (its day, or its title), system, and command, a
        line for a shell that computes it and runs as printed.

    Example:
        >>> table = nnth.lectures()
        >>> table["command"].tolist()[0]
        'nnth kernel --act relu --depth 50'
    """
    names = ("lecture", "system", "command")
    columns = {name: [row[i] for row in COURSE] for i, name in enumerate(names)}
    return Table(columns, Meta("lectures"))
