"""How many density evaluations an edge costs, and how accurate its cost is.

The reference is Simpson's rule on 257 nodes, on 2,000 edges drawn at random.
`GeodesicGraph`, refined jointly for λ of 1, 0.1 and 0.01 to ``quad_tol=1e-3``, stands
beside the composite trapezoid and Gauss-Legendre rules of the smallest number of nodes
that brings 99.5 % of the edges within the same tolerance. Vertices are evaluated once
for all rules that use them.

    python benchmarks/quadrature.py [--quick]

It fails where a figure is missed: 99.5 % of the edges within tolerance at each λ, and
at most 4 evaluations an edge (moons, swiss roll) or 6 (digits). The bandwidth of the
kernel densities is Scott's; of digits also the one of the best held-out likelihood,
whose narrow kernels leave a crease between any two images: that row has no limit.
"""

import argparse
import sys
import warnings

import numpy as np
from scipy.integrate import simpson
from scipy.integrate import trapezoid as trapezoid_rule
from sklearn.datasets import load_digits, make_moons, make_swiss_roll
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity

from skgengeo.geometry import GeodesicGraph

TOL = 1e-3
SHARE = 0.995
LAMS = (1.0, 0.1, 0.01)
N_REFERENCE = 257
N_EDGES = 2000
PANELS = (1, 2, 4, 8, 16, 32, 64, 128)
GAUSS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32)


def scott(X):
    """Gaussian kernels of the bandwidth of Scott's rule."""
    n, d = X.shape
    return KernelDensity(bandwidth=X.std(axis=0).mean() * n ** (-1 / (d + 4))).fit(X)


def held_out(X):
    """Gaussian kernels of the bandwidth of the best held-out likelihood."""
    scale = X.std(axis=0).mean()
    bandwidths = {"bandwidth": scale * np.geomspace(0.1, 1.0, 20)}
    return GridSearchCV(KernelDensity(), bandwidths).fit(X).best_estimator_


def mixture(n_components):
    """A fit of Gaussians with full covariances."""
    return GaussianMixture(n_components, random_state=0).fit


def data_sets(quick):
    """Name, points, fit of a density, evaluations an edge to stay below."""
    n = 300 if quick else 1500
    moons, _ = make_moons(n, noise=0.08, random_state=0)
    roll, _ = make_swiss_roll(n, noise=0.5, random_state=0)
    digits = PCA(10, random_state=0).fit_transform(load_digits().data)[:n]
    return [
        ("moons / KDE", moons, scott, 4),
        ("swiss roll / GMM(40)", roll, mixture(40), 4),
        ("digits PCA10 / GMM(20)", digits, mixture(20), 6),
        ("digits PCA10 / KDE", digits, scott, 6),
        ("digits PCA10 / held-out KDE", digits, held_out, np.inf),
    ]


def costs(log_ratio, lam):
    return (1 + lam) / (np.exp(log_ratio) + lam)


class Edges:
    """Edges of a graph drawn at random, and log p / p0 along them."""

    def __init__(self, graph, log_density):
        both = graph.weights.tocoo()
        once = np.flatnonzero(both.row < both.col)
        rows = np.random.default_rng(0).permutation(once)[:N_EDGES]
        self.i, self.j = both.row[rows], both.col[rows]
        self.start, self.end = graph.X[self.i], graph.X[self.j]
        self.length = np.linalg.norm(self.end - self.start, axis=1)
        self.log_density = log_density
        self.log_p0 = np.median(log_density(graph.X))
        self.per_edge = len(graph.X) / graph.n_edges
        self.log_ratio = self.along(np.linspace(0, 1, N_REFERENCE))
        self.reference = {
            lam: simpson(costs(self.log_ratio, lam), dx=1 / (N_REFERENCE - 1), axis=1)
            for lam in LAMS
        }

    def along(self, positions):
        """log p / p0 of every edge at the same positions."""
        columns = [
            self.log_density((1 - t) * self.start + t * self.end) for t in positions
        ]
        return np.column_stack(columns) - self.log_p0

    def shares(self, mean_cost):
        """Share of the edges within tolerance, and the 99th percentile, at each λ."""
        errors = [
            np.abs(mean_cost(lam) / reference - 1)
            for lam, reference in self.reference.items()
        ]
        within = [np.mean(error <= TOL) for error in errors]
        return within, [np.quantile(error, 0.99) for error in errors]


def trapezoid(edges, n_panels):
    """Mean cost at λ, and evaluations an edge, vertices counted once."""
    log_ratio = edges.log_ratio[:, :: (N_REFERENCE - 1) // n_panels]

    def mean_cost(lam):
        return trapezoid_rule(costs(log_ratio, lam), dx=1 / n_panels, axis=1)

    return mean_cost, edges.per_edge + n_panels - 1


def gauss_legendre(edges, n_nodes):
    """As `trapezoid`; no vertex is a node."""
    position, weight = np.polynomial.legendre.leggauss(n_nodes)
    log_ratio = edges.along((position + 1) / 2)
    return lambda lam: costs(log_ratio, lam) @ (weight / 2), n_nodes


def adaptive(edges, graph):
    """The package's own, as in the tables above."""

    def mean_cost(lam):
        weights = graph.with_metric(lam=lam, p0="auto").weights
        return weights[edges.i, edges.j] / edges.length

    return mean_cost, graph.n_evaluations / graph.n_edges


def cheapest(rule, sizes, edges):
    """The first size that brings enough edges within tolerance."""
    for size in sizes:
        mean_cost, n_evaluations = rule(edges, size)
        within, tail = edges.shares(mean_cost)
        if min(within) >= SHARE:
            break
    return within, tail, n_evaluations


def print_row(label, within, tail, n_evaluations):
    cells = "".join(
        f"{share:10.2%}{error:10.1e}" for share, error in zip(within, tail, strict=True)
    )
    mark = " " if min(within) >= SHARE else ">"
    print(f"  {label:22s}{mark}{n_evaluations:8.2f}{cells}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="300 points each")
    quick = parser.parse_args().quick
    warnings.filterwarnings("ignore", "The graph has .* connected components")
    print("Per λ: edges within 1e-3, and the 99th percentile of the relative error.")
    header = "".join(f"{'λ=' + format(lam, 'g'):>10s}{'p99':>10s}" for lam in LAMS)
    missed = []
    for name, X, fit, most in data_sets(quick):
        density = fit(X)
        graph = GeodesicGraph.from_points(X, density.score_samples, lam=1.0)
        edges = Edges(graph, density.score_samples)
        print(f"{name}: {len(X)} points, {graph.n_edges} edges")
        print(f"  {'':22s}{'an edge':>9s}{header}")
        mean_cost, n_evaluations = adaptive(edges, graph)
        within, tail = edges.shares(mean_cost)
        print_row("skgengeo", within, tail, n_evaluations)
        print_row("trapezoid", *cheapest(trapezoid, PANELS, edges))
        print_row("Gauss-Legendre", *cheapest(gauss_legendre, GAUSS, edges))
        print_row("trapezoid, 1 panel", *cheapest(trapezoid, PANELS[:1], edges))
        print_row("trapezoid, 4 panels", *cheapest(trapezoid, PANELS[2:3], edges))
        print_row("Gauss-Legendre, 4", *cheapest(gauss_legendre, GAUSS[3:4], edges))
        if min(within) < SHARE or n_evaluations > most:
            missed.append(f"{name}: {n_evaluations:.2f} of at most {most}, {within}")
    if missed:
        sys.exit("\n".join(["Missed:", *missed]))


if __name__ == "__main__":
    main()
