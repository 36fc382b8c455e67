"""Weights files: safetensors with the model's configuration in the header, verified by sha256.

The packaged files lie in ``weights/`` beside this file, on a disk or in a zip; ``weights/SHA256SUMS`` holds their
checksums.
"""

import hashlib
import importlib
import json
import math
import os
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch.overrides import TorchFunctionMode

from v2s_sklearn.acoustic.configuration import check_configuration
from v2s_sklearn.errors import WeightsError
from v2s_sklearn.files.checksums import LARGE, sha256_of
from v2s_sklearn.files.tensors import check_finite, check_tensors, read_header, read_json, read_tensors
from v2s_sklearn.files.writing import check_target, write_atomically
from v2s_sklearn.runtime.threads import one_thread

WEIGHTS_DIR = files("v2s_sklearn.acoustic") / "weights"
CHECKSUMS_FILE = "SHA256SUMS"
HEADER_KEY = "v2s_sklearn"
# Name in files -> module of `v2s_sklearn.acoustic.networks`, imported at its first use, and class.
ARCHITECTURES = {
    "attention_rnn": ("attention_rnn", "AttentionRNN"),
    "contour": ("contour", "ContourNet"),
    "openl3": ("openl3", "OpenL3"),
    "resnet": ("resnet", "ResNet"),
    "sincnet": ("sincnet", "SincNet"),
    "tcn": ("tcn", "TemporalConvNet"),
    "unet_attention_rnn": ("unet", "UNetAttentionRNN"),
    "vggish": ("vggish", "VGGish"),
    "wav2vec": ("wav2vec", "Wav2Vec"),
}


def architecture_class(name):
    """Return the class of a network; KeyError if there is no architecture of this name."""
    module, cls = ARCHITECTURES[name]
    return getattr(importlib.import_module(f"v2s_sklearn.acoustic.networks.{module}"), cls)


def read_checksums(directory: str | Path | Traversable = WEIGHTS_DIR) -> dict[str, set[str]]:
    """Return the recorded checksums of a folder: a dict of file name to set of sha256, empty without a record.

    A file has two where it was being written anew when the process was killed: the old one and the new one.
    """
    path = (Path(directory) if isinstance(directory, str) else directory) / CHECKSUMS_FILE
    if not path.is_file():
        return {}
    checksums: dict[str, set[str]] = {}
    for line in path.read_bytes().decode(errors="replace").splitlines():
        digest, _, name = line.strip().partition(" ")
        checksums.setdefault(name.strip().removeprefix("*"), set()).add(digest)
    return checksums


def _write_checksums(directory, checksums):
    lines = "".join(f"{digest}  {name}\n" for name in sorted(checksums) for digest in sorted(checksums[name]))
    write_atomically(directory / CHECKSUMS_FILE, lines.encode())


def save_weights(model, path, architecture, config):
    """Write a model's weights with its configuration, and record the checksum beside the file, where links lead.

    Parameters
    ----------
    model : AcousticModel
    path : path
        Ends in ``.safetensors``.
    architecture : str
        A key of ``ARCHITECTURES``.
    config : dict
        Keyword arguments that build the model; JSON types only.

    Returns
    -------
    str
        The sha256 of the file.

    Raises
    ------
    WeightsError
        If the configuration is one that `load_weights` refuses.

    Examples
    --------
    >>> import tempfile
    >>> from v2s_sklearn.acoustic.networks.attention_rnn import AttentionRNN
    >>> from v2s_sklearn.acoustic.storage import load_weights, save_weights
    >>> config = {"source_labels": ["no", "yes"]}
    >>> model = AttentionRNN(**config)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     digest = save_weights(model, f"{folder}/own.safetensors", "attention_rnn", config)
    ...     loaded, found = load_weights(f"{folder}/own.safetensors")
    >>> loaded.source_labels, found == digest
    (('no', 'yes'), True)
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    target, _ = check_target(path)
    check_configuration(architecture, architecture_class(architecture), config)
    header = json.dumps({"architecture": architecture, "config": config}, sort_keys=True)
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    content = save(tensors, metadata={HEADER_KEY: header})
    digest = hashlib.sha256(content).hexdigest()
    # Killed at any moment, it leaves a file whose checksum is recorded.
    checksums = read_checksums(target.parent)
    _write_checksums(target.parent, checksums | {target.name: checksums.get(target.name, set()) | {digest}})
    write_atomically(path, content)
    _write_checksums(target.parent, checksums | {target.name: {digest}})
    return digest


class SinglePrecision(TorchFunctionMode):
    """Networks are built in single precision, whatever the caller's default dtype is; in this thread only."""

    FACTORIES = (torch.empty, torch.ones, torch.rand, torch.randn, torch.zeros)
    defaults: dict[str, Any] = {"dtype": torch.float32}

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function in self.FACTORIES:
            kwargs = self.defaults | {name: value for name, value in kwargs.items() if value is not None}
        return function(*args, **kwargs)


class _Unfilled(SinglePrecision):
    """Networks are built without initial weights, which those of a file replace: no global generator is read.

    Parameters
    ----------
    device : "meta", optional
        Weights take no memory; only their names and shapes are there. Not torch's own mode for this, under which
        arithmetic of constructors takes seconds to import.
    """

    def __init__(self, device=None):
        super().__init__()
        self.defaults = SinglePrecision.defaults | {"device": device}

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if getattr(function, "__module__", None) == "torch.nn.init":
            return (kwargs or {}).get("tensor", args[0] if args else None)
        return super().__torch_function__(function, types, args, kwargs)


def _read_description(path, metadata):
    """Return the architecture and the configuration that stand in the header of a file."""
    try:
        description = read_json(metadata[HEADER_KEY])
        architecture, config = description["architecture"], description["config"]
        cls = architecture_class(architecture)
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"it is of another kind ({type(error).__name__}: {error}). Needed: safetensors with the configuration "
            f"under {HEADER_KEY!r} in the header, as python -m v2s_sklearn.pretrain writes it"
        ) from error
    check_configuration(architecture, cls, config)
    return cls, config


@one_thread()
@torch.no_grad()
def check_sounds(model):
    """Raise ValueError unless the model gives finite values for silence and for a tone."""
    time = torch.arange(model.n_samples, dtype=torch.float32) / model.sample_rate
    sounds = torch.stack([torch.zeros_like(time), 0.5 * torch.sin(2 * math.pi * 440.0 * time)])
    for name, activation in model.activations(model.frontend(sounds)).items():
        if not torch.isfinite(activation).all():
            raise ValueError(f"its layer {name!r} is not finite for silence or a tone")


def load_weights(path, sha256=None):
    """Build a model from a weights file.

    What the file asks for is checked before it is built: the configuration by type and range, then names and shapes of
    the tensors against a network without memory.

    Parameters
    ----------
    path : path
        A file that `save_weights` wrote. Where a ``SHA256SUMS`` beside it names it, it has to have that checksum.
    sha256 : str or set of str, optional
        What the file's checksum has to be, or some of which it has to be one.

    Returns
    -------
    model : AcousticModel
        Frozen.
    sha256 : str
        The checksum of the file.

    Raises
    ------
    WeightsError
        If the file is missing, is not such a file, has another checksum, or holds a network that cannot work. Nothing
        is unpickled.

    Examples
    --------
    >>> from v2s_sklearn.acoustic.storage import WEIGHTS_DIR, load_weights
    >>> model, digest = load_weights(WEIGHTS_DIR / "v2sa.safetensors")
    >>> type(model).__name__, model.training, len(digest)
    ('AttentionRNN', False, 64)
    """
    path = Path(path)
    metadata, found = read_header(path)
    if path.stat().st_size > LARGE:
        raise WeightsError(f"{path} has {path.stat().st_size} bytes, more than any of our networks: at most {LARGE}.")
    try:
        cls, config = _read_description(path, metadata)
        with _Unfilled("meta"):
            expected = cls(**config).state_dict()
    except Exception as error:  # constructors raise whatever they meet in values that do not go together
        raise WeightsError(f"{path} is not a weights file of v2s_sklearn: {error}") from error
    check_tensors(path, found, expected)
    digest = check_checksum(path, sha256)
    with _Unfilled():
        model = cls(**config)
    model.load_state_dict(read_tensors(path))
    check_finite(path, model.state_dict())
    model.freeze()
    try:
        check_sounds(model)
    except Exception as error:
        raise WeightsError(f"{path} holds a network that cannot work: {error}") from error
    return model, digest


def check_checksum(path, sha256=None):
    """Return the sha256 of a file; raise WeightsError if it is none of those given, or of those recorded beside it."""
    digest = sha256_of(path)
    if sha256 is None:
        places = Path(os.path.realpath(path)), path  # what is written through a link is recorded where that leads
        recorded = next(filter(None, (read_checksums(place.parent).get(place.name) for place in places)), {digest})
    else:
        recorded = {sha256} if isinstance(sha256, str) else sha256
    if digest not in recorded:
        raise WeightsError(
            f"{path} has sha256 {digest}, expected {' or '.join(sorted(recorded))}: the file was changed or damaged. "
            "Install the package again, or restore the file that the estimator was fitted with. What was recorded in "
            f"{CHECKSUMS_FILE} beside a file that was meant to change can be removed."
        )
    return digest
