"""Kernels and their Hilbert spaces: spectra, regression, samples.

Each command shows its formula, source and examples in its own --help.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nnth_cli import options
from nnth_cli.command import Call, command

if TYPE_CHECKING:
    from nnth._tables.table import Table


def _check_kernel(call: Call, kernel: str) -> None:
    """Raise ValueError for options of a network with a kernel that is not that of a network."""
    network = sorted(call.given & {"--act", "--depth", "--cb", "--cw", "--ntk"})
    if network and kernel.partition(":")[0] in ("rbf", "laplace"):
        raise ValueError(f"{network[0]} must not be given with --kernel {kernel}")


@command()
def spectrum(
    kernel: options.Kernel = "ntk",
    act: options.Act = "relu",
    n0: Annotated[
        int | None,
        options.with_default(options.InputDimension, "3; with --x the dimension of its inputs"),
    ] = None,
    depth: options.Depth = 1,
    levels: Annotated[int, typer.Option(help="Number of levels, from 0 on.", metavar="K")] = 20,
    cb: options.BiasVariance = None,
    cw: options.WeightVariance = None,
    ntk: options.Ntk = "ntk",
    norm: Annotated[float | None, options.with_default(options.Norm, "1/C_w")] = None,
    x: options.X = None,
    points: options.Points = 0,
    *,
    call: Call,
) -> "Table":
    """Eigenvalues of a kernel on the sphere S^(d-1), for each degree.

    \b
    mu_k = Gamma(d/2)/(sqrt(pi) Gamma((d-1)/2))
           int_0^pi K(cos th) P_k(cos th) sin^(d-2) th dth,  N(d, k) times
    N(d, k) = (2k + d - 2)/k C(k + d - 3, k - 1),  sum_k mu_k N(d, k) = K(x, x)

    P_k are the Gegenbauer polynomials with P_k(1) = 1, and d is --n0. A row is a level, the degree
    k of the spherical harmonics: eigenvalue, multiplicity, the trace up to it, its error, and the
    power of k with which eigenvalues decay beside its limit: -d - 2 for the NNGP kernel and -d for
    the tangent kernel of ReLU at any depth, and -d for laplace. An eigenvalue is `reliable` if its
    error is below a tenth of it, which excludes eigenvalues of 0.

    With --x or --points the eigenvalues of the matrix K(x_i, x_j)/m, for the directions of the
    data, are compared with the levels: mean and extremes of the group of each level. --plot draws
    both.

    \b
    Source: Smola et al. (2000); Bietti and Bach (2021).
    Example: nnth rkhs spectrum --kernel ntk --act relu --n0 3 --depth 1 --levels 5
             nnth rkhs spectrum --kernel nngp --n0 10 --points 1000 --plot spectrum.png
    """
    _check_kernel(call, kernel)
    from nnth._rkhs.spectrum import rkhs_spectrum

    with call.interrupted_at_once():
        return rkhs_spectrum(
            kernel,
            act,
            n0=n0,
            depth=depth,
            levels=levels,
            cb=cb,
            cw=cw,
            ntk=ntk,
            norm=norm,
            x=x,
            points=points,
            seed=call.seed,
            **call.work,
        )


@command()
def fit(
    x: options.X = Path("diabetes"),
    y: options.Y = None,
    kernel: options.Kernel = "rbf:4",
    act: options.Act = "relu",
    ridge: options.Ridge = 0.5,
    x_test: options.XTest = None,
    y_test: options.YTest = None,
    depth: options.Depth = 1,
    cb: options.BiasVariance = None,
    cw: options.WeightVariance = None,
    ntk: options.Ntk = "ntk",
    select: Annotated[
        Any,
        typer.Option(
            help="Hyperparameters to select, of cw, cb, depth, length (S of rbf:S) and ridge; "
            "their options say where the search starts.",
            parser=options.parse_names,
            metavar="NAME,...",
        ),
    ] = None,
    criterion: Annotated[
        Literal["evidence", "leave-one-out"],
        typer.Option(help="Criterion by which --select chooses."),
    ] = "evidence",
    solver: options.Solver = "auto",
    tolerance: options.Tolerance = 1e-8,
    features: Annotated[
        int | None,
        typer.Option(
            help="Number of random features that stand for the kernel, for any number of data.",
            metavar="N",
        ),
    ] = None,
    checkpoint: options.SolverCheckpoint = None,
    save: options.Save = None,
    *,
    call: Call,
) -> "Table":
    """Kernel ridge regression, and a Gaussian process given data.

    \b
    f = argmin (1/2) sum |y_i - f(x_i)|^2 + (ridge/2) |f|^2 = sum alpha_i K(x_i, .)
    alpha = (K + ridge)^-1 y,  |f|^2 = alpha' K alpha
    variance(z) = K(z, z) - k_z' (K + ridge)^-1 k_z
    log_marginal = -y' alpha/2 - log det(K + ridge)/2 - (m/2) log(2 pi)

    A row is an output: squared norm in the space of the kernel, log marginal likelihood with noise
    of variance --ridge, mean square error of leave-one-out predictions (loo_error), training error;
    with --x-test the mean variance there, with --y-test the test error; effective dimension
    tr K (K + ridge)^-1, the largest derivative of the objective along any K(z, .) (0 by the
    representer theorem), residual and condition of the linear system, and the error of a
    prediction. --plot draws targets against leave-one-out predictions, or for inputs of one
    dimension with --x-test the function f with its standard deviation.

    With --select the values of cw, cb, depth, length or ridge are those of a local optimum of the
    log marginal likelihood or of loo_error, with standard errors from the Hessian of the former.

    By --solver cg, with random vectors of --seed, log_marginal and effective_dimension have a
    standard error, loo_error and condition are NaN, and so are variances of more than 256 points.
    With --checkpoint blocked and cg keep their work in a folder, from which the same command
    continues a call that was killed.

    With --features one pass over the data fits f = phi(x).w, where the N random features have the
    mean E phi(x).phi(z) = K(x, z): neurons of a random network, products of two for the tangent
    kernel, cosines for rbf and laplace. Memory is that of N^2 numbers for any m. kernel_rms and
    kernel_max are errors of phi(x).phi(z), relative to sqrt(K(x, x) K(z, z)), on 1000 random pairs
    of points; predicted_rms and kernel_bias follow from 16 sets of N/16 features by the law 1/N;
    fits to `subset` points have subset_exact_error with K and subset_feature_error with features.

    \b
    Source: Kimeldorf and Wahba (1971); Rasmussen and Williams (2006); for features Rahimi and Recht
    (2007), Zandieh et al. (2021), Han et al. (2022).
    Example: nnth rkhs fit --x diabetes --kernel ntk --ridge 1
             nnth rkhs fit --x diabetes --kernel ntk --select cw,cb,ridge
             nnth rkhs fit --x wine --kernel rbf:3 --ridge 0.1 --plot fit.png --save fit.npz
             nnth rkhs fit --x digits --kernel ntk --ridge 0.1 --solver cg
             nnth rkhs fit --x digits --kernel ntk --ridge 1 --features 1024
    """
    call.check_target("--save", save, (".npz",))
    call.check_alone("--checkpoint", checkpoint)
    needs = (("--y-test", "--x-test"), ("--criterion", "--select"), ("--tolerance", "--solver"))
    exact = ("--select", "--solver", "--checkpoint")  # and what needs them
    call.check_together(
        conflicts=[
            *(("--features", option) for option in exact),
            ("--checkpoint", "--select"),
        ],
        needs=[(option, (other,)) for option, other in needs],
    )
    _check_kernel(call, kernel)
    assert x is not None
    network: dict[str, Any] = {"depth": depth, "cb": cb, "cw": cw, "ntk": ntk}
    tests: dict[str, Any] = {"x_test": x_test, "y_test": y_test}
    if features is not None:
        from nnth._rkhs.feature_fit import rkhs_feature_fit

        drawn: dict[str, Any] = {"features": features, "ridge": ridge, "seed": call.seed}
        with call.interrupted_at_once():
            fitted = rkhs_feature_fit(x, y, kernel, act, **drawn, **tests, **network, **call.work)
        if save is not None:
            fitted.save(save)
        return fitted.table()
    from nnth._rkhs.fit import rkhs_fit

    search: dict[str, Any] = {"select": select or (), "criterion": criterion}
    with call.interrupted_at_once():
        found = rkhs_fit(
            x,
            y,
            kernel,
            act,
            ridge=ridge,
            solver=solver,
            tolerance=tolerance,
            checkpoint=checkpoint,
            seed=call.seed,
            **tests,
            **network,
            **search,
            **call.work,
        )
    if save is not None:
        found.save(save)
    return found.table()


def _target(text: str) -> tuple[tuple[int, float], ...]:
    """Return the levels and weights of `1:0.5,3:0.5`. Raises a usage error for anything else."""
    pairs = []
    for word in text.split(","):
        level, colon, weight = word.partition(":")
        try:
            pairs.append((int(level), float(weight)))
        except ValueError:
            missing = "" if colon and weight.strip() else " has no weight"
            raise typer.BadParameter(
                "must be LEVEL:WEIGHT,... with whole levels, as in 1:0.5,3:0.5, "
                f"not {text!r} ({word!r}{missing})"
            ) from None
    return tuple(pairs)


@command()
def curve(
    x: Annotated[
        Path | None, options.with_default(options.X, "diabetes; with --target none")
    ] = None,
    y: options.Y = None,
    kernel: Annotated[
        str | None, options.with_default(options.Kernel, "rbf:4; with --target ntk")
    ] = None,
    act: options.Act = "relu",
    ridge: options.Ridge = 0.5,
    sizes: Annotated[
        Any,
        options.numbers(
            "Sizes of the training sets. [default: 1/32, 1/16, 1/8, 1/4 and 1/2 of the points; "
            "with --target 1, 2, 4, ..., 1024]",
            whole=True,
        ),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(
            help="Number of training sets drawn of each size; 0, with --target, for the theory "
            "alone. [default: 20; with --target 0]",
            metavar="N",
        ),
    ] = None,
    target: Annotated[
        Any,
        typer.Option(
            help="Mean square of the part of each degree of a target on the sphere, which takes "
            "the place of data.",
            parser=_target,
            metavar="LEVEL:WEIGHT,...",
        ),
    ] = None,
    n0: Annotated[int, options.with_default(options.InputDimension, "10; with --target")] = 10,
    label_noise: Annotated[
        float,
        typer.Option(
            help="Variance of the noise of the training targets; test targets have none.",
            metavar="X",
        ),
    ] = 0.0,
    depth: options.Depth = 1,
    cb: options.BiasVariance = None,
    cw: options.WeightVariance = None,
    ntk: options.Ntk = "ntk",
    norm: Annotated[float | None, options.with_default(options.Norm, "1/C_w")] = None,
    solver: options.Solver = "auto",
    tolerance: options.Tolerance = 1e-8,
    *,
    call: Call,
) -> "Table":
    """Learning curve of kernel ridge regression, compared with theory.

    \b
    On the sphere, with --target: with lambda_k and N(d, k) of rkhs spectrum, d = --n0,
    N = sum_k N(d, k) L_k + ridge/kappa,  L_k = lambda_k/(lambda_k + kappa)
    theory = E_0 (sum_k (1 - L_k)^2 w_k + V) - V,  E_0 = N/(N - sum_k N(d, k) L_k^2)

    y = f*(x) + noise of variance V, at N uniform points of the sphere; the part of degree k of f*
    has the mean square w_k. A row is a size N: kappa, the expected error against f*, the
    learnability L_k of each degree of --target, and with --samples the mean error of that many
    random training sets, its standard error and z. The theory is of large --n0 or slowly decreasing
    eigenvalues; `note` says where it is known to be off. Sets whose matrix does not fit in memory
    are fitted by --solver blocked or cg.

    \b
    On data, with --x: with the eigenvalues a_j of the matrix K of all m data points,
    ridge = mu (n/m - t)/(1 - t),  t = (1/m) sum_j a_j/(a_j + mu)

    A row is a size n of training sets: the mean error, over --samples sets drawn from the m data
    points, on the points that are left out, with its standard error, the expectation from the
    spectrum of the kernel matrix, and their relative deviation. --plot draws both.

    \b
    Source: Canatar et al. (2021); Simon et al. (2021); LeJeune et al. (2024).
    Example: nnth rkhs curve --kernel ntk --n0 10 --target 1:0.5,2:0.5 --ridge 0.01 --samples 20
             nnth rkhs curve --x diabetes --kernel ntk --ridge 1 --sizes 10,30,100,300
    """
    sphere = ("--n0", "--label-noise", "--norm", "--solver")
    call.check_together(
        conflicts=[("--target", "--x"), ("--target", "--y")],
        needs=[
            *((option, ("--target",)) for option in sphere),
            *(("--solver", ("--samples",)), ("--tolerance", ("--solver",))),
        ],
    )
    kernel = kernel or ("rbf:4" if target is None else "ntk")
    _check_kernel(call, kernel)
    network: dict[str, Any] = {"depth": depth, "cb": cb, "cw": cw, "ntk": ntk}
    if target is not None:
        from nnth._rkhs.sphere_curve import SIZES, rkhs_sphere_curve

        with call.interrupted_at_once():
            return rkhs_sphere_curve(
                kernel,
                act,
                n0=n0,
                target=target,
                ridge=ridge,
                sizes=sizes or SIZES,
                label_noise=label_noise,
                samples=samples or 0,
                norm=norm,
                solver=solver,
                tolerance=tolerance,
                seed=call.seed,
                **network,
                **call.work,
            )
    from nnth._rkhs.fit import rkhs_learning_curve

    if x is None:
        x = Path("diabetes")
        y = y or x  # which carries targets
    with call.interrupted_at_once():
        return rkhs_learning_curve(
            x,
            y,
            kernel,
            act,
            sizes=sizes,
            ridge=ridge,
            samples=20 if samples is None else samples,
            seed=call.seed,
            **network,
            **call.work,
        )


@command()
def sample(
    x: options.X = Path("iris"),
    kernel: options.Kernel = "rbf:1",
    act: options.Act = "relu",
    scale: Annotated[
        float, typer.Option(help="Factor c of the kernel: L = c K.", metavar="X")
    ] = 1.0,
    size: Annotated[
        float | None,
        typer.Option(
            help="Expected number of points in a set, which determines the factor, instead of "
            "--scale.",
            metavar="X",
        ),
    ] = None,
    samples: Annotated[int, typer.Option(help="Number of sets drawn.", metavar="N")] = 1000,
    depth: options.Depth = 1,
    cb: options.BiasVariance = None,
    cw: options.WeightVariance = None,
    ntk: options.Ntk = "ntk",
    save: options.Save = None,
    *,
    call: Call,
) -> "Table":
    """Determinantal samples: sets of points that are dissimilar under the kernel.

    \b
    P(S) = det L_S/det(1 + L),  L_ij = scale K(x_i, x_j)
    P(i, j, .. in S) = det M_ij..,  M = L (1 + L)^-1
    E|S| = sum l/(1 + l),  log_normalizer = sum log(1 + l),  l the eigenvalues of L

    A row is a point: the exact probability that it is in S, its frequency among the sets with
    standard error and z, and the same for the pair with its partner, the point least often in S
    together with it. Expected and mean size and log_normalizer are in every row's record. --plot
    draws frequencies against probabilities. --save writes the sets and the matrix M.

    \b
    Source: Hough et al. (2006); Kulesza and Taskar (2012), algorithm 1.
    Example: nnth rkhs sample --x iris --kernel rbf:1 --size 10 --samples 2000
    """
    call.check_target("--save", save, (".npz",))
    call.check_together(conflicts=[("--scale", "--size")])
    _check_kernel(call, kernel)
    from nnth._rkhs.sample import rkhs_sample

    assert x is not None
    with call.interrupted_at_once():
        found = rkhs_sample(
            x,
            kernel,
            act,
            scale=scale if size is None else None,
            size=size,
            samples=samples,
            depth=depth,
            cb=cb,
            cw=cw,
            ntk=ntk,
            seed=call.seed,
            **call.work,
        )
    if save is not None:
        found.save(save)
    return found.table()
