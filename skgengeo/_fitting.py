"""What every ``fit`` does before and after its own work."""

from functools import wraps

from ._compat import _fit_context

# What estimators learn in private; other such names are scikit-learn's own.
PRIVATE = (
    "_anchors",
    "_blocks",
    "_dtype",
    "_n_features_out",
    "_reconstruction_error",
    "_scaling",
    "_unit",
)


def afresh(fit):
    """Decorate ``fit``: parameters are checked, and what fails is not fitted.

    Where parameters are refused, an earlier fit stays. Else what it has learned is
    forgotten first, so that no method mixes the two, unless `warm_start` builds on it,
    and what a failed one has learned so far, so that all say "not fitted".

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
        if not getattr(self, "warm_start", False):
            _forget(self)
        try:
            return fit(self, *args, **kwargs)
        except BaseException:
            _forget(self)
            raise

    return _fit_afresh


def _forget(estimator):
    """Delete what a fit has learned."""
    learned = [v for v in vars(estimator) if v.endswith("_") and not v.startswith("__")]
    for name in [*learned, *PRIVATE]:
        vars(estimator).pop(name, None)
