"""The laboratory of finite networks: models, their derivatives, and their training.

>>> import numpy as np
>>> from nnth import lab
>>> model = lab.model(2, (64, 64), act="tanh", parametrization="mup")
>>> x = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
>>> objective = lab.Objective(model, x, [[1.0], [1.0], [0.0], [0.0]])
>>> descent = lab.Descent(objective, lab.SGD(eta=0.2), model.draw(samples=10, seed=1))
>>> for step in descent.take(500):
...     pass
>>> bool((objective.value(descent.theta) < 1e-2).all())
True
"""

from nnth._lab.batches import Batch, Bernoulli, Shuffled, WithReplacement
from nnth._lab.curvature import Curvature
from nnth._lab.derivatives import Expansion, expansion, output_gradients, tangent_kernel
from nnth._lab.descent import Descent
from nnth._lab.flow import gradient_flow
from nnth._lab.infinite import infinite_network
from nnth._lab.linearized import Linearized, linearized
from nnth._lab.model import Model, model, model_of, theta_of
from nnth._lab.objective import Objective, Penalty
from nnth._lab.optimizers import SGD, Adam, RMSprop
from nnth._lab.parametrization import LayerScale
from nnth._lab.schedules import Schedule

__all__ = [
    "SGD",
    "Adam",
    "Batch",
    "Bernoulli",
    "Curvature",
    "Descent",
    "Expansion",
    "LayerScale",
    "Linearized",
    "Model",
    "Objective",
    "Penalty",
    "RMSprop",
    "Schedule",
    "Shuffled",
    "WithReplacement",
    "expansion",
    "gradient_flow",
    "infinite_network",
    "linearized",
    "model",
    "model_of",
    "output_gradients",
    "tangent_kernel",
    "theta_of",
]
