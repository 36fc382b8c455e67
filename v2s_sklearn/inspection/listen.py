"""The reprogrammed input as a sound file."""

import io
from math import gcd
from pathlib import Path

import numpy as np
from scipy.io import wavfile
from scipy.signal import resample_poly

from v2s_sklearn.acoustic.frontend import INT16_FULL_SCALE
from v2s_sklearn.base import BaseV2SClassifier, Cases
from v2s_sklearn.files.writing import check_target, write_atomically
from v2s_sklearn.inspection.cases import one_case, opened_for_one, sounding_view
from v2s_sklearn.inspection.reprogrammed_input import waveforms_of

SAMPLE_RATE = 16000


def listen(clf: BaseV2SClassifier, x: Cases, path: str | Path, *, source: str | None = None) -> Path:
    """Write what a source of a fitted estimator hears of one series as a WAV file: 16 kHz, mono, 16 bits.

    Several waveforms of a case, of voices and channels, follow one another.

    Parameters
    ----------
    clf : V2SClassifier
        Fitted, with "pad" or "modulation" for one of its sources at least.
    x : array of shape (T,) or (C, T)
        The series.
    path : path
    source : str, optional
        Name of the acoustic model; by default the first that hears such waveforms.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    InvalidParameterError
        If no source hears such waveforms.
    InvalidSeriesError
        If x does not fit the estimator.

    Examples
    --------
    >>> import tempfile
    >>> from aeon.datasets import load_gunpoint
    >>> from v2s_sklearn import V2SClassifier
    >>> from v2s_sklearn.inspection import listen
    >>> X, y = load_gunpoint(split="train")
    >>> clf = V2SClassifier(random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     listen(clf, X[0], f"{folder}/series.wav").stat().st_size             # a second: 32000 bytes and a header
    32044
    """
    check_target(path)
    clf, x = opened_for_one(clf, x)
    view = sounding_view(clf, source)
    waveforms, _ = waveforms_of(clf, view, one_case(clf, x))
    rate = view.acoustic.sample_rate
    divisor = gcd(SAMPLE_RATE, rate)
    if rate != SAMPLE_RATE:
        waveforms = resample_poly(waveforms, SAMPLE_RATE // divisor, rate // divisor, axis=1)
    samples = np.round(waveforms.reshape(-1) * INT16_FULL_SCALE)
    content = io.BytesIO()
    wavfile.write(content, SAMPLE_RATE, samples.clip(-INT16_FULL_SCALE, INT16_FULL_SCALE - 1).astype(np.int16))
    write_atomically(path, content.getvalue())
    return Path(path)
