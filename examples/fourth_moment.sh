#!/bin/sh
# Compute the fourth moment of dz/dx in networks of four widths and of depths up to the width, and add
# a row for each network to a file: fourth_moment.sh FILE.csv
set -eu

for n in 16 32 64 128; do
    for part in 1 2 4 6 8 12 16; do
        L=$((n * part / 16))
        nnth paths --n0 1 --width $n --depth $L --quantities dzdx --orders 4 \
            --samples 1000000 --seed $((1000 * n + L)) --append "$1"
    done
done
