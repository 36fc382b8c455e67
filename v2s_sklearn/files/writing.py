"""Files that are written whole or not at all."""

import glob
import os
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

# Seconds without a change after which a file in the making has no writer any more.
ABANDONED = 60


@contextmanager
def naming_file(path):
    """Name the file in errors of the system that do not, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_atomically(path, content):
    """Write bytes to a file so that a kill or a full disk leaves the old content or the new one, whole.

    What processes that were killed left behind is removed.

    Raises
    ------
    OSError
        If it cannot be written, such as on a full disk; names the file.
    """
    path = Path(path)
    # A name of its own, so that two processes do not write into one file.
    temporary = path.with_name(f"{path.name}.{uuid4().hex}.tmp")
    try:
        with naming_file(path):
            temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    for left in path.parent.glob(f"{glob.escape(path.name)}.*.tmp"):
        with suppress(FileNotFoundError):  # removed by another process
            if time.time() - left.stat().st_mtime > ABANDONED:
                left.unlink()
