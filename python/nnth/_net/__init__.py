"""Networks that are given: their layers, and their kernels on data."""

from nnth._net.gram_training import TangentPath, gram_training
from nnth._net.net import net
from nnth._net.network_gram import NetworkGram, network_gram

__all__ = ["NetworkGram", "TangentPath", "gram_training", "net", "network_gram"]
