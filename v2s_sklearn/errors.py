"""Errors of this package; each is also the built-in error that scikit-learn users expect."""

from sklearn import exceptions


class V2SError(Exception):
    """Base class of the package's errors. Whoever catches it catches each of them.

    Examples
    --------
    >>> from v2s_sklearn import load_acoustic_model
    >>> from v2s_sklearn.errors import V2SError
    >>> try:
    ...     load_acoustic_model("v2sx")
    ... except V2SError as error:
    ...     print(type(error).__name__)
    AcousticModelNotFoundError
    """


class InvalidParameterError(V2SError, ValueError):
    """A parameter of an estimator has a value that cannot be used.

    A value that is not among those which an estimator lists for the parameter is scikit-learn's own error of this name,
    a `ValueError`, too.

    Examples
    --------
    >>> from v2s_sklearn import load_acoustic_model
    >>> load_acoustic_model(3)
    Traceback (most recent call last):
        ...
    v2s_sklearn.errors.InvalidParameterError: acoustic_model must be a name, the path of ...
    """


class InvalidSeriesError(V2SError, ValueError):
    """The time series cannot be used as they are.

    Examples
    --------
    >>> import numpy as np
    >>> from v2s_sklearn import V2SClassifier
    >>> V2SClassifier("v2sa").fit(np.full((2, 1, 50), np.inf), ["a", "b"])
    Traceback (most recent call last):
        ...
    v2s_sklearn.errors.InvalidSeriesError: Series 0 of X contains infinity. ...
    """


class InvalidSeriesTypeError(InvalidSeriesError, TypeError):
    """The time series are of a type that cannot be used, or hold values of one.

    Examples
    --------
    >>> import numpy as np
    >>> from v2s_sklearn import V2SClassifier
    >>> V2SClassifier("v2sa").fit(np.full((2, 1, 50), "high"), ["a", "b"])
    Traceback (most recent call last):
        ...
    v2s_sklearn.errors.InvalidSeriesTypeError: X must hold numbers, got dtype <U4. Convert it to numbers before.
    """


class TrainingDivergedError(V2SError, ValueError):
    """Gradient training ended in values that are not finite.

    Examples
    --------
    >>> from aeon.datasets import load_gunpoint
    >>> from v2s_sklearn import V2SClassifier
    >>> X, y = load_gunpoint(split="train")
    >>> V2SClassifier.icml2021(max_epochs=2, learning_rate=1e6, weight_decay=1e6).fit(X[:8], y[:8])
    Traceback (most recent call last):
        ...
    v2s_sklearn.errors.TrainingDivergedError: Training diverged: it ended in values that ...
    """


class AcousticModelNotFoundError(V2SError, ValueError):
    """No acoustic model has this name.

    Examples
    --------
    >>> from v2s_sklearn import load_acoustic_model
    >>> load_acoustic_model("v2sx")
    Traceback (most recent call last):
        ...
    v2s_sklearn.errors.AcousticModelNotFoundError: There is no acoustic model 'v2sx'. Did you mean ...
    """


class WeightsError(V2SError, ValueError):
    """A weights file is missing, damaged, changed or of another kind.

    Examples
    --------
    >>> from v2s_sklearn import load_acoustic_model
    >>> load_acoustic_model("missing.safetensors")
    Traceback (most recent call last):
        ...
    v2s_sklearn.errors.WeightsError: No weights file at ...
    """


class SavedFileError(V2SError, ValueError):
    """An estimator cannot be saved, or a saved one or a checkpoint is missing, damaged, newer or of another kind.

    Examples
    --------
    >>> import v2s_sklearn
    >>> v2s_sklearn.load("missing.v2s")
    Traceback (most recent call last):
        ...
    v2s_sklearn.errors.SavedFileError: There is no file missing.v2s. ...
    """


class ExportError(V2SError, ValueError):
    """An estimator cannot be written as a graph.

    Examples
    --------
    >>> import numpy as np
    >>> from v2s_sklearn import V2SClassifier, to_onnx
    >>> X = [np.linspace(0.0, 1.0 + n % 2, 30 + n)[None] ** 2 for n in range(8)]
    >>> clf = V2SClassifier("v2sa", random_state=0).fit(X, ["a", "b"] * 4)
    >>> to_onnx(clf, "clf.onnx")
    Traceback (most recent call last):
        ...
    v2s_sklearn.errors.ExportError: This V2SClassifier was fitted to series of unequal length, ...
    """


class SpeechDataError(V2SError, ValueError):
    """The speech data for pretraining are not as expected.

    Examples
    --------
    >>> import tempfile
    >>> from v2s_sklearn import load_acoustic_model
    >>> from v2s_sklearn.pretrain.datasets import read_speech_commands
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     read_speech_commands(folder, load_acoustic_model("v2sa"))
    Traceback (most recent call last):
        ...
    v2s_sklearn.errors.SpeechDataError: The speech folder ... lacks gsc_v002_logmel.parquet. ...
    """


class MissingDependencyError(V2SError, ImportError):
    """An optional dependency is not installed.

    Examples
    --------
    The message says what to install.

    >>> from v2s_sklearn import load_acoustic_model
    >>> load_acoustic_model("torchvision:resnet18")  # doctest: +SKIP
    Traceback (most recent call last):
        ...
    v2s_sklearn.errors.MissingDependencyError: Image networks need torchvision, which ...
    """


class NotEnoughMemoryError(V2SError, MemoryError):
    """A computation would need more memory than there is.

    Examples
    --------
    Fit a smaller estimator where the default one does not fit into memory:

    >>> from aeon.datasets import load_gunpoint
    >>> from v2s_sklearn import V2SClassifier
    >>> from v2s_sklearn.errors import NotEnoughMemoryError
    >>> X, y = load_gunpoint(split="train")
    >>> try:
    ...     clf = V2SClassifier(random_state=0).fit(X[:20], y[:20])
    ... except NotEnoughMemoryError:
    ...     clf = V2SClassifier.fast(random_state=0).fit(X[:20], y[:20])
    >>> clf.is_fitted
    True
    """


class OtherVersionWarning(exceptions.InconsistentVersionWarning):
    """A pickled estimator is read by another version of the package than the one that wrote it.

    Parameters
    ----------
    estimator : str
        Name of its class.
    written, read : str
        The versions.

    Examples
    --------
    Refuse pickles of other versions:

    >>> import pickle
    >>> import warnings
    >>> from v2s_sklearn import V2SClassifier
    >>> from v2s_sklearn.errors import OtherVersionWarning
    >>> content = pickle.dumps(V2SClassifier("v2sa"))
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", OtherVersionWarning)
    ...     clf = pickle.loads(content)  # of this version: no warning, no error
    >>> clf.acoustic_model
    'v2sa'
    """

    def __init__(self, estimator, written, read):
        super().__init__(estimator_name=estimator, current_sklearn_version=read, original_sklearn_version=written)

    def __str__(self):
        return (
            f"This {self.estimator_name} was pickled by v2s_sklearn {self.original_sklearn_version} and is read by "
            f"{self.current_sklearn_version}: it may fail, or answer otherwise. Fit it again, or keep fitted "
            "estimators by their save, whose files later versions read."
        )
