"""Modules of optional dependencies, imported where they are first needed."""

import importlib

from v2s_sklearn.errors import MissingDependencyError

DISTRIBUTIONS = {"PIL": "pillow", "ot": "POT"}


def import_optional(module, extra, purpose):
    """Return a module.

    Parameters
    ----------
    module : str
        Its name, with dots.
    extra : str
        The extra of this package that installs it.
    purpose : str
        What needs it, the subject of the error's first sentence.

    Raises
    ------
    MissingDependencyError
        If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.split(".")[0]
        raise MissingDependencyError(
            f"{purpose} needs {DISTRIBUTIONS.get(name, name)}, which is not installed: pip install "
            f"'v2s-sklearn[{extra}]'."
        ) from error
