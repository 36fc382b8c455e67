"""Fitted estimators from their files: the explicit list of what may be made, nothing in a file is run.

A file holds the parameters of the estimator, what was fitted, as `v2s_sklearn.files.trees` writes it, and of each
acoustic model what it was loaded from and its checksum, not its weights. Files of all versions of the form up to
``SAVED_VERSION`` can be read; those in tests/persistence/saved.zip have to load for ever.
"""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

from v2s_sklearn.acoustic.registry import ModelReference
from v2s_sklearn.classifier import V2SClassifier
from v2s_sklearn.errors import SavedFileError
from v2s_sklearn.files.state import SAVED_KIND, SAVED_VERSION
from v2s_sklearn.files.trees import read_tree
from v2s_sklearn.mapping.mappings import LinearMapping, ManyToOneMapping
from v2s_sklearn.network.fine_tuned import FineTunedModel
from v2s_sklearn.network.reprogrammed import ReprogrammedModel
from v2s_sklearn.runtime.devices import device_or_cpu, resolve_device
from v2s_sklearn.runtime.portable_modules import ArrayModule, Linear
from v2s_sklearn.series.scaling import SeriesScaler
from v2s_sklearn.transfer import TransferClassifier
from v2s_sklearn.transformer import V2SFeatures
from v2s_sklearn.views import ContourView, ModulationView, PadView, PlaybackView, Voice
from v2s_sklearn.views.contour import ContourReprogram
from v2s_sklearn.views.modulation import ModulationReprogram
from v2s_sklearn.views.octaves import OctavePooling
from v2s_sklearn.views.pad import PadReprogram
from v2s_sklearn.views.playback import PlaybackReprogram
from v2s_sklearn.views.waveforms import SeededDropout

ESTIMATORS = {cls.__name__: cls for cls in (V2SClassifier, V2SFeatures, TransferClassifier)}
# What networks are made of, by the name in files; only these are made.
MODULES = {
    cls.__name__: cls
    for cls in (
        ContourReprogram,
        ContourView,
        FineTunedModel,
        Linear,
        LinearMapping,
        ManyToOneMapping,
        ModulationReprogram,
        ModulationView,
        OctavePooling,
        PadReprogram,
        PadView,
        PlaybackReprogram,
        PlaybackView,
        ReprogrammedModel,
        SeededDropout,
        nn.ModuleList,
    )
}


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
    tree, _ = read_tree(path, SAVED_KIND, SAVED_VERSION, decoder)
    try:
        parameters = tree["parameters"] | ({} if device is None else {"device": device})
        estimator = ESTIMATORS[tree["class"]](**parameters)
        attributes = tree["attributes"]
        attributes.pop("_n_jobs", None)  # of older versions
        estimator.__dict__.update(attributes)
        place = decoder.place(parameters["device"])
        if "network" in tree:
            estimator.net_ = _make_net(estimator, tree["network"].to(place), tree["history"], place)
        estimator._move_to(place)
    except (KeyError, TypeError, AttributeError) as error:
        raise SavedFileError(
            f"{path} lacks a part of a {SAVED_KIND} ({type(error).__name__}: {error}). Restore the file, or save again."
        ) from error
    return estimator


def _make_net(estimator, module, history, device):
    """Return a net that predicts with a fitted module; what only training needs is left out."""
    from v2s_sklearn.network.training import make_net  # with skorch, see v2s_sklearn.network.constraints

    needless = {"callbacks": None, "early_stopping": False, "max_epochs": 0, "device": device}
    settings = SimpleNamespace(**(estimator.get_params(deep=False) | needless))
    no_labels = np.zeros(1, dtype=int)  # only the size of the training batches depends on them
    net = make_net(settings, module, no_labels, np.random.RandomState(0))
    net.max_epochs = estimator.max_epochs
    for epoch in history:
        net.history.new_epoch()
        for name, value in epoch.items():
            net.history.record(name, value)
    return net


class _Decoder:
    """Decodes what classes of this package encoded by ``to_tree``; acoustic models are loaded to a device."""

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
            return Voice(**{key: reader.decode(item) for key, item in content.items()})
        if kind == "scaler":
            scaler = SeriesScaler()
            vars(scaler).update(reader.decode(content))
            return scaler
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
