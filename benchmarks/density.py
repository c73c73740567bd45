"""How good the rules behind the default density are.

Two tables. The first: held-out log likelihood of ManifoldParzenWindows() on ten sets,
three folds, below the best of a grid of neighbours and shrinkages, beside an isotropic
kernel whose bandwidth is the best of a grid too. The second: Spearman correlation of
geodesic with true unrolled distances on swiss rolls, by noise and λ.

    python benchmarks/density.py [--quick]
"""

import argparse
import warnings

import numpy as np
from scipy.spatial.distance import pdist, squareform
from scipy.stats import spearmanr
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
from skgengeo.density import ManifoldParzenWindows

FOLDS = KFold(3, shuffle=True, random_state=0)
GRID = {
    "n_neighbors": [5, 8, 10, 15, 22, 30],
    "shrinkage": [0.03, 0.1, 0.2, 0.4, 0.7, 1.0],
}
LAMS = (np.inf, 1.0, 0.3, 0.1, 0.03, 0.01)


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
    print(f"{'held-out log likelihood':24s}{'default':>9s}{'best':>9s}{'kernel':>9s}")
    for name, X in data_sets().items():
        if name not in names:
            continue
        default = cross_val_score(ManifoldParzenWindows(), X, cv=FOLDS).mean()
        best = GridSearchCV(ManifoldParzenWindows(), GRID, cv=FOLDS).fit(X)
        scale = X.std(axis=0).mean()
        bandwidths = {"bandwidth": scale * np.geomspace(0.03, 1.5, 12)}
        kernel = GridSearchCV(KernelDensity(), bandwidths, cv=FOLDS).fit(X)
        scores = [
            default,
            best.best_score_,
            kernel.best_score_ / len(X) * FOLDS.n_splits,
        ]
        shape = f"{name} {X.shape}"
        print(f"{shape:24s}" + "".join(f"{score:9.2f}" for score in scores))


def roll_table(seeds):
    print(f"\n{'swiss roll, Spearman':24s}" + "".join(f"  λ={lam:<6g}" for lam in LAMS))
    for noise in (0.3, 0.8, 1.2):
        rows = [roll_correlations(noise, seed) for seed in seeds]
        means = "".join(f"{value:10.3f}" for value in np.mean(rows, axis=0))
        print(f"noise {noise:<18g}{means}")


def roll_correlations(noise, seed, n_samples=1500):
    X, angle = make_swiss_roll(n_samples, noise=noise, random_state=seed)
    arc = 0.5 * (angle * np.sqrt(1 + angle**2) + np.arcsinh(angle))
    true = pdist(np.column_stack([arc, X[:, 1]]))
    geodesic = GenerativeGeodesicDistance(n_graph_neighbors=8).fit(X)
    return [
        spearmanr(squareform(D, checks=False), true).statistic
        for _, D in geodesic.lam_path(LAMS)
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two sets, one seed")
    quick = parser.parse_args().quick
    warnings.simplefilter("ignore")
    likelihood_table(["moons", "iris"] if quick else list(data_sets()))
    roll_table([0] if quick else [0, 1, 2])


if __name__ == "__main__":
    main()
