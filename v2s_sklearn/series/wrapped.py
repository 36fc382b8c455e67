"""Estimators that users have inside others: pipelines, searches, calibrated classifiers. One rule for all that asks.

What is clear is opened: of a search the best estimator, of a pipeline the last step, with the series as the steps
before leave them. Of the rest an error says what to pass.
"""

from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from v2s_sklearn.errors import InvalidParameterError

# What a step of a pipeline is that leaves series as they are.
PASSING = (None, "passthrough")


def open_wrapped(estimator: Any, X: Any = None) -> tuple[Any, Any, list]:
    """Return what a search or a pipeline holds, and the series as they reach it.

    Parameters
    ----------
    estimator : estimator
    X : collection, optional

    Returns
    -------
    estimator : estimator
        The one inside, or itself where it is neither.
    X : collection or None
        Transformed by the steps of the pipelines before.
    steps : list of estimators
        These steps, in order, without those that leave series as they are.
    """
    steps: list = []
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
            continue
        # aeon's pipelines fit clones.
        parts = getattr(estimator, "steps_", estimator.steps if isinstance(estimator, Pipeline) else None)
        if not parts:
            return estimator, X, steps
        *before, estimator = [part for _, part in parts]
        for step in before:
            if step not in PASSING:
                steps.append(step)
                X = None if X is None else step.transform(X)


def unwrap(estimator: Any, wanted: type, needed: str, X: Any = None, *, alone: bool = False) -> tuple[Any, Any]:
    """Return the estimator of the wanted class that is meant, and the series as they reach it.

    Parameters
    ----------
    estimator : estimator
    wanted : class
    needed : str
        What that is, for the error.
    X : collection, optional
    alone : bool, default=False
        Refuse a pipeline whose steps before change the series.

    Raises
    ------
    NotFittedError
        If a search is not fitted, or a step before.
    InvalidParameterError
        If it holds no such estimator, several of them, or steps before it that must not be left out; says what to pass.
    """
    if isinstance(estimator, wanted):
        return estimator, X
    name = type(estimator).__name__
    inner, X, steps = open_wrapped(estimator, X)
    if isinstance(inner, wanted) and alone and steps:
        names = ", ".join(type(step).__name__ for step in steps)
        raise InvalidParameterError(
            f"{name} changes series by {names} before its {type(inner).__name__} gets them. That has to be done apart: "
            "pass its last step, pipeline[-1], and give that the series as pipeline[:-1].transform(X) leaves them."
        )
    if isinstance(inner, wanted):
        return inner, X
    if hasattr(inner, "cv"):
        check_is_fitted(inner)
    if hasattr(inner, "calibrated_classifiers_") or hasattr(inner, "estimators_"):
        held = "calibrated_classifiers_[0].estimator" if hasattr(inner, "calibrated_classifiers_") else "estimators_[0]"
        raise InvalidParameterError(
            f"{type(inner).__name__} holds several estimators, and one cannot speak for all. Pass one of them, for "
            f"example its {held}."
        )
    advice = " A search needs refit=True." if hasattr(inner, "cv") else ""
    raise InvalidParameterError(
        f"{name} is no {needed}, and neither a search nor a pipeline that ends in one. Give such an estimator.{advice}"
    )
