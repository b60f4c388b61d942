"""The theory of neural networks as functions: each returns a Table with its error stated."""

from nnth._activations.activation import activation
from nnth._activations.catalogue import CATALOGUE
from nnth._catapult import catapult, catapult_phases
from nnth._core import __version__
from nnth._course.lectures import lectures
from nnth._course.statement import Statement
from nnth._course.verify import verify
from nnth._criticality import critical, critical_decay, phase
from nnth._curvature import (
    ClassStructure,
    CollapsePath,
    HessianSpectra,
    SharpnessPath,
    TrainingSetup,
    class_layers,
    class_outliers,
    classes,
    collapse,
    hessian,
    sharpness,
    sharpness_scan,
)
from nnth._data.data import load_data
from nnth._data.examples import Examples, load_examples
from nnth._diagonal import DiagonalPath, diagonal
from nnth._entropy import entropy
from nnth._explain import Explanation, explain
from nnth._gp import LayerSample, Vertex, four_point_vertex, gp, sample_layers
from nnth._hermite import hermite, hermite_dual
from nnth._kernels.gram import Gram, gram
from nnth._kernels.kernel import kernel
from nnth._kernels.stored.dask_blocks import gram_blocks
from nnth._kernels.stored.save_gram import save_gram
from nnth._lazy import lazy
from nnth._linear_nets import MarchenkoPastur, bayes, bayes_predictive, mp, mp_spectra, product
from nnth._margin import Classifier, MarginFlow, margin, max_margin
from nnth._mup import MupTransfer, mup_check, mup_networks, mup_transfer
from nnth._net import NetworkGram, TangentPath, gram_training, net, network_gram
from nnth._networks.network import Network, named_network, random_network
from nnth._networks.network_files import load_network
from nnth._paths import (
    WeightDistribution,
    ntk_moments,
    ntk_off_diagonal,
    path_angles,
    path_asymptotics,
    path_distribution,
    path_log_cdf,
    path_log_moments,
    path_moments,
    path_spectrum,
    paths,
    sample_grams,
    sample_paths,
    weight_distribution,
)
from nnth._predict import Prediction, predict
from nnth._quadratic import (
    QuadraticModel,
    QuadraticSolution,
    load_model,
    quadratic,
    random_model,
)
from nnth._rates import descent_rates, noisy_descent, rates, training_scalings
from nnth._regions.along import regions_along
from nnth._regions.arrangement import Arrangement, arrangement
from nnth._regions.bounds_table import region_bounds
from nnth._regions.cells import Cells, cells
from nnth._regions.core_counts import RegionCounts
from nnth._regions.count_table import regions
from nnth._regions.counts import count_regions
from nnth._regions.distance import regions_distance
from nnth._regions.measure import RegionMeasures, regions_measure
from nnth._regions.through import regions_on_line, regions_on_plane, regions_through
from nnth._rkhs import (
    Determinantal,
    FeatureFit,
    KernelFit,
    rkhs_feature_fit,
    rkhs_fit,
    rkhs_learning_curve,
    rkhs_sample,
    rkhs_spectrum,
    rkhs_sphere_curve,
)
from nnth._runtime.random import normals, uniforms
from nnth._sgd import (
    circle_relations,
    net_relations,
    regression_relations,
    sgd_covariance,
    valley_relations,
)
from nnth._sweep import sweep
from nnth._tables.table import Table

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
    "Explanation",
    "FeatureFit",
    "Gram",
    "HessianSpectra",
    "KernelFit",
    "LayerSample",
    "MarchenkoPastur",
    "MarginFlow",
    "MupTransfer",
    "Network",
    "NetworkGram",
    "Prediction",
    "QuadraticModel",
    "QuadraticSolution",
    "RegionCounts",
    "RegionMeasures",
    "SharpnessPath",
    "Statement",
    "Table",
    "TangentPath",
    "TrainingSetup",
    "Vertex",
    "WeightDistribution",
    "__version__",
    "activation",
    "arrangement",
    "bayes",
    "bayes_predictive",
    "catapult",
    "catapult_phases",
    "cells",
    "circle_relations",
    "class_layers",
    "class_outliers",
    "classes",
    "collapse",
    "count_regions",
    "critical",
    "critical_decay",
    "descent_rates",
    "diagonal",
    "entropy",
    "explain",
    "four_point_vertex",
    "gp",
    "gram",
    "gram_blocks",
    "gram_training",
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
    "mp_spectra",
    "mup_check",
    "mup_networks",
    "mup_transfer",
    "named_network",
    "net",
    "net_relations",
    "network_gram",
    "noisy_descent",
    "normals",
    "ntk_moments",
    "ntk_off_diagonal",
    "path_angles",
    "path_asymptotics",
    "path_distribution",
    "path_log_cdf",
    "path_log_moments",
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
    "regions_distance",
    "regions_measure",
    "regions_on_line",
    "regions_on_plane",
    "regions_through",
    "regression_relations",
    "rkhs_feature_fit",
    "rkhs_fit",
    "rkhs_learning_curve",
    "rkhs_sample",
    "rkhs_spectrum",
    "rkhs_sphere_curve",
    "sample_grams",
    "sample_layers",
    "sample_paths",
    "save_gram",
    "sgd_covariance",
    "sharpness",
    "sharpness_scan",
    "sweep",
    "training_scalings",
    "uniforms",
    "valley_relations",
    "verify",
    "weight_distribution",
]
