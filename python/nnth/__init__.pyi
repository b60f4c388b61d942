"""The theory of neural networks as functions: each returns a Table with its error stated."""

from nnth._core import __version__
from nnth.activation import CATALOGUE
from nnth.catapult import catapult, catapult_phases
from nnth.criticality import critical, critical_decay, phase
from nnth.curvature import (
    ClassStructure,
    CollapsePath,
    HessianSpectra,
    SharpnessPath,
    TrainingSetup,
    classes,
    collapse,
    hessian,
    sharpness,
    sharpness_scan,
)
from nnth.data import load_data
from nnth.diagonal import DiagonalPath, diagonal
from nnth.entropy import entropy
from nnth.examples import Examples, load_examples
from nnth.gp import LayerSample, Vertex, four_point_vertex, gp, sample_layers
from nnth.gram import Gram, gram
from nnth.hermite import hermite, hermite_dual
from nnth.kernel import kernel
from nnth.lazy import lazy
from nnth.lectures import lectures
from nnth.linear_nets import MarchenkoPastur, bayes, bayes_predictive, mp, product
from nnth.margin import Classifier, MarginFlow, margin, max_margin
from nnth.network import Network, named_network, random_network
from nnth.network_files import load_network
from nnth.paths import (
    WeightLaw,
    ntk_moments,
    ntk_off_diagonal,
    path_angles,
    path_asymptotics,
    path_distribution,
    path_laws,
    path_log_cdf,
    path_moments,
    path_spectrum,
    paths,
    sample_grams,
    sample_paths,
    weight_law,
)
from nnth.predict import Prediction, predict
from nnth.quadratic import (
    QuadraticModel,
    QuadraticSolution,
    load_model,
    quadratic,
    random_model,
)
from nnth.random import normals, uniforms
from nnth.rates import descent_rates, noisy_descent, rates, training_scalings
from nnth.regions import (
    Arrangement,
    Cells,
    RegionCounts,
    arrangement,
    cells,
    count_regions,
    region_bounds,
    regions,
    regions_along,
    regions_on_line,
    regions_on_plane,
    regions_through,
)
from nnth.rkhs import (
    Determinantal,
    KernelFit,
    rkhs_fit,
    rkhs_learning_curve,
    rkhs_sample,
    rkhs_spectrum,
)
from nnth.sgd import (
    circle_relations,
    net_relations,
    regression_relations,
    sgd_covariance,
    valley_relations,
)
from nnth.statement import Statement
from nnth.sweep import sweep
from nnth.table import Table
from nnth.verify import verify

__all__ = [
    "CATALOGUE",
    "Arrangement",
    "Cells",
    "ClassStructure",
    "Classifier",
    "CollapsePath",
    "Determinantal",
    "DiagonalPath",
    "Examples",
    "Gram",
    "HessianSpectra",
    "KernelFit",
    "LayerSample",
    "MarchenkoPastur",
    "MarginFlow",
    "Network",
    "Prediction",
    "QuadraticModel",
    "QuadraticSolution",
    "RegionCounts",
    "SharpnessPath",
    "Statement",
    "Table",
    "TrainingSetup",
    "Vertex",
    "WeightLaw",
    "__version__",
    "arrangement",
    "bayes",
    "bayes_predictive",
    "catapult",
    "catapult_phases",
    "cells",
    "circle_relations",
    "classes",
    "collapse",
    "count_regions",
    "critical",
    "critical_decay",
    "descent_rates",
    "diagonal",
    "entropy",
    "four_point_vertex",
    "gp",
    "gram",
    "hermite",
    "hermite_dual",
    "hessian",
    "kernel",
    "lazy",
    "lectures",
    "load_data",
    "load_examples",
    "load_model",
    "load_network",
    "margin",
    "max_margin",
    "mp",
    "named_network",
    "net_relations",
    "noisy_descent",
    "normals",
    "ntk_moments",
    "ntk_off_diagonal",
    "path_angles",
    "path_asymptotics",
    "path_distribution",
    "path_laws",
    "path_log_cdf",
    "path_moments",
    "path_spectrum",
    "paths",
    "phase",
    "predict",
    "product",
    "quadratic",
    "random_model",
    "random_network",
    "rates",
    "region_bounds",
    "regions",
    "regions_along",
    "regions_on_line",
    "regions_on_plane",
    "regions_through",
    "regression_relations",
    "rkhs_fit",
    "rkhs_learning_curve",
    "rkhs_sample",
    "rkhs_spectrum",
    "sample_grams",
    "sample_layers",
    "sample_paths",
    "sgd_covariance",
    "sharpness",
    "sharpness_scan",
    "sweep",
    "training_scalings",
    "uniforms",
    "valley_relations",
    "verify",
    "weight_law",
]
