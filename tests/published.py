"""Published numbers, with their source, and the command that must reproduce them.

`kind` states how the printed number is known here:

    printed    read in the source's own text
    quoted     read in text or code of others that cite the source
    recalled   from memory of the source; confirmed by a computation that shares no code with nnth
    derived    a formula or definition of the source, evaluated in that way

`place` is from memory if the kind is not `printed`: it says where to look, and may be wrong.

`tolerance` is half a unit of the last printed digit, or the uncertainty that the source states (a
limit not yet reached, a mean over random networks), which `says` then names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Row = Mapping[str, Any]
Kind = Literal["printed", "quoted", "recalled", "derived"]

SOURCES = {
    "Roberts et al. 2022": "The Principles of Deep Learning Theory, Cambridge",
    "Schoenholz et al. 2017": "Deep information propagation, ICLR, arXiv:1611.01232",
    "Poole et al. 2016": "Exponential expressivity ... through transient chaos, NeurIPS",
    "Pennington et al. 2017": "Resurrecting the sigmoid in deep learning, NeurIPS",
    "Hayou et al. 2019": "On the impact of the activation function on deep networks, ICML",
    "Xiao et al. 2020": "Disentangling trainability and generalization in deep networks, ICML",
    "Cho and Saul 2009": "Kernel methods for deep learning, NeurIPS, eqs. 5-8",
    "Daniely et al. 2016": "Toward deeper understanding of neural networks, NeurIPS",
    "Hanin and Rolnick 2019": "Complexity of linear regions ..., ICML; Deep ReLU networks have "
    "surprisingly few activation patterns, NeurIPS",
    "Montufar et al. 2014": "On the number of linear regions of deep neural networks, NeurIPS",
    "Montufar 2017": "Notes on the number of linear regions of deep neural networks, SampTA",
    "Serra et al. 2018": "Bounding and counting linear regions of deep neural networks, ICML",
    "Telgarsky 2015": "Representation benefits of deep feedforward networks, arXiv:1509.08101",
    "Hanin and Nica 2018": "Products of many large random matrices and gradients in deep networks",
    "Hanin and Nica 2019": "Finite depth and width corrections to the neural tangent kernel, ICLR",
    "Hanin and Zlokapa 2022": "Bayesian interpolation with deep linear networks, arXiv:2212.14457",
    "Gavish and Donoho 2014": "The optimal hard threshold for singular values is 4/sqrt(3), IEEE",
    "Bietti and Mairal 2019": "On the inductive bias of neural tangent kernels, NeurIPS",
    "Bietti and Bach 2021": "Deep equals shallow for ReLU networks in kernel regimes, ICLR",
    "Lewkowycz et al. 2020": "The large learning rate phase of deep learning, arXiv:2003.02218",
    "Cohen et al. 2021": "Gradient descent ... at the edge of stability, ICLR",
    "Gur-Ari et al. 2018": "Gradient descent happens in a tiny subspace, arXiv:1812.04754",
    "Papyan et al. 2020": "Prevalence of neural collapse ..., PNAS 117",
    "Soudry et al. 2018": "The implicit bias of gradient descent on separable data, JMLR 19",
    "Yaida 2019": "Fluctuation-dissipation relations for SGD, ICLR",
    "Wei and Schwab 2019": "How noise affects the Hessian spectrum ..., arXiv:1910.00195",
    "Woodworth et al. 2020": "Kernel and rich regimes in overparametrized models, COLT",
    "Chizat et al. 2019": "On lazy training in differentiable programming, NeurIPS",
    "Kolmogorov and Tikhomirov 1959": "Epsilon-entropy and epsilon-capacity of sets",
    "Cohen et al. 2022a": "Optimal stable nonlinear approximation, Found. Comput. Math. 22",
}


@dataclass(frozen=True)
class Entry:
    """`command` is run, and `take` of the first row that agrees with `where` is compared."""

    source: str
    place: str
    says: str
    command: str
    take: str | Callable[[Row], float]
    value: float | str
    tolerance: float = 0.0
    kind: Kind = "derived"
    where: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Any] = field(default_factory=dict)
    slow: bool = False

    @property
    def name(self) -> str:
        taken = self.take if isinstance(self.take, str) else "computed"
        return f"{self.source}: {self.command} [{taken}]"


PDLT = "Roberts et al. 2022"
SILU, GELU = "critical --act silu", "critical --act gelu"
GELU_PHASE = "phase --act gelu --cw 1.983058257437547 --cb 0.17292239075606735"

ROBERTS = [
    Entry(PDLT, "sec. 5.3.3, SWISH", "C_b = 0.55514317", SILU, "cb", 0.55514317, 5e-9, "recalled"),
    Entry(PDLT, "sec. 5.3.3, SWISH", "C_W = 1.98800468", SILU, "cw", 1.98800468, 5e-9, "quoted"),
    Entry(
        PDLT, "sec. 5.3.3, SWISH", "K* = 14.32017362", SILU, "k_star", 14.32017362, 5e-9, "recalled"
    ),
    Entry(PDLT, "sec. 5.3.3, GELU", "C_b = 0.17292239", GELU, "cb", 0.17292239, 5e-9, "quoted"),
    Entry(PDLT, "sec. 5.3.3, GELU", "C_W = 1.98305826", GELU, "cw", 1.98305826, 5e-9, "quoted"),
    Entry(
        PDLT,
        "sec. 5.3.3, GELU",
        "K* = (3 + sqrt(17))/2",
        GELU,
        "k_star",
        (3 + math.sqrt(17)) / 2,
        5e-12,
        "recalled",
    ),
    Entry(
        PDLT,
        "sec. 5.3.3",
        "GELU is half-stable, from above: K - K* ~ 2/(|F''| l)",
        GELU,
        "coefficient",
        6962.507377,
        5e-6,
        where={"universality": "half-stable"},
    ),
    Entry(
        PDLT,
        "sec. 5.3.3",
        "... and the kernel that starts below runs to another fixed point",
        GELU_PHASE,
        "k_star",
        3.0349814355,
        5e-10,
        where={"stability": "stable"},
    ),
    Entry(
        PDLT,
        "sec. 5.3.2",
        "tanh: K^(l) ~ 1/(2 l)",
        "critical --act tanh",
        "coefficient",
        0.5,
        1e-9,
        "recalled",
    ),
    Entry(
        PDLT,
        "sec. 5.3.2",
        "tanh: the distance of nearby inputs falls as 1/l: p_perp = 1",
        "critical --act tanh",
        "p_perp",
        1.0,
        1e-9,
        "recalled",
    ),
    Entry(
        PDLT,
        "sec. 5.3.2",
        "sin is of the same class",
        "critical --act sin",
        "p_perp",
        1.0,
        1e-9,
        "recalled",
    ),
    *(
        Entry(
            PDLT,
            "sec. 5.3.4",
            f"{act} has no critical point",
            f"critical --act {act}",
            "universality",
            "none",
            kind="recalled",
        )
        for act in ("sigmoid", "softplus", "z**2", "z**3", "step")
    ),
    *(
        Entry(
            PDLT,
            "sec. 5.3.4",
            "the logistic function, scaled and shifted, is tanh",
            "critical --act 2*sigmoid(2*z)-1",
            column,
            value,
            1e-9,
            "recalled",
        )
        for column, value in (("cb", 0.0), ("cw", 1.0), ("k_star", 0.0), ("coefficient", 0.5))
    ),
    Entry(
        PDLT,
        "sec. 5.4, ReLU",
        "excess kurtosis 3 V/(n K^2) = 15 (l - 1)/n",
        "gp --act relu --width 100 --depth 10 --samples 0 --quantities excess_kurtosis",
        "theory",
        1.5,
        1e-12,
        where={"layer": 11},
    ),
    Entry(
        PDLT,
        "sec. 5.4, tanh",
        "tanh: V/(n K^2) n/l -> 2/3, from below as log(l)/l",
        "gp --act tanh --width 300 --depth 300 --samples 0 --quantities excess_kurtosis",
        lambda row: row["theory"] / 3,
        2 / 3,
        1e-2,
        "recalled",
        where={"layer": 300},
    ),
    Entry(
        PDLT,
        "sec. 9.2, tanh",
        "the tangent kernel grows as l lambda_b/(p_perp + 1) = l/2",
        "kernel --act tanh --ntk pdlt --depth 3000",
        lambda row: row["theta_aa"] / 3001,
        0.5,
        1e-3,
        where={"layer": 3001},
    ),
]

SCHOENHOLZ = "Schoenholz et al. 2017"
POOLE = "Poole et al. 2016"
ORDERED = "phase --act tanh --cw 1.3 --cb 0.05"

# (C_w, C_b, c*, chi at c*, xi_c): c* and chi by iterating the correlation, with `oracles.phase`.
CHAOTIC = (
    (SCHOENHOLZ, 2.5, 0.05, 0.44680423, 0.918717, 11.796),
    (POOLE, 6.25, 0.09, 0.12210375, 0.822229, 5.109),
    (POOLE, 16.0, 0.09, 0.0296959, 0.759744, 3.6394),
)

DEPTH_SCALES = [
    Entry(
        SCHOENHOLZ,
        "sec. 4, Fig. 5",
        "tanh at sigma_b^2 = 0.05 is critical at sigma_w^2 = 1.76",
        "phase --act tanh --cw 1.76 --cb 0.05",
        "chi_perp",
        1.0,
        5e-3,
        "recalled",
    ),
    Entry(
        SCHOENHOLZ,
        "sec. 4, Fig. 5",
        "... to more digits 1.76095463962",
        "phase --act tanh --cw 1.76095463962 --cb 0.05",
        "chi_perp",
        1.0,
        1e-10,
    ),
    Entry(
        SCHOENHOLZ,
        "eq. 8",
        "xi_q = -1/log chi_par at (1.3, 0.05)",
        ORDERED,
        "xi_q",
        1.7852366315,
        5e-10,
    ),
    Entry(
        SCHOENHOLZ,
        "eq. 9",
        "xi_c = -1/log chi_perp at (1.3, 0.05), where c* = 1",
        ORDERED,
        "xi_c",
        7.8340692685,
        5e-10,
    ),
    Entry(SCHOENHOLZ, "sec. 3", "c* = 1 in the ordered phase", ORDERED, "c_star", 1.0, 1e-12),
    *(
        Entry(
            source,
            "eq. 9" if source == SCHOENHOLZ else "sec. 2.2, Fig. 2",
            f"c* < 1 in the chaotic phase, at ({cw}, {cb})",
            f"phase --act tanh --cw {cw} --cb {cb}",
            "c_star",
            c,
            1e-7,
        )
        for source, cw, cb, c, _, _ in CHAOTIC
    ),
    *(
        Entry(
            source,
            "eq. 9" if source == SCHOENHOLZ else "sec. 2.2, Fig. 2",
            f"chi at c*, at ({cw}, {cb})",
            f"phase --act tanh --cw {cw} --cb {cb}",
            "chi_c",
            chi,
            1e-4,
        )
        for source, cw, cb, _, chi, _ in CHAOTIC
    ),
    *(
        Entry(
            source,
            "eq. 9",
            f"xi_c = -1/log chi(c*) at ({cw}, {cb})",
            f"phase --act tanh --cw {cw} --cb {cb}",
            "xi_c",
            xi,
            5e-4,
        )
        for source, cw, cb, _, _, xi in CHAOTIC
    ),
    *(
        Entry(
            POOLE,
            "sec. 2.2, Fig. 2",
            f"correlations come to c* at ({cw}, {cb})",
            f"kernel --act tanh --cw {cw} --cb {cb} --rho 0.6 --depth 400",
            "corr",
            c,
            1e-7,
            where={"layer": 401},
        )
        for _, cw, cb, c, _, _ in CHAOTIC
    ),
    Entry(
        "Pennington et al. 2017",
        "sec. 3",
        "tanh is critical at (1.05, 2.01e-5)",
        "phase --act tanh --cw 1.05 --cb 2.01e-5",
        "chi_perp",
        1.0,
        5e-3,
        "recalled",
    ),
]


def _ratio(row: Row) -> float:
    return float(row["theta_ab"] / row["theta_aa"])


KERNELS = [
    Entry(
        "Xiao et al. 2020",
        "sec. 3",
        "ReLU: correlations of the tangent kernel tend to 1/4, as 1/l with logarithms",
        "kernel --act relu --depth 3000",
        _ratio,
        0.25,
        2e-3,
        "recalled",
        where={"layer": 3001},
    ),
    Entry(
        "Hayou et al. 2019",
        "prop. 4",
        "tanh at the edge of chaos: they tend to 1/3",
        "kernel --act tanh --cw 1.76095463962 --cb 0.05 --depth 3000",
        _ratio,
        1 / 3,
        3e-3,
        "recalled",
        where={"layer": 3001},
    ),
    Entry(
        "Hayou et al. 2019",
        "prop. 3",
        "ReLU: 1 - c ~ 9 pi^2/(2 l^2), with a correction in log(l)/l",
        "kernel --act relu --depth 3000",
        lambda row: 3001**2 * (1 - row["corr"]),
        4.5 * math.pi**2,
        0.6,
        where={"layer": 3001},
    ),
    Entry(
        "Cho and Saul 2009",
        "eq. 8",
        "J_2(th) = 3 sin th cos th + (pi - th)(1 + 2 cos^2 th); k = J_2/(2 pi) at cos th = 0.3",
        "kernel --act relu_power:2 --cw 1 --rho 0.3 --depth 1",
        "k_ab",
        0.488863868955378,
        5e-15,
        where={"layer": 2},
    ),
    *(
        Entry(
            "Daniely et al. 2016",
            "sec. 8",
            f"coefficient {k} of ReLU: (k - 3)!!/sqrt(2 pi k!)",
            "hermite --act relu --terms 7",
            "coefficient",
            value,
            1e-14,
            where={"k": k},
        )
        for k, value in enumerate(
            (
                1 / math.sqrt(2 * math.pi),
                0.5,
                1 / math.sqrt(4 * math.pi),
                0.0,
                -1 / math.sqrt(48 * math.pi),
                0.0,
                3 / math.sqrt(1440 * math.pi),
            )
        )
    ),
]

HR = "Hanin and Rolnick 2019"


def _bound(n0: int, widths: str, name: str, value: int, source: str, place: str) -> Entry:
    return Entry(
        source,
        place,
        f"{value} for n0 = {n0} and widths {widths}",
        f"regions bounds --n0 {n0} --widths {widths}",
        "value",
        value,
        where={"bound": name},
    )


REGIONS = [
    Entry(
        HR,
        "thm. 5",
        "one-dimensional regions grow as the number of neurons: 1 + N",
        "regions along line --n0 784 --widths 64,64 --samples 5",
        "expected",
        129,
        1e-9,
    ),
    Entry(
        HR,
        "thm. 5, Fig. 2",
        "... and those of random networks do; 4 standard errors of 1.01",
        "regions along line --n0 784 --widths 64,64 --samples 5",
        "activation_regions",
        129,
        4.05,
    ),
    Entry(
        HR,
        "thm. 1 and sec. 4",
        "regions of a plane: N^2/2 to leading order; 1 + N + C(N, 2)",
        "regions along plane --n0 784 --widths 32,32,32 --samples 2 --lines 2",
        "expected",
        1 + 96 + 96 * 95 // 2,
        1e-9,
    ),
    Entry(
        HR,
        "Fig. 3",
        "random networks are near it: one of 32,32,32 scatters by 13 %",
        "regions along plane --n0 784 --widths 32,32,32 --samples 5 --lines 5",
        "activation_regions",
        4657,
        4 * 0.13 * 4657 / math.sqrt(5),
    ),
    Entry(
        "Telgarsky 2015",
        "lemma 3.10",
        "the tent map, composed 14 times, has 2^14 pieces on [0, 1]; two more lie outside",
        "regions --net telgarsky:14",
        "linear_regions",
        2**14 + 2,
    ),
    _bound(2, "4,4,4", "Montufar 2014", 176, "Montufar et al. 2014", "cor. 6"),
    _bound(2, "4,4,4", "Serra 2018", 1331, "Serra et al. 2018", "thm. 1"),
    _bound(3, "6,2,6", "Montufar 2014", 198, "Montufar et al. 2014", "cor. 6"),
    _bound(3, "6,2,6", "Serra 2018", 1554, "Serra et al. 2018", "thm. 1"),
    _bound(3, "6,2,6", "Montufar 2017", 3696, "Montufar 2017", "prop. 3"),
]

NICA = "Hanin and Nica 2018"
NTK_RATIO = "paths --n0 4 --width 10000 --depth 10 --samples 0 --quantities ntk"

PATHS = [
    Entry(
        NICA,
        "thm. 1",
        "E (dz/dx)^2 = 2/n0",
        "paths --n0 8 --width 50 --depth 50 --samples 0",
        "exact",
        0.25,
        1e-12,
        where={"quantity": "dzdx", "order": 2},
    ),
    Entry(
        NICA,
        "thm. 1",
        "E (dz/dx)^4 -> (12/n0^2) exp(5 T), T = sum 1/n_l",
        "paths --n0 1 --width 50 --depth 50 --samples 0",
        "asymptotic",
        12 * math.exp(5),
        1e-9,
        where={"quantity": "dzdx", "order": 4},
    ),
    Entry(
        NICA,
        "thm. 1",
        "... at these widths 12 prod (1 + 5/n_l)",
        "paths --n0 1 --width 50 --depth 50 --samples 0",
        "exact",
        12 * 1.1**50,
        1e-9,
        where={"quantity": "dzdx", "order": 4},
    ),
    Entry(
        "Hanin and Nica 2019",
        "thm. 1",
        "E Theta = 2 (L + 1) |x|^2/n0",
        NTK_RATIO,
        "exact",
        22.0,
        1e-10,
        where={"order": 1},
    ),
    Entry(
        "Hanin and Nica 2019",
        "thm. 1",
        "E Theta^2/(E Theta)^2 - 1 is of order T: 11/3 T at large depths, 3.673e-3 at T = 1e-3",
        NTK_RATIO,
        lambda row: row["exact"] / 22.0**2 - 1,
        3.673e-3,
        4e-4,
        where={"order": 2},
    ),
    Entry(
        "Hanin and Nica 2019",
        "sec. 2",
        "log |product of 21 matrices| has mean sum (psi(32) + log(2/64))/2",
        "product --n0 64 --width 64 --depth 20 --samples 0",
        "exact",
        -0.16491690877976,
        5e-14,
        where={"quantity": "log_norm"},
    ),
    Entry(
        "Hanin and Nica 2019",
        "sec. 2",
        "... and variance sum psi'(32)/4",
        "product --n0 64 --width 64 --depth 20 --samples 0",
        "exact",
        0.16665267423159,
        5e-14,
        where={"quantity": "log_norm_variance"},
    ),
]

HZ = "Hanin and Zlokapa 2022"
EVIDENCE = "bayes --norm2 2 --points 20 --n0 50 --width 200 --samples 0"
GROWING = "bayes --norm2 1 --points 100 --n0 200 --width 1000 --samples 0"

BAYES = [
    *(
        Entry(
            HZ,
            "thm. 1.1",
            f"log Z of {depth} hidden layers, by the Meijer G function",
            f"{EVIDENCE} --depth {depth}",
            "log_z",
            value,
            5e-10,
        )
        for depth, value in ((0, 7.4990007184), (1, 12.3977650340), (3, 17.2526855578))
    ),
    Entry(
        HZ,
        "thm. 1.1",
        "... of three at sigma^2 = 2",
        f"{EVIDENCE} --depth 3 --sigma2 2",
        "log_z",
        27.3424167455,
        5e-10,
    ),
    *(
        Entry(
            HZ,
            "sec. 1.4",
            f"at sigma^2 = 1 evidence rises with depth as far as L = N or so: depth {depth}",
            f"{GROWING} --depth {depth}",
            "log_evidence",
            value,
            5e-9,
        )
        for depth, value in ((0, 73.0220150069), (100, 85.7029614632), (1000, 85.3411723070))
    ),
]

GD = "Gavish and Donoho 2014"


def _omega(beta: float) -> Callable[[Row], float]:
    """lambda(beta)/sqrt(median): eqs. 4 and 11."""
    w = 8 * beta / (beta + 1 + math.sqrt(beta**2 + 14 * beta + 1))
    return lambda row: math.sqrt((2 * (beta + 1) + w) / float(row["x"]))


MEDIANS = [
    Entry(
        GD,
        "abstract",
        "the threshold is 2.858 times the median singular value",
        "mp --alpha 1 --quantiles 0.5 --samples 0",
        _omega(1.0),
        2.858,
        5e-4,
        "printed",
    ),
    *(
        Entry(
            GD,
            "table IV",
            f"omega({beta:g}) = {value}, of which three digits after the point hold",
            f"mp --alpha {beta} --quantiles 0.5 --samples 0",
            _omega(beta),
            value,
            5e-4,
            "recalled",
        )
        for beta, value in (
            (0.1, 1.6089),
            (0.25, 1.8371),
            (0.5, 2.1711),
            (0.75, 2.5011),
            (1.0, 2.8582),
        )
    ),
    *(
        Entry(
            GD,
            "eq. 10",
            f"the median at beta = {beta:g}, by quadrature of the density",
            f"mp --alpha {beta} --quantiles 0.5 --samples 0",
            "x",
            value,
            1e-11,
        )
        for beta, value in (
            (0.1, 0.96656514740282),
            (0.5, 0.83046588158136),
            (1.0, 0.65277594163357),
        )
    ),
]

CIRCLE = "rkhs spectrum --kernel ntk --n0 2"
DEEP_STEP = "rkhs spectrum --kernel nngp --act step --cw 2 --n0 3 --levels 200 --depth"

DECAYS = [
    *(
        Entry(
            "Bietti and Mairal 2019",
            "prop. 5",
            f"eigenvalue {k} of the NTK on the circle",
            CIRCLE,
            "eigenvalue",
            value,
            5e-12,
            where={"level": k},
        )
        for k, value in ((0, 0.607927101854), (1, 0.5), (2, 0.15761073011))
    ),
    Entry(
        "Bietti and Bach 2021",
        "cor. 3",
        "NTK of ReLU: eigenvalues fall as k^-d",
        "rkhs spectrum --kernel ntk --n0 10",
        "theory_slope",
        -10.0,
    ),
    Entry(
        "Bietti and Bach 2021",
        "cor. 3",
        "... and do, at levels of 200",
        "rkhs spectrum --kernel ntk --n0 3 --depth 2 --levels 200",
        "slope",
        -3.0,
        0.03,
        where={"level": 198},
    ),
    Entry(
        "Bietti and Bach 2021",
        "cor. 3",
        "NNGP of ReLU: as k^(-d-2), at any depth",
        "rkhs spectrum --kernel nngp --n0 3 --depth 3",
        "theory_slope",
        -5.0,
    ),
    Entry(
        "Bietti and Bach 2021",
        "cor. 3",
        "... and do, at levels of 200",
        "rkhs spectrum --kernel nngp --n0 3 --depth 3 --levels 200",
        "slope",
        -5.0,
        0.03,
        where={"level": 198},
    ),
    *(
        Entry(
            "Bietti and Bach 2021",
            "sec. 3.3",
            f"step, {depth} layers: as k^-(d - 1 + 2^(1 - L)), slowly reached",
            f"{DEEP_STEP} {depth}",
            "slope",
            -2 - 2.0 ** (1 - depth),
            0.03,
            "recalled",
            where={"level": 197},
        )
        for depth in (1, 2, 3)
    ),
]

CATAPULT = "catapult --eta-lambda0 3 --kappa 0.001953125 --steps 20"
TOY = {
    "toy_x.npy": [[0.5, 1.5], [1.5, 0.5], [-0.5, -1.5], [-1.5, -0.5]],
    "toy_y.npy": [1.0, 1.0, -1.0, -1.0],
}
MARGIN = "margin --x toy_x.npy --y toy_y.npy --loss exponential"

TRAINING = [
    *(
        Entry(
            "Lewkowycz et al. 2020",
            "eqs. 5-6",
            f"the two numbers after {step} steps",
            CATAPULT,
            column,
            value,
            1e-12,
            where={"step": step},
        )
        for step, column, value in ((4, "z", 5.92069650821432), (5, "lambda", 0.0878000456851877))
    ),
    *(
        Entry(
            "Lewkowycz et al. 2020",
            "thm. 1",
            f"eta lambda_0 = {rate:g}: {phase}",
            f"catapult --eta-lambda0 {rate} --steps 100",
            "phase",
            phase,
            kind="recalled",
            where={"step": 0},
        )
        for rate, phase in ((1.5, "lazy"), (3.5, "catapult"), (4.5, "divergent"))
    ),
    Entry(
        "Lewkowycz et al. 2020",
        "sec. 3.2",
        "linear networks diverge above 4/lambda_0; in wide ones at 5 at the latest",
        "sharpness scan --act linear --width 64 --points 60 --eta-lambda0 3.5,8 --steps 300",
        "phase",
        "divergent",
        kind="recalled",
        where={"eta_lambda0": 8.0},
    ),
    Entry(
        "Lewkowycz et al. 2020",
        "sec. 3.2",
        "ReLU networks diverge above about 12/lambda_0: a "
        "network that is at loss 1e100 and more is no catapult",
        "sharpness scan --act relu --width 64 --points 60 --eta-lambda0 64 --steps 100",
        "phase",
        "divergent",
        kind="recalled",
        slow=True,
    ),
    Entry(
        "Cohen et al. 2021",
        "sec. 3.1",
        "sharpness hovers at 2/eta",
        "sharpness --steps 3000 --at 2000,3000",
        "ratio",
        1.0,
        0.05,
        "recalled",
        where={"step": 3000},
        slow=True,
    ),
    Entry(
        "Gur-Ari et al. 2018",
        "sec. 2",
        "the gradient lies in the top 10 eigenvectors",
        "hessian --data digits --points 1000 --width 64 --act relu --batch 16 --steps 200 --top 10",
        "gradient_fraction",
        1.0,
        0.05,
        "recalled",
        where={"index": 10},
        slow=True,
    ),
    Entry(
        "Papyan et al. 2020",
        "thm. 1",
        "cosines of class means tend to -1/(C - 1)",
        "collapse --steps 10000 --at 10000",
        "value",
        -1 / 3,
        5e-3,
        where={"metric": "nc2_cosine_means"},
        slow=True,
    ),
    Entry(
        "Soudry et al. 2018",
        "Fig. 1",
        "of (0.5, 1.5), (1.5, 0.5) and their opposites the margin is sqrt(2)",
        MARGIN,
        "margin",
        math.sqrt(2),
        1e-14,
        "recalled",
        files=TOY,
    ),
    Entry(
        "Soudry et al. 2018",
        "thm. 3",
        "|w|/log t -> |w_hat| = 1/margin",
        MARGIN,
        "norm_limit",
        math.sqrt(0.5),
        1e-14,
        files=TOY,
    ),
    Entry(
        "Yaida 2019",
        "eqs. 5-8",
        "<theta.grad L> = (eta/2) <tr C>, to 5 standard errors",
        "sgd --steps 200000 --relations trace",
        lambda row: abs(row["z"]),
        0.0,
        5.0,
    ),
    Entry(
        "Wei and Schwab 2019",
        "eq. 7",
        "<theta^2> = eta a/(2 (1 - eta lambda)) at eta = 0.1, lambda = 0.2",
        "sgd valley --steps 100",
        "rhs",
        0.05 / 0.98,
        1e-15,
        where={"relation": "variance"},
    ),
    Entry(
        "Wei and Schwab 2019",
        "sec. 4",
        "a martingale on the circle stays as 1/step^2: 4/5",
        "sgd circle --steps 50",
        "limit",
        0.8,
        1e-12,
        where={"case": "no memory"},
    ),
    Entry(
        "Woodworth et al. 2020",
        "thm. 1",
        "the flow ends at the minimum of Q",
        "diagonal --alpha 1e-8,1,100",
        "difference",
        0.0,
        1e-9,
    ),
    Entry(
        "Woodworth et al. 2020",
        "thm. 2",
        "at small alpha: the interpolant of least l1 norm",
        "diagonal --alpha 1e-8,1,100",
        "distance_l1",
        0.0,
        1e-2,
        where={"alpha": 1e-8},
    ),
    *(
        Entry(
            "Chizat et al. 2019",
            "sec. 2",
            f"lazy: {what} goes as n^{power:g}",
            "rates training --width 64,256,1024",
            "exponent",
            power,
            0.1,
            "recalled",
            where={"regime": "lazy", "quantity": what},
            slow=True,
        )
        for what, power in (("weights", -0.5), ("features", -0.5), ("ntk", -1.0))
    ),
    *(
        Entry(
            "Kolmogorov and Tikhomirov 1959",
            "sec. 2",
            f"Lipschitz functions: eps_{n} = A T/(n + 1)",
            "entropy --set lipschitz:1,1 --bits 0,1,3,7",
            "exact",
            1 / (n + 1),
            1e-15,
            where={"n": n},
        )
        for n in (0, 1, 3, 7)
    ),
    Entry(
        "Cohen et al. 2022a",
        "thm. 4.1",
        "delta_26n <= 3 eps_n: at 26, 3 times the upper bound of eps_1, the radius 1",
        "entropy --set ball:3 --bits 26",
        "jl_upper",
        3.0,
        1e-15,
        where={"n": 26},
    ),
]

ENTRIES = [
    *ROBERTS,
    *DEPTH_SCALES,
    *KERNELS,
    *REGIONS,
    *PATHS,
    *BAYES,
    *MEDIANS,
    *DECAYS,
    *TRAINING,
]
