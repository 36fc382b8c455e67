"""Acoustic models by name, path or instance; each is loaded once a process and shared."""

import difflib
import importlib
import os
import threading
from pathlib import Path
from typing import NamedTuple

import torch

from v2s_sklearn.acoustic.interface import AcousticModel
from v2s_sklearn.acoustic.storage import WEIGHTS_DIR, load_weights, read_checksums
from v2s_sklearn.errors import AcousticModelNotFoundError, InvalidParameterError, WeightsError
from v2s_sklearn.settings import own_settings

# Prefix of a name -> module and function that loads what follows the prefix and returns the model and its checksum.
# The modules need optional dependencies, so each is imported at its first use.
LOADERS = {
    "hf": ("v2s_sklearn.acoustic.huggingface", "load_huggingface"),
    "torchvision": ("v2s_sklearn.acoustic.vision", "load_torchvision"),
}
_FACTORIES = {}
_LOADED = {}
_LOCK = threading.RLock()


def _new_lock():
    """Start a forked child, which may have been given a closed lock."""
    global _LOCK
    _LOCK = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock)


class ModelReference(NamedTuple):
    """What a loaded model is pickled as.

    Attributes
    ----------
    name : str
        What `load_acoustic_model` takes.
    sha256 : str or None
        Of its weights file, if it has one.
    """

    name: str
    sha256: str | None

    def load(self):
        """Return the model, the one that this process has already if there is one."""
        return load_acoustic_model(self.name, sha256=self.sha256)


def _packaged_models():
    return {path.stem: path for path in WEIGHTS_DIR.glob("*.safetensors")}


def list_acoustic_models():
    """Return the names of the packaged and the registered acoustic models, sorted.

    Returns
    -------
    list of str

    Examples
    --------
    >>> from v2s_sklearn import list_acoustic_models
    >>> "v2sa" in list_acoustic_models()
    True
    """
    return sorted(_packaged_models().keys() | _FACTORIES.keys())


def register_acoustic_model(name, factory, overwrite=False):
    """Make an acoustic model of your own available by name.

    Parameters
    ----------
    name : str
        What estimators are given as ``acoustic_model``.
    factory : callable
        Without arguments; returns an :class:`AcousticModel`, the same one each time. Called once a process.
    overwrite : bool, default=False
        Replace a model registered under this name before.

    Raises
    ------
    InvalidParameterError
        If the name is taken, or the factory cannot be called.
    """
    if not callable(factory) or isinstance(factory, torch.nn.Module):
        raise InvalidParameterError(
            f"factory must be a function that returns an AcousticModel, got {type(factory).__name__}. To use a model "
            "without a name, pass it as acoustic_model."
        )
    with _LOCK:
        if name in _packaged_models() or (name in _FACTORIES and not overwrite):
            raise InvalidParameterError(
                f"An acoustic model is registered as {name!r} already. Take another name, or pass overwrite=True "
                "(packaged models cannot be replaced)."
            )
        _FACTORIES[name] = factory
        for key in [key for key in _LOADED if key[0] == name]:
            del _LOADED[key]


def load_acoustic_model(acoustic_model="v2sa", *, sha256=None, device="cpu"):
    """Load an acoustic model, frozen and in eval mode.

    Parameters
    ----------
    acoustic_model : str, path or AcousticModel, default="v2sa"
        A name from :func:`list_acoustic_models`; the path of a ``.safetensors`` file that
        ``python -m v2s_sklearn.pretrain`` wrote; ``"hf:OWNER/NAME"`` or ``"hf:FOLDER"``, a Hugging Face model for audio
        classification; ``"torchvision:NAME"``, a torchvision network on spectrograms; or a model, which is frozen and
        returned.
    sha256 : str, optional
        What the checksum of the weights file has to be. Packaged files are always checked.
    device : str or torch.device, default="cpu"
        Where its weights lie.

    Returns
    -------
    AcousticModel
        The same object at each call with the same arguments in a process.

    Raises
    ------
    AcousticModelNotFoundError
        If there is no such name or file.
    WeightsError
        If the file is damaged, was changed, or is of another kind.
    InvalidParameterError
        If ``acoustic_model`` has another type.

    Examples
    --------
    >>> from v2s_sklearn import load_acoustic_model
    >>> model = load_acoustic_model("v2sa")
    >>> model.sample_rate, model.n_samples, model.n_classes
    (16000, 16000, 36)
    """
    if isinstance(acoustic_model, AcousticModel):
        if acoustic_model.full_rate is not None:
            return load_acoustic_model(acoustic_model.full_rate, sha256=sha256, device=device).at_half_rate()
        if acoustic_model.source is not None:
            name, digest = acoustic_model.source
            return load_acoustic_model(name, sha256=digest, device=device)
        return acoustic_model.to(device).freeze()
    if not isinstance(acoustic_model, str | Path):
        raise InvalidParameterError(
            "acoustic_model must be a name, the path of a weights file, or an AcousticModel, got "
            f"{type(acoustic_model).__name__}. Names: {', '.join(list_acoustic_models())}."
        )
    name = str(acoustic_model)
    with _LOCK:
        key = (name, str(torch.device(device)))
        if key not in _LOADED:
            with own_settings():
                _LOADED[key] = _load(name).to(device).freeze()
        model = _LOADED[key]
    found = model.source[1]
    if sha256 is not None and found != sha256:
        raise WeightsError(
            f"The acoustic model {name!r} has sha256 {found}, expected {sha256}: these are not the weights the "
            "estimator was fitted with. Install the version of the package, or restore the file, it was fitted with."
        )
    return model


def load_acoustic_models(acoustic_model, device="cpu"):
    """Load one acoustic model or several.

    Parameters
    ----------
    acoustic_model : str, path, AcousticModel, or list of them
    device : str or torch.device, default="cpu"

    Returns
    -------
    tuple of AcousticModel

    Raises
    ------
    InvalidParameterError
        If the list is empty or names a model twice; and see `load_acoustic_model`.
    """
    if not isinstance(acoustic_model, list | tuple):
        return (load_acoustic_model(acoustic_model, device=device),)
    models = tuple(load_acoustic_model(model, device=device) for model in acoustic_model)
    if len(set(map(id, models))) != len(models) or not models:
        raise InvalidParameterError(
            f"acoustic_model={acoustic_model!r} must be one model, or a list of at least one, each once."
        )
    return models


def _load(name):
    packaged = _packaged_models()
    if name in _FACTORIES:
        model = _FACTORIES[name]()
        digest = None
        if not isinstance(model, AcousticModel):
            raise InvalidParameterError(f"The factory of {name!r} returned {type(model).__name__}, not AcousticModel.")
    elif name in packaged:
        model, digest = load_weights(packaged[name], read_checksums().get(packaged[name].name))
    elif name.partition(":")[0] in LOADERS:
        prefix, _, reference = name.partition(":")
        module, function = LOADERS[prefix]
        model, digest = getattr(importlib.import_module(module), function)(reference)
    elif Path(name).suffix == ".safetensors" or Path(name).is_file():
        model, digest = load_weights(name)
    else:
        names = list_acoustic_models()
        close = difflib.get_close_matches(name, names, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise AcousticModelNotFoundError(
            f"There is no acoustic model {name!r}.{hint} Names: {', '.join(names)}; or give the path of a "
            ".safetensors file."
        )
    model.source = ModelReference(name, digest)
    return model
