#!/bin/sh
# Compute the rows of batch_sweep.toml in a loop, which adds each to a file: batch_loop.sh FILE.csv
set -eu

for n in 16 32 64; do
    for seed in 0 1; do
        nnth regions --width $n --seed $seed --append "$1"
    done
done
