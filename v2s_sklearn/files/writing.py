"""Files that are written whole or not at all, where they were asked for, and nothing else touched."""

import errno
import os
import re
import stat
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

# Files in the making: hidden, of one length whatever the file is called, and named as nobody else's are.
TEMPORARY = re.compile(r"\.[0-9a-f]{32}\.v2s-tmp")
# Seconds without a change after which a file in the making has no writer any more.
ABANDONED = 60


@contextmanager
def naming_file(path):
    """Name this file in errors of the system, which name none, such as that of a full disk, or one that nobody gave."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename == str(path):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def check_target(path):
    """Raise an error unless a file can be written at a path; nothing is written.

    Parameters
    ----------
    path : path
        Links are followed.

    Returns
    -------
    target : pathlib.Path
        Where links lead.
    status : os.stat_result or None
        Of the file that is there.

    Raises
    ------
    OSError
        That names the path: if it is something else than a regular file, or may not be written, or there is no folder.
    """
    path = Path(path)
    target, status = Path(os.path.realpath(path)), None
    with suppress(FileNotFoundError), naming_file(path):
        status = os.stat(path)
    if status is not None and stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "This is a folder. Give the path of a file in it", str(path))
    if status is not None and not stat.S_ISREG(status.st_mode):
        raise OSError(
            errno.EINVAL, "This is a device, a pipe or a socket, no regular file. Give the path of a file", str(path)
        )
    if not target.parent.is_dir():
        raise FileNotFoundError(
            errno.ENOENT, f"There is no folder {target.parent}. Make it before, or give another path", str(path)
        )
    # A protected file of a folder that may be written could be replaced, but was protected from that.
    if not all(os.access(place, os.W_OK) for place in (target.parent, target) if place.exists()):
        raise PermissionError(errno.EACCES, "This may not be written. Give another path", str(path))
    return target, status


def write_atomically(path, content):
    """Write bytes to a file so that a kill or a full disk leaves the old content or the new one, whole.

    Links are followed, and a file that is there keeps its mode, and its owner where the system allows that. What was
    left behind by processes that were killed while they wrote into this folder is removed.

    Parameters
    ----------
    path : path
    content : bytes

    Raises
    ------
    OSError
        If it cannot be written, such as on a full disk; names the path that was given. See also `check_target`.
    """
    target, status = check_target(path)
    # A name of its own, so that two processes do not write into one file; beside the target, so that it can take its
    # place.
    temporary = target.with_name(f".{uuid4().hex}.v2s-tmp")
    with naming_file(path):
        try:
            # Nobody reads the new content who may not read the old one.
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            with open(os.open(temporary, flags, 0o666 if status is None else 0o600), "wb") as file:
                file.write(content)
            if status is not None:
                _take_owner_and_mode(temporary, status)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    _remove_abandoned(target.parent)


def _take_owner_and_mode(path, status):
    """Give a file the owner, the group and the mode that another one has, as far as the system allows."""
    if hasattr(os, "chown"):
        for owner, group in ((-1, status.st_gid), (status.st_uid, -1)):
            with suppress(PermissionError):
                os.chown(path, owner, group)
    os.chmod(path, stat.S_IMODE(status.st_mode))


def _remove_abandoned(folder):
    """Remove files in the making from a folder whose writers are gone."""
    with suppress(OSError):  # of a folder that may be written, but not be read
        for left in [entry for entry in os.scandir(folder) if TEMPORARY.fullmatch(entry.name)]:
            with suppress(OSError):  # removed by another process, or of another user
                if time.time() - left.stat(follow_symlinks=False).st_mtime > ABANDONED:
                    os.unlink(left.path)
