#!/bin/sh
# Kernels on the diabetes data of scikit-learn, 442 patients: four kernels compared by their errors at
# patients left out, a learning curve, the spectrum on the data beside the one on the sphere, a sample of
# unlike patients, and the entropy of random networks on the patients. Needs nnth[data].
set -eu

folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT

python -c '
import sys
import numpy as np
from sklearn.datasets import load_diabetes
x, y = load_diabetes(return_X_y=True, scaled=False)
np.savez(sys.argv[1] + "/data.npz", x=(x - x.mean(0)) / x.std(0), y=(y - y.mean()) / y.std())
' "$folder"

cd "$folder"

echo "Kernels, ridge 0.5: squared norm, log marginal likelihood, error at points left out"
for kernel in rbf:2 rbf:5 nngp ntk; do
    nnth rkhs fit --x data.npz --y data.npz --kernel $kernel --ridge 0.5 --format csv | cut -d, -f2-4 |
        sed -n "2s/^/$kernel,/p"
done

echo "Learning curve, rbf:5"
nnth rkhs curve --x data.npz --y data.npz --kernel rbf:5 --ridge 0.5 --sizes 10,30,100,300 | cut -d, -f1-5

echo "Spectrum of the tangent kernel: the sphere, and the directions of patients"
nnth rkhs spectrum --x data.npz --levels 3 | cut -d, -f1-3,9-11

echo "Eight patients unlike one another, and how often each of the first five is among them"
nnth rkhs sample --x data.npz --kernel rbf:5 --size 8 --samples 5000 | cut -d, -f1-5 | head -6

echo "Random networks on the patients, as a class of functions"
nnth entropy --set nets --x data.npz --widths 32 --samples 512 --bits 0,3,6 | cut -d, -f1-3,9,10
