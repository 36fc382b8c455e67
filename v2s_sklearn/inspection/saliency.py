"""Class activation maps of the source's convolutions, on the time axis of the series.

Shape legend: N cases, C channels, T time points, G waveforms of a case, D channels of a layer, F' frames of a layer,
L layers.
"""

import copy
from contextlib import ExitStack
from typing import Any, Self

import numpy as np
import torch
from torch import nn

from v2s_sklearn.base import BaseV2SClassifier, Cases
from v2s_sklearn.errors import InvalidParameterError
from v2s_sklearn.inspection.cases import (
    choose_view,
    class_columns,
    fitted_views,
    on_time_axis,
    one_case,
    opened,
    opened_for_one,
    points_of_samples,
)
from v2s_sklearn.inspection.drawing import COLORMAP, draw_series, make_axes, short
from v2s_sklearn.network.reprogrammed import cases_per_pass
from v2s_sklearn.runtime.threads import one_thread


@one_thread()
def class_activation_maps(
    clf: BaseV2SClassifier, X: Cases, y: Cases | None = None, *, n_steps: int = 8
) -> dict[str, np.ndarray]:
    """Return what the activations of each convolution at each time point do for a class.

    The series is faded in from the training mean in some steps; at each, the changes of the activations of a layer are
    multiplied by the gradients of the class's log-probability and summed over the channels. So each layer's map, summed
    over time, is about the log-probability that the series gains over the mean [3]_, where the original takes one
    gradient [2]_ or the weights of a linear last layer [1]_, which says the same for no layer but the last. Frames are
    mapped back to the time points that they hear.

    Parameters
    ----------
    clf : V2SClassifier
        Fitted, with a source that has convolutions on the way of the gradient. That leaves out the pooling of
        "playback" and the mixtures of "contour".
    X : collection
        N series of equal length.
    y : array of shape (N,), optional
        The class of each series whose log-probability is explained; by default what is predicted.
    n_steps : int, default=8

    Returns
    -------
    dict of str to ndarray of shape (N, T)
        In nats a frame, by "source: layer" in the order of computation; negative where the point speaks against the
        class.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    InvalidParameterError
        If no convolution is reached, the series differ in length, or a label is unknown.

    References
    ----------
    .. [1] B. Zhou et al., Learning deep features for discriminative localization, CVPR 2016 (class activation map).
    .. [2] R. Selvaraju et al., Grad-CAM, ICCV 2017, equations 1 and 2.
    .. [3] K. Dhamdhere, M. Sundararajan, Q. Yan, How important is a neuron?, ICLR 2019 (conductance).

    Examples
    --------
    >>> from aeon.datasets import load_gunpoint
    >>> from v2s_sklearn import V2SClassifier
    >>> from v2s_sklearn.inspection import class_activation_maps
    >>> X, y = load_gunpoint(split="train")
    >>> clf = V2SClassifier("v2sa", random_state=0).fit(X, y)
    >>> {layer: values.shape for layer, values in class_activation_maps(clf, X[:2], y[:2]).items()}
    {'v2sa: conv.0': (2, 150), 'v2sa: conv.3': (2, 150)}
    """
    clf, given = opened(clf, X)
    views = fitted_views(clf)
    X = clf._preprocess_collection(given, store_metadata=False)
    clf._check_shape(X)
    if len({case.shape[1] for case in X}) != 1:
        raise InvalidParameterError("The series differ in length. Give those of one length at a time.")
    X = np.stack(list(X))
    columns = class_columns(clf, y, given, len(X))
    network, convolutions = _with_private_sources(clf.net_.module_)
    baseline = np.broadcast_to(clf.scaler_.training_mean_[:, None], X.shape[1:])
    maps: dict[str, list] = {}
    # No more than a model hears at a time, so that each of its layers is computed once for all of them.
    n_block = min(cases_per_pass(view.n_waveforms) for view in views)
    for start in range(0, len(X), n_block):
        rows = slice(start, start + n_block)
        steps = [
            clf.scaler_.transform(baseline + share * (X[rows] - baseline)) for share in np.linspace(0, 1, n_steps + 1)
        ]
        points = [points_of_samples(view, int(steps[0].lengths[0]), X.shape[2]) for view in views]
        found = _conductance(network, convolutions, steps, columns[rows])
        block: dict[str, np.ndarray | int] = {}
        for (number, layer, _), frames in found.items():
            name = f"{views[number].acoustic.name}: {layer}"
            block[name] = block.get(name, 0) + on_time_axis(frames, points[number], X.shape[2])
        for name, values in block.items():
            maps.setdefault(name, []).append(values)
    if not maps:
        names = ", ".join(view.acoustic.name for view in views)
        raise InvalidParameterError(
            f"No convolution of {names} is reached by a gradient of the class. Take a source heard by 'pad', "
            "'modulation' or 'contour'; importance() works for all."
        )
    return {name: np.concatenate(parts) for name, parts in maps.items()}


def _with_private_sources(network):
    """Return a network with sources of its own, and the convolutions of each view: (number, name, module).

    The sources of the process are shared, so no hook may be hung on them; and while weights take gradients, no layers
    are folded into others.
    """
    twin, views, convolutions = copy.copy(network), [], []
    for number, view in enumerate(network.views):
        acoustic = view.acoustic
        private = copy.copy(view)
        private._acoustic = ((acoustic.full_rate or acoustic).trainable_copy(),)
        if acoustic.full_rate is not None:
            private._acoustic = (private._acoustic[0].at_half_rate(),)
        for name, module in private._acoustic[0].named_modules():
            if isinstance(module, nn.Conv1d | nn.Conv2d):
                convolutions.append((number, name, module, private._acoustic[0].time_axis))
        views.append(private)
    twin._modules = {**network._modules, "views": nn.ModuleList(views)}
    return twin, convolutions


def _conductance(network, convolutions, steps, columns):
    """Return the maps of a block of cases: a dict of (view, layer, how many times before) to (N, F').

    A layer is computed several times where a source hears contours of several lengths.
    """
    maps: dict[tuple, np.ndarray | int] = {}
    before = None
    for step in steps:
        now = _activations_and_gradients(network, convolutions, step, columns)
        if before is not None:
            for key, (activation, gradient, time_axis) in now.items():
                change = 0.5 * (gradient + before[key][1]) * (activation - before[key][0])
                change = change.unflatten(0, (len(columns), -1)).sum((1, 2))  # over waveforms and channels
                if change.ndim == 3:
                    change = change.sum(3 - (time_axis - 1))
                maps[key] = maps.get(key, 0) + change.double().cpu().numpy()
        before = now
    return maps


def _activations_and_gradients(network, convolutions, batch, columns):
    """Return what each convolution gives, and the gradient of the classes' log-probabilities with respect to it."""
    device = next(network.parameters()).device
    outputs: dict[tuple, tuple] = {}
    with ExitStack() as stack, torch.enable_grad():
        for number, name, module, time_axis in convolutions:

            def keep(module, inputs, output, number=number, name=name, time_axis=time_axis):
                """Keep the output of a convolution, each of its calls apart."""
                times = sum(key[:2] == (number, name) for key in outputs)
                outputs[number, name, times] = (output, time_axis)

            stack.callback(module.register_forward_hook(keep).remove)
        answers = network(torch.as_tensor(batch.series).to(device), torch.as_tensor(batch.lengths).to(device))
        total = answers[torch.arange(len(columns)), torch.as_tensor(columns)].sum()
        keys = [key for key, (output, _) in outputs.items() if output.requires_grad]
        if not keys:
            return {}
        gradients = torch.autograd.grad(total, [outputs[key][0] for key in keys], allow_unused=True)
    return {
        key: (outputs[key][0].detach(), gradient, outputs[key][1])
        for key, gradient in zip(keys, gradients, strict=True)
        if gradient is not None
    }


class SaliencyDisplay:
    """Series, and a map of each convolution of its source below it.

    Parameters
    ----------
    series : ndarray of shape (C, T)
    maps : dict of str to ndarray of shape (T,)
        By layer, from `class_activation_maps`, or, under any name, from `importance`.
    title : str, default=""

    Attributes
    ----------
    ax_ : ndarray of Axes
        Series, maps.
    figure_ : Figure

    Examples
    --------
    >>> from aeon.datasets import load_gunpoint
    >>> from v2s_sklearn import V2SClassifier
    >>> from v2s_sklearn.inspection import SaliencyDisplay
    >>> X, y = load_gunpoint(split="train")
    >>> clf = V2SClassifier("v2sa", random_state=0).fit(X, y)
    >>> list(SaliencyDisplay.from_estimator(clf, X[0], y[0]).maps)
    ['v2sa: conv.0', 'v2sa: conv.3']
    """

    def __init__(self, series: np.ndarray, maps: dict[str, np.ndarray], title: str = "") -> None:
        self.series = series
        self.maps = maps
        self.title = title

    @classmethod
    def from_estimator(
        cls,
        clf: BaseV2SClassifier,
        x: Cases,
        y: Cases | None = None,
        *,
        source: str | None = None,
        n_steps: int = 8,
        ax: Any = None,
    ) -> Self:
        """Draw the class activation maps of one series.

        Parameters
        ----------
        clf : V2SClassifier
            Fitted.
        x : array of shape (T,) or (C, T)
        y : label, optional
            The class to explain; by default what is predicted.
        source : str, optional
            Name of the acoustic model whose layers are drawn; by default of all.
        n_steps : int, default=8
            See `class_activation_maps`.
        ax : Axes or array of 2 Axes, optional

        Returns
        -------
        SaliencyDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        InvalidParameterError
            See `class_activation_maps`.
        InvalidSeriesError
            If x does not fit the estimator.
        """
        clf, x = opened_for_one(clf, x)
        views = fitted_views(clf)
        if source is not None:
            choose_view(views, source, "", "Take one of these.")
        case = one_case(clf, x)
        label = clf.predict([case])[0] if y is None else y
        maps = class_activation_maps(clf, [case], [label], n_steps=n_steps)
        maps = {layer: values[0] for layer, values in maps.items() if source is None or layer.startswith(f"{source}: ")}
        return cls(case, maps, f"what speaks for class {short(label)}").plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw; return self.

        Parameters
        ----------
        ax : Axes or array of 2 Axes, optional
            Where to; by default a new figure.
        """
        n_layers = len(self.maps)
        axes = make_axes(ax, 2, size=(8, 2.6 + 0.3 * n_layers), sharex=True, height_ratios=(1.6, 0.8 + 0.25 * n_layers))
        series, maps = axes[:, 0]
        draw_series(series, self.series, xlabel="")
        series.set_title(self.title, fontsize="medium")
        table = np.maximum(np.stack(list(self.maps.values())), 0)
        peaks = table.max(axis=1, keepdims=True)
        image = maps.imshow(
            100 * table / np.where(peaks > 0, peaks, 1),
            aspect="auto",
            cmap=COLORMAP,
            interpolation="nearest",
            vmin=0,
            vmax=100,
        )
        maps.set_yticks(np.arange(n_layers), [short(name, 30) for name in self.maps], fontsize=8)
        maps.set(xlabel="time point")
        maps.figure.colorbar(
            image, ax=maps, label="% of the row's peak", orientation="horizontal", aspect=45, shrink=0.7
        )
        self.ax_, self.figure_ = axes[:, 0], series.figure
        return self
