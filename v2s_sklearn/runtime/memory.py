"""Whether a computation fits into memory, asked before it starts."""

import os

from v2s_sklearn.errors import NotEnoughMemoryError


def available_bytes():
    """Return how many bytes of memory programs can still take, all of the machine's where that is not known.

    None where not even that is known.
    """
    try:
        with open("/proc/meminfo") as lines:
            return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def check_memory(n_bytes, what, advice):
    """Raise an error if a computation needs more memory than there is.

    Parameters
    ----------
    n_bytes : int
        At its peak.
    what, advice : str
        Of the message: what is computed, and how to need less.

    Raises
    ------
    NotEnoughMemoryError
    """
    available = available_bytes()
    if available is not None and n_bytes > available:
        raise NotEnoughMemoryError(
            f"{what} needs about {n_bytes / 2**30:.1f} GiB of memory ({n_bytes} bytes), and "
            f"{available / 2**30:.1f} GiB are available. {advice}"
        )
