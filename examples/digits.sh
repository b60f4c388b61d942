#!/bin/sh
# What digits.py does, by the command line: the data to a file, its kernels to another, a classifier
# from that. Needs nnth[examples].
set -eu

folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT

python -c '
import sys
import numpy as np
from sklearn.datasets import load_digits
images, labels = load_digits(return_X_y=True)
np.save(sys.argv[1] + "/digits.npy", images)
np.save(sys.argv[1] + "/labels.npy", labels)
' "$folder"

for depth in 1 3 10 30; do
    # A row a matrix on standard output: kernel, trace, extreme eigenvalues, condition number.
    nnth gram "$folder/digits.npy" --act relu --depth $depth -o "$folder/kernels.npz" |
        cut -d, -f1-5

    python -c '
import sys
import numpy as np
folder, depth = sys.argv[1:]
with np.load(folder + "/kernels.npz") as file:
    ntk = file["ntk"]
labels = np.load(folder + "/labels.npy")
train, test = np.split(np.random.default_rng(0).permutation(len(labels)), [1200])
within = ntk[np.ix_(train, train)]
within.flat[:: len(train) + 1] += 1e-3 * np.trace(within) / len(train)
weights = np.linalg.solve(within, np.eye(10)[labels[train]] - 0.1)
guesses = np.argmax(ntk[np.ix_(test, train)] @ weights, axis=1)
print(f"depth {depth}: accuracy {np.mean(guesses == labels[test]):.4f}\n")
' "$folder" $depth
done
