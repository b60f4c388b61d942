#!/bin/sh
# Compute the rows of batch_sweep.toml with xargs, eight processes at a time: batch_xargs.sh FILE.csv
set -eu
export OMP_NUM_THREADS=1 # of each process

for n in 16 32 64; do
    for seed in 0 1; do
        echo --width $n --seed $seed
    done
done | xargs -P 8 -L 1 nnth regions --threads 1 --append "$1"
