"""What the defaults of GeodesicSpectralClustering are worth: one departure at a time.

With --together, density, λ, graph and affinity depart at the same time. Mean adjusted
Rand indices over each battery and over all sets, by the protocol of `_batteries.py`,
beside this file. A fit that raises counts 0 and is shown.

    python benchmarks/clustering_choices.py FOLDER [--together] [--batteries ...]
        [--rst FILE]
"""

import argparse
import math
import tempfile
import warnings
from itertools import product
from pathlib import Path

import numpy as np
from _batteries import add_batteries, check_batteries, labelled_sets, score_or_error
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity
from threadpoolctl import threadpool_limits

from skgengeo import GeodesicSpectralClustering
from skgengeo.density import ManifoldParzenWindows, TemperedDensity

MOST_COMPONENTS = 20
DEFAULT = {}


def lowest_bic(X):
    """The mixture whose number of components the data choose, fitted."""
    mixtures = [
        GaussianMixture(m, random_state=0).fit(X) for m in range(1, MOST_COMPONENTS + 1)
    ]
    return min(mixtures, key=lambda mixture: mixture.bic(X))


def values_of(name, values, default):
    """Rows for the values of a parameter."""
    return {
        f"``{value!r}``": DEFAULT if value == default else {name: value}
        for value in values
    }


def densities(X):
    windows = ManifoldParzenWindows()
    kernel, mixture = KernelDensity(bandwidth="scott"), lowest_bic(X)
    return {
        "Manifold Parzen windows, tempered": DEFAULT,
        "Manifold Parzen windows": {"density": windows},
        "Kernel, Scott's bandwidth, tempered": {"density": TemperedDensity(kernel)},
        "Kernel, Scott's bandwidth": {"density": kernel},
        "Mixture of lowest BIC, tempered": {"density": TemperedDensity(mixture)},
        "Mixture of lowest BIC": {"density": mixture},
    }


def windows(**parameters):
    return {"density": TemperedDensity(ManifoldParzenWindows(**parameters))}


def kernels_of_windows():
    return {
        "``covariance_scale=1``": windows(covariance_scale=1.0),
        "``outlier_exponent=0``": windows(outlier_exponent=0),
    }


def temperatures(n_features):
    return {
        "``1``": {"density": TemperedDensity(temperature=1.0)},
        "``'auto'``": DEFAULT,
        "d": {"density": TemperedDensity(temperature=float(n_features))},
    }


def graphs(n_samples):
    n_neighbors = math.ceil(math.log2(n_samples))
    return {
        "half of it": {"n_graph_neighbors": round(0.5 * n_neighbors)},
        "ceil(log2 n)": DEFAULT,
        "1.5 times": {"n_graph_neighbors": round(1.5 * n_neighbors)},
        "twice": {"n_graph_neighbors": 2 * n_neighbors},
    }


def choices(X):
    """What is chosen, and its value -> the parameters that depart from the defaults."""
    assignments = ["cluster_qr", "kmeans", "discretize"]
    groups = {
        "density": densities(X),
        "windows": kernels_of_windows(),
        "temperature": temperatures(X.shape[1]),
        "lam": values_of("lam", [np.inf, 1.0, 0.3, 0.1, 0.05, 0.02, 0.01], 0.05),
        "n_graph_neighbors": graphs(len(X)),
        "n_scale_neighbors": values_of(
            "n_scale_neighbors", [7, 10, 20, 30, "auto", 40, 60], "auto"
        ),
        "affinity": values_of("affinity", ["local_scaling", "rbf"], "local_scaling"),
        "n_neighbors": values_of("n_neighbors", ["auto", 100, 200, None], "auto"),
        "assign_labels": values_of("assign_labels", assignments, "cluster_qr"),
    }
    return {
        f"``{group}``: {label}" + ", default" * (parameters is DEFAULT): parameters
        for group, rows in groups.items()
        for label, parameters in rows.items()
    }


def combinations(X):
    """Values of density, λ, graph and affinity -> parameters."""
    names = "Manifold Parzen windows", "Mixture of lowest BIC"
    some = {
        name: parameters
        for name, parameters in densities(X).items()
        if name.removesuffix(", tempered") in names
    }
    lams, affinities = (1.0, 0.05, 0.01), ("local_scaling", "rbf")
    times = {k: graphs(len(X))[k] for k in ("ceil(log2 n)", "twice")}
    return {
        f"{density}; λ = {lam:g}; k {k}; {affinity}": {
            **some[density],
            **times[k],
            "lam": lam,
            "affinity": affinity,
        }
        for density, lam, k, affinity in product(some, lams, times, affinities)
    }


def clusterer_of(parameters, memory):
    """What graphs and densities share is computed once."""
    return lambda n_clusters: GeodesicSpectralClustering(
        n_clusters, memory=memory, random_state=0, **parameters
    )


def score_choices(X, references, choices):
    """Score and error of every choice."""
    with tempfile.TemporaryDirectory() as memory:
        default = score_or_error(clusterer_of(DEFAULT, memory), X, references)
        return {
            choice: default
            if parameters is DEFAULT
            else score_or_error(clusterer_of(parameters, memory), X, references)
            for choice, parameters in choices(X).items()
        }


def score_sets(sets, choices):
    """Battery -> choice -> scores, and what went wrong."""
    scores, notes = {}, []
    for battery, name, X, references in sets:
        found = score_choices(X, references, choices)
        print(f"  {battery}/{name} {X.shape}", flush=True)
        for choice, (score, error) in found.items():
            scores.setdefault(battery, {}).setdefault(choice, []).append(score)
            if error:
                notes.append(f"{battery}/{name}, {choice}: {error}")
    return scores, notes


def table_of_means(scores):
    """Rows of cells, the first of which are the header."""
    rows = [["", *scores, "all"]]
    for choice in next(iter(scores.values())):
        of_choice = [of_battery[choice] for of_battery in scores.values()]
        means = [np.mean(some) for some in (*of_choice, np.concatenate(of_choice))]
        rows.append([choice, *(f"{mean:.3f}" for mean in means)])
    return rows


def as_text(rows):
    return "\n".join(
        f"{title:62s}" + "".join(f"{cell:>8s}" for cell in cells)
        for title, *cells in rows
    )


def as_rst(rows):
    widths = " ".join(["60", *["10"] * (len(rows[0]) - 1)])
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", ""]
    for title, *cells in rows:
        lines += [f"   * - {title}".rstrip(), *(f"     - {cell}" for cell in cells)]
    return "\n".join(lines) + "\n"


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="of the batteries")
    add_batteries(parser)
    parser.add_argument("--together", action="store_true", help="combine choices")
    parser.add_argument("--rst", type=Path, help="write the table there, too")
    options = parser.parse_args()
    check_batteries(parser, options)
    return options


def main():
    options = parsed()
    warnings.simplefilter("ignore")
    sets = labelled_sets(options.folder, options.batteries, options.max_samples)
    with threadpool_limits(1):
        scores, notes = score_sets(sets, combinations if options.together else choices)
    rows = table_of_means(scores)
    print("\n".join([as_text(rows), *notes]))
    if options.rst:
        options.rst.write_text(as_rst(rows))


if __name__ == "__main__":
    main()
