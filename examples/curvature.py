"""The curvature of a network that learns to classify digits, from its first step to its last.

    pip install '.[data]' && python examples/curvature.py

A tanh network 64-64-64-10 is trained on 600 of scikit-learn's digits in batches of 32. At first the
loss Hessian has nine outliers, one less than there are classes; later the gap below them closes. A
growing fraction of the gradient lies in the space of the first nine eigenvectors (a thousandth of a
random vector would), and that space stops moving. The fraction of the Gauss-Newton matrix that
comes from class means grows, and the last features of each class come together (NC1).
"""

import nnth

STEPS = (0, 30, 100, 300, 1000)


def main() -> None:
    setup = nnth.TrainingSetup(
        data="digits", points=600, widths=(64, 64), batch=32, steps=STEPS[-1]
    )
    spectra = nnth.hessian(setup, at=STEPS, top=14, tolerance=1e-4).table()
    parts = nnth.classes(setup, at=STEPS).table()
    metrics = nnth.collapse(setup, at=STEPS).table()
    print("  step    loss  outliers    gap  gradient in top 9  overlap  classes in G    NC1")
    for step in STEPS:
        top = spectra["index"] == 9
        row = {name: spectra[name][top & (spectra["step"] == step)][0] for name in spectra}
        of_class = (parts["part"] == "class") & (parts["step"] == step)
        nc1 = metrics["value"][(metrics["metric"] == "nc1") & (metrics["step"] == step)][0]
        print(
            f"{step:6d}{row['loss']:8.4f}{row['outliers']:10d}{row['gap']:7.2f}"
            f"{row['gradient_fraction']:19.2f}{row['overlap']:9.2f}{parts['fraction'][of_class][0]:14.2f}"
            f"{nc1:7.2f}"
        )
    print(f"by chance{spectra['chance'][8]:41.4f}")


if __name__ == "__main__":
    main()
