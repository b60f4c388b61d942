"""The laboratory of finite networks, whose public names are those of `nnth.lab`."""
