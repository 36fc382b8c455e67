"""Progress bars: whoever computes cases says how many are done, whoever was asked to show it sets up a bar."""

from contextlib import contextmanager, nullcontext
from contextvars import ContextVar

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
    with _bar(n_cases, what) if show else nullcontext() as bar:
        token = _BAR.set(bar)
        try:
            yield
        finally:
            _BAR.reset(token)


def _bar(n_cases, what):
    from tqdm.auto import tqdm  # looks for notebooks and their widgets: not where no bar is wanted

    return tqdm(total=n_cases, desc=what, unit=" cases")


def is_shown():
    """Return whether there is a bar."""
    return _BAR.get() is not None


def advance(n_cases):
    """Move the bar, if there is one."""
    if is_shown():
        _BAR.get().update(n_cases)
