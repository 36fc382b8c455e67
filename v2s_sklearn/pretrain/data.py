"""Files of the speech folder: log-mel images and raw clips.

Shape legend: N clips, S waveform samples, F frames, M mel bands.
"""

import csv
import io
from math import gcd
from pathlib import Path

import numpy as np
import torch
from scipy.signal import resample_poly

from v2s_sklearn.acoustic.frontend import INT16_FULL_SCALE
from v2s_sklearn.errors import SpeechDataError
from v2s_sklearn.runtime.optional import import_optional

IMAGE_FILE = "gsc_v002_logmel.parquet"
# image = IMAGE_SLOPE * log(E + 300) + IMAGE_OFFSET. Set by hand between fits at log offsets of 100 and 1000; the
# packaged weights were trained with these. Least squares at 300 gives 9.77 and -56.4, correlation 0.993, on the 230 of
# 400 clips (training and validation splits, as image and as raw audio) that are not shifted against each other.
IMAGE_SLOPE, IMAGE_OFFSET = 9.70, -55.0


def _require(module):
    return import_optional(module, "pretrain", "Pretraining")


def _check_files(folder, *names):
    folder = Path(folder)
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise SpeechDataError(
            f"The speech folder {folder} lacks {', '.join(missing)}. Give --speech a folder with {IMAGE_FILE}, and "
            ".opus and .csv files of gsc_wav_train, gsc_wav_test, fsdd and esc10."
        )
    return folder


def read_clips(folder, name, sample_rate=16000):
    """Read raw clips.

    Parameters
    ----------
    folder : path
        The speech folder, with ``<name>.opus`` and ``<name>.csv`` (columns word, clip, split, start, stop).
    name : str
        For example ``"gsc_wav_test"``.
    sample_rate : int, default=16000
        In Hz; a file of another rate is resampled.

    Returns
    -------
    clips : list of float32 arrays in [-1, 1]
        Each of its own length in samples.
    words, splits : lists of str

    Raises
    ------
    SpeechDataError
        If a file is missing.
    MissingDependencyError
        If soundfile is not installed.
    """
    soundfile = _require("soundfile")
    folder = _check_files(folder, f"{name}.opus", f"{name}.csv")
    audio, file_rate = soundfile.read(folder / f"{name}.opus", dtype="int16")
    with open(folder / f"{name}.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    clips = [audio[int(row["start"]) : int(row["stop"])].astype(np.float32) / 32768.0 for row in rows]
    if file_rate != sample_rate:
        divisor = gcd(sample_rate, file_rate)
        clips = [resample_poly(clip, sample_rate // divisor, file_rate // divisor) for clip in clips]
    return clips, [row["word"] for row in rows], [row["split"] for row in rows]


def cut_to_windows(clips, n_samples, max_windows=1):
    """Cut clips into windows one after another; the last is filled up with zeros.

    Parameters
    ----------
    clips : list of arrays
    n_samples : int
        Length S of a window.
    max_windows : int, default=1
        The rest of a clip is left out.

    Returns
    -------
    windows : float32 array of shape (N, S)
    clip_index : int array of shape (N,)
        The clip each window is from.
    """
    windows, clip_index = [], []
    for index, clip in enumerate(clips):
        for start in range(0, max(len(clip), 1), n_samples)[:max_windows]:
            part = clip[start : start + n_samples]
            windows.append(np.pad(part, (0, n_samples - len(part))))
            clip_index.append(index)
    return np.stack(windows).astype(np.float32), np.array(clip_index)


@torch.no_grad()
def extract_features(frontend, waveforms, batch_size=256):
    """Return log-mel features of raw clips: (N, S) array, float of full scale 1 or int16, to (N, F, M) float16."""
    scale = INT16_FULL_SCALE if waveforms.dtype == np.int16 else 1.0
    batches = torch.from_numpy(waveforms).split(batch_size)
    return torch.cat([frontend(batch.float() / scale).half() for batch in batches])


def read_images(folder, frontend):
    """Read the log-mel images as features of ``frontend``.

    Returns
    -------
    features : float16 tensor of shape (N, F, M)
    words, splits : lists of str
    """
    image = _require("PIL.Image")
    table = _require("pandas").read_parquet(_check_files(folder, IMAGE_FILE) / IMAGE_FILE)
    images = np.stack([np.asarray(image.open(io.BytesIO(jpeg))) for jpeg in table["jpeg"]])
    log_energy = (torch.from_numpy(images).half() - IMAGE_OFFSET) / IMAGE_SLOPE
    features = (log_energy - frontend.mean) / frontend.std
    return features, list(table["word"]), list(table["split"])
