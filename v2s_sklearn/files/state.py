"""The state of an estimator: what a file and a pickle hold, and how fit exchanges it in one step."""

import warnings
from contextlib import contextmanager
from pathlib import Path

from sklearn.exceptions import NotFittedError

from v2s_sklearn._version import __version__
from v2s_sklearn.errors import OtherVersionWarning, SavedFileError
from v2s_sklearn.files.trees import write_tree
from v2s_sklearn.runtime.devices import device_or_cpu
from v2s_sklearn.runtime.portable_modules import PACKAGE

# What stands in a saved file; files of all versions up to this one are read.
SAVED_KIND, SAVED_VERSION = "saved estimator of v2s_sklearn", 1
# What set_fit_request and the like were told is of the pipeline around an estimator; a net is saved as its module.
NOT_SAVED = ("net_", "_metadata_request", "fit_time_millis_")
# Of the version, in pickles.
VERSION_KEY = "_v2s_sklearn_version"


class FittedState:
    """Saving, pickling and fitting of an estimator that has ``get_params``, ``device`` and ``_move_to``.

    aeon's ``is_fitted`` is kept in a private slot, because scikit-learn wants ``__init__`` to store parameters only.
    """

    _fitted_flag = False

    @property
    def is_fitted(self):
        """Whether fit has been called."""
        return self._fitted_flag

    @is_fitted.setter
    def is_fitted(self, value):
        """Set the flag, but not in ``__init__``."""
        if value or "_fitted_flag" in vars(self):
            self._fitted_flag = value

    def save(self, path: str | Path) -> None:
        """Write the fitted estimator to one safetensors file, without pickle; see :func:`v2s_sklearn.load`.

        Parameters
        ----------
        path : path
            Of the file, which is written whole or not at all.

        Raises
        ------
        NotFittedError
            If it is not fitted.
        SavedFileError
            If it holds something that cannot be written without pickle; the message says what.
        """
        if not self.is_fitted:
            raise NotFittedError(f"This {type(self).__name__} is not fitted yet: call fit before save.")
        if not type(self).__module__.startswith(PACKAGE):
            raise SavedFileError(
                f"{type(self).__name__} cannot be saved, only the estimators of this package themselves. Use pickle."
            )
        write_tree(path, self._tree(), SAVED_KIND, SAVED_VERSION)

    def _tree(self):
        """Return what a file holds: class, parameters, what was fitted."""
        parameters = self.get_params(deep=False)
        attributes = {
            name: value for name, value in vars(self).items() if name not in parameters and name not in NOT_SAVED
        }
        return {
            "class": type(self).__name__,
            "package": __version__,
            "parameters": parameters,
            "attributes": attributes,
        }

    def __getstate__(self):
        """Return what is pickled: not how long fit took, so that the same fit is the same pickle, and the version."""
        state = {name: value for name, value in super().__getstate__().items() if name != "fit_time_millis_"}
        return state | {VERSION_KEY: __version__}

    def __setstate__(self, state):
        """Restore a pickle, the sources and what hears through them on the device, or the CPU where that is missing."""
        state = dict(state)
        written = state.pop(VERSION_KEY, "0.1.0 or older")
        if written != __version__:
            warnings.warn(OtherVersionWarning(type(self).__name__, written, __version__), stacklevel=2)
        super().__setstate__(state)
        if self.is_fitted:
            self._move_to(device_or_cpu(self.device))

    def _twin(self, state):
        """Return an estimator of the same class that has ``state`` as its attributes."""
        twin = object.__new__(type(self))
        twin.__dict__ = state
        return twin

    @contextmanager
    def _fitting(self):
        """Yield a twin to fit, whose state becomes that of this estimator in one step if all goes well.

        Until then, and after an error or an interrupt, what was fitted before answers, in other threads, too.
        """
        twin = self._twin(dict(vars(self)))
        yield twin
        self.__dict__ = twin.__dict__

    def _now(self):
        """Return a twin with the present state, which a fit that ends in the meantime does not touch."""
        return self._twin(self.__dict__)
