"""Errors of this package; each is also the built-in error that scikit-learn users expect."""

from sklearn import exceptions


class V2SError(Exception):
    """Base class of the package's errors."""


class InvalidParameterError(V2SError, ValueError):
    """A parameter of an estimator has a value that cannot be used."""


class InvalidSeriesError(V2SError, ValueError):
    """The time series cannot be used as they are."""


class InvalidSeriesTypeError(InvalidSeriesError, TypeError):
    """The time series are of a type that cannot be used, or hold values of one."""


class TrainingDivergedError(V2SError, ValueError):
    """Gradient training ended in values that are not finite."""


class AcousticModelNotFoundError(V2SError, ValueError):
    """No acoustic model has this name."""


class WeightsError(V2SError, ValueError):
    """A weights file is missing, damaged, changed or of another kind."""


class SavedFileError(V2SError, ValueError):
    """An estimator cannot be saved, or a saved one or a checkpoint is missing, damaged, newer or of another kind."""


class ExportError(V2SError, ValueError):
    """An estimator cannot be written as a graph."""


class SpeechDataError(V2SError, ValueError):
    """The speech data for pretraining are not as expected."""


class MissingDependencyError(V2SError, ImportError):
    """An optional dependency is not installed."""


class NotEnoughMemoryError(V2SError, MemoryError):
    """A computation would need more memory than there is."""


class OtherVersionWarning(exceptions.InconsistentVersionWarning):
    """A pickled estimator is read by another version of the package than the one that wrote it.

    Parameters
    ----------
    estimator : str
        Name of its class.
    written, read : str
        The versions.
    """

    def __init__(self, estimator, written, read):
        super().__init__(estimator_name=estimator, current_sklearn_version=read, original_sklearn_version=written)

    def __str__(self):
        return (
            f"This {self.estimator_name} was pickled by v2s_sklearn {self.original_sklearn_version} and is read by "
            f"{self.current_sklearn_version}: it may fail, or answer otherwise. Fit it again, or keep fitted "
            "estimators by their save, whose files later versions read."
        )
