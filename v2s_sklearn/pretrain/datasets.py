"""The data sets that source models are trained on, as splits for training and a raw test set.

Shape legend: N clips or windows, S waveform samples, F frames, M mel bands, K source classes.
"""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from v2s_sklearn.acoustic.frontend import INT16_FULL_SCALE, LogMel
from v2s_sklearn.files.checksums import digest_of_tensors
from v2s_sklearn.files.writing import naming_file
from v2s_sklearn.pretrain.data import cut_to_windows, extract_features, read_clips, read_images
from v2s_sklearn.pretrain.inversion import invert_log_mel

logger = logging.getLogger(__name__)

SAMPLE_RATE = N_SAMPLES = 16000
SILENCE = "_silence_"


@dataclass
class Split:
    """Clips with integer labels (N,).

    ``features`` are log-mel (N, F, M) in float16, or waveforms (N, S) in int16.
    """

    features: torch.Tensor
    labels: torch.Tensor

    def __len__(self):
        return len(self.labels)

    @property
    def is_audio(self):
        """Whether the features are waveforms."""
        return self.features.ndim == 2

    def batch(self, index):
        """Return clips as float32, waveforms at full scale 1: indices (B,) to (B, F, M) or (B, S)."""
        chosen = self.features[index].float()
        return chosen / INT16_FULL_SCALE if self.is_audio else chosen

    def batches(self, size):
        """Yield all clips in batches."""
        for index in torch.arange(len(self)).split(size):
            yield self.batch(index)


@dataclass
class ContourSplit(Split):
    """Log-mel clips, as in `Split`, and waveforms (N', S) in int16 of those that there is raw audio of."""

    clips: torch.Tensor


@dataclass
class TestSet:
    """Raw test audio: windows (N, S), the words of the clips, and the clip each window is from (N,)."""

    __test__ = False  # not a test of pytest's

    waveforms: np.ndarray
    words: list
    clip_index: np.ndarray


def to_int16(waveforms):
    """Return waveforms of full scale 1 as int16; what is louder is clipped."""
    return (waveforms * INT16_FULL_SCALE).round().clamp(-INT16_FULL_SCALE, INT16_FULL_SCALE - 1).to(torch.int16)


def make_splits(features, words, splits):
    """Return the training and validation `Split` by name, and the sorted source labels."""
    source_labels, labels = np.unique(np.array(words), return_inverse=True)
    data = {}
    for name in ("train", "validation"):
        chosen = torch.from_numpy(np.flatnonzero(np.array(splits) == name))
        data[name] = Split(features[chosen], torch.from_numpy(labels)[chosen])
    return data, source_labels.tolist()


def read_speech_commands(folder, model, work_dir=None):
    """Return the training and validation clips of Speech Commands as log-mel features, from images and raw audio.

    Returns
    -------
    splits : dict with `Split` for "train" and "validation"
    source_labels : list of str
        Sorted; ``_silence_`` sorts before the words.
    """
    features, words, splits = read_images(folder, model.frontend)
    clips, raw_words, raw_splits = read_clips(folder, "gsc_wav_train")
    waveforms, _ = cut_to_windows(clips, N_SAMPLES)
    features = torch.cat([features, extract_features(model.frontend, waveforms)])
    return make_splits(features, words + raw_words, splits + raw_splits)


def read_speech_contours(folder, model, work_dir=None):
    """Return what `read_speech_commands` does, as `ContourSplit`: with the raw clips for their own sake."""
    data, source_labels = read_speech_commands(folder, model)
    clips, _, splits = read_clips(folder, "gsc_wav_train")
    clips = to_int16(torch.from_numpy(cut_to_windows(clips, N_SAMPLES)[0]))
    is_of = {name: torch.from_numpy(np.array(splits) == name) for name in data}
    # Where there is no raw audio of a split, that of the other has to do.
    chosen = {name: clips[flags if flags.any() else slice(None)] for name, flags in is_of.items()}
    return {name: ContourSplit(s.features, s.labels, chosen[name]) for name, s in data.items()}, source_labels


def read_speech_commands_audio(folder, model, work_dir):
    """Return training and validation clips of Speech Commands from waveforms, half of them inverted images.

    The images are inverted once, into ``work_dir``, which takes a while and resumes if it was killed. The raw clips
    nearly all hold one of three words; they go through the front end and its inversion too, so that being raw tells
    nothing of the word.
    """
    log_mel = LogMel()
    features, words, splits = read_images(folder, log_mel)
    clips, raw_words, raw_splits = read_clips(folder, "gsc_wav_train")
    raw = extract_features(log_mel, cut_to_windows(clips, N_SAMPLES)[0])
    kept = np.flatnonzero(np.array(splits) != "test")[::2]
    features = torch.cat([features[kept], raw])
    words = [words[i] for i in kept] + raw_words
    splits = [splits[i] for i in kept] + raw_splits
    waveforms = inverted(features, log_mel, Path(work_dir))[:, : model.n_samples]
    if isinstance(model.frontend, torch.nn.Identity):
        return make_splits(torch.from_numpy(waveforms), words, splits)
    return make_splits(extract_features(model.frontend, waveforms), words, splits)


def inverted(features, log_mel, work_dir, batch_size=64):
    """Return the waveforms of log-mel features (N, S) in int16, from ``work_dir`` or computed and written there.

    The file is known by the checksum of the features. Killed, it goes on after the last whole batch.
    """
    path = work_dir / f"inverted-{digest_of_tensors({'features': features})[:16]}.int16"
    if not path.exists():
        work_dir.mkdir(parents=True, exist_ok=True)
        partial, n_bytes = path.with_suffix(".partial"), batch_size * N_SAMPLES * 2
        with naming_file(path), open(partial, "ab") as file:
            n_done = file.tell() // n_bytes
            file.truncate(n_done * n_bytes)
            for start in range(n_done * batch_size, len(features), batch_size):
                generator = torch.Generator().manual_seed(start)
                batch = invert_log_mel(log_mel, features[start : start + batch_size].float(), generator)
                file.write(to_int16(batch).numpy().tobytes())
                file.flush()
                if start // batch_size % 50 == 0:
                    logger.info("inverted %d of %d clips", start, len(features))
        os.replace(partial, path)
    return np.memmap(path, np.int16, mode="c", shape=(len(features), N_SAMPLES))


def read_speech_commands_test(folder):
    """Return the raw test clips of Speech Commands."""
    clips, words, _ = read_clips(folder, "gsc_wav_test")
    return TestSet(*_windows_of(clips, words, 1))


def _windows_of(clips, words, max_windows):
    windows, clip_index = cut_to_windows(clips, N_SAMPLES, max_windows)
    return windows, words, clip_index


def _read_raw(name, max_windows, validation_every) -> tuple[Callable, Callable]:
    """Return functions that read a raw data set for training, and its test set.

    Each ``validation_every``-th clip of the training part is for validation.
    """

    def read(folder, model, work_dir=None):
        """Return the training and validation splits of windows of the clips."""
        clips, words, splits = read_clips(folder, name, SAMPLE_RATE)
        train = np.flatnonzero(np.array(splits) == "train")
        windows, clip_index = cut_to_windows([clips[i] for i in train], N_SAMPLES, max_windows)
        words = [words[train[i]] for i in clip_index]
        splits = ["validation" if i % validation_every == 0 else "train" for i in clip_index]
        return make_splits(extract_features(model.frontend, windows), words, splits)

    def read_test(folder):
        """Return the test windows of the clips."""
        clips, words, splits = read_clips(folder, name, SAMPLE_RATE)
        test = np.flatnonzero(np.array(splits) == "test")
        return TestSet(*_windows_of([clips[i] for i in test], [words[i] for i in test], max_windows))

    return read, read_test


@dataclass(frozen=True)
class Dataset:
    """How to read a data set, and what a model card says of it.

    Attributes
    ----------
    read : callable
        (folder, model, work folder) to the splits, as the model reads them, and the source labels. Reads no test clip.
    read_test : callable
        (folder) to `TestSet`.
    description : str
    """

    read: Callable
    read_test: Callable
    description: str


SPEECH_COMMANDS = (
    "Google Speech Commands v0.02 (P. Warden 2018, arXiv 1804.03209), licence CC BY 4.0: 35 words and background noise "
    "as `_silence_`, the official hash split. "
)

IMAGES = (
    "Log-mel images made from the audio by a third party, and the raw clips of the training split that were at hand. "
    "The images are brought to the scale of the front end by `image = 9.70 log(E + 300) - 55.0`, set by hand after "
    "fits on training and validation clips that exist in both forms (least squares: 9.77, -56.4)."
)

DATASETS = {
    "speech-commands": Dataset(
        read_speech_commands,
        read_speech_commands_test,
        SPEECH_COMMANDS + IMAGES,
    ),
    "speech-contours": Dataset(
        read_speech_contours,
        read_speech_commands_test,
        SPEECH_COMMANDS + IMAGES + " The contours are weightings of the images' bands, and windows of the raw clips.",
    ),
    "speech-commands-audio": Dataset(
        read_speech_commands_audio,
        read_speech_commands_test,
        SPEECH_COMMANDS + "**The training waveforms are reconstructions**: every second log-mel image, and the raw "
        "clips at hand through the same log-mel front end, inverted by non-negative least squares and 16 iterations "
        "of fast Griffin-Lim. They hold nothing above 4 kHz. The test clips are real recordings.",
    ),
    "digits": Dataset(
        *_read_raw("fsdd", max_windows=1, validation_every=10),
        "Free Spoken Digit Dataset (Z. Jackson et al.), licence CC BY-SA 4.0: the digits 0 to 9 by six speakers, 8 kHz "
        "resampled to 16 kHz, padded or cut to 1 s; takes 0 to 4 are the test part, the speakers are the same.",
    ),
    "esc10": Dataset(
        *_read_raw("esc10", max_windows=5, validation_every=10),
        "ESC-10 (K. J. Piczak, ACM Multimedia 2015), licence CC BY: ten classes of environmental sounds, 5 s each, cut "
        "into windows of 1 s; fold 5 is the test part. A clip's probabilities are the mean of its windows'.",
    ),
}
