"""Writes kernel matrices to a file, and after each tile prints a line and waits for one.

The argument is JSON with the arguments of nnth.save_gram. A process that starts it can end it at
any tile, whatever the speed of the machine.
"""

import json
import sys

import nnth


def step(done: int, total: int) -> None:
    if done % 100:  # a part of a tile
        return
    print(done // 100, total // 100, flush=True)
    if not sys.stdin.readline():
        raise SystemExit("the other process has ended")


if __name__ == "__main__":
    print(nnth.save_gram(**json.loads(sys.argv[1]), progress=step).to_csv())
