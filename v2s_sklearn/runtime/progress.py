"""Progress bars: whoever computes cases says how many are done, whoever was asked to show it sets up a bar."""

from contextlib import contextmanager
from contextvars import ContextVar

from tqdm.auto import tqdm

_BAR = ContextVar("bar", default=None)


@contextmanager
def progress(n_cases, what, show):
    """Show a bar for the cases that are computed inside, in this thread.

    Parameters
    ----------
    n_cases : int
        Those that read the cases several times go beyond it.
    what : str
    show : bool
        Otherwise there is none.
    """
    with tqdm(total=n_cases, desc=what, unit=" cases", disable=not show) as bar:
        token = _BAR.set(bar if show else None)
        try:
            yield
        finally:
            _BAR.reset(token)


def is_shown():
    """Return whether there is a bar."""
    return _BAR.get() is not None


def advance(n_cases):
    """Move the bar, if there is one."""
    if is_shown():
        _BAR.get().update(n_cases)
