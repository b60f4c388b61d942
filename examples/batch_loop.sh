#!/bin/sh
# A row a network, added to a file by a plain loop: batch_loop.sh FILE.csv
set -eu

for n in 16 32 64; do
    for seed in 0 1; do
        nnth regions --width $n --seed $seed --append "$1"
    done
done
