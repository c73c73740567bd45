"""What every ``fit`` does before and after its own work."""

from functools import wraps

from ._compat import _fit_context

# What estimators learn in private; other such names are scikit-learn's own.
PRIVATE = (
    "_anchors",
    "_architecture",
    "_blocks",
    "_dtype",
    "_n_features_out",
    "_order",
    "_reconstruction_error",
    "_scaling",
    "_unit",
)


def afresh(fit):
    """Decorate ``fit``: parameters are checked, and what fails is not fitted.

    Where parameters are refused, an earlier fit stays. Else what it has learned is
    forgotten first, so that no method mixes the two, unless `warm_start` builds on it.
    What a failed one has learned so far is forgotten, so that all say "not fitted", or
    have the fit that `warm_start` was to build on: ``fit`` makes new objects of these.

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
        learned = _forget(self)
        earlier = learned if getattr(self, "warm_start", False) else {}
        vars(self).update(earlier)
        try:
            return fit(self, *args, **kwargs)
        except BaseException:
            _forget(self)
            vars(self).update(earlier)
            raise

    return _fit_afresh


def _forget(estimator):
    """Take away what a fit has learned, by name."""
    names = [v for v in vars(estimator) if v.endswith("_") and not v.startswith("__")]
    names += [v for v in PRIVATE if v in vars(estimator)]
    return {name: vars(estimator).pop(name) for name in names}
