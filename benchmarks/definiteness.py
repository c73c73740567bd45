"""How far GeodesicAffinity is from positive semi-definite, and its use as a kernel.

First, with all defaults but λ, on moons, the swiss roll and digits: the smallest
eigenvalue over the largest, and the share of negative eigenvalues in the sum of all
magnitudes. Then, on digits, the accuracy on new samples of an SVC of the affinities,
and of Euclidean distances: mean, lowest and highest of 5 splits.

    python benchmarks/definiteness.py
"""

import warnings
from itertools import product

import numpy as np
from scipy.linalg import eigvalsh
from sklearn.datasets import load_digits, make_moons, make_swiss_roll
from sklearn.decomposition import PCA
from sklearn.model_selection import ShuffleSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from skgengeo import GeodesicAffinity

AFFINITIES = ("local_scaling", "rbf")
LAMS, SVC_LAMS = (np.inf, 1.0, 0.05), (np.inf, 10.0, 1.0, 0.05)
REDUCE = PCA(10, random_state=0)
SPLITS = ShuffleSplit(5, train_size=600, test_size=300, random_state=0)


def sets():
    yield "moons", make_moons(500, noise=0.08, random_state=0)[0]
    yield "swiss roll", make_swiss_roll(800, noise=0.5, random_state=0)[0]
    yield "digits", REDUCE.fit_transform(load_digits().data[:900])


def definiteness(X, **setting):
    values = eigvalsh(GeodesicAffinity(random_state=0, **setting).fit_transform(X))
    negative = -values[values < 0].sum() / np.abs(values).sum()
    return f"{values[0] / values[-1]:.1%}, {negative:.1%}"


def accuracy(*steps):
    digits = load_digits(return_X_y=True)
    scores = cross_val_score(make_pipeline(REDUCE, *steps), *digits, cv=SPLITS)
    return f"{scores.mean():.3f} ({scores.min():.2f}-{scores.max():.2f})"


def accuracies(**setting):
    svc = SVC(kernel="precomputed", C=10)
    models = (GeodesicAffinity(random_state=0, lam=lam, **setting) for lam in SVC_LAMS)
    return [accuracy(model, svc) for model in models]


def print_row(title, cells):
    print(f"{title:28s}" + "".join(f"{cell:>20s}" for cell in cells), flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with threadpool_limits(1):
        print_row("Eigenvalues", [f"lam={lam}" for lam in LAMS])
        for (name, X), kind in product(sets(), AFFINITIES):
            cells = [definiteness(X, affinity=kind, lam=lam) for lam in LAMS]
            print_row(f"{name}, {kind}", cells)
        print_row("Accuracy", [f"lam={lam}" for lam in SVC_LAMS])
        for kind, m in product(AFFINITIES, ("auto", 10)):
            print_row(f"{kind}, {m}", accuracies(affinity=kind, n_scale_neighbors=m))
        print_row("Euclidean rbf", [accuracy(SVC(C=10))])
