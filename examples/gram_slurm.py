"""Kernel matrices of a large data set, by the jobs of a SLURM cluster.

    pip install 'nnth[cluster,zarr]' dask-jobqueue
    python gram_slurm.py images.npy kernels.zarr

It runs where jobs are submitted, in a folder that all nodes see, and may be ended at any time: the
same call continues with the tiles that are missing, whatever number of jobs there is. A job that
SLURM ends is replaced.
"""

import sys

from dask_jobqueue import SLURMCluster

import nnth

JOBS = 8


def show(done: int, total: int) -> None:
    print(f"\r{done / total:.1%}", end="", file=sys.stderr, flush=True)


def main() -> None:
    inputs, file = sys.argv[1:]
    with SLURMCluster(
        cores=16,  # a tile a thread, each with under 1 GiB of memory
        processes=1,
        memory="32GB",
        walltime="02:00:00",
        worker_extra_args=["--lifetime", "115m", "--lifetime-stagger", "4m"],
    ) as cluster:
        cluster.adapt(minimum_jobs=1, maximum_jobs=JOBS)
        table = nnth.save_gram(
            inputs,
            file,
            "relu",
            depth=3,
            dtype="float32",
            scheduler=cluster.scheduler_address,
            progress=show,
        )
    print(table)


if __name__ == "__main__":
    main()
