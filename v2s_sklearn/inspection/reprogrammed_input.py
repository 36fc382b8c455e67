"""The reprogrammed input: series, theta, waveform and what the source's front end makes of it.

Shape legend: C channels, T time points, G waveforms of a case, S waveform samples, F frames, M mel bands.
"""

from typing import Any, Self

import numpy as np
import torch

from v2s_sklearn.acoustic.frontend import LogMel, mel_filter_bank_edges
from v2s_sklearn.base import BaseV2SClassifier, Cases
from v2s_sklearn.inspection.cases import one_case, opened_for_one, points_of_samples, sounding_view
from v2s_sklearn.inspection.drawing import COLORMAP, PALETTE, draw_series, legend_outside, make_axes
from v2s_sklearn.runtime.threads import one_thread


@one_thread()
@torch.no_grad()
def waveforms_of(clf, view, case):
    """Return the waveforms of one series, (C, T) to (G, S), and which of its points each sample plays, (S,)."""
    batch = clf.scaler_.transform([case])
    waveforms = view.waveforms(batch.series, batch.lengths)[0].cpu().numpy()
    return waveforms, points_of_samples(view, int(batch.lengths[0]), case.shape[1])


@one_thread()
@torch.no_grad()
def log_mel_of(acoustic, waveform):
    """Return the log-mel features of a waveform (S,): (F, M), edges of the frames in s, of the bands in Hz.

    By the front end of the source where it is log-mel, otherwise by one of 30 ms and 40 bands.
    """
    frontend = acoustic.frontend
    if not isinstance(frontend, LogMel):
        rate = acoustic.sample_rate
        win_length = int(0.03 * rate)
        frontend = LogMel(
            rate, win_length, int(0.01 * rate), 2 ** int(np.ceil(np.log2(win_length))), f_max=min(4000.0, rate / 2)
        )
    waveform = torch.as_tensor(waveform)
    if len(waveform) < frontend.win_length:
        waveform = torch.nn.functional.pad(waveform, (0, frontend.win_length - len(waveform)))
    features = frontend(waveform.to(frontend.window).unsqueeze(0))[0].cpu().numpy()
    centre = frontend.win_length / 2 + (np.arange(len(features) + 1) - 0.5) * frontend.hop_length
    peaks = mel_filter_bank_edges(features.shape[1], frontend.f_min, frontend.f_max)
    return features, centre / frontend.sample_rate, (peaks[:-1] + peaks[1:]) / 2


class ReprogrammedInputDisplay:
    """Series, theta, waveform, and the log-mel spectrogram of the waveform, as in the paper's figures.

    Parameters
    ----------
    series : ndarray of shape (C, T)
    theta : ndarray of shape (S,)
        The additive part of theta.
    waveform : ndarray of shape (S,)
        What the source hears, full scale 1.
    points : ndarray of shape (S,)
        Which time point each sample plays, NaN for theta alone.
    log_mel : ndarray of shape (F, M)
    frame_edges : ndarray of shape (F + 1,)
        In s.
    band_edges : ndarray of shape (M + 1,)
        In Hz.
    sample_rate : int
        In Hz.
    title : str, default=""

    Attributes
    ----------
    ax_ : ndarray of Axes
        Series, theta, waveform, log-mel.
    figure_ : Figure

    References
    ----------
    .. [1] Voice2Series, ICML 2021, section 3 and figure 2.

    Examples
    --------
    >>> from aeon.datasets import load_gunpoint
    >>> from v2s_sklearn import V2SClassifier
    >>> from v2s_sklearn.inspection import ReprogrammedInputDisplay
    >>> X, y = load_gunpoint(split="train")
    >>> clf = V2SClassifier.icml2021(max_epochs=1, n_replicates=4, random_state=0).fit(X, y)
    >>> display = ReprogrammedInputDisplay.from_estimator(clf, X[0])
    >>> display.waveform.shape
    (16000,)
    """

    def __init__(
        self,
        series: np.ndarray,
        theta: np.ndarray,
        waveform: np.ndarray,
        points: np.ndarray,
        log_mel: np.ndarray,
        frame_edges: np.ndarray,
        band_edges: np.ndarray,
        sample_rate: int = 16000,
        title: str = "",
    ) -> None:
        self.series = series
        self.theta = theta
        self.waveform = waveform
        self.points = points
        self.log_mel = log_mel
        self.frame_edges = frame_edges
        self.band_edges = band_edges
        self.sample_rate = sample_rate
        self.title = title

    @classmethod
    def from_estimator(
        cls, clf: BaseV2SClassifier, x: Cases, *, source: str | None = None, waveform: int = 0, ax: Any = None
    ) -> Self:
        """Draw one series as a source of a fitted estimator hears it.

        Parameters
        ----------
        clf : V2SClassifier
            Fitted, with "pad" or "modulation" for one of its sources at least.
        x : array of shape (T,) or (C, T)
        source : str, optional
            Name of the acoustic model; by default the first that hears such waveforms.
        waveform : int, default=0
            Which of the waveforms of a case; "modulation" has one for each voice and channel, voice by voice.
        ax : Axes or array of 4 Axes, optional

        Returns
        -------
        ReprogrammedInputDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        InvalidParameterError
            If no source hears such waveforms, or there is no waveform of this number.
        InvalidSeriesError
            If x does not fit the estimator.
        """
        clf, x = opened_for_one(clf, x)
        view = sounding_view(clf, source)
        case = one_case(clf, x)
        waveforms, points = waveforms_of(clf, view, case)
        if not 0 <= waveform < len(waveforms):
            raise IndexError(f"waveform={waveform}: a case has {len(waveforms)} waveforms, counted from 0.")
        theta = view.transformation.theta_numpy()
        title = view.acoustic.name
        if isinstance(theta, dict):
            voice = waveform // (len(waveforms) // len(theta["carrier"]))
            carrier, deviation, loudness = (theta[name][voice] for name in ("carrier", "deviation", "loudness"))
            title += f", voice {voice}{' of the differences' if view.transformation.orders[voice] else ''}: carrier "
            title += f"{carrier:.0f} Hz, deviation {deviation:.0f} Hz, loudness {loudness:.2f} nats"
            theta = theta["additive"]
        log_mel, frame_edges, band_edges = log_mel_of(view.acoustic, waveforms[waveform])
        rate = view.acoustic.sample_rate
        return cls(
            case, theta, waveforms[waveform], points, log_mel, frame_edges, band_edges, sample_rate=rate, title=title
        ).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw; return self.

        Parameters
        ----------
        ax : Axes or array of 4 Axes, optional
            Where to; by default a new figure.
        """
        axes = make_axes(ax, 4, size=(7.5, 7.5), height_ratios=(2, 1.5, 2, 2.4))[:, 0]
        series, theta, waveform, log_mel = axes
        draw_series(series, self.series)
        series.set_title(self.title, fontsize="medium")
        seconds = np.arange(len(self.waveform)) / self.sample_rate
        free = np.isnan(self.points)
        theta.plot(seconds, self.theta, color=PALETTE[0], linewidth=0.5)
        theta.set(ylabel="theta", xlabel="time (s)")
        for mask, colour, label in ((free, PALETTE[0], "theta alone"), (~free, PALETTE[5], "with the series")):
            if mask.any():
                waveform.plot(seconds, np.where(mask, self.waveform, np.nan), color=colour, linewidth=0.5, label=label)
        waveform.set(ylabel="waveform\n(full scale 1)", xlabel="time (s)")
        # Above the axes, so that all three time axes have the same width.
        legend_outside(waveform, "above")
        mesh = log_mel.pcolormesh(
            self.frame_edges, self.band_edges / 1000, self.log_mel.T, cmap=COLORMAP, rasterized=True
        )
        log_mel.set(ylabel="frequency (kHz)", xlabel="time (s)")
        for one in (theta, waveform, log_mel):
            one.set_xlim(0, len(self.waveform) / self.sample_rate)
        log_mel.figure.colorbar(
            mesh, ax=log_mel, label="log-mel energy (standardised)", orientation="horizontal", aspect=50, shrink=0.6
        )
        self.ax_, self.figure_ = axes, series.figure
        return self
