"""Acoustic models by name, path or instance; each is loaded once a process and shared."""

import copy
import difflib
import hashlib
import importlib
import inspect
import json
import os
import threading
from collections.abc import Callable
from importlib.resources import as_file
from pathlib import Path
from typing import NamedTuple

import torch

from v2s_sklearn.acoustic.hub import HUGGING_FACE_FILES
from v2s_sklearn.acoustic.interface import AcousticModel
from v2s_sklearn.acoustic.storage import CHECKSUMS_FILE, WEIGHTS_DIR, SinglePrecision, load_weights, read_checksums
from v2s_sklearn.errors import AcousticModelNotFoundError, InvalidParameterError, WeightsError
from v2s_sklearn.files.checksums import digest_of_tensors, state_of_files
from v2s_sklearn.runtime.settings import own_settings

# Prefix of a name -> module and function that loads what follows the prefix and returns the model and its checksum.
# The modules need optional dependencies, so each is imported at its first use.
LOADERS = {
    "hf": ("v2s_sklearn.acoustic.hub.huggingface", "load_huggingface"),
    "torchvision": ("v2s_sklearn.acoustic.hub.vision", "load_torchvision"),
}
_FACTORIES: dict[str, Callable[[], AcousticModel]] = {}
_LOADED: dict[tuple, AcousticModel] = {}
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
        What `load_acoustic_model` takes; paths are absolute.
    sha256 : str or None
        Of its weights files; of a registered model see `digest_of_model`.
    """

    name: str
    sha256: str | None

    def load(self, device="cpu"):
        """Return the model, the one that this process has already if there is one.

        Raises
        ------
        AcousticModelNotFoundError, WeightsError
            If it is not there any more, or another one; says how to give it from elsewhere.
        """
        try:
            return load_acoustic_model(self.name, sha256=self.sha256, device=device)
        except (AcousticModelNotFoundError, WeightsError) as error:
            raise type(error)(
                f"{error} An estimator was fitted with the acoustic model {self.name!r}. Where it lies elsewhere now, "
                f"first call register_acoustic_model({self.name!r}, lambda: load_acoustic_model(NEW_PLACE))."
            ) from error


def _packaged_models():
    """Return the packaged weights files by name: paths, or what lies in a zip."""
    files = (file for file in WEIGHTS_DIR.iterdir() if file.name.endswith(".safetensors"))
    return {file.name.removesuffix(".safetensors"): file for file in files}


def list_acoustic_models() -> list[str]:
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


def register_acoustic_model(name: str, factory: Callable[[], AcousticModel], overwrite: bool = False) -> None:
    """Make an acoustic model of your own available by name.

    Parameters
    ----------
    name : str
        What estimators are given as ``acoustic_model``.
    factory : callable
        Without arguments; returns an :class:`AcousticModel`, the same one each time, which is checked when an estimator
        is unpickled. Called once a process. One that has a name or a file already keeps it; this name is a second one.
    overwrite : bool, default=False
        Replace a model registered under this name before.

    Notes
    -----
    Estimators fitted with a file that lies elsewhere now are loaded after ``register_acoustic_model(OLD_PATH, lambda:
    load_acoustic_model(NEW_PATH))``; its checksum is checked.

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


def load_acoustic_model(
    acoustic_model: str | Path | AcousticModel = "v2sa",
    *,
    sha256: str | None = None,
    device: str | torch.device = "cpu",
) -> AcousticModel:
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
    device = torch.empty(0, device=device).device  # with its number
    if isinstance(acoustic_model, AcousticModel):
        return _load_instance(acoustic_model, device)
    if not isinstance(acoustic_model, str | Path):
        raise InvalidParameterError(
            "acoustic_model must be a name, the path of a weights file, or an AcousticModel, got "
            f"{type(acoustic_model).__name__}. Names: {', '.join(list_acoustic_models())}."
        )
    name = _full_name(str(acoustic_model))
    with _LOCK:
        for (known, _, place), model in _LOADED.items():
            wanted = sha256 is not None and (known, place, model.source.sha256) == (name, device, sha256)
            if wanted and model.lies_on(device):
                return model
        key = (name, _state_of(name), device)
        if key not in _LOADED or not _LOADED[key].lies_on(device):
            with own_settings():
                _LOADED[key] = _load(name, device)
        model = _LOADED[key]
    found = model.source.sha256
    if sha256 is not None and found != sha256:
        raise WeightsError(
            f"The acoustic model {name!r} has sha256 {found}, expected {sha256}: these are not the weights the "
            "estimator was fitted with. Install the version of the package, restore the file, or register the model, "
            "it was fitted with."
        )
    return model


def _load_instance(model, device):
    """Return a model on a device: itself if it lies there, what it was loaded from otherwise."""
    if model.source is None and model.full_rate is None:
        return model.to(device).freeze()
    if model.lies_on(device):
        return model
    if model.full_rate is not None:
        return load_acoustic_model(model.full_rate, device=device).at_half_rate()
    return load_acoustic_model(model.source.name, sha256=model.source.sha256, device=device)


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
    # A model that is given may be another object than the one of its name, which was loaded later.
    known = {(model.window, (model.full_rate or model).source or id(model)) for model in models}
    if len(known) != len(models) or not models:
        given = [model.name for model in models]
        raise InvalidParameterError(f"acoustic_model={given} must be one model, or a list of at least one, each once.")
    return models


def _is_file(name):
    # Not Path.is_file, which raises where a name is too long.
    return Path(name).suffix == ".safetensors" or os.path.isfile(name)


def _full_name(name):
    """Return a name that stands for the same model in every folder."""
    prefix, _, reference = name.partition(":")
    if name in _FACTORIES or name in _packaged_models():
        return name
    if prefix in LOADERS:
        folder = os.path.expanduser(reference)
        return f"{prefix}:{Path(folder).resolve()}" if prefix == "hf" and os.path.isdir(folder) else name
    return str(Path(name).resolve()) if _is_file(name) else name


def _state_of(name):
    """Return what changes with the files that a name stands for; None where there are none to look at."""
    if name in _FACTORIES:
        return None
    prefix, _, reference = name.partition(":")
    if prefix in LOADERS:
        if not os.path.isabs(reference):
            return None  # a model of the hub stays what it was when it was loaded
        return state_of_files(path for pattern in HUGGING_FACE_FILES for path in sorted(Path(reference).glob(pattern)))
    path = _packaged_models().get(name, Path(name))
    if not isinstance(path, Path):
        return None  # what lies in a zip stays what it was when the package was imported
    return state_of_files([path]) if os.path.isfile(path) else None


def _load(name, device):
    """Return the model of a full name on a device, frozen, with its source set."""
    packaged = _packaged_models()
    prefix, _, reference = name.partition(":")
    if name in _FACTORIES:
        return _make(name, device)
    if name in packaged:
        recorded = read_checksums().get(packaged[name].name)
        if not recorded:
            raise WeightsError(
                f"{WEIGHTS_DIR / CHECKSUMS_FILE} has no checksum of {packaged[name].name}, without which a packaged "
                "model is not used. Install the package again."
            )
        with as_file(packaged[name]) as path:  # of a zip, a copy for the time of loading
            model, digest = load_weights(path, recorded)
    elif prefix in LOADERS:
        module, function = LOADERS[prefix]
        model, digest = getattr(importlib.import_module(module), function)(reference)
    elif _is_file(name):
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
    return model.to(device).freeze()


def _make(name, device):
    """Return the model of a factory on a device; one that has a source already is not renamed."""
    with SinglePrecision():
        model = _FACTORIES[name]()
    if not isinstance(model, AcousticModel):
        raise InvalidParameterError(f"The factory of {name!r} returned {type(model).__name__}, not AcousticModel.")
    if model.source is not None or model.full_rate is not None:
        return _load_instance(model, device)
    if not model.lies_on(device):
        model = copy.deepcopy(model).to(device)  # the factory may give the same object again, for another device
    model.freeze()
    model.source = ModelReference(name, digest_of_model(model))
    return model


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
