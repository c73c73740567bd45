import numpy as np
import pytest

from skgengeo.geometry._cost import MAX_LOG_COST, check_log_cost, cost, log_cost

from .._oracles import cost_of

LOG_RATIOS = np.array([-600.0, -30.0, -5.0, -0.3, 0.0, 0.7, 4.0, 30.0])


@pytest.mark.parametrize("exponent", [0.25, 1.0, 2.0])
@pytest.mark.parametrize("lam", [1e-3, 0.1, 1.0, 50.0])
def test_is_the_formula(lam, exponent):
    found = np.exp(log_cost(LOG_RATIOS, lam=lam, exponent=exponent))
    np.testing.assert_allclose(found, cost_of(LOG_RATIOS, lam, exponent), rtol=1e-12)


@pytest.mark.parametrize("exponent", [0.25, 1.0, 2.0])
@pytest.mark.parametrize("lam", [0.0, 1e-3, 1.0, np.inf])
def test_compiled_twin(lam, exponent):
    log_ratios = LOG_RATIOS[1:] if lam == 0 else np.append(LOG_RATIOS, -np.inf)
    expected = np.exp(log_cost(log_ratios, lam=lam, exponent=exponent))
    found = [cost(r, lam, exponent) for r in log_ratios]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("lam", [0.0, 0.1, 1.0, np.inf])
def test_is_one_at_the_reference_density(lam):
    assert log_cost(np.zeros(1), lam=lam) == pytest.approx(0.0, abs=1e-15)


def test_never_increases_with_the_density():
    log_ratios = np.linspace(-50, 50, 1001)
    assert (np.diff(log_cost(log_ratios, lam=0.1)) <= 0).all()


def test_limits_are_taken_before_the_formula():
    assert (log_cost(LOG_RATIOS, lam=np.inf) == 0).all()
    np.testing.assert_array_equal(log_cost(LOG_RATIOS, lam=0.0), -LOG_RATIOS)
    close = log_cost(LOG_RATIOS[2:], lam=1e-14)
    np.testing.assert_allclose(close, -LOG_RATIOS[2:], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(log_cost(LOG_RATIOS, lam=1e16), 0.0, atol=1e-2)


def test_outside_the_support_is_the_ceiling():
    assert np.exp(log_cost(np.array([-np.inf]), lam=0.1)) == pytest.approx(1.1 / 0.1)


def test_zero_density_needs_a_positive_lam():
    log_ratio = np.array([0.0, -np.inf, -np.inf])
    check_log_cost(log_ratio, lam=0.1, exponent=1.0)
    with pytest.raises(ValueError, match=r"lam=0 .* zero at 2 .* Pass lam > 0"):
        check_log_cost(log_ratio, lam=0.0, exponent=1.0)


@pytest.mark.parametrize(
    ("log_ratio", "lam", "exponent"),
    [
        (MAX_LOG_COST + 1, 0.1, 1.0),
        (-MAX_LOG_COST - 1, 0.0, 1.0),
        (-MAX_LOG_COST / 2 - 1, 0.0, 2.0),
    ],
)
def test_degenerate_metric_names_the_remedy(log_ratio, lam, exponent):
    check_log_cost(np.array([0.0]), lam=lam, exponent=exponent)
    with pytest.raises(ValueError, match=r"metric is degenerate.*TemperedDensity"):
        check_log_cost(np.array([0.0, log_ratio]), lam=lam, exponent=exponent)


def test_nothing_to_check():
    check_log_cost(np.empty(0), lam=0.0, exponent=1.0)
