"""Which temperature makes log densities of many features fit for geodesics.

Rules for the temperature T of `TemperedDensity`, for several densities of data of 2 to
784 features:

raw     1: the log density as it is
±700    what brings log p, at samples and between neighbours, within 700 of each other
d       the number of features: at λ = 0 the cost is p ** (-1 / d)
d/2     half of it: at λ = 0 the cost is p ** (-2 / d)
spread  that of log p over the samples, by the median absolute deviation; at least 3
bend    the median |log p| in the middle between neighbours, less that of its two ends;
        at least 3
auto    the largest of the last three: the rule of the package

For each: T; the share of saturated edges; quantiles (5, 50, 95 %) of the logarithm of
the mean cost along an edge, which is between -∞ and log((1 + λ) / λ), and 0 where all
is Euclidean; and the accuracy of the nearest of 3 labelled samples a class, over
`N_SPLITS` draws, beside that of λ = ∞ (Isomap's distances).

The 784 features are digits of 8 x 8 pixels enlarged to 28 x 28 with noise in each
pixel, and a multivariate t of 20 factors, which has no classes.

    python benchmarks/temperature.py [--quick] [--n-samples N]
"""

import argparse
import warnings

import numpy as np
from scipy.ndimage import zoom
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_moons
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity
from sklearn.preprocessing import StandardScaler

from skgengeo import GenerativeGeodesicDistance
from skgengeo.density import ManifoldParzenWindows, TemperedDensity, log_density
from skgengeo.density._tempered import LEAST_TEMPERATURE, middle_neighbors

LAMS = (0.05, 1.0)
N_LABELLED, N_SPLITS = 3, 20
BANDWIDTHS = np.geomspace(0.03, 1.5, 10)


def data_sets(n_samples):
    """Samples and classes, None where there are none."""
    rng = np.random.default_rng(0)
    digits, labels = some(n_samples, *load_digits(return_X_y=True))
    scale = StandardScaler().fit_transform
    wine, cancer = load_wine(return_X_y=True), load_breast_cancer(return_X_y=True)
    ten = PCA(10, random_state=0).fit_transform(digits)
    enlarged = zoom(digits.reshape(-1, 8, 8), (1, 3.5, 3.5), order=1)
    pixels = enlarged.reshape(len(digits), -1) + rng.normal(size=(len(digits), 784))
    factors = rng.normal(size=(n_samples, 20)) @ rng.normal(size=(20, 784))
    tails = np.sqrt(5 / rng.chisquare(5, size=(n_samples, 1)))
    heavy = tails * (factors + 2 * rng.normal(size=(n_samples, 784)))
    return {
        "moons": make_moons(n_samples, noise=0.08, random_state=0),
        "digits, PCA 10": (pooled(ten), labels),
        "wine": some(n_samples, scale(wine[0]), wine[1]),
        "breast cancer": some(n_samples, scale(cancer[0]), cancer[1]),
        "digits": (pooled(digits), labels),
        "digits, 28 x 28": (pooled(pixels), labels),
        "t of 20 factors": (pooled(heavy), None),
    }


def some(n_samples, X, y):
    rows = np.random.default_rng(1).permutation(len(X))[:n_samples]
    return X[rows], y[rows]


def pooled(X):
    """Centred, and divided by one scale."""
    return (X - X.mean(axis=0)) / X.std()


def densities(X):
    """Those that can be fitted to so many features, by name."""
    n_samples, d = X.shape
    bandwidths = {"bandwidth": X.std() * BANDWIDTHS}
    scott = X.std() * n_samples ** (-1 / (d + 4))
    found = {
        "kernel, Scott": KernelDensity(bandwidth=scott),
        "kernel, likelihood": GridSearchCV(KernelDensity(), bandwidths, cv=3),
    }
    if d < 100:
        found["windows"] = ManifoldParzenWindows()
        found["mixture"] = GaussianMixture(10, reg_covar=1e-3, random_state=0)
    if d > 2:
        found["PCA"] = PCA(min(d // 2, 20), random_state=0)
        found["factors"] = FactorAnalysis(min(d // 2, 20))
    return found


def rules(density, X):
    """Temperature by the name of its rule."""
    log_p = log_density(density, X)
    beside = middle_neighbors(X, np.arange(len(X)))
    middle = log_density(density, (X + X[beside]) / 2)
    bend = np.median(abs(middle - (log_p + log_p[beside]) / 2))
    spread = 1.4826 * np.median(abs(log_p - np.median(log_p)))
    return {
        "raw": 1.0,
        "±700": max(1.0, np.ptp(np.r_[log_p, middle]) / 700),
        "d": float(X.shape[1]),
        "d/2": X.shape[1] / 2,
        "spread": max(LEAST_TEMPERATURE, spread),
        "bend": max(LEAST_TEMPERATURE, bend),
        "auto": TemperedDensity(density).fit(X).temperature_,
    }


def accuracy(distances, y):
    """Of the class of the nearest labelled sample."""
    scores = []
    for seed in range(N_SPLITS):
        order = np.random.default_rng(seed).permutation(len(y))
        chosen = [order[y[order] == label][:N_LABELLED] for label in np.unique(y)]
        labelled = np.concatenate(chosen)
        rest = np.setdiff1d(order, labelled)
        nearest = distances[np.ix_(rest, labelled)].argmin(axis=1)
        scores.append(np.mean(y[labelled][nearest] == y[rest]))
    return np.mean(scores)


def figures(graph, y):
    """Saturated share, quantiles of log mean cost, accuracy."""
    mean_cost = graph.weights.data / graph.with_metric(lam=np.inf).weights.data
    low, median, high = np.quantile(np.log(mean_cost), [0.05, 0.5, 0.95])
    score = "" if y is None else f"{accuracy(graph.distances(), y):6.3f}"
    return f"{graph.saturated_share:5.2f} {low:7.2f}{median:6.2f}{high:6.2f} {score:6s}"


def report(name, X, y):
    isomap = None
    for density_name, density in densities(X).items():
        fitted = density.fit(X)
        for rule, temperature in rules(fitted, X).items():
            tempered = TemperedDensity(fitted, temperature=temperature)
            graph = GenerativeGeodesicDistance(tempered).fit(X).graph_
            if isomap is None:
                flat = graph.with_metric(lam=np.inf).distances()
                isomap = "none" if y is None else f"{accuracy(flat, y):.3f}"
                print(f"\n{name} {X.shape}, accuracy at λ = ∞: {isomap}")
            of_lams = [figures(graph.with_metric(lam=lam), y) for lam in LAMS]
            print(f"{density_name:20s}{rule:8s}{temperature:8.3g}  ", end="")
            print("  | ".join(of_lams), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one set, 150 samples")
    parser.add_argument("--n-samples", type=int, default=300, help="of each set")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    sets = data_sets(150 if options.quick else options.n_samples)
    print("density, rule, T; then for λ =", *LAMS, "each:")
    print("saturated share; log cost at 5, 50, 95 %; accuracy")
    for name in ["digits, PCA 10"] if options.quick else sets:
        report(name, *sets[name])


if __name__ == "__main__":
    main()
