"""Parametrizations over widths: what they prescribe, and whether networks obey it."""

from nnth._mup.check import mup_check
from nnth._mup.networks import mup_networks
from nnth._mup.transfer import MupTransfer, mup_transfer

__all__ = ["MupTransfer", "mup_check", "mup_networks", "mup_transfer"]
