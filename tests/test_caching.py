from pathlib import Path

import joblib
import numpy as np
import pytest

from skgengeo._caching import cached, memory_if_hashable, node_values
from skgengeo.geometry._quadrature import node_names

from ._densities import normal_log_density

X = np.arange(6.0).reshape(3, 2)
calls = []


def stage(log_density, points, n_jobs=None):
    calls.append(n_jobs)
    return log_density(points)


@pytest.fixture(autouse=True)
def _no_calls():
    calls.clear()


class Unpicklable:
    """Fails with an error of its own, without arguments."""

    def __call__(self, points):
        return normal_log_density(points)

    def __reduce__(self):
        raise RuntimeError


class OwnMemory:
    """No more than scikit-learn asks of a memory, and a location."""

    location = "memory of one's own"

    def __init__(self):
        self.results = {}

    def cache(self, function, ignore):
        def run(*args, **kwargs):
            key = joblib.hash(args)
            if key not in self.results:
                self.results[key] = function(*args, **kwargs)
            return self.results[key]

        return run


# Stages


def cached_stage(memory, density=normal_log_density):
    return cached(memory_if_hashable(memory, density), stage, ignore=["n_jobs"])


@pytest.mark.parametrize("memory", [None, joblib.Memory(None)])
def test_without_a_place_nothing_is_cached(memory):
    assert cached_stage(memory) is stage


@pytest.mark.parametrize("as_memory", [str, joblib.Memory])
def test_a_stage_is_run_once(tmp_path, as_memory):
    found = [cached_stage(as_memory(tmp_path))(normal_log_density, X) for _ in range(3)]
    np.testing.assert_array_equal(found, [normal_log_density(X)] * 3)
    assert len(calls) == 1


def test_a_stage_is_run_once_for_a_memory_of_ones_own():
    memory = OwnMemory()
    for _ in range(3):
        cached_stage(memory)(normal_log_density, X)
    assert len(calls) == 1


def test_what_is_ignored_is_no_part_of_the_key(tmp_path):
    for n_jobs in (1, 2, None):
        cached_stage(str(tmp_path))(normal_log_density, X, n_jobs=n_jobs)
    assert calls == [1]


def test_other_points_are_another_key(tmp_path):
    run = cached_stage(str(tmp_path))
    for points in (X, X + 1e-15, X.astype(np.float32)):
        run(normal_log_density, points)
    assert len(calls) == 3


@pytest.mark.parametrize("density", [lambda x: normal_log_density(x), Unpicklable()])
def test_a_density_that_cannot_be_pickled_is_not_cached(tmp_path, density):
    message = r"memory='.*' cannot cache this density.*top of a module"
    with pytest.warns(UserWarning, match=message):
        run = cached_stage(str(tmp_path), density)
    assert run is stage


# Values at nodes


def truth(nodes):
    return nodes.real - 3 * nodes.imag


def recall(memory, nodes, *depends_on):
    """Values at nodes, and how many of them were evaluated."""
    nodes, n_evaluated = np.asarray(nodes, dtype=complex), 0

    def evaluate(rows):
        nonlocal n_evaluated
        n_evaluated += len(rows)
        return truth(nodes[rows])

    with node_values(memory, *depends_on) as known:
        values = known.recall(nodes, evaluate)
    np.testing.assert_array_equal(values, truth(nodes))
    return n_evaluated


@pytest.fixture
def memory(tmp_path):
    return joblib.Memory(tmp_path, verbose=0)


def files(memory):
    return list(Path(memory.location).rglob("output.pkl"))


NODES = np.array([3, 1 + 0.5j, 1 + 0.25j, 0, 7 + 0.125j])


def test_a_node_is_evaluated_once(memory):
    assert recall(memory, NODES[:3]) == 3
    assert recall(memory, NODES[1:3]) == 0
    assert recall(memory, NODES[::-1]) == 2
    assert recall(memory, NODES) == 0
    assert recall(memory, []) == 0


def test_what_is_not_known_is_evaluated_together_and_in_order(memory):
    # As without a memory, or values that depend on the batch would be others.
    recall(memory, NODES[1:3])
    batches = []
    with node_values(memory) as known:
        known.recall(NODES, lambda rows: batches.append(rows) or truth(NODES[rows]))
    np.testing.assert_array_equal(batches, [[0, 3, 4]])


def test_values_know_what_they_depend_on(memory):
    assert recall(memory, NODES, X, normal_log_density) == len(NODES)
    assert recall(memory, NODES, X + 1e-15, normal_log_density) == len(NODES)
    assert recall(memory, NODES, X, truth) == len(NODES)
    assert recall(memory, NODES, X.copy(), normal_log_density) == 0


def test_points_may_be_read_only(memory, tmp_path):
    recall(memory, NODES, X)
    joblib.dump(X, tmp_path / "X")
    assert recall(memory, NODES, joblib.load(tmp_path / "X", mmap_mode="r")) == 0


def test_values_are_one_file(memory):
    for n in range(1, len(NODES) + 1):
        recall(memory, NODES[:n], X)
    assert len(files(memory)) == 1
    recall(memory, NODES, X + 1)
    assert len(files(memory)) == 2


def test_nothing_new_is_nothing_written(memory):
    recall(memory, NODES)
    (file,) = files(memory)
    written = file.stat().st_mtime_ns
    recall(memory, NODES[:2])
    assert file.stat().st_mtime_ns == written


def test_clearing_the_memory_clears_the_values(memory):
    recall(memory, NODES)
    memory.clear(warn=False)
    assert recall(memory, NODES) == len(NODES)


@pytest.mark.parametrize("options", [{"compress": 9}, {"mmap_mode": "r"}])
def test_options_of_the_memory_hold(tmp_path, options):
    nodes = np.zeros(10_000) + np.arange(10_000)
    plain = joblib.Memory(tmp_path / "plain", verbose=0)
    memory = joblib.Memory(tmp_path / "options", verbose=0, **options)
    for place in (plain, memory):
        assert recall(place, nodes[:5000]) == 5000
        assert recall(place, nodes) == 5000
        assert recall(place, nodes) == 0
    sizes = [files(place)[0].stat().st_size for place in (memory, plain)]
    assert (sizes[0] < 0.7 * sizes[1]) == ("compress" in options)


@pytest.mark.parametrize("memory", [None, OwnMemory()])
def test_without_a_place_no_values_are_known(memory):
    with node_values(memory) as known:
        assert known is None


def test_what_was_evaluated_before_an_error_is_kept(memory):
    def interrupted_fit():
        with node_values(memory) as known:
            known.recall(NODES[:2], lambda rows: truth(NODES[rows]))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted_fit()
    assert recall(memory, NODES) == len(NODES) - 2


def test_values_that_are_no_number_are_evaluated_again(memory):
    for _ in range(2):
        with node_values(memory) as known:
            asked = known.recall(NODES, lambda rows: np.full(len(rows), np.nan))
        assert np.isnan(asked).all()


def damage_length(file):
    file.write_bytes(file.read_bytes()[:-20])


def damage_values(file):
    nodes, values, digest = joblib.load(file)
    joblib.dump((nodes, values + 1, digest), file)


def damage_order(file):
    nodes, values, digest = joblib.load(file)
    joblib.dump((nodes[::-1].copy(), values, digest), file)


def foreign(content):
    def damage(file):
        joblib.dump(content, file)

    return damage


DAMAGES = {
    "empty": lambda file: file.write_bytes(b""),
    "no pickle": lambda file: file.write_text("something else"),
    "no such class": lambda file: file.write_bytes(b"cskgengeo\nNoSuchClass\n."),
    "length": damage_length,
    "values": damage_values,
    "order": damage_order,
    "None": foreign(None),
    "array": foreign(np.zeros((3, 3))),
    "three": foreign(("a", "b", "c")),
    "arrays": foreign((np.zeros(2), np.zeros(2), np.zeros(2))),
    "two": foreign((NODES, NODES.real)),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_or_foreign_file_is_made_again(memory, damage):
    recall(memory, NODES)
    (file,) = files(memory)
    damage(file)
    assert recall(memory, NODES) == len(NODES)
    assert recall(memory, NODES) == 0


def test_looking_for_what_is_not_there_writes_nothing(memory):
    recall(memory, [])
    assert files(memory) == []


def test_what_is_saved_after_a_miss_is_kept(memory, monkeypatch):
    contains = memory.store_backend.contains_item

    def missed_just_before_another_saves(item):
        monkeypatch.undo()
        assert not contains(item)
        recall(joblib.Memory(memory.location, verbose=0), NODES)
        return False

    monkeypatch.setattr(
        memory.store_backend, "contains_item", missed_just_before_another_saves
    )
    recall(memory, [])
    assert recall(memory, NODES) == 0


def test_two_fits_at_a_time_add_up(memory):
    with node_values(memory) as one, node_values(memory) as other:
        for known, nodes in ((one, NODES[:3]), (other, NODES[2:])):
            known.recall(nodes, lambda rows, nodes=nodes: truth(nodes[rows]))
    assert recall(memory, NODES) == 0


def recall_many(location, seed):
    """Ask for random nodes again and again, as a process or thread of a search does."""
    memory = joblib.Memory(location, verbose=0)
    rng = np.random.default_rng(seed)
    for _ in range(20):
        recall(memory, rng.choice(500, size=50, replace=False) / 8)


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_writers_at_the_same_time_break_nothing(tmp_path, backend):
    # The values are asserted there; work may be repeated.
    run = joblib.delayed(recall_many)
    joblib.Parallel(n_jobs=2, backend=backend)(run(tmp_path, s) for s in range(4))
    memory = joblib.Memory(tmp_path, verbose=0)
    assert recall(memory, np.arange(500) / 8) < 500
    assert recall(memory, np.arange(500) / 8) == 0


def test_nodes_have_names_of_their_own():
    n = 10_000_000
    i = np.array([0, 0, 0, 1, n - 2, n - 2, n - 2])
    j = np.array([0, 1, 1, 1, n - 1, n - 1, n - 1])
    position = np.array([0, 0.5, np.nextafter(0.5, 1), 0, 0.25, 2.0**-12, 0.75])
    names = node_names(n, i, j, position)
    assert len(np.unique(names)) == len(names)
    np.testing.assert_array_equal(names.real.astype(np.int64), i * n + j)
    np.testing.assert_array_equal(names.imag, position)
