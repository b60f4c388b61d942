#!/bin/sh
# The computation of digits.py on the command line: write the data to files, and predict them with
# infinitely wide networks. Needs nnth[data].
set -eu

folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT

python -c '
import sys
import numpy as np
from sklearn.datasets import load_digits
images, labels = load_digits(return_X_y=True)
train, test = np.split(np.random.default_rng(0).permutation(len(labels)), [1200])
np.savez(sys.argv[1] + "/train.npz", x=images[train] / 16, y=labels[train])
np.savez(sys.argv[1] + "/test.npz", x=images[test] / 16, y=labels[test])
' "$folder"

cd "$folder"
digits="--x train.npz --y train.npz --x-test test.npz --y-test test.npz --labels"

echo "Gaussian-process regression, by depth"
for depth in 1 3 10 30; do
    nnth predict $digits --kernel nngp --ridge 0.01 --depth $depth --append depths.csv
done
cut -d, -f1-7 depths.csv

echo "Gradient flow"
nnth predict $digits --ridge 0.01 --depth 3 --times 0,log:0.001:10:5,inf | cut -d, -f1-7
