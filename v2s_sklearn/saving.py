"""Fitted estimators in one safetensors file, without pickle: nothing in a file is run when it is loaded.

A file holds the parameters of the estimator, what was fitted, as `v2s_sklearn.trees` writes it, and of each acoustic
model what it was loaded from and its checksum, not its weights. Files of all versions of the form up to ``VERSION``
can be read; those in tests/saved have to load for ever.
"""

from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from sklearn.exceptions import NotFittedError
from torch import nn

from v2s_sklearn import arrays, mapping, network, scaling, transfer, views
from v2s_sklearn._version import __version__
from v2s_sklearn.acoustic.interface import AcousticModel
from v2s_sklearn.acoustic.registry import ModelReference
from v2s_sklearn.arrays import ArrayModule
from v2s_sklearn.checks import check_n_jobs
from v2s_sklearn.classifier import V2SClassifier
from v2s_sklearn.errors import SavedFileError
from v2s_sklearn.inference import device_or_cpu, resolve_device
from v2s_sklearn.training import make_net
from v2s_sklearn.transfer import TransferClassifier
from v2s_sklearn.transformer import V2SFeatures
from v2s_sklearn.trees import read_tree, write_tree
from v2s_sklearn.views import octaves, waveforms

KIND, VERSION = "saved estimator of v2s_sklearn", 1
ESTIMATORS = {cls.__name__: cls for cls in (V2SClassifier, V2SFeatures, TransferClassifier)}
# What networks are made of, by the name in files; only these are made.
MODULES = {
    cls.__name__: cls
    for cls in (
        mapping.LinearMapping,
        mapping.ManyToOneMapping,
        network.ReprogrammedModel,
        arrays.Linear,
        nn.ModuleList,
        octaves.OctavePooling,
        transfer.FineTunedModel,
        views.contour.ContourReprogram,
        views.ContourView,
        views.modulation.ModulationReprogram,
        views.ModulationView,
        views.pad.PadReprogram,
        views.PadView,
        views.playback.PlaybackReprogram,
        views.PlaybackView,
        waveforms.SeededDropout,
    )
}
# What every torch module has; the rest of its attributes is its own.
TORCH_ATTRIBUTES = frozenset(vars(nn.Module()))
# What set_fit_request and the like were told is of the pipeline around an estimator.
NOT_SAVED = ("net_", "_metadata_request")


def save(estimator: V2SClassifier | V2SFeatures | TransferClassifier, path: str | Path) -> None:
    """Write a fitted estimator to one file, whole or not at all.

    Parameters
    ----------
    estimator : V2SClassifier, V2SFeatures or TransferClassifier
        Fitted.
    path : path
        Of the file, whatever its ending.

    Raises
    ------
    NotFittedError
        If it is not fitted.
    SavedFileError
        If it holds something that cannot be written without pickle, such as callbacks or an acoustic model that has no
        name and no file; the message says where.
    """
    if not estimator.is_fitted:
        raise NotFittedError(f"This {type(estimator).__name__} is not fitted yet: call fit before save.")
    if ESTIMATORS.get(type(estimator).__name__) is not type(estimator):
        raise SavedFileError(f"{type(estimator).__name__} cannot be saved; one of {', '.join(ESTIMATORS)} can.")
    parameters = estimator.get_params(deep=False)
    attributes = {
        name: value for name, value in vars(estimator).items() if name not in parameters and name not in NOT_SAVED
    }
    tree = {
        "class": type(estimator).__name__,
        "package": __version__,
        "parameters": parameters,
        "attributes": attributes,
    }
    net = vars(estimator).get("net_")
    if net is not None:
        history = [{name: value for name, value in epoch.items() if name != "batches"} for epoch in net.history]
        tree |= {"network": net.module_, "history": history}
    write_tree(path, tree, KIND, VERSION, _Encoder(estimator))


def load(
    path: str | Path, device: str | torch.device | None = None
) -> V2SClassifier | V2SFeatures | TransferClassifier:
    """Load an estimator that its ``save`` wrote, on this or another machine.

    Parameters
    ----------
    path : path
    device : str, optional
        Torch device that it computes on, also where it is fitted again. By default the one of its parameter ``device``,
        or the CPU where this machine has no such device.

    Returns
    -------
    V2SClassifier, V2SFeatures or TransferClassifier
        Fitted. Its acoustic models are loaded from where they were, which is checked.

    Raises
    ------
    SavedFileError
        If the file is missing, damaged, of another kind, or written by a newer version.
    AcousticModelNotFoundError, WeightsError
        If an acoustic model is missing, or is no longer the one that it was fitted with; where its file lies elsewhere
        now, the message says how to give that.
    InvalidParameterError
        If ``device`` cannot be used.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from aeon.datasets import load_italy_power_demand
    >>> import v2s_sklearn
    >>> X, y = load_italy_power_demand(split="train")
    >>> clf = v2s_sklearn.V2SClassifier("v2sa", random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     clf.save(Path(folder) / "clf.safetensors")
    ...     loaded = v2s_sklearn.load(Path(folder) / "clf.safetensors")
    >>> bool((loaded.predict_proba(X) == clf.predict_proba(X)).all())
    True
    """
    decoder = _Decoder(device)
    tree, _ = read_tree(path, KIND, VERSION, decoder)
    try:
        parameters = tree["parameters"] | ({} if device is None else {"device": device})
        estimator = ESTIMATORS[tree["class"]](**parameters)
        estimator.__dict__.update(tree["attributes"], _n_jobs=check_n_jobs(estimator.n_jobs))
        place = decoder.place(parameters["device"])
        estimator._move_to(place)
        if "network" in tree:
            estimator.net_ = _make_net(estimator, tree["network"].to(place), tree["history"], place)
    except (KeyError, TypeError, AttributeError) as error:
        raise SavedFileError(
            f"{path} lacks a part of a {KIND} ({type(error).__name__}: {error}). Restore the file, or save again."
        ) from error
    return estimator


def _make_net(estimator, module, history, device):
    """Return a net that predicts with a fitted module; what only training needs is left out."""
    needless = {"callbacks": None, "early_stopping": False, "max_epochs": 0, "device": device}
    settings = SimpleNamespace(**(estimator.get_params(deep=False) | needless), _n_jobs=estimator._n_jobs)
    no_labels = np.zeros(1, dtype=int)  # only the size of the training batches depends on them
    net = make_net(settings, module, no_labels, np.random.RandomState(0))
    net.max_epochs = estimator.max_epochs
    for epoch in history:
        net.history.new_epoch()
        for name, value in epoch.items():
            net.history.record(name, value)
    return net


class _Encoder:
    """Encodes what `v2s_sklearn.trees.TreeWriter` does not know."""

    def __init__(self, estimator):
        self._source = vars(estimator)["acoustic_model_"]
        self._seen = []

    def __call__(self, value, name, writer):
        if isinstance(value, AcousticModel):
            return self._encode_acoustic(value, name, writer)
        if isinstance(value, nn.Module):
            return self._encode_module(value, name, writer)
        if isinstance(value, views.Voice):
            return {"voice": {key: writer.encode(item, name) for key, item in asdict(value).items()}}
        if isinstance(value, scaling.SeriesScaler):
            return {"scaler": writer.encode(vars(value), name)}
        if isinstance(value, np.random.RandomState):
            return {"random state": writer.encode(value.get_state(), name)}
        if isinstance(value, Path):
            return {"path": str(value)}
        if isinstance(value, torch.device):
            return {"device": str(value)}
        raise SavedFileError(
            f"{name} is a {type(value).__name__}, which cannot be saved without pickle. Take it out before, for "
            "example callbacks by set_params(callbacks=None), or use pickle."
        )

    def _encode_acoustic(self, model, name, writer):
        if model.full_rate is not None:
            return {"half rate": writer.encode(model.full_rate, name)}
        if model.source is not None:
            return {"source": list(model.source)}
        if isinstance(self._source, AcousticModel) and name == "network.acoustic":
            return {"trained": [writer.encode(self._source, name), writer.encode(dict(model.state_dict()), name)]}
        raise SavedFileError(
            f"{name} is an acoustic model without a name. Give it one with register_acoustic_model, or write its "
            "weights with v2s_sklearn.acoustic.storage.save_weights and give the path, and fit with that."
        )

    def _encode_module(self, module, name, writer):
        if module in self._seen:
            return {"again": self._seen.index(module)}
        if MODULES.get(type(module).__name__) is not type(module):
            raise SavedFileError(
                f"{name} is a {type(module).__name__}, which this version does not know how to save. Use pickle."
            )
        self._seen.append(module)
        number = len(self._seen) - 1
        state = module.__getstate__() if hasattr(module, "__getstate__") else vars(module)
        own = {key: value for key, value in state.items() if key not in TORCH_ATTRIBUTES}
        parts = {
            "attributes": own,
            "parameters": dict(module._parameters),
            "buffers": dict(module._buffers),
            "not persistent": sorted(module._non_persistent_buffers_set),
            "children": dict(module._modules),
        }
        encoded = {part: writer.encode(value, name) for part, value in parts.items()}
        return {"module": type(module).__name__, "number": number, **encoded}


class _Decoder:
    """Decodes what `_Encoder` encoded; acoustic models are loaded to a device."""

    def __init__(self, device):
        self._device = None if device is None else resolve_device(device)
        self._made = {}

    def place(self, device):
        """Return the torch device for an estimator whose parameter is ``device``."""
        return device_or_cpu(device) if self._device is None else self._device

    def __call__(self, value, reader):
        kind, content = next(iter(value.items()))
        if kind == "module":
            return self._decode_module(value, reader)
        if kind == "again":
            return self._made[content]
        if kind == "source":
            return ModelReference(*content).load(self._device or "cpu")
        if kind == "half rate":
            return reader.decode(content).at_half_rate()
        if kind == "trained":
            model = reader.decode(content[0]).trainable_copy()
            model.load_state_dict(reader.decode(content[1]))
            return model
        if kind == "voice":
            return views.Voice(**{key: reader.decode(item) for key, item in content.items()})
        if kind == "scaler":
            scaler = scaling.SeriesScaler()
            vars(scaler).update(reader.decode(content))
            return scaler
        if kind == "random state":
            random_state = np.random.RandomState()
            random_state.set_state(reader.decode(content))
            return random_state
        if kind == "path":
            return Path(content)
        if kind == "device":
            return torch.device(content)
        raise ValueError(f"unknown kind of value {kind!r}")

    def _decode_module(self, value, reader):
        cls = MODULES[value["module"]]
        module = object.__new__(cls)
        nn.Module.__init__(module)
        self._made[value["number"]] = module
        parts = {name: reader.decode(value[name]) for name in ("attributes", "parameters", "buffers", "children")}
        weights = {
            name: tensor if tensor is None else nn.Parameter(tensor) for name, tensor in parts["parameters"].items()
        }
        state = {
            **vars(module),
            **parts["attributes"],
            "_parameters": weights,
            "_buffers": parts["buffers"],
            "_modules": parts["children"],
            "_non_persistent_buffers_set": set(reader.decode(value["not persistent"])),
            "training": False,
        }
        # Arrays are what an ArrayModule's own way expects; others may have something to restore.
        if issubclass(cls, ArrayModule):
            nn.Module.__setstate__(module, state)
        else:
            module.__setstate__(state)
        return module
