"""Batteries of labelled data sets, and the score of a clusterer on a set.

The batteries are a folder in the layout of M. Gagolewski's "Benchmark Suite for
Clustering Algorithms", whose authors give it away (DOI 10.5281/zenodo.7088171):
FOLDER/battery/name.data.gz, with one or more reference labellings beside it,
name.labels0.gz, name.labels1.gz and so on.

Scores are adjusted Rand indices, by the protocol of the suite (M. Gagolewski, "A
framework for benchmarking clustering algorithms", SoftwareX 20, 2022). Constant columns
are dropped, the others centred, and all divided by one standard deviation. A clusterer
is given the number of clusters of each reference and compared with the references of
that number; the best of these is its score. Samples that a reference labels 0 are noise
and are not scored, but they are clustered. A clusterer that raises scores 0.
"""

import numpy as np
from sklearn.metrics import adjusted_rand_score


def names_of_batteries(root):
    return sorted({path.parent.name for path in root.glob("*/*.labels0.gz")})


def names_of_sets(battery):
    suffix = ".labels0.gz"
    return sorted(p.name.removesuffix(suffix) for p in battery.glob(f"*{suffix}"))


def read_references(battery, name):
    paths = sorted(battery.glob(f"{name}.labels*.gz"))
    return [np.loadtxt(path, dtype=int) for path in paths]


def read_samples(battery, name):
    """Without constant columns, centred, and all columns divided by the same."""
    X = np.loadtxt(battery / f"{name}.data.gz", ndmin=2)
    X = X[:, X.var(axis=0) > 0]
    return (X - X.mean(axis=0)) / X.std(ddof=1)


def adjusted_rand(reference, labels):
    """0 is noise."""
    scored = reference > 0
    return adjusted_rand_score(reference[scored], labels[scored])


def best_score(make, X, references):
    """Over the references, each compared with the clusters of its own number."""
    labels = {k: make(k).fit_predict(X) for k in {max(r) for r in references}}
    return max(adjusted_rand(r, labels[max(r)]) for r in references)


def score_or_error(make, X, references):
    """Best score, and what the clusterer raised, in words."""
    try:
        return best_score(make, X, references), None
    except Exception as error:
        return 0.0, f"{type(error).__name__}: {error}"


def add_batteries(parser):
    """Arguments that say which sets."""
    parser.add_argument("--batteries", nargs="+", help="all of the folder if not given")
    parser.add_argument(
        "--max-samples", type=int, default=10_000, help="larger sets are left out"
    )


def check_batteries(parser, options):
    """Those asked for, which must be in the folder."""
    found = names_of_batteries(options.folder)
    options.batteries = options.batteries or found
    unknown = set(options.batteries) - set(found)
    if unknown or not found:
        parser.error(f"no battery {sorted(unknown)}; {options.folder} has {found}")


def labelled_sets(root, batteries, max_samples):
    """Battery, name, samples and references of each set that is not too large."""
    for battery in batteries:
        for name in names_of_sets(root / battery):
            references = read_references(root / battery, name)
            n_samples = len(references[0])
            if n_samples <= max_samples:
                yield battery, name, read_samples(root / battery, name), references
            else:
                print(f"{battery}/{name} left out: {n_samples:,} samples")
