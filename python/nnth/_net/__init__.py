"""Networks that are given: their layers, and their kernels on data."""

from nnth._net.net import net
from nnth._net.network_gram import NetworkGram, network_gram

__all__ = ["NetworkGram", "net", "network_gram"]
