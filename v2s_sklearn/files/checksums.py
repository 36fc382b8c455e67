"""Checksums by which a model is known to be the same: of its files, or of what it is made of."""

import hashlib
import time
from pathlib import Path

import torch

# A file that changed less than so many ns ago could change again without a new time stamp.
YOUNG = 1_000_000_000
# Larger files are known by size and time alone until they are loaded.
LARGE = 2**30
_KNOWN: dict[tuple, str] = {}


def sha256_of(path):
    """Return the sha256 of a file as 64 hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def state_of_files(paths):
    """Return what changes with the content of files, a text; they are read again only where they changed."""
    digests = []
    for path in paths:
        status = Path(path).stat()
        key = (str(Path(path).resolve()), status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        digest = _KNOWN.get(key) or (sha256_of(path) if status.st_size <= LARGE else repr(key))
        if time.time_ns() - status.st_ctime_ns > YOUNG:
            _KNOWN[key] = digest
        digests.append(digest)
    return " ".join(digests)


def digest_of_tensors(tensors, digest=None):
    """Return the sha256 of tensors by name, with their names, types and shapes; ``digest`` goes on from another one."""
    digest = hashlib.sha256() if digest is None else digest
    for name, tensor in sorted(tensors.items()):
        # Not contiguous(), which leaves any stride to a dimension of one value.
        tensor = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(memoryview(tensor.flatten().view(torch.uint8).numpy()))
    return digest.hexdigest()
