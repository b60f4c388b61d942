#!/bin/sh
# The computation of evidence.py on the command line, with pictures: evidence.png has the log evidence
# of 40 patients against depth, predictions.png the predictions for others. Needs nnth[data,plot].
#     examples/evidence.sh [FOLDER]
set -eu

here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-$(mktemp -d)}

PYTHONPATH=$here python -c '
import sys
import numpy as np
from evidence import LEARNT, patients
x, y = patients()
for name, rows in (("learnt", slice(LEARNT)), ("tested", slice(LEARNT, LEARNT + 60))):
    np.savez(f"{sys.argv[1]}/{name}.npz", x=x[rows], y=y[rows])
' "$folder"

cd "$folder"
data="--x learnt.npz --y learnt.npz --width 64"

nnth bayes $data --depth 0:61:3 --sigma2 0.9,1,1.1,1.3 --plot evidence.png -o evidence.csv
echo "The five pairs of depth and prior variance with the largest evidence"
head -1 evidence.csv | cut -d, -f1-5
tail -n +2 evidence.csv | sort -t, -k5,5gr | head -5 | cut -d, -f1-5

nnth bayes predict $data --depth 60 --x-test tested.npz --y-test tested.npz \
    --plot predictions.png -o predictions.csv
echo "Predictions at depth 60, sigma2 = 1"
head -4 predictions.csv | cut -d, -f1-11
