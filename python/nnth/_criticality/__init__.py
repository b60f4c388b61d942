"""Critical points of an activation, the variance through the layers there, and phase diagrams."""

from nnth._criticality.critical import critical, critical_decay
from nnth._criticality.phase import phase

__all__ = ["critical", "critical_decay", "phase"]
