"""What an acoustic model that has no file is known by: a checksum of what it is made of."""

import hashlib
import inspect
import json

from v2s_sklearn.files.checksums import digest_of_tensors


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
