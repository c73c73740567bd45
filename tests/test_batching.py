import numpy as np
import pytest
from sklearn import config_context

from skgengeo._batching import row_batches


@pytest.mark.parametrize("n_rows", [1, 6, 7, 8, 30])
@pytest.mark.parametrize("size", [1, 7, 100])
def test_batches_cover_the_rows_in_order(n_rows, size):
    rows = np.arange(n_rows)
    batches = [rows[batch] for batch in row_batches(n_rows, size=size)]
    np.testing.assert_array_equal(np.concatenate(batches), rows)
    assert all(len(batch) == size for batch in batches[:-1])
    assert 0 < len(batches[-1]) <= size


@pytest.mark.parametrize("by", [{"size": 5}, {"row_bytes": 8}])
def test_no_rows_no_batches(by):
    assert row_batches(0, **by) == []


def test_batches_fit_the_working_memory():
    with config_context(working_memory=1):
        batches = row_batches(10_000, row_bytes=1024)
    assert {batch.stop - batch.start for batch in batches[:-1]} == {1024}


def test_batches_of_batches_leave_no_small_ones():
    with config_context(working_memory=1):
        sizes = [
            inner.stop - inner.start
            for outer in row_batches(9000, row_bytes=700)
            for inner in row_batches(outer.stop - outer.start, row_bytes=3000)
        ]
    assert sum(sizes) == 9000
    assert set(sizes[:-1]) == {256}


def test_a_row_beyond_the_working_memory_is_a_batch():
    with (
        config_context(working_memory=1),
        pytest.warns(UserWarning, match="working_memory"),
    ):
        assert len(row_batches(3, row_bytes=2**21)) == 3
