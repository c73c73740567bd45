"""What `speed.py` measures: ours and the peers', on the same samples.

A job takes samples, or a graph of them, and gives a function without arguments, which
does the work; what is set up before is not measured. Each loads what it needs, so that
no process loads the peers of another.
"""

import time

import numpy as np

N_NEIGHBORS = 15
N_CLUSTERS = 8
BANDWIDTH = 0.5
N_NEW = 1000
# All pairs of so many samples; of more, the distances from some of them.
MOST_PAIRS, N_SOURCES = 5000, 1000
MOST_CENTERS = 5000
LAMS = tuple(np.geomspace(0.01, 10, 10))
MILLISECOND = 1e-3


def mixture():
    from sklearn.mixture import GaussianMixture

    return GaussianMixture(10, random_state=0)


# Estimators


def geodesic(X, density=None):
    from skgengeo import GenerativeGeodesicDistance

    return lambda: GenerativeGeodesicDistance(density).fit_transform(X)


def geodesic_mixture(X):
    return geodesic(X, mixture())


def geodesic_mds(X):
    from skgengeo import GeodesicMDS

    return lambda: GeodesicMDS().fit(X)


def geodesic_clusters(X):
    from skgengeo import GeodesicSpectralClustering

    return lambda: GeodesicSpectralClustering(N_CLUSTERS, random_state=0).fit(X)


def isomap(X):
    from sklearn.manifold import Isomap

    return lambda: Isomap(n_neighbors=N_NEIGHBORS).fit(X)


def fermat(X):
    """It takes Euclidean distances, and counts a sample among its own neighbours."""
    from fermat import Fermat
    from sklearn.metrics import euclidean_distances

    model = Fermat(alpha=2, path_method="D", k=N_NEIGHBORS + 1)
    return lambda: model.fit(euclidean_distances(X)).get_distances()


def spectral_clusters(X):
    from sklearn.cluster import SpectralClustering

    return lambda: SpectralClustering(
        N_CLUSTERS, affinity="nearest_neighbors", random_state=0
    ).fit(X)


# New points, which are the last of the samples; the others have been fitted


def geodesic_new_points(X):
    from skgengeo import GenerativeGeodesicDistance

    return transform_of_last(GenerativeGeodesicDistance(), X)


def isomap_new_points(X):
    from sklearn.manifold import Isomap

    return transform_of_last(Isomap(n_neighbors=N_NEIGHBORS), X)


def transform_of_last(model, X):
    model.fit(X[:-N_NEW])
    return lambda: model.transform(X[-N_NEW:])


OF_NEW_POINTS = (geodesic_new_points, isomap_new_points)


# Sums of kernels about the first samples, at all of them


def kernel_density(X):
    from sklearn.neighbors import KernelDensity

    kernels = KernelDensity(bandwidth=BANDWIDTH, rtol=0.0, atol=0.0)
    return kernels.fit(X[:MOST_CENTERS])


def own_kernels(X, n_jobs=None):
    from skgengeo.density import log_density

    density = kernel_density(X)
    return lambda: log_density(density, X, n_jobs=n_jobs)


def own_kernels_in_two(X):
    return own_kernels(X, n_jobs=2)


def sklearn_kernels(X):
    density = kernel_density(X)
    return lambda: density.score_samples(X)


def kernels_error(X):
    """The largest difference, relative to 1 or to log p, with one thread or two."""
    theirs, found = sklearn_kernels(X)(), (own_kernels(X)(), own_kernels_in_two(X)())
    return float(np.max(np.abs(found - theirs) / np.maximum(1.0, np.abs(theirs))))


# Shortest paths: these take a graph instead of samples


def sources_of(graph):
    n = graph.shape[0]
    return np.arange(n if n <= MOST_PAIRS else N_SOURCES)


def own_paths(graph, n_jobs=None):
    from skgengeo.geometry._shortest_paths import Seeds, distances_from

    seeds = Seeds.at(sources_of(graph))
    return lambda: distances_from(graph, seeds, n_jobs=n_jobs)


def own_paths_in_two(graph):
    return own_paths(graph, n_jobs=2)


def scipy_paths(graph):
    from scipy.sparse.csgraph import dijkstra

    sources = sources_of(graph)
    return lambda: dijkstra(graph, indices=sources)


def networkit_paths(graph):
    """Of all pairs, whatever the number of sources."""
    import networkit

    pairs = graph.tocoo()
    once = pairs.row < pairs.col
    edges = pairs.data[once], (pairs.row[once], pairs.col[once])
    networkit.setNumberOfThreads(1)
    own = networkit.GraphFromCoo(edges, n=graph.shape[0], weighted=True)
    return lambda: networkit.distance.APSP(own).run().getDistances(asarray=True)


def paths_error(graph):
    """The largest relative difference from SciPy, with one thread or two."""
    return difference_of_paths(graph, scipy_paths(graph)())


def networkit_error(graph):
    """The same from networkit."""
    return difference_of_paths(graph, networkit_paths(graph)())


def difference_of_paths(graph, theirs):
    return max(
        relative_difference(own_paths(graph, n_jobs)(), theirs) for n_jobs in (1, 2)
    )


def relative_difference(own, theirs):
    """The largest between distances."""
    same = own == theirs  # zeros and infinities among them
    off = np.abs(own - theirs)[~same] / theirs[~same]
    return float(np.max(off, initial=0.0))


OF_GRAPHS = (
    own_paths,
    own_paths_in_two,
    scipy_paths,
    networkit_paths,
    paths_error,
    networkit_error,
)


def geodesic_graph(X):
    """The graph of all these jobs."""
    from skgengeo import GenerativeGeodesicDistance

    model = GenerativeGeodesicDistance(
        mixture(), n_graph_neighbors=N_NEIGHBORS, random_state=0
    )
    return model.fit(X).graph_.weights


# Several λ


class SlowDensity:
    """Takes a millisecond for each point."""

    def __init__(self, density):
        self.density = density

    def score_samples(self, X):
        time.sleep(MILLISECOND * len(X))
        return self.density.score_samples(X)


def sweep(density, X, lams):
    """Distances for each λ, as the guide recommends it."""
    from skgengeo import GenerativeGeodesicDistance

    model = GenerativeGeodesicDistance(density, lam=lams[0]).fit(X)
    for _, distances in model.lam_path(lams):
        del distances


def one_lam(X):
    return geodesic(X, mixture().fit(X))


def ten_lams(X):
    density = mixture().fit(X)
    return lambda: sweep(density, X, LAMS)


def one_lam_slow(X):
    return geodesic(X, SlowDensity(mixture().fit(X)))


def ten_lams_slow(X):
    density = SlowDensity(mixture().fit(X))
    return lambda: sweep(density, X, LAMS)
