"""The parts of `nnth sweep`: points, the files of their rows, and the engines that run them."""
