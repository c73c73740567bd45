"""What every ``fit`` does before and after its own work."""

from functools import wraps

from ._compat import _fit_context

# What set_output and set_fit_request of scikit-learn keep in an estimator.
SETTINGS = {"_sklearn_output_config", "_metadata_request"}


def afresh(fit):
    """Decorate ``fit``: parameters are checked, and what fails is not fitted.

    Where parameters are refused, an earlier fit stays. Else what it has learned is
    forgotten first, so that no method mixes the two, and what a failed one has learned
    so far, so that all say "not fitted".

    Parameters
    ----------
    fit : function
        The method ``fit`` of an estimator.

    Returns
    -------
    function
        The method to use.
    """

    @_fit_context(prefer_skip_nested_validation=False)  # the density is a user's
    @wraps(fit)
    def _fit_afresh(self, *args, **kwargs):
        _forget(self)
        try:
            return fit(self, *args, **kwargs)
        except BaseException:
            _forget(self)
            raise

    return _fit_afresh


def _forget(estimator):
    """Delete what a fit has learned: all that has an underscore at either end."""
    learned = [v for v in vars(estimator) if v.endswith("_") or v.startswith("_")]
    for name in set(learned) - SETTINGS:
        delattr(estimator, name)
