"""Which jobs `speed.py` measures, at which sizes, and what is promised of them."""

from typing import NamedTuple

FEW, LARGE, MANY = 250, 5000, 20_000
SIZES = (1250, 2500, LARGE)
D_OF_GRAPHS = (3, 20)
D_OF_INTERRUPTS = (3, 10)
MODULES = ("skgengeo", "sklearn.manifold")
PEERS = {
    "isomap": "Isomap.fit",
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


ONE, TWO = "own_paths", "own_paths_in_two"
ROWS = [
    Row("distances", 3, "geodesic", "isomap", promised=2),
    Row("distances", 3, "geodesic", "fermat"),
    Row("distances, mixture", 3, "geodesic_mixture", "isomap"),
    Row("distances", 10, "geodesic", "isomap"),
    Row("MDS", 3, "geodesic_mds", "isomap"),
    Row("clusters", 3, "geodesic_clusters", "spectral_clusters"),
    Row("kernels", 3, "own_kernels", "sklearn_kernels"),
    Row("kernels, n_jobs=2", 3, "own_kernels_in_two", "sklearn_kernels", (LARGE,), 8),
    Row("all pairs", 3, ONE, "networkit_paths"),
]
for d in D_OF_GRAPHS:
    ROWS += [
        Row("all pairs", d, ONE, "scipy_paths", promised=4),
        Row("all pairs, n_jobs=2", d, TWO, "scipy_paths", (LARGE,), 8),
        Row("1,000 sources", d, ONE, "scipy_paths", (MANY,), 4),
        Row("1,000 sources, n_jobs=2", d, TWO, "scipy_paths", (MANY,), 8),
    ]
LAM_CASES = {
    "cheap": (Case("one_lam", LARGE, 3), Case("ten_lams", LARGE, 3)),
    "slow": (Case("one_lam_slow", FEW, 3), Case("ten_lams_slow", FEW, 3)),
}
# What is compared, and how much results may differ.
CHECKS = {
    Case("kernels_error", LARGE, 3): ("kernels, ours and KernelDensity's", 1e-10),
    **{
        Case("paths_error", n, d): ("shortest paths, ours and SciPy's", 1e-12)
        for n in (LARGE, MANY)
        for d in D_OF_GRAPHS
    },
}
