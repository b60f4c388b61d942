#!/bin/sh
# Compute the rows of batch_sweep.toml with GNU parallel, which can also use other machines:
# batch_parallel.sh FILE.csv
set -eu
export OMP_NUM_THREADS=1 # of each process

parallel nnth regions --width {1} --seed {2} --threads 1 --append "$1" \
    ::: 16 32 64 ::: 0 1
