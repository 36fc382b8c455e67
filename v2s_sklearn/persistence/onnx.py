"""Fitted estimators as ONNX graphs: scaling, views, frozen networks, pooling and mapping, from series to probabilities.

A graph holds what is computed for one case, with all shapes constant, and an operator that runs it on case after case.

Shape legend: C channels, T time points of the fitted series, S waveform samples, K class probabilities.
"""

import importlib
import io
import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.exceptions import NotFittedError
from torch import nn
from torch.overrides import TorchFunctionMode

from v2s_sklearn.errors import ExportError, MissingDependencyError
from v2s_sklearn.files.writing import write_atomically
from v2s_sklearn.runtime.threads import one_thread
from v2s_sklearn.series.moments import shorten

OPSET = 18
TOLERANCE = 1e-4
# Random cases on which a graph is checked before it is written.
N_CHECKED = 3


def _constant(array, like):
    return torch.from_numpy(np.ascontiguousarray(array)).to(like.dtype)


class _Spectrum:
    """Real and imaginary part of a spectrum, for what the package asks of a complex tensor."""

    def __init__(self, real, imag):
        self.real, self.imag = real, imag

    def __getitem__(self, index):
        return _Spectrum(self.real[index], self.imag[index])


def _fourier_transform(values, n=None):
    """Return what ``torch.fft.rfft`` does, as two matrix products; ``n`` is at least the number of values.

    In double precision: a plain sum of so many terms is less exact than the fast transform, which shows in faint bands.
    """
    n_values = values.shape[-1]
    n = int(n_values if n is None else n)
    angle = 2 * np.pi * (np.outer(np.arange(int(n_values)), np.arange(n // 2 + 1)) % n) / n
    parts = (values.double() @ torch.from_numpy(part) for part in (np.cos(angle), -np.sin(angle)))
    return _Spectrum(*(part.to(values.dtype) for part in parts))


def _gather(values, axis, index):
    """Return values at indices along an axis, which becomes the axes of the indices."""
    flat = values.index_select(axis, torch.from_numpy(index.ravel()))
    return flat.unflatten(axis, index.shape)


def _unfold(values, dimension, size, step):
    """Return what ``Tensor.unfold`` does over the last dimension."""
    starts = np.arange(0, int(values.shape[-1]) - size + 1, step)
    return _gather(values, values.ndim - 1, starts[:, None] + np.arange(size))


def _as_strided(values, size, stride, storage_offset=None):
    """Return what ``as_strided`` does where it makes two axes of one, such as the patches along it."""
    own = values.stride()
    for axis in range(values.ndim):
        before, (first, second), after = stride[:axis], stride[axis : axis + 2], stride[axis + 2 :]
        divides = first % own[axis] == second % own[axis] == 0
        if divides and tuple(before) == own[:axis] and tuple(after) == own[axis + 1 :]:
            rows, columns = np.arange(int(size[axis])), np.arange(int(size[axis + 1]))
            index = rows[:, None] * (first // own[axis]) + columns * (second // own[axis])
            if index.max() < int(values.shape[axis]):
                return _gather(values, axis, index)
    raise NotImplementedError(f"as_strided to {tuple(size)} by {tuple(stride)}")


def _means(values, starts, stops):
    """Return the means of intervals along the last axis, as a matrix product."""
    place = np.arange(int(values.shape[-1]))[:, None]
    inside = (place >= starts) & (place < stops)
    return values @ _constant(inside / inside.sum(0), values)


def _adaptive_average(values, n_segments):
    """Return what ``adaptive_avg_pool1d`` does."""
    n_values, segments = int(values.shape[-1]), np.arange(n_segments)
    return _means(values, segments * n_values // n_segments, -(-(segments + 1) * n_values // n_segments))


def _adaptive_average_2d(values, sizes):
    """Return what ``adaptive_avg_pool2d`` does."""
    rows, columns = (int(size) for size in sizes)
    return _adaptive_average(_adaptive_average(values, columns).transpose(2, 3), rows).transpose(2, 3)


def _average(values, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """Return what ``avg_pool1d`` without padding does."""
    n_values, size = int(values.shape[-1]), np.ravel(kernel_size)[0]
    step = size if stride is None else np.ravel(stride)[0]
    last = n_values - 1 if ceil_mode else n_values - size
    starts = np.arange(0, last + 1, step)
    return _means(values, starts, np.minimum(starts + size, n_values))


def _differences(values, n=1, dim=-1, prepend=None):
    """Return what ``diff`` does, once."""
    if prepend is not None:
        values = torch.cat([prepend, values], dim)
    length = int(values.shape[dim]) - 1
    return values.narrow(dim, 1, length) - values.narrow(dim, 0, length)


def _in_double(function):
    """Return a function computed in double precision: torch adds so in ``cumsum``, and reduces large angles well."""

    def compute(values, *args, **kwargs):
        """Return what the function gives in double precision, in that of the values."""
        return function(values.double(), *args, **kwargs).to(values.dtype)

    return compute


def _cosine(values):
    """Return the cosine as a sine: older onnxruntimes have no cosine in double precision."""
    return torch.sin(values.double() + math.pi / 2).to(values.dtype)


def _interpolate(start, end, weight):
    """Return what ``lerp`` does: rounded once, from the nearer end. The phase of a voice shows the last bit."""
    near = (weight < 0.5).to(weight.dtype)
    base = near * start + (1 - near) * end
    return (base.double() + (weight - (1 - near)).double() * (end - start).double()).to(start.dtype)


def _pad(values, pad, mode="constant", value=None):
    return torch.constant_pad_nd(values, tuple(int(size) for size in pad), value or 0.0)


def _compare(function):
    def compare(values, other, out=None):
        """Return the comparison, as numbers where torch was given a tensor for them."""
        found = function(values, other)
        return found if out is None else found.to(values.dtype)

    return compare


class _Exportable(TorchFunctionMode):
    """Replaces what ONNX has no operator for."""

    REPLACED = {
        nn.functional.adaptive_avg_pool1d: _adaptive_average,
        nn.functional.adaptive_avg_pool2d: _adaptive_average_2d,
        nn.functional.avg_pool1d: _average,
        nn.functional.pad: _pad,
        torch.cos: _cosine,
        torch.cumsum: _in_double(torch.cumsum),
        torch.diff: _differences,
        torch.eq: _compare(torch.eq),
        torch.fft.rfft: _fourier_transform,
        torch.gt: _compare(torch.gt),
        torch.lerp: _interpolate,
        torch.relu_: torch.relu,
        torch.sin: _in_double(torch.sin),
        torch.Tensor.as_strided: _as_strided,
        torch.Tensor.cumsum: _in_double(torch.cumsum),
        torch.Tensor.diff: _differences,
        torch.Tensor.unfold: _unfold,
    }

    def __torch_function__(self, function, types, args=(), kwargs=None):
        return self.REPLACED.get(function, function)(*args, **(kwargs or {}))


class _Path(nn.Module):
    """What an estimator computes for a case: float64 (C, T) to (K,)."""

    mean_: torch.Tensor
    scale_: torch.Tensor

    def __init__(self, scaler, network, n_points, answer):
        super().__init__()
        self.network, self.answer = network, answer
        length = min(n_points, scaler.max_points or n_points)
        self.register_buffer("lengths", torch.tensor([length]))
        self.register_buffer("shortening", torch.from_numpy(shorten(np.eye(n_points), length).T.copy()))
        for name in ("mean_", "scale_", "mixture_"):
            self.register_buffer(name, torch.from_numpy(np.asarray(getattr(scaler, name), dtype=np.float64)))

    def forward(self, case):
        """Return probabilities or features."""
        with torch.no_grad(), _Exportable():
            scaled = (case @ self.shortening.T - self.mean_[:, None]) / self.scale_[:, None]
            return self.answer(self.network, (self.mixture_ @ scaled).float().unsqueeze(0), self.lengths)[0]


def _probabilities(network, series, lengths):
    return torch.softmax(network(series, lengths).double(), dim=1)


def _features(network, series, lengths):
    return network.embed(series, lengths)


def _require(module):
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f"Export to ONNX needs {module}, which is not installed: pip install 'v2s-sklearn[onnx]'."
        ) from error


def to_onnx(estimator: Any, path: str | Path, X: ArrayLike | None = None, tolerance: float = TOLERANCE) -> None:
    """Write what a fitted estimator computes as an ONNX graph, and check the graph with onnxruntime.

    The graph takes ``X``, float64 (n_cases, n_channels, n_timepoints), series of the length of the fitted ones, any
    number of them, and gives ``probabilities``, float64 (n_cases, n_classes), or the ``features`` of a transformer. Its
    metadata hold ``classes``, the labels as JSON, and ``v2s_sklearn``, the estimator in words.

    Parameters
    ----------
    estimator : V2SClassifier, V2SFeatures or TransferClassifier
        Fitted to series of equal length.
    path : path
        Of the file, which is written whole or not at all.
    X : array-like of shape (n_cases, n_channels, n_timepoints), optional
        Series on which the graph is checked; random walks by default.
    tolerance : float, default=1e-4
        How much an answer of the graph may differ from the estimator's; of features relative to the largest. Voices in
        a spectrogram can need 1e-3: some of their features are shares of the frames above a level, and where a frame
        lies at the level, the last bit of single precision, in which no two libraries agree, decides. One or two of
        thousands of features jump by a frame; the rest moves probabilities by some 1e-6.

    Raises
    ------
    ExportError
        If the graph cannot hold what the estimator does; the message says what it does.
    MissingDependencyError
        If onnx or onnxruntime is not installed.
    NotFittedError
        If the estimator is not fitted.
    """
    if not estimator.is_fitted:
        raise NotFittedError(f"This {type(estimator).__name__} is not fitted yet: call fit before to_onnx.")
    onnx, runtime = _require("onnx"), _require("onnxruntime")
    if estimator.metadata_["unequal_length"]:
        raise ExportError(
            f"This {type(estimator).__name__} was fitted to series of unequal length, and a graph is for one length. "
            "Fit it to series of one length, for example padded or interpolated ones, or deploy it by its save."
        )
    is_classifier = hasattr(estimator, "predict_proba")
    network, answer = (estimator.net_.module_, _probabilities) if is_classifier else (estimator._network, _features)
    shape = estimator.metadata_["n_channels"], estimator.metadata_["n_timepoints"]
    if X is None:
        X = np.random.RandomState(0).normal(size=(N_CHECKED, *shape)).cumsum(axis=2)
        X = estimator.series_mean_[:, None] + estimator.series_scale_[:, None] * X / X.std()
    X = np.asarray(X, dtype=np.float64).reshape(-1, *shape)
    device = next(network.parameters()).device
    try:
        model = onnx.load_from_string(_trace(_Path(estimator.scaler_, network.cpu(), shape[1], answer), X[0]))
        model = _scan(onnx.helper, model, shape, "probabilities" if is_classifier else "features")
        onnx.helper.set_model_props(model, _describe(estimator))
        graph = model.SerializeToString()
        found = runtime.InferenceSession(graph, providers=["CPUExecutionProvider"]).run(None, {"X": X})[0]
    except Exception as error:  # the exporter raises whatever it meets
        raise ExportError(
            f"{_in_words(estimator)} cannot be written as an ONNX graph of opset {OPSET} ({type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else ''}). Deploy it by its save instead."
        ) from error
    finally:
        network.to(device)
    expected = estimator.predict_proba(X) if is_classifier else estimator.transform(X)
    difference = np.abs(found - expected).max() / max(1.0, np.abs(expected).max())
    if not difference <= tolerance:
        raise ExportError(
            f"The ONNX graph of {_in_words(estimator)} differs from it by {difference:.2g}, more than "
            f"tolerance={tolerance:g}: it was not written. Raise tolerance if that will do, or deploy it by its save."
        )
    write_atomically(path, graph)


@one_thread()
def _trace(module, case):
    """Return the graph of a module as bytes."""
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of shapes that are meant to be constant, and of the exporter's own future
        torch.onnx.export(
            module.eval(),
            (torch.from_numpy(case),),
            content,  # type: ignore[arg-type]  # files in memory are meant, too
            input_names=["case"],
            output_names=["answer"],
            opset_version=OPSET,
            # The tracing one: it keeps an LSTM layer whole, where the other unrolls it.
            dynamo=False,
        )
    return content.getvalue()


def _scan(helper, model, shape, output):
    """Return a model that runs the graph of one case on all cases; its weights are held once."""
    one = model.graph
    (answer,) = one.output
    kind = answer.type.tensor_type
    body = helper.make_graph(one.node, "case", one.input, one.output)
    node = helper.make_node("Scan", ["X"], [output], body=body, num_scan_inputs=1)
    size = [dimension.dim_value or None for dimension in kind.shape.dim]
    graph = helper.make_graph(
        [node],
        "v2s_sklearn",
        [helper.make_tensor_value_info("X", one.input[0].type.tensor_type.elem_type, ["n_cases", *shape])],
        [helper.make_tensor_value_info(output, kind.elem_type, ["n_cases", *size])],
        one.initializer,
    )
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)


def _in_words(estimator):
    """Return class and mode of an estimator."""
    parameters = estimator.get_params(deep=False)
    shown = {name: parameters[name] for name in ("acoustic_model", "reprogramming", "mapping") if name in parameters}
    return f"{type(estimator).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


def _describe(estimator):
    """Return the metadata of the graph of an estimator."""
    labels = estimator.classes_.tolist() if hasattr(estimator, "classes_") else []
    return {"classes": json.dumps(labels, default=str), "v2s_sklearn": _in_words(estimator)}
