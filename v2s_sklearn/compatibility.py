"""What older releases of our dependencies lack; nothing else in the package asks for a release."""

from collections.abc import Callable
from typing import TypeVar

try:
    from aeon.utils.decorators.method_timer import method_timer
except ImportError:  # aeon < 1.4
    method_timer = None

Method = TypeVar("Method", bound=Callable)


def timed(fit: Method) -> Method:
    """Return a ``fit`` that notes its time in ``fit_time_millis_``, where aeon's own do."""
    if method_timer is None:
        return fit
    return method_timer("fit_time_millis_", overwrite=False, remove_on_start=True)(fit)
