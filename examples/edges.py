"""The edge of stability of five optimizers, each at its own threshold.

    pip install '.[data]' && python examples/edges.py

A tanh network 64-32-32-10 is trained on 300 of scikit-learn's digits with the squared loss and full
batches, by each optimizer at some learning rate. The sharpness, or the preconditioned sharpness of
Adam and RMSprop, ends at the threshold above which the same steps on a quadratic diverge. The
sharpness itself ends elsewhere with each of them.
"""

import nnth

OPTIMIZERS = {
    "sgd": {"eta": 0.4},
    "momentum": {"momentum": 0.5, "eta": 0.4},
    "nesterov": {"momentum": 0.9, "eta": 0.15},
    "adam": {"eta": 0.01},
    "rmsprop": {"beta2": 0.999, "eta": 0.001},
}
STEPS = 3000


def main() -> None:
    print("optimizer   eta     threshold  ratio  sharpness    loss  test accuracy")
    for name, own in OPTIMIZERS.items():
        setup = nnth.TrainingSetup(
            data="digits",
            test_data="digits",
            points=300,
            center=True,
            loss="squared",
            optimizer=name,
            steps=STEPS,
            **own,
        )
        table = nnth.sharpness(setup, at=range(2 * STEPS // 3, STEPS + 1, 50)).table()
        print(
            f"{name:9s}{own['eta']:7.3f}{table['threshold'][0]:13.2f}{table['ratio'].mean():7.2f}"
            f"{table['sharpness'].mean():11.2f}{table['loss'][-1]:8.4f}"
            f"{table['test_accuracy'][-1]:15.2f}"
        )


if __name__ == "__main__":
    main()
