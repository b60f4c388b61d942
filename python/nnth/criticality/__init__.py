"""Critical points of an activation, the way there along depth, and phase diagrams."""

from nnth.criticality.critical import critical, critical_decay
from nnth.criticality.phase import phase

__all__ = ["critical", "critical_decay", "phase"]
