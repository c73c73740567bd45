"""Casts that lose nothing in silence."""

import numpy as np
import pytest

from skgengeo._floats import in_range, largest_in_range

FITS = np.array([0.0, 2e-38, 2.0, 3e38])


def largest_number_in_range(values, dtype):
    return largest_in_range(values, dtype, "numbers")


def test_what_fits_is_cast():
    for cast, limit in [(in_range, np.inf), (largest_number_in_range, -np.inf)]:
        found = cast(np.append(FITS, limit), np.float32)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found[:-1], FITS.astype(np.float32))
        assert found[-1] == limit
        assert cast(FITS, np.float64) is FITS
        assert cast(FITS[:0], np.float32).shape == (0,)


@pytest.mark.parametrize("distance", [1e-39, 1e39])
def test_distances_do_not_leave_the_range(distance):
    with pytest.raises(ValueError, match=r"^Distances .* float32 cannot hold\. Pass X"):
        in_range(np.array([0.0, 1.0, distance]), np.float32)


@pytest.mark.parametrize("value", [1e39, -1e39, np.inf])
def test_the_largest_values_do_not_leave_the_range(value):
    with pytest.raises(ValueError, match=r"^The largest numbers are (1e\+39|inf) to"):
        largest_number_in_range(np.array([-np.inf, 1.0, value]), np.float32)


def test_small_values_may_vanish_beside_larger_ones():
    values = np.array([1e-60, -1.0])
    found = largest_number_in_range(values, np.float32)
    np.testing.assert_array_equal(found, [0.0, -1.0])
    with pytest.raises(ValueError, match="float32 cannot hold"):
        largest_number_in_range(values[:1], np.float32)
