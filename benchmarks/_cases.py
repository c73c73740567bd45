"""Which jobs `speed.py` measures, at which sizes, and all that is promised of them."""

from typing import NamedTuple

FEW, LARGE, MANY = 250, 5000, 20_000
SIZES = (1250, 2500, LARGE)
D_OF_GRAPHS = (3, 20)
MODULES = ("skgengeo", "sklearn.manifold")
PEERS = {
    "isomap": "Isomap.fit",
    "isomap_new_points": "Isomap.transform",
    "fermat": "fermat",
    "spectral_clusters": "SpectralClustering",
    "sklearn_kernels": "KernelDensity",
    "scipy_paths": "scipy dijkstra",
    "networkit_paths": "networkit APSP",
}


class Case(NamedTuple):
    """One job of `_jobs.py` on samples of one size."""

    name: str
    n_samples: int
    n_features: int


class Row(NamedTuple):
    """Ours beside a peer; with a promise, how many times as fast it is at least."""

    task: str
    n_features: int
    ours: str
    peer: str
    sizes: tuple = SIZES
    promised: float | None = None

    def pair(self, n):
        return Case(self.ours, n, self.n_features), Case(self.peer, n, self.n_features)


class Sweep(NamedTuple):
    """One λ and ten, and how many times the time of one is promised at most."""

    density: str
    one: Case
    ten: Case
    promised: float


class Check(NamedTuple):
    """What is compared, and how much results may differ."""

    what: str
    case: Case
    promised: float


ONE, TWO = "own_paths", "own_paths_in_two"
ROWS = [
    Row("distances", 3, "geodesic", "isomap", promised=2),
    Row("distances", 3, "geodesic", "fermat"),
    Row("distances, mixture", 3, "geodesic_mixture", "isomap"),
    Row("distances", 10, "geodesic", "isomap"),
    Row("distances", 30, "geodesic", "isomap"),
    Row("new points", 3, "geodesic_new_points", "isomap_new_points"),
    Row("MDS", 3, "geodesic_mds", "isomap"),
    Row("clusters", 3, "geodesic_clusters", "spectral_clusters"),
    Row("kernels", 3, "own_kernels", "sklearn_kernels"),
    Row("kernels, n_jobs=2", 3, "own_kernels_in_two", "sklearn_kernels", (MANY,), 8),
    Row("all pairs", 3, ONE, "networkit_paths"),
]
for d in D_OF_GRAPHS:
    ROWS += [
        Row("all pairs", d, ONE, "scipy_paths", promised=4),
        Row("all pairs, n_jobs=2", d, TWO, "scipy_paths", (LARGE,), 8),
        Row("1,000 sources", d, ONE, "scipy_paths", (MANY,), 4),
        Row("1,000 sources, n_jobs=2", d, TWO, "scipy_paths", (MANY,), 8),
    ]
SWEEPS = [
    Sweep("fitted mixture", Case("one_lam", LARGE, 3), Case("ten_lams", LARGE, 3), 3.5),
    Sweep(
        "density of 1 ms a point",
        Case("one_lam_slow", FEW, 3),
        Case("ten_lams_slow", FEW, 3),
        1.3,
    ),
]
CHECKS = [
    Check("kernels, ours and KernelDensity's", Case("kernels_error", MANY, 3), 1e-10),
    Check(
        "shortest paths, ours and networkit's",
        Case("networkit_error", SIZES[0], 3),
        1e-12,
    ),
    *(
        Check("shortest paths, ours and SciPy's", Case("paths_error", n, d), 1e-12)
        for n in (LARGE, MANY)
        for d in D_OF_GRAPHS
    ),
]
# At most: peak memory as a multiple of the result's size, the time of our import as a
# multiple of that of scikit-learn's, and seconds that the first call takes longer.
MOST_MEMORY, MOST_IMPORT, MOST_FIRST_CALL = 1.5, 1.5, 1.0
# At most: seconds from an interrupt to the end of the process, and the difference of
# distances by a cache that interrupts have left.
MOST_SECONDS_TO_END, MOST_DIFFERENCE_OF_CACHE = 2.0, 1e-12
# Counts, the least and the most: evaluations an edge, and passes over the edges for a
# row of searches.
EVALUATIONS_AN_EDGE, PASSES = (1.0, 4.0), (1.0, 6.0)
