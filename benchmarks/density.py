"""How good the rules behind the default density are.

Two tables. The first: held-out log likelihood of ManifoldParzenWindows() on ten sets,
three folds; of a wider kernel with equal weights, which fits better and is worse for
geodesics; of the best of a grid of neighbours and shrinkages for it; and of an
isotropic kernel whose bandwidth is the best of a grid too. The second, on swiss rolls
(`_swiss_roll.py`, beside this file): Spearman correlation of geodesic with true
unrolled distances, by noise, parts of the windows and λ, beside the log likelihood of
the last 500 samples, fitted to the others.

    python benchmarks/density.py [--quick]
"""

import argparse
import warnings

import numpy as np
from _swiss_roll import swiss_roll_and_truth
from scipy.spatial.distance import pdist, squareform
from scipy.stats import spearmanr
from sklearn.base import clone
from sklearn.datasets import (
    load_breast_cancer,
    load_digits,
    load_iris,
    load_wine,
    make_moons,
    make_swiss_roll,
)
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.neighbors import KernelDensity
from sklearn.preprocessing import StandardScaler

from skgengeo import GenerativeGeodesicDistance
from skgengeo.density import ManifoldParzenWindows, TemperedDensity

FOLDS = KFold(3, shuffle=True, random_state=0)
GRID = {
    "n_neighbors": [5, 8, 10, 15, 22, 30],
    "shrinkage": [0.03, 0.1, 0.2, 0.4, 0.7, 1.0],
}
LAMS = (np.inf, 1.0, 0.2, 0.05, 0.01)
WIDER, EQUAL = {"covariance_scale": 1.0}, {"outlier_exponent": 0.0}
SMOOTH = WIDER | EQUAL
WINDOWS = {
    "default": {},
    "covariance_scale=1": WIDER,
    "outlier_exponent=0": EQUAL,
    "both": SMOOTH,
}
N_ROLL, N_FITTED = 1500, 1000


def data_sets():
    rng = np.random.default_rng(0)
    digits = load_digits().data
    scale = StandardScaler().fit_transform
    return {
        "moons": make_moons(500, noise=0.08, random_state=0)[0],
        "swiss roll": make_swiss_roll(1500, noise=0.8, random_state=0)[0],
        "Gaussian, d=3": rng.normal(size=(500, 3)),
        "Gaussian, d=10": rng.normal(size=(500, 10)),
        "iris": load_iris().data,
        "wine": scale(load_wine().data),
        "breast cancer": scale(load_breast_cancer().data),
        "digits, PCA 10": PCA(10, random_state=0).fit_transform(digits),
        "digits, PCA 30": PCA(30, random_state=0).fit_transform(digits),
        "digits": scale(digits),
    }


def likelihood_table(names):
    columns = ("default", "smooth", "best", "kernel")
    print(f"{'held-out log likelihood':24s}" + "".join(f"{c:>9s}" for c in columns))
    for name, X in data_sets().items():
        if name not in names:
            continue
        smooth = ManifoldParzenWindows(**SMOOTH)
        scale = X.std(axis=0).mean()
        bandwidths = {"bandwidth": scale * np.geomspace(0.03, 1.5, 12)}
        kernel = GridSearchCV(KernelDensity(), bandwidths, cv=FOLDS).fit(X)
        scores = [
            cross_val_score(ManifoldParzenWindows(), X, cv=FOLDS).mean(),
            cross_val_score(smooth, X, cv=FOLDS).mean(),
            GridSearchCV(smooth, GRID, cv=FOLDS).fit(X).best_score_,
            kernel.best_score_ / len(X) * FOLDS.n_splits,
        ]
        shape = f"{name} {X.shape}"
        print(f"{shape:24s}" + "".join(f"{score:9.2f}" for score in scores), flush=True)


def roll_table(seeds):
    lams = "".join(f"  λ={lam:<6g}" for lam in LAMS)
    print(f"\n{'swiss roll, Spearman':32s}{lams}{'unseen':>10s}")
    for noise in (0.3, 0.8, 1.2):
        for name, parameters in WINDOWS.items():
            windows = ManifoldParzenWindows(**parameters)
            rows = [roll_scores(windows, noise, seed) for seed in seeds]
            means = "".join(f"{value:10.3f}" for value in np.mean(rows, axis=0))
            print(f"{f'noise {noise}, {name}':32s}{means}", flush=True)


def roll_scores(windows, noise, seed):
    """Correlation at each λ, and the log likelihood of unseen samples."""
    X, truth = swiss_roll_and_truth(N_ROLL, noise, seed)
    true = pdist(truth)
    geodesic = GenerativeGeodesicDistance(TemperedDensity(windows), n_graph_neighbors=8)
    correlations = [
        spearmanr(squareform(D, checks=False), true).statistic
        for _, D in geodesic.fit(X).lam_path(LAMS)
    ]
    seen, unseen = X[:N_FITTED], X[N_FITTED:]
    return [*correlations, clone(windows).fit(seen).score(unseen)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two sets, one seed")
    quick = parser.parse_args().quick
    warnings.simplefilter("ignore")
    likelihood_table(["moons", "iris"] if quick else list(data_sets()))
    roll_table([0] if quick else range(5))


if __name__ == "__main__":
    main()
