"""V2Sv: a VGG-like convolutional network over a log-mel spectrogram, narrow or as released for AudioSet.

Shape legend: B batch, S waveform samples, F frames, F' frames after the pools, N frequency bins, M mel bands, M' bands
after the pools, D channels, K source classes.
"""

import numpy as np
import torch
from torch import nn

from v2s_sklearn.acoustic.frontend import LogMel
from v2s_sklearn.acoustic.interface import AcousticModel
from v2s_sklearn.acoustic.pooling import bands_as_channels
from v2s_sklearn.errors import InvalidParameterError
from v2s_sklearn.files.public_weights import read_public_weights
from v2s_sklearn.runtime.portable_modules import to_tensor

# Convolutions in each block; a 2 x 2 max-pool ends a block.
BLOCKS = (1, 1, 2, 2)

# The network released for AudioSet, as keyword arguments of `VGGish`: 15,600 samples are 96 frames.
AUDIOSET_VGGISH = {
    "n_samples": 15600,
    "frontend": "audioset",
    "channels": (64, 128, 256, 256, 512, 512),
    "dense_sizes": (4096, 4096, 128),
    "batch_norm": False,
    "dropout": 0.0,
}


class AudioSetLogMel(LogMel):
    """The front end of the released VGGish: log(mel + 0.01) of the *magnitude* spectrum, 64 bands, 125 to 7500 Hz.

    16 kHz, periodic Hann window of 25 ms, step 10 ms, 512-point Fourier transform, no padding. The filters are
    triangles on the mel axis, not on the frequency axis as those of `LogMel`.

    References
    ----------
    .. [1] S. Hershey et al., CNN architectures for large-scale audio classification, ICASSP 2017; the released code.
    """

    def __init__(self):
        n_fft, sample_rate, n_mels, f_min, f_max = 512, 16000, 64, 125.0, 7500.0
        super().__init__(
            sample_rate, 400, 160, n_fft, n_mels, f_min=f_min, f_max=f_max, log_offset=0.01, mean=0.0, std=1.0
        )
        # On the waveform's own scale, not that of 16-bit samples.
        self.window = torch.hann_window(self.win_length, dtype=torch.float32)
        bins = 1127.0 * np.log1p(np.arange(self.n_bins) * sample_rate / n_fft / 700.0)  # in mel
        edges = np.linspace(1127.0 * np.log1p(f_min / 700.0), 1127.0 * np.log1p(f_max / 700.0), n_mels + 2)
        left, centre, right = edges[:-2], edges[1:-1], edges[2:]
        rising = (bins[:, None] - left) / (centre - left)
        falling = (right - bins[:, None]) / (right - centre)
        self.filters = to_tensor(np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32))

    def extra_repr(self):
        """Return the settings in words, for ``repr`` and the model cards."""
        return (
            f"Hann window of {self.win_length} samples, step {self.hop_length}, {self.n_fft}-point Fourier transform, "
            f"{self.filters.shape[1]} mel bands from 125 to 7500 Hz, log(A + {self.log_offset:g}) of the magnitudes"
        )

    def from_stft(self, spectrum):
        """Return the features of a short-time Fourier transform: complex (B, F, N) to (B, F, M)."""
        power = spectrum.real.square() + spectrum.imag.square()
        # The square root has no derivative at silence, so it starts a little above zero.
        return torch.log((power + 1e-12).sqrt() @ self.filters + self.log_offset)


class VGGish(AcousticModel):
    """VGG-like convolutional network, the source of the paper's V2Sv.

    Six 3 x 3 convolutions in four blocks, each block ended by a 2 x 2 max-pool, then dense layers, after Hershey et al.
    [1]_. The defaults are a narrow variant for spoken words, 0.7 M weights and 32 million multiplications a second of
    audio; `AUDIOSET_VGGISH` holds the arguments of the released network of 72 M weights.

    Parameters
    ----------
    source_labels : sequence of str
        Names of the source classes.
    sample_rate, n_samples : int, default=16000
        In Hz, and in samples.
    frontend : dict or "audioset", optional
        Parameters of :class:`~v2s_sklearn.acoustic.frontend.LogMel`, or :class:`AudioSetLogMel`.
    channels : sequence of 6 int, default=(16, 32, 64, 64, 128, 128)
        Widths of the convolutions.
    dense_sizes : sequence of int, default=(256, 128)
        Widths of the dense layers before the logits.
    batch_norm : bool, default=True
        Normalise after each convolution; the released network does not.
    dropout : float, default=0.2
        Before each dense layer and the logits, in pretraining only.

    Raises
    ------
    InvalidParameterError
        If there are not six widths, the window is too short for four pools, or the front end is not for the sample
        rate.

    References
    ----------
    .. [1] S. Hershey et al., CNN architectures for large-scale audio classification, ICASSP 2017.
    """

    def __init__(
        self,
        source_labels,
        sample_rate=16000,
        n_samples=16000,
        frontend=None,
        channels=(16, 32, 64, 64, 128, 128),
        dense_sizes=(256, 128),
        batch_norm=True,
        dropout=0.2,
    ):
        super().__init__(source_labels, _build_frontend(frontend, sample_rate), sample_rate, n_samples)
        if len(channels) != sum(BLOCKS):
            raise InvalidParameterError(f"channels must be {sum(BLOCKS)} widths, got {list(channels)}.")
        n_frames, n_mels = self.frontend.n_frames(n_samples), self.frontend.filters.shape[1]
        shrink = 2 ** len(BLOCKS)
        if min(n_frames, n_mels) < shrink:
            raise InvalidParameterError(
                f"{n_samples} samples give {n_frames} frames of {n_mels} mel bands; the {len(BLOCKS)} pools need at "
                f"least {shrink} of both. Raise n_samples or n_mels, or lower hop_length."
            )
        # Names and order of the layers are those of the public weights.
        self.features = nn.Sequential(*_convolutions(channels, batch_norm))
        widths = [channels[-1] * (n_frames // shrink) * (n_mels // shrink), *dense_sizes]
        self.embeddings = nn.Sequential(
            *(layer for i, o in zip(widths[:-1], widths[1:], strict=True) for layer in (nn.Linear(i, o), nn.ReLU()))
        )
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(widths[-1], self.n_classes)

    def activations(self, features):
        """Return the activations of each layer: features (B, F, M) to a dict, see `AcousticModel.activations`.

        Keys ``conv1`` ... ``conv6`` (B, D, F'), the frequency axis averaged to a few bands, and ``dense1`` ... (B, D),
        both before the rectifier, and ``logits`` (B, K).
        """
        layers = {}
        x = features.unsqueeze(1)  # (B, 1, F, M)
        for layer in self.features:
            if isinstance(layer, nn.ReLU):
                layers[f"conv{len(layers) + 1}"] = bands_as_channels(x)
            x = layer(x)
        x = x.permute(0, 2, 3, 1).flatten(1)  # (B, F' * M' * D): the order that the public dense weights expect
        n_convolutions = len(layers)
        for layer in self.embeddings:
            if isinstance(layer, nn.ReLU):
                layers[f"dense{len(layers) - n_convolutions + 1}"] = x
                x = layer(x)
            else:
                x = layer(self.dropout(x))
        layers["logits"] = self.output(self.dropout(x))
        return layers


def _build_frontend(frontend, sample_rate):
    if frontend != "audioset":
        return LogMel(sample_rate=sample_rate, **(frontend or {}))
    if sample_rate != 16000:
        raise InvalidParameterError(f"The front end 'audioset' is for 16000 Hz, got sample_rate={sample_rate}.")
    return AudioSetLogMel()


def _convolutions(channels, batch_norm):
    """Yield the layers of the convolutional part."""
    widths = iter(channels)
    n_in = 1
    for n_layers in BLOCKS:
        for _ in range(n_layers):
            n_out = next(widths)
            yield nn.Conv2d(n_in, n_out, 3, padding=1, bias=not batch_norm)
            if batch_norm:
                yield nn.BatchNorm2d(n_out)
            yield nn.ReLU()
            n_in = n_out
        yield nn.MaxPool2d(2)


def load_audioset_vggish(path, source_labels, seed=0, **overrides):
    """Build the released VGGish from public weights, with an untrained head for other source classes.

    Parameters
    ----------
    path : path
        A ``.safetensors`` file with the tensors of the PyTorch release (torchvggish): ``features.{0,3,6,8,11,13}`` and
        ``embeddings.{0,2,4}``, each ``.weight`` and ``.bias``.
    source_labels : sequence of str
        Names of the source classes that the head is to be trained for.
    seed : int, default=0
        Of the head's initial weights.
    **overrides
        Arguments of `VGGish` that replace those of `AUDIOSET_VGGISH`, such as narrower ``channels``.

    Returns
    -------
    VGGish
        In training mode, nothing frozen: its head says nothing yet. Train it, then write it with
        `v2s_sklearn.acoustic.storage.save_weights`.

    Raises
    ------
    WeightsError
        If the file is missing, of another format, or its tensors have other names or shapes.

    Notes
    -----
    As in the PyTorch release, a rectifier follows the last dense layer too. The post-processing of its embeddings
    (whitening, 8 bits) is left out.

    Examples
    --------
    A file of the same form, from a narrow network with random weights. The released weights need no ``narrow``.

    >>> import tempfile
    >>> from safetensors.torch import save_file
    >>> from v2s_sklearn.acoustic.networks.vggish import AUDIOSET_VGGISH, VGGish, load_audioset_vggish
    >>> narrow = {"channels": (4, 4, 8, 8, 8, 8), "dense_sizes": (16, 8)}
    >>> tensors = VGGish(["any"], **(AUDIOSET_VGGISH | narrow)).state_dict()
    >>> tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("output.")}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_file(tensors, f"{folder}/vggish.safetensors")
    ...     model = load_audioset_vggish(f"{folder}/vggish.safetensors", ["no", "yes"], **narrow)
    >>> model.source_labels, model.n_samples, model.output
    (('no', 'yes'), 15600, Linear(in_features=8, out_features=2, bias=True))
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = VGGish(source_labels, **(AUDIOSET_VGGISH | overrides))
    expected = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("output.")}
    model.load_state_dict(read_public_weights(path, expected), strict=False)
    return model
