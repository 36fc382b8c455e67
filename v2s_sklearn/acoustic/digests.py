"""Checksums by which a model is known to be the same: of its files, or of what it is made of."""

import hashlib
import inspect
import json
import time
from pathlib import Path

import torch

# What a Hugging Face model is made of, as patterns in its folder.
HUGGING_FACE_FILES = (
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "model-*.safetensors",
)
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


def _settings(module):
    """Return the plain arguments of a module's constructor that differ from their defaults.

    So an argument that a later version adds leaves a digest as it is.
    """
    parameters = inspect.signature(type(module)).parameters.values()
    given = {p.name: vars(module)[p.name] for p in parameters if p.name in vars(module) and p.default is not p.empty}
    defaults = {p.name: p.default for p in parameters}
    return {
        name: value
        for name, value in given.items()
        if isinstance(value, bool | int | float | str) and value != defaults[name]
    }


def digest_of_model(model):
    """Return the sha256 of what a model computes with: class, source classes, window, settings, weights and buffers.

    The same on every device. torch's own layers are known by their weights alone.

    Parameters
    ----------
    model : AcousticModel
    """
    own = [item for item in model.named_modules() if not type(item[1]).__module__.startswith("torch.")]
    description = {
        "class": type(model).__qualname__,
        "source_labels": model.source_labels,
        "window": model.window,
        "settings": {name: found for name, module in own if (found := _settings(module))},
    }
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    return digest_of_tensors(dict(model.named_parameters()) | dict(model.named_buffers()), digest)
