#!/bin/sh
# Compute the rows of batch_sweep.toml in a job array. Each of the three jobs computes a third of the
# points and adds them to one file: sbatch batch_array.sh FILE.csv. After an array was cancelled,
# submit it again as it is.
#SBATCH --array=1-3
#SBATCH --cpus-per-task=1
set -eu

nnth sweep regions --vary width=16,32,64 --vary seed=0:2 \
    --shard "$SLURM_ARRAY_TASK_ID/3" --threads 1 --output "$1"
