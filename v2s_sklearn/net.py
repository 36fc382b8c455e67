"""The skorch net: input transformation, frozen acoustic model and mapping as one module, trained for theta.

Shape legend: B batch, C channels, T time points, S waveform samples, G waveforms a case (voices times channels),
K source classes, D embedding, N cases.
"""

from functools import cache, wraps

import numpy as np
import torch
from joblib import Parallel, delayed
from skorch import NeuralNetClassifier
from threadpoolctl import ThreadpoolController
from torch import nn

from v2s_sklearn.acoustic.registry import load_acoustic_model
from v2s_sklearn.errors import InvalidParameterError
from v2s_sklearn.pooling import N_CASES, OctavePooling, fit_octaves

# Waveforms computed at a time. A constant, so that a case has the same bits alone and among others.
CHUNK_WAVEFORMS = 64


class ReprogrammedModel(nn.Module):
    """Input transformations -> frozen acoustic models -> mapping.

    An acoustic model is no submodule: it is not among the parameters, stays in eval mode when this module is trained,
    and is pickled as a reference to its weights file.

    Parameters
    ----------
    acoustics : tuple of AcousticModel
        Frozen.
    inputs : sequence of (callable, tuple of int)
        Build an input transformation, without arguments; and the positions of the acoustic models that hear it.
    mapping : callable, optional
        Builds the mapping, without arguments. Without it the module gives embeddings.
    pooling : sequence of pairs of arrays, optional
        Parameters of `OctavePooling`, from `fit_pooling`, for each input that is heard at every octave.
    """

    def __init__(self, acoustics, inputs, mapping=None, pooling=()):
        super().__init__()
        # A tuple, so that torch does not register the acoustic models as submodules.
        self._recipe = (acoustics, inputs, mapping)
        self.reprogram = nn.ModuleList(build() for build, _ in inputs)
        self.mapping = mapping() if mapping is not None else None
        self.pooling = nn.ModuleList(OctavePooling(kernels, levels) for kernels, levels in pooling)

    @property
    def acoustics(self):
        """The frozen acoustic models, on the device of this module."""
        device = next(self.parameters()).device
        return tuple(
            acoustic if next(acoustic.parameters()).device == device else load_acoustic_model(acoustic, device=device)
            for acoustic in self._recipe[0]
        )

    def n_waveforms(self, n_channels):
        """Return the greatest number of waveforms G that one input transformation makes of a case."""
        return n_channels * max(reprogram.n_voices for reprogram in self.reprogram)

    def __reduce__(self):
        """Pickle as the recipe and numpy arrays: small, the same bytes each time, for any device."""
        arrays = {name: tensor.cpu().numpy() for name, tensor in self.state_dict().items()}
        return _rebuild_model, (*self._recipe, arrays)

    def sound(self, series, lengths):
        """Yield position and acoustic model, waveforms and input transformation: (B, C, T), (B,) to (B, G, S)."""
        acoustics = self.acoustics
        for (_, positions), reprogram in zip(self._recipe[1], self.reprogram, strict=True):
            waveforms = reprogram(series, lengths)
            for position in positions:
                yield position, acoustics[position], waveforms, reprogram

    def embed_by_model(self, series, lengths):
        """Return the embeddings of all waveforms by each acoustic model: (B, C, T), (B,) to list of (B, D)."""
        embeddings, pooling = {}, iter(self.pooling)
        for position, acoustic, waveforms, reprogram in self.sound(series, lengths):
            if reprogram.every_octave:
                embeddings[position] = next(pooling)(waveforms)
            else:
                embeddings[position] = acoustic.embed(waveforms.flatten(0, 1)).reshape(len(series), -1)
        return [embeddings[position] for position in sorted(embeddings)]

    def embed(self, series, lengths):
        """Return the embeddings of all acoustic models in a row: (B, C, T), (B,) to (B, D)."""
        return torch.cat(self.embed_by_model(series, lengths), dim=1)

    def source_logits(self, series, lengths):
        """Return the source logits, the mean over the waveforms of a case: (B, C, T), (B,) to (B, K).

        Several acoustic models have their source classes in a row, and the same share of the probability.
        """
        logits = {
            position: acoustic(waveforms.flatten(0, 1)).reshape(*waveforms.shape[:2], -1).mean(1)
            for position, acoustic, waveforms, _ in self.sound(series, lengths)
        }
        if len(logits) == 1:
            return logits[0]
        return torch.cat([torch.log_softmax(logits[position], dim=1) for position in sorted(logits)], dim=1)

    def forward(self, series, lengths):
        """Return the log-probabilities of the target classes: (B, C, T), (B,) to (B, n_classes)."""
        if self.mapping.takes == "logits":
            return self.mapping(self.source_logits(series, lengths))
        return self.mapping(self.embed(series, lengths))


def _rebuild_model(acoustics, inputs, mapping, arrays):
    pooling = [
        (arrays[name], arrays[name.replace("kernels", "levels")])
        for name in arrays
        if name.startswith("pooling.") and name.endswith("kernels")
    ]
    model = ReprogrammedModel(acoustics, inputs, mapping, pooling)
    model.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()})
    return model.eval()


def seeded_loader(dataset, seed=0, **kwargs):
    """Return a data loader with a generator of its own, so that the global random state is neither read nor changed."""
    return torch.utils.data.DataLoader(dataset, generator=torch.Generator().manual_seed(seed), **kwargs)


def one_thread_method(method):
    """Decorate a method to run within `one_thread`."""

    @wraps(method)
    def limited(*args, **kwargs):
        with one_thread():
            return method(*args, **kwargs)

    return limited


@cache
def _thread_pools():
    return ThreadpoolController()


def one_thread(user_api=None):
    """Return a context in which torch and BLAS compute in one thread, restored at its end.

    The order of summation, and with it the last bits, depends on the number of threads; and the small matrices of these
    models gain little from more. ``n_jobs`` runs whole chunks side by side instead.

    Parameters
    ----------
    user_api : {"openmp", "blas"}, optional
        Limit these libraries only. OpenMP's setting, torch's, belongs to the calling thread.
    """
    torch.get_num_threads()  # torch sets its number of threads at a thread's first use, and would undo the limit
    return _thread_pools().limit(limits=1, user_api=user_api)


def in_constant_chunks(function, data, chunk_size, n_jobs=None):
    """Apply a function to chunks of one constant size, without gradients.

    The last chunk is filled up with copies of its first case, so that every result has the same bits whatever else is
    computed with it.

    Parameters
    ----------
    function : callable
        Takes the tensors of a chunk as keyword arguments, returns a tensor (chunk_size, ...).
    data : dict of str to tensor
        Each (N, ...).
    chunk_size : int
    n_jobs : int, optional
        Threads, in joblib's meaning.

    Returns
    -------
    tensor of shape (N, ...)
    """
    n_cases = len(next(iter(data.values())))

    def compute(start):
        index = torch.arange(start, start + chunk_size)
        index = torch.where(index < n_cases, index, start)
        with torch.no_grad(), one_thread("openmp"):
            result = function(**{name: values[index.to(values.device)] for name, values in data.items()})
        return result[: n_cases - start]

    starts = range(0, n_cases, chunk_size)
    return torch.cat(Parallel(n_jobs=n_jobs, prefer="threads")(delayed(compute)(start) for start in starts))


def chunk_size(n_waveforms):
    """Return how many cases make a chunk when each has ``n_waveforms`` waveforms."""
    return max(1, CHUNK_WAVEFORMS // n_waveforms)


class V2SNet(NeuralNetClassifier):
    """skorch net over a `ReprogrammedModel`, for integer labels.

    Differs from its base in that the loss is weighted, inference runs in chunks of constant size, no optimizer state is
    pickled, and the global random state is neither read nor changed.

    Parameters
    ----------
    chunk_size : int
        Cases computed at a time in inference.
    n_jobs : int, optional
        Threads in inference.
    **kwargs
        See :class:`skorch.NeuralNetClassifier`. X is a dict with "series" (N, C, T), "lengths" (N,) and, for training,
        "sample_weight" (N,).
    """

    def __init__(self, module, *args, chunk_size=CHUNK_WAVEFORMS, n_jobs=None, **kwargs):
        self.chunk_size = chunk_size
        self.n_jobs = n_jobs
        kwargs.setdefault("criterion", nn.NLLLoss)
        kwargs.setdefault("iterator_train", seeded_loader)
        kwargs.setdefault("iterator_valid", seeded_loader)
        # softmax(log p) normalises the many-to-one probabilities, which sum to less than one.
        kwargs.setdefault("predict_nonlinearity", normalise)
        super().__init__(module, *args, **kwargs)

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Return the weighted mean of the negative log-probabilities of the true classes."""
        losses = nn.functional.nll_loss(y_pred, y_true, reduction="none")
        weights = X["sample_weight"].to(losses)
        return (weights * losses).sum() / weights.sum()

    def infer(self, x, **fit_params):
        """Run the module on the series of a batch; weights are for the loss only."""
        return super().infer({name: x[name] for name in ("series", "lengths")}, **fit_params)

    def evaluation_step(self, batch, training=False):
        """Return the module's output for a batch, computed in chunks of constant size."""
        if training:
            return super().evaluation_step(batch, training=True)
        self.check_is_fitted()
        self._set_training(False)
        x = batch[0]
        return in_constant_chunks(
            lambda **chunk: self.infer(chunk),
            {name: x[name] for name in ("series", "lengths")},
            self.chunk_size,
            self.n_jobs,
        )

    def initialize(self):
        """Initialize the net and leave module and criterion in eval mode, which skorch does not."""
        super().initialize()
        self._set_training(False)
        return self

    def on_train_end(self, net, X=None, y=None, **kwargs):
        """Leave module and criterion in eval mode, which skorch does not."""
        super().on_train_end(net, X=X, y=y, **kwargs)
        self._set_training(False)

    def __setstate__(self, state):
        super().__setstate__(state)
        if hasattr(self, "module_"):
            self.module_.to(self.device)

    def __getstate__(self):
        # Adam's moments are twice as large as theta and of no use after fit.
        lean = object.__new__(type(self))
        lean.__dict__.update({name: value for name, value in self.__dict__.items() if name != "optimizer_"})
        return super(V2SNet, lean).__getstate__()


def normalise(log_probabilities):
    """Return probabilities that sum to one: (B, n_classes) to (B, n_classes)."""
    return torch.softmax(log_probabilities.double(), dim=1)


@torch.no_grad()
def fit_pooling(model, data, seed=0):
    """Return the parameters of `OctavePooling` for each input that is heard at every octave.

    ``data`` as for :class:`V2SNet`; ``seed`` of the random channels.
    """
    n_cases = len(data["series"])
    chosen = np.unique(np.linspace(0, n_cases - 1, min(n_cases, N_CASES)).astype(int))
    device = next(model.parameters()).device
    series, lengths = (torch.as_tensor(data[name][chosen]).to(device) for name in ("series", "lengths"))
    return [
        fit_octaves(acoustic.filters.double().cpu().numpy(), waveforms, seed)
        for _, acoustic, waveforms, reprogram in model.sound(series, lengths)
        if reprogram.every_octave
    ]


def _compute(model, function, data, n_jobs):
    model.eval()
    device = next(model.parameters()).device
    inputs = {name: torch.as_tensor(data[name]).to(device) for name in ("series", "lengths")}
    size = chunk_size(model.n_waveforms(inputs["series"].shape[1]))
    return in_constant_chunks(function, inputs, size, n_jobs).cpu().numpy()


def compute_embeddings(model, data, n_jobs=None):
    """Return the embeddings of all cases, float32 array (N, G * D); ``data`` as for :class:`V2SNet`."""
    return _compute(model, model.embed, data, n_jobs)


@torch.no_grad()
def embedding_groups(model, data):
    """Return the numbers of embedding values and of waveforms of each acoustic model; ``data`` as for `V2SNet`."""
    device = next(model.parameters()).device
    series, lengths = (torch.as_tensor(data[name][:1]).to(device) for name in ("series", "lengths"))
    n_values = [embedding.shape[1] for embedding in model.embed_by_model(series, lengths)]
    n_waveforms = [0] * len(n_values)
    for position, _, waveforms, _ in model.sound(series, lengths):
        n_waveforms[position] += waveforms.shape[1]
    return tuple(zip(n_values, n_waveforms, strict=True))


def compute_source_probabilities(model, data, n_jobs=None):
    """Return the source probabilities of all cases, float32 array (N, K); ``data`` as for :class:`V2SNet`."""
    return _compute(model, lambda **chunk: torch.softmax(model.source_logits(**chunk), dim=1), data, n_jobs)


def resolve_device(device):
    """Return the torch device that a ``device`` parameter stands for.

    Raises
    ------
    InvalidParameterError
        If torch does not know it or cannot use it here.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        raise InvalidParameterError(
            f"device={device!r} cannot be used here: {str(error).splitlines()[0]} Take 'auto', 'cpu' or a device of "
            "this machine."
        ) from error
