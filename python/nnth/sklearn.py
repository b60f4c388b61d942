"""Kernels of infinitely wide networks in scikit-learn.

`NeuralKernel` is a kernel for GaussianProcessRegressor, KernelRidge and SVC;
`NeuralKernelRegressor` and `NeuralKernelClassifier` are estimators. `import nnth` does not import
this module; it needs scikit-learn 1.6 or later.
"""

# ruff: noqa: N803  (X and Y are the names of scikit-learn)
from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnth._data.data import data_of
from nnth._kernels.data_kernel import named_kernel
from nnth._kernels.kernel import Ntk
from nnth._kernels.protocol import SphereKernel
from nnth._rkhs.fit import KernelFit, rkhs_fit
from nnth._runtime.typing import Floats

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin
    from sklearn.gaussian_process.kernels import Hyperparameter, Kernel
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        "nnth.sklearn needs scikit-learn 1.6 or later: pip install 'nnth[sklearn]'"
    ) from error

__all__ = ["NeuralKernel", "NeuralKernelClassifier", "NeuralKernelRegressor"]

Bounds = tuple[float, float] | Literal["fixed"]

_STEP: Final = 0.005  # step of finite differences in (depth + 1) times the logarithm of a variance
_STENCIL: Final = ((1, 2.0 / 3.0), (2, -1.0 / 12.0))  # central differences of order 4
# The trapezoidal rule for an integral over a Gaussian: errors below 1e-16.
_NODES: Final = np.linspace(-9.0, 9.0, 181)


class NeuralKernel(Kernel):  # type: ignore[misc]
    """The kernel of an infinitely wide network, for scikit-learn.

    It is an object for `kernel` of `sklearn.gaussian_process.GaussianProcessRegressor`, alone or in
    sums and products with other kernels, and for `kernel` of `sklearn.svm.SVC` and
    `sklearn.kernel_ridge.KernelRidge`. With the recursion of `nnth.kernel`, K(x, y) = K^(L+1)_xy
    ("nngp") or Theta^(L+1)_xy ("ntk").

    A variance that is given as a positive number is a hyperparameter, which scikit-learn optimizes
    within its bounds; a variance that is None or 0 is fixed, and so is one with bounds "fixed".

    Args:
        act: Activation, as in `nnth.kernel`.
        depth: Number of hidden layers.
        kernel: "ntk" or "nngp".
        cb: Bias variance. By default that of the critical pair of the activation; 0 if only `cw` is
            given.
        cw: Weight variance. By default that of the critical pair.
        ntk: NTK convention, as in `nnth.kernel`.
        cb_bounds: Lower and upper bound of `cb`, or "fixed".
        cw_bounds: Lower and upper bound of `cw`, or "fixed".
        threads: Number of threads, 0 for all; the result is the same to the last bit.

    Accuracy: values as in `nnth.gram`. Gradients are central differences of order 4 in log cb and
    log cw, with errors of about 1e-10 of the largest diagonal entry for closed forms, and 1e-8 for
    other activations. Cost: a gradient takes the time of four more kernel matrices for each
    hyperparameter.

    Example:
        >>> from nnth.sklearn import NeuralKernel
        >>> from sklearn.gaussian_process import GaussianProcessRegressor
        >>> from sklearn.gaussian_process.kernels import WhiteKernel
        >>> kernel = NeuralKernel("relu", depth=2, cb=0.1, cw=2.0) + WhiteKernel(0.01)
        >>> x = np.linspace(-1.0, 1.0, 20)[:, None]
        >>> model = GaussianProcessRegressor(kernel, optimizer=None).fit(x, x[:, 0] ** 2)
        >>> model.predict([[0.5]]).round(1)
        array([0.2])
    """

    def __init__(
        self,
        act: str = "relu",
        depth: int = 1,
        kernel: Literal["nngp", "ntk"] = "ntk",
        cb: float | None = None,
        cw: float | None = None,
        ntk: Ntk = "ntk",
        cb_bounds: Bounds = (1e-5, 1e5),
        cw_bounds: Bounds = (1e-5, 1e5),
        threads: int = 0,
    ) -> None:
        self.act = act
        self.depth = depth
        self.kernel = kernel
        self.cb = cb
        self.cw = cw
        self.ntk = ntk
        self.cb_bounds = cb_bounds
        self.cw_bounds = cw_bounds
        self.threads = threads

    @property
    def hyperparameter_cb(self) -> Hyperparameter:
        """The bias variance, fixed if it is None or 0."""
        return Hyperparameter("cb", "numeric", self.cb_bounds if self.cb else "fixed")

    @property
    def hyperparameter_cw(self) -> Hyperparameter:
        """The weight variance, fixed if it is None or 0."""
        return Hyperparameter("cw", "numeric", self.cw_bounds if self.cw else "fixed")

    def __call__(
        self, X: ArrayLike, Y: ArrayLike | None = None, eval_gradient: bool = False
    ) -> Any:
        """Return the kernel matrix, and its gradient in the logarithms of the hyperparameters.

        Args:
            X: Inputs `(m, n_0)`.
            Y: Inputs `(k, n_0)`; X by default.
            eval_gradient: Whether to return the gradient as well; only without `Y`.

        Returns:
            K `(m, k)`; with `eval_gradient` also the derivatives `(m, m, hyperparameters)`, in the
            order of `hyperparameters`.

        Raises:
            ValueError: For arguments out of range, and for `eval_gradient` with `Y`.
        """
        x = data_of(np.atleast_2d(X), "X")
        if Y is None or Y is X:
            matrix = self._matrix(x)
            return (matrix, self._gradient(x)) if eval_gradient and Y is None else matrix
        if eval_gradient:
            raise ValueError("eval_gradient must be False where Y is given")
        return self._kernel().cross(x, data_of(np.atleast_2d(Y), "Y"), threads=self.threads)

    def diag(self, X: ArrayLike) -> Floats:
        """Return the diagonal K(x_i, x_i) `(m,)` of the kernel matrix."""
        return self._kernel().diagonal(data_of(np.atleast_2d(X), "X"), threads=self.threads)

    def is_stationary(self) -> bool:
        """Return False: the kernel depends on norms and angles of the inputs."""
        return False

    def __repr__(self) -> str:
        shown = {name: getattr(self, name) for name in ("cb", "cw")}
        variances = "".join(f", {name}={v:.3g}" for name, v in shown.items() if v is not None)
        return f"NeuralKernel({self.act!r}, depth={self.depth}, kernel={self.kernel!r}{variances})"

    def _kernel(self, **changes: float) -> SphereKernel:
        if self.kernel not in ("nngp", "ntk"):
            raise ValueError(f"kernel must be nngp or ntk, not {self.kernel!r}")
        variances = {"cb": self.cb, "cw": self.cw, **changes}
        return named_kernel(self.kernel, self.act, depth=self.depth, ntk=self.ntk, **variances)

    def _matrix(self, x: Floats, **changes: float) -> Floats:
        return self._kernel(**changes).rows(x, len(x), threads=self.threads).matrix

    def _gradient(self, x: Floats) -> Floats:
        free = [h.name for h in self.hyperparameters if not h.fixed]
        gradient = np.zeros((len(x), len(x), len(free)))
        step = _STEP / (self.depth + 1)  # K is of degree depth + 1 in C_w for ReLU
        for i, name in enumerate(free):
            for steps, weight in _STENCIL:
                above, below = (
                    self._matrix(x, **{name: getattr(self, name) * np.exp(sign * steps * step)})
                    for sign in (1.0, -1.0)
                )
                gradient[..., i] += weight / step * (above - below)
        return gradient


class _NeuralKernelEstimator(BaseEstimator):  # type: ignore[misc]
    """The parameters, and the kernel ridge regression, that both estimators share."""

    def __init__(
        self,
        act: str = "relu",
        depth: int = 1,
        kernel: Literal["nngp", "ntk"] = "ntk",
        cb: float | None = None,
        cw: float | None = None,
        ntk: Ntk = "ntk",
        ridge: float = 1e-3,
        threads: int = 0,
    ) -> None:
        self.act = act
        self.depth = depth
        self.kernel = kernel
        self.cb = cb
        self.cw = cw
        self.ntk = ntk
        self.ridge = ridge
        self.threads = threads

    def _fit_kernel(self, x: Floats, y: Floats) -> None:
        if self.kernel not in ("nngp", "ntk"):
            raise ValueError(f"kernel must be nngp or ntk, not {self.kernel!r}")
        self.fit_: KernelFit = rkhs_fit(
            x,
            y,
            self.kernel,
            self.act,
            ridge=self.ridge,
            depth=self.depth,
            cb=self.cb,
            cw=self.cw,
            ntk=self.ntk,
            threads=self.threads,
        )

    def _outputs(self, x: ArrayLike) -> tuple[Floats, Floats]:
        """Return means `(m, outputs)` and standard deviations `(m,)`."""
        inputs = self._inputs(x)
        return self.fit_.predict(inputs, return_std=True, threads=self.threads)

    def _means(self, x: ArrayLike) -> Floats:
        inputs = self._inputs(x)
        return self.fit_.predict(inputs, threads=self.threads)

    def _inputs(self, x: ArrayLike) -> Floats:
        check_is_fitted(self)
        inputs: Floats = validate_data(self, x, dtype=np.float64, reset=False)
        return inputs


class NeuralKernelRegressor(MultiOutputMixin, RegressorMixin, _NeuralKernelEstimator):  # type: ignore[misc]
    """Gaussian-process regression with the kernel of an infinitely wide network.

    The mean is kernel ridge regression, f = sum_i alpha_i K(x_i, .) with alpha = (K + ridge)^-1 y;
    see `nnth.rkhs_fit`. With kernel "ntk" it is the mean of infinitely wide networks of which all
    layers are trained to t = inf with the ridge of `nnth.predict`, with "nngp" of those of which
    the last layer is trained.

    Args:
        act: Activation, as in `nnth.kernel`.
        depth: Number of hidden layers.
        kernel: "ntk" or "nngp".
        cb: Bias variance, as in `nnth.kernel`.
        cw: Weight variance, as in `nnth.kernel`.
        ntk: NTK convention, as in `nnth.kernel`.
        ridge: Variance of the noise of the targets, at least 0.
        threads: Number of threads for the kernel, 0 for all.

    Attributes:
        fit_: The `nnth.KernelFit` of the training data.
        n_features_in_: The dimension of the inputs.

    Example:
        >>> from nnth.sklearn import NeuralKernelRegressor
        >>> x = np.linspace(-1.0, 1.0, 20)[:, None]
        >>> model = NeuralKernelRegressor("erf", depth=2, cb=0.1, cw=2.0).fit(x, x[:, 0] ** 2)
        >>> bool(model.score(x, x[:, 0] ** 2) > 0.99)
        True
    """

    def fit(self, X: ArrayLike, y: ArrayLike) -> NeuralKernelRegressor:
        """Fit the targets.

        Args:
            X: Inputs `(m, n_0)`.
            y: Targets `(m,)` or `(m, outputs)`.

        Returns:
            The estimator.

        Raises:
            ValueError: As `nnth.rkhs_fit` does.
        """
        inputs, targets = validate_data(
            self, X, y, dtype=np.float64, multi_output=True, y_numeric=True
        )
        self._single = targets.ndim == 1
        self._fit_kernel(inputs, np.asarray(targets, dtype=np.float64))
        return self

    def predict(self, X: ArrayLike, return_std: bool = False) -> Floats | tuple[Floats, Floats]:
        """Return predictions, with standard deviations if asked for.

        Args:
            X: Inputs `(k, n_0)`.
            return_std: Whether to return standard deviations.

        Returns:
            The mean `(k,)` or `(k, outputs)`; with `return_std` the pair of the mean and the
            standard deviation of f, of the shape of the mean, without the noise of the targets.
            It is that of the Gaussian process; for "ntk" the outputs of trained networks have
            another, that of `nnth.predict`.
        """
        if not return_std:
            mean = self._means(X)
            return mean[:, 0] if self._single else mean
        mean, std = self._outputs(X)
        if self._single:
            return mean[:, 0], std
        return mean, np.broadcast_to(std[:, None], mean.shape).copy()


class NeuralKernelClassifier(ClassifierMixin, _NeuralKernelEstimator):  # type: ignore[misc]
    """Classification by regression with the kernel of an infinitely wide network.

    The targets are one-hot vectors minus 1/classes, as in `nnth.predict` with labels; the class
    with the largest output is predicted.

    Args:
        act: Activation, as in `nnth.kernel`.
        depth: Number of hidden layers.
        kernel: "ntk" or "nngp".
        cb: Bias variance, as in `nnth.kernel`.
        cw: Weight variance, as in `nnth.kernel`.
        ntk: NTK convention, as in `nnth.kernel`.
        ridge: Variance of the noise of the targets, at least 0.
        threads: Number of threads for the kernel, 0 for all.

    Attributes:
        classes_: The classes, sorted.
        fit_: The `nnth.KernelFit` of the centered one-hot targets.
        n_features_in_: The dimension of the inputs.

    Example:
        >>> from nnth.sklearn import NeuralKernelClassifier
        >>> x = np.array([[-1.0, 0.0], [-1.0, 0.5], [1.0, 0.0], [1.0, 0.5]])
        >>> model = NeuralKernelClassifier().fit(x, ["a", "a", "b", "b"])
        >>> model.predict([[-2.0, 0.2], [2.0, 0.2]]).tolist()
        ['a', 'b']
    """

    def fit(self, X: ArrayLike, y: ArrayLike) -> NeuralKernelClassifier:
        """Fit the classes.

        Args:
            X: Inputs `(m, n_0)`.
            y: Classes `(m,)`, of any type that sorts; at least two.

        Returns:
            The estimator.

        Raises:
            ValueError: If there is one class only, and as `nnth.rkhs_fit` does.
        """
        inputs, targets = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(targets)
        self.classes_, numbers = np.unique(targets, return_inverse=True)
        count = len(self.classes_)
        if count < 2:
            raise ValueError(f"y must hold at least two classes, not one class: {self.classes_[0]}")
        self._fit_kernel(inputs, np.eye(count)[numbers] - 1.0 / count)
        return self

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the class with the largest mean output, for each input.

        Args:
            X: Inputs `(k, n_0)`.

        Returns:
            Classes `(k,)`.
        """
        means = self._means(X)  # it checks that the classifier is fitted
        return np.asarray(self.classes_[means.argmax(axis=1)])

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Return the posterior probability that the output of each class is the largest.

        Given the one-hot targets the outputs f_c at an input are independent Gaussians with means
        mu_c and one standard deviation sigma (`nnth.rkhs_fit`), so that::

            P(f_c is the largest) = E prod_(c' != c) Phi(z + (mu_c - mu_c')/sigma),   z ~ N(0, 1)

        This is the uncertainty of a regression of one-hot targets, not a calibrated class
        probability. If sigma is 0 the class with the largest mean has probability 1.

        Args:
            X: Inputs `(k, n_0)`.

        Returns:
            Probabilities `(k, classes)`, with an absolute error of 1e-14.
        """
        from scipy.special import ndtr

        means, std = self._outputs(X)
        density = np.exp(-0.5 * _NODES**2) * (_NODES[1] - _NODES[0]) / np.sqrt(2.0 * np.pi)
        probabilities = np.zeros_like(means)
        with np.errstate(divide="ignore", invalid="ignore"):
            scores = means / std[:, None]
        certain = ~np.isfinite(scores).all(axis=1)
        probabilities[certain, means[certain].argmax(axis=1)] = 1.0
        scores = scores[~certain]
        for c in range(scores.shape[1]):
            product = np.ones((len(scores), len(_NODES)))
            for other in np.delete(np.arange(scores.shape[1]), c):
                product *= ndtr(_NODES + (scores[:, c] - scores[:, other])[:, None])
            probabilities[~certain, c] = product @ density
        return probabilities
