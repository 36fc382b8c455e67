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


def is_available(n_bytes):
    """Return whether there is so much memory, True where that is not known."""
    available = available_bytes()
    return available is None or n_bytes <= available


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
    if not is_available(n_bytes):
        raise NotEnoughMemoryError(
            f"{what} needs about {n_bytes / 2**30:.1f} GiB of memory ({n_bytes} bytes), and "
            f"{available_bytes() / 2**30:.1f} GiB are available. {advice}"
        )
