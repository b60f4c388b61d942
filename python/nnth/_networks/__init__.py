"""Networks of given or random weights: their files, ensembles, and training."""
