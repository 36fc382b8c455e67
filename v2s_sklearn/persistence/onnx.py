"""Fitted estimators as ONNX graphs: scaling, views, frozen networks, pooling and mapping, from series to probabilities.

A graph holds what is computed for one case, with all shapes constant, and an operator that runs it on case after case.

Shape legend: C channels, T time points of the fitted series, S waveform samples, K class probabilities.
"""

import io
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import NotFittedError
from torch import nn

from v2s_sklearn.base import BaseV2S, Cases
from v2s_sklearn.errors import ExportError, InvalidParameterError, InvalidSeriesError
from v2s_sklearn.files.writing import check_target, write_atomically
from v2s_sklearn.persistence.operators import Exportable
from v2s_sklearn.runtime.optional import import_optional
from v2s_sklearn.runtime.threads import one_thread
from v2s_sklearn.series.moments import shorten
from v2s_sklearn.series.scaling import FINITE, LIMIT, ROUNDING, SHARE_OF_DEVIATION, SHARE_OF_SIZE
from v2s_sklearn.series.wrapped import unwrap

OPSET = 18
TOLERANCE = 1e-4
# Random walks on which a graph is checked before it is written.
N_WALKS = 3
# Deviations from the training mean at which flat series and steps are, on which it is checked, too.
LEVELS = (-3.0, -1.1, -0.3, 0.0, 0.1, 0.7, 2.0)
# The label of a series with NaN or infinity, where labels are integers; where they are texts, it is an empty one.
NO_LABEL = np.iinfo(np.int64).min


class _Path(nn.Module):
    """What an estimator computes for a case: float64 (C, T) to (K,); NaN where a value is one that it refuses."""

    mean: torch.Tensor
    scale: torch.Tensor
    unit: torch.Tensor
    level: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, scaler, network, n_points, answer):
        super().__init__()
        self.network, self.answer = network, answer
        self.limit = LIMIT if scaler.standardize else float("inf")
        # Without standardisation, series beyond what can be heard are refused.
        self.largest = float(np.finfo(np.float64).max) if scaler.standardize else LIMIT
        length = min(n_points, scaler.max_points or n_points)
        self.register_buffer("lengths", torch.tensor([length]))
        # Averages only where there are any: products with whole numbers leave constants constant.
        shortening = shorten(np.eye(n_points), length).T.copy() if length < n_points else None
        # In the scaler's units, as it computes, so that nothing overflows.
        values = {
            "shortening": shortening,
            "unit": scaler.unit_[:, None],
            "mean": (scaler.mean_ / scaler.unit_)[:, None],
            "scale": (scaler.scale_ / scaler.unit_)[:, None],
            "mixture": scaler.mixture_ if len(scaler.mean_) > 1 else None,
            "deviation": (scaler.deviations() / scaler.scale_)[:, None],
            "level": (scaler.mean_ / scaler.scale_)[:, None],
        }
        for name, value in values.items():
            self.register_buffer(name, None if value is None else torch.from_numpy(np.asarray(value, np.float64)))

    def forward(self, case):
        """Return probabilities or features."""
        with torch.no_grad(), Exportable():
            refused = torch.where(case.abs() <= self.largest, 0.0, float("nan")).sum()
            scaled = self._scale(case).float().unsqueeze(0)
            answer = self.answer(self.network, scaled, self.lengths)[0]
            return answer + refused.to(answer.dtype)

    def _scale(self, case):
        """Return what `SeriesScaler.transform` does, in double precision."""
        case = (case / self.unit).clamp(-FINITE, FINITE)
        case = case if self.shortening is None else case @ self.shortening.T
        scaled, still = self._settle(((case - self.mean) / self.scale).clamp(-self.limit, self.limit))
        if self.mixture is None:
            return scaled
        mixed = self.mixture @ scaled
        return torch.where(still.all(), mixed[:, :1], mixed)

    def _settle(self, scaled):
        """Return the series with what varies by no more than rounding made constant, and which channels that are."""
        low, high = scaled.amin(1, keepdim=True), scaled.amax(1, keepdim=True)
        size = torch.maximum((low + self.level).abs(), (high + self.level).abs())
        least = torch.minimum(SHARE_OF_SIZE * size, SHARE_OF_DEVIATION * self.deviation)
        still = high - low <= torch.maximum(ROUNDING * self.deviation, least)
        return torch.where(still, low + (high - low) / 2, scaled), still


def _probabilities(network, series, lengths):
    return torch.softmax(network(series, lengths).double(), dim=1)


def _features(network, series, lengths):
    return network.embed(series, lengths)


def to_onnx(
    estimator: Any,
    path: str | Path,
    X: Cases | None = None,
    tolerance: float = TOLERANCE,
    *,
    dtype: str = "float64",
    label: bool = False,
) -> None:
    """Write what a fitted estimator computes as an ONNX graph, and check the graph with onnxruntime.

    The graph takes ``X``, (n_cases, n_channels, n_timepoints), series of the length of the fitted ones, any number of
    them, and gives ``probabilities``, float64 (n_cases, n_classes), or the ``features`` of a transformer. Its metadata
    hold ``classes``, the labels as JSON, and ``v2s_sklearn``, the estimator in words. It fills no gaps: a series with
    NaN or infinity has NaN for an answer.

    It is checked on random walks, on flat series and steps of several levels, and on ``X``.

    Parameters
    ----------
    estimator : V2SClassifier, V2SFeatures or TransferClassifier
        Fitted to series of equal length; or a search that found one. Of a pipeline that changes the series, give the
        last step.
    path : path
        Of the file, which is written whole or not at all.
    X : collection, optional
        Series on which the graph is checked, too, such as the training cases.
    tolerance : float, default=1e-4
        How much an answer of the graph may differ from the estimator's; of features relative to the largest. Voices in
        a spectrogram can need 2e-3: some of their features are shares of the frames above a level, and where a frame
        lies at the level, the last bit of single precision, in which no two libraries agree, decides. One or two of
        thousands of features jump by a frame; the rest moves probabilities by some 1e-6.
    dtype : {"float64", "float32"}, default="float64"
        Of the graph's input.
    label : bool, default=False
        Let the graph of a classifier give ``label`` first, as those of skl2onnx do: the most probable class, a text or
        int64 (n_cases,). Of a series with NaN or infinity it is an empty text, or the least number of int64.

    Raises
    ------
    ExportError
        If the graph cannot hold what the estimator does; the message says what it does.
    InvalidParameterError
        If a parameter is none of these, or the estimator is inside another one that cannot be opened.
    InvalidSeriesError
        If X does not fit the estimator.
    OSError
        If the file cannot be written there, see `v2s_sklearn.files.writing.check_target`; before anything is computed.
    MissingDependencyError
        If onnx or onnxruntime is not installed.
    NotFittedError
        If the estimator is not fitted.
    """
    estimator, _ = unwrap(estimator, BaseV2S, "V2SClassifier, V2SFeatures or TransferClassifier", alone=True)
    if not estimator.is_fitted:
        raise NotFittedError(f"This {type(estimator).__name__} is not fitted yet: call fit before to_onnx.")
    check_target(path)
    onnx, runtime = (import_optional(name, "onnx", "Export to ONNX") for name in ("onnx", "onnxruntime"))
    _check(estimator, dtype, label)
    is_classifier = hasattr(estimator, "predict_proba")
    network, answer = (estimator.net_.module_, _probabilities) if is_classifier else (estimator._network, _features)
    shape = estimator.metadata_["n_channels"], estimator.metadata_["n_timepoints"]
    cases = {kind: values.astype(dtype) for kind, values in _checked_cases(estimator, shape, X).items()}
    broken = np.repeat(cases["a random walk"][:1], 2, axis=0)
    broken[:, -1, shape[1] // 2] = np.nan, np.inf
    device = next(network.parameters()).device
    try:
        model = onnx.load_from_string(
            _trace(_Path(estimator.scaler_, network.cpu(), shape[1], answer), np.zeros(shape))
        )
        model = _scan(onnx, model, shape, "probabilities" if is_classifier else "features", dtype)
        if label:
            _add_label(onnx, model.graph, estimator.classes_)
        onnx.helper.set_model_props(model, _describe(estimator))
        onnx.checker.check_model(model)
        graph = model.SerializeToString()
        session = runtime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        found = {kind: session.run(None, {"X": values}) for kind, values in {**cases, "NaN": broken}.items()}
    except Exception as error:  # the exporter raises whatever it meets
        raise ExportError(
            f"{_in_words(estimator)} cannot be written as an ONNX graph of opset {OPSET} ({type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else ''}). Deploy it by its save instead."
        ) from error
    finally:
        network.to(device)
    if not np.isnan(found.pop("NaN")[-1]).all():
        raise ExportError(f"The ONNX graph of {_in_words(estimator)} gives answers for NaN: it was not written.")
    for kind, values in cases.items():
        expected = estimator.predict_proba(values) if is_classifier else estimator.transform(values)
        _compare(estimator, kind, found[kind][-1], expected, tolerance)
        if label and not np.array_equal(found[kind][0], estimator.classes_[found[kind][-1].argmax(axis=1)]):
            raise ExportError(f"The ONNX graph of {_in_words(estimator)} gives other labels: it was not written.")
    write_atomically(path, graph)


def _check(estimator, dtype, label):
    """Raise an error unless such a graph can be made of an estimator."""
    if dtype not in ("float64", "float32"):
        raise InvalidParameterError(f"dtype={dtype!r}: the input of a graph can be 'float64' or 'float32'.")
    if label and not hasattr(estimator, "classes_"):
        raise InvalidParameterError(f"{type(estimator).__name__} gives features, no label. Set label=False.")
    if label and estimator.classes_.dtype.kind not in "biuU" and not _are_texts(estimator.classes_):
        raise ExportError(
            f"The labels are of dtype {estimator.classes_.dtype}; an ONNX graph gives texts or integers. Fit to such, "
            "or set label=False and take the classes from the graph's metadata."
        )
    if estimator.metadata_["unequal_length"]:
        raise ExportError(
            f"This {type(estimator).__name__} was fitted to series of unequal length, and a graph is for one length. "
            "Fit it to series of one length, for example padded or interpolated ones, or deploy it by its save."
        )


def _are_texts(classes):
    return all(isinstance(label, str) for label in classes.tolist())


def _checked_cases(estimator, shape, X):
    """Return the series on which a graph is checked, arrays (N, C, T), by what each of them is."""
    n_points = shape[1]
    mean, scale = estimator.series_mean_[:, None], estimator.series_scale_[:, None]
    walks = np.random.RandomState(0).normal(size=(N_WALKS, *shape)).cumsum(axis=2)
    levels = np.array(LEVELS)[:, None, None] * np.ones(shape)
    late = np.arange(n_points) >= n_points // 3
    cases = {
        "a random walk": walks / walks.std(),
        "a flat series": levels,
        "a step": np.where(late, levels, -levels / 2),
    }
    cases = {kind: mean + scale * values for kind, values in cases.items()}
    if X is not None:
        X = estimator._preprocess_collection(X, store_metadata=False)
        wrong = {case.shape for case in X} - {shape}
        if wrong:
            raise InvalidSeriesError(
                f"X has series of {wrong.pop()} channels and time points, but the graph is for those of fit, {shape}. "
                "Give such series."
            )
        cases["a series of X"] = np.stack(list(X))
    return cases


def _compare(estimator, kind, found, expected, tolerance):
    """Raise ExportError where the answers of a graph are not those of the estimator."""
    difference = np.abs(found - expected).max() / max(1.0, np.abs(expected).max())
    if not difference <= tolerance:
        raise ExportError(
            f"The ONNX graph of {_in_words(estimator)} differs from it by {difference:.2g} on {kind}, more than "
            f"tolerance={tolerance:g}: it was not written. Raise tolerance if that will do, or deploy it by its save."
        )


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


def _scan(onnx, model, shape, output, dtype):
    """Return a model that runs the graph of one case on all cases; its weights are held once."""
    helper, one = onnx.helper, model.graph
    (answer,) = one.output
    kind = answer.type.tensor_type
    body = helper.make_graph(one.node, "case", one.input, one.output)
    given = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    nodes = [
        helper.make_node("Cast", ["X"], ["series"], to=one.input[0].type.tensor_type.elem_type),
        helper.make_node("Scan", ["series"], [output], body=body, num_scan_inputs=1),
    ]
    size = [dimension.dim_value or None for dimension in kind.shape.dim]
    graph = helper.make_graph(
        nodes,
        "v2s_sklearn",
        [helper.make_tensor_value_info("X", given, ["n_cases", *shape])],
        [helper.make_tensor_value_info(output, kind.elem_type, ["n_cases", *size])],
        one.initializer,
    )
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)


def _add_label(onnx, graph, classes):
    """Let a graph give the label of the most probable class first; none where the probabilities are NaN."""
    helper, is_text = onnx.helper, classes.dtype.kind not in "biu"
    kind = onnx.TensorProto.STRING if is_text else onnx.TensorProto.INT64
    labels: list = [*classes.tolist(), ""] if is_text else [*map(int, classes.tolist()), NO_LABEL]
    labels = [text.encode() for text in labels] if is_text else labels
    graph.initializer.extend(
        [
            helper.make_tensor("labels", kind, [len(labels)], labels),
            helper.make_tensor("no_label", onnx.TensorProto.INT64, [], [len(classes)]),
            helper.make_tensor("first", onnx.TensorProto.INT64, [], [0]),
        ]
    )
    graph.node.extend(
        [
            helper.make_node("ArgMax", ["probabilities"], ["largest"], axis=1, keepdims=0),
            helper.make_node("Gather", ["probabilities", "first"], ["one"], axis=1),
            helper.make_node("Equal", ["one", "one"], ["known"]),  # NaN is no number, not even itself
            helper.make_node("Where", ["known", "largest", "no_label"], ["chosen"]),
            helper.make_node("Gather", ["labels", "chosen"], ["label"]),
        ]
    )
    graph.output.insert(0, helper.make_tensor_value_info("label", kind, ["n_cases"]))


def _in_words(estimator):
    """Return class and mode of an estimator."""
    parameters = estimator.get_params(deep=False)
    shown = {name: parameters[name] for name in ("acoustic_model", "reprogramming", "mapping") if name in parameters}
    return f"{type(estimator).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


def _describe(estimator):
    """Return the metadata of the graph of an estimator."""
    labels = estimator.classes_.tolist() if hasattr(estimator, "classes_") else []
    return {"classes": json.dumps(labels, default=str), "v2s_sklearn": _in_words(estimator)}
