"""Make a large data set of handwritten digits: small ones enlarged, turned and shifted at random.

    pip install '.[data]' && python examples/many_digits.py --points 60000 --tests 10000

Each of the 1797 digits of scikit-learn (8 x 8 pixels) is drawn many times on 28 x 28 pixels, by
bilinear interpolation: enlarged to 20 x 20 pixels times a factor from 0.9 to 1.1, turned by up to
15 degrees and shifted by up to 3 pixels. Digits of which test points are made, every sixth of the
1797, make no training points. Image i is a function of the seed and i. The files hold x `(points,
784)`, from 0 to 1, and y, the digit:

    nnth predict --x digits_train.npz --y digits_train.npz --x-test digits_test.npz \
        --y-test digits_test.npz --labels --depth 3 --ridge 0.01 --solver cg
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

import nnth

SIDE, SMALL = 28, 8
PIXEL = 20 / SMALL  # side of an enlarged pixel
LARGEST_SHIFT = 3.0  # pixels
LARGEST_ANGLE = np.deg2rad(15.0)
LARGEST_GROWTH = 0.1
TEST_EVERY = 6
BLOCK = 1000  # images that are drawn together

Floats = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=60_000, help="number of training points")
    parser.add_argument("--tests", type=int, default=10_000, help="number of test points")
    parser.add_argument("--seed", type=int, default=0, help="seed of angles, shifts and sizes")
    parser.add_argument("--folder", type=Path, default=Path(), help="folder of the two files")
    args = parser.parse_args()
    digits = load_digits()
    tested = np.arange(len(digits.target)) % TEST_EVERY == TEST_EVERY - 1
    for stream, (name, some, count) in enumerate(
        (("train", ~tested, args.points), ("test", tested, args.tests))
    ):
        images, labels = digits.images[some] / 16.0, digits.target[some]
        x, y = many_digits(images, labels, count, args.seed, stream)
        path = args.folder / f"digits_{name}.npz"
        np.savez_compressed(path, x=x, y=y)
        print(f"{path}: {count} digits from {len(labels)}")


def many_digits(
    images: Floats, labels: NDArray[np.integer], count: int, seed: int, stream: int
) -> tuple[Floats, Floats]:
    """Return `count` images `(count, 784)` made from small ones in turn, and their labels."""
    draws = nnth.uniforms(seed, stream, 4 * count).reshape(count, 4)
    angle = LARGEST_ANGLE * (2.0 * draws[:, 0] - 1.0)
    growth = 1.0 + LARGEST_GROWTH * (2.0 * draws[:, 1] - 1.0)
    shift = LARGEST_SHIFT * (2.0 * draws[:, 2:] - 1.0)
    source = np.arange(count) % len(images)
    x = np.empty((count, SIDE * SIDE))
    for first in range(0, count, BLOCK):
        at = slice(first, first + BLOCK)
        x[at] = drawn(images[source[at]], angle[at], PIXEL * growth[at], shift[at])
    return x, labels[source].astype(np.float64)


def drawn(images: Floats, angle: Floats, scale: Floats, shift: Floats) -> Floats:
    """Return images `(k, 8, 8)` on 28 x 28 pixels, turned, enlarged and shifted."""
    center = (SIDE - 1) / 2.0
    across, down = np.meshgrid(np.arange(SIDE) - center, np.arange(SIDE) - center)
    u = across.ravel() - shift[:, :1]
    v = down.ravel() - shift[:, 1:]
    cosine, sine = np.cos(angle)[:, None] / scale[:, None], np.sin(angle)[:, None] / scale[:, None]
    # A frame of zeros around the image holds all points outside.
    framed = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    middle = (SMALL + 1) / 2.0
    column = np.clip(cosine * u + sine * v + middle, 0.0, SMALL + 1.0)
    row = np.clip(cosine * v - sine * u + middle, 0.0, SMALL + 1.0)
    left, top = (np.minimum(np.floor(a), SMALL).astype(int) for a in (column, row))
    right, below = column - left, row - top
    k = np.arange(len(images))[:, None]
    return np.asarray(
        (1.0 - below) * ((1.0 - right) * framed[k, top, left] + right * framed[k, top, left + 1])
        + below * ((1.0 - right) * framed[k, top + 1, left] + right * framed[k, top + 1, left + 1])
    )


if __name__ == "__main__":
    main()
