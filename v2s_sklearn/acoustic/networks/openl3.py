"""V2So: the audio network of OpenL3 with a dense head, from public weights of yours.

Shape legend: B batch, S waveform samples, F frames, F' frames after the pools, N frequency bins, M mel bands,
D channels, E embedding, K source classes.
"""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from torch import nn

from v2s_sklearn.acoustic.frontend import mel_filter_bank, mel_filter_bank_edges
from v2s_sklearn.acoustic.interface import AcousticModel
from v2s_sklearn.acoustic.pooling import bands_as_channels
from v2s_sklearn.errors import InvalidParameterError, SpeechDataError
from v2s_sklearn.files.public_weights import read_public_weights
from v2s_sklearn.runtime.portable_modules import to_tensor

# Sizes of the last pool (mel bands, frames), by the size of the released embedding.
POOL_SIZES = {512: (32, 24), 6144: (8, 8)}


class DecibelMel(nn.Module):
    """The front end of OpenL3: mel amplitudes in decibels below the loudest of the clip, at least -80.

    Periodic Hann window as long as the Fourier transform; the clip is padded with zeros to as many frames as steps
    begin in it; band energies from 0 Hz to half the sample rate; 10 log10 of their square root.

    A clip's loudness therefore cancels, and digital silence is 0 dB everywhere.

    Parameters
    ----------
    sample_rate : int, default=48000
        In Hz.
    n_fft, hop_length : int, default=2048 and 242
        Fourier transform and step, in samples.
    n_mels : int, default=256
        Number of mel bands.

    Notes
    -----
    Written from the published code of OpenL3, kapre 0.1.4 and torchopenl3; not compared with their output. The filters
    have equal areas, as in the releases of librosa up to 0.7; later ones scale each to the sum 1, which differs in the
    lowest bands, narrower than the step between frequency bins.
    """

    def __init__(self, sample_rate=48000, n_fft=2048, hop_length=242, n_mels=256):
        super().__init__()
        self.n_fft, self.hop_length = n_fft, hop_length
        edges = mel_filter_bank_edges(n_mels, 0.0, sample_rate / 2)
        filters = mel_filter_bank(n_mels, n_fft, sample_rate, 0.0, sample_rate / 2) * 2.0 / (edges[2:] - edges[:-2])
        # Derived from the configuration, so they are no part of the weights.
        self.register_buffer("window", torch.hann_window(n_fft, dtype=torch.float32), persistent=False)
        self.register_buffer("filters", to_tensor(filters.astype(np.float32)), persistent=False)

    def extra_repr(self):
        """Return the settings in words, for ``repr`` and the model cards."""
        return (
            f"Hann window and Fourier transform of {self.n_fft} samples, step {self.hop_length}, "
            f"{self.filters.shape[1]} mel bands, amplitudes in dB below the clip's maximum, at least -80"
        )

    def n_frames(self, n_samples):
        """Return the number of frames F of a waveform of ``n_samples`` samples."""
        return -(-n_samples // self.hop_length)

    def forward(self, waveform):
        """Return the features of waveforms: (B, S) to (B, F, M)."""
        n_samples = waveform.shape[1]
        padding = max(0, (self.n_frames(n_samples) - 1) * self.hop_length + self.n_fft - n_samples)
        padded = nn.functional.pad(waveform, (padding // 2, padding - padding // 2))
        spectrum = torch.fft.rfft(padded.unfold(1, self.n_fft, self.hop_length) * self.window)  # (B, F, N)
        energy = (spectrum.real.square() + spectrum.imag.square()) @ self.filters
        decibel = 5.0 * torch.log10(energy.clamp(min=1e-20))  # of the amplitude, hence 5 instead of 10
        return (decibel - decibel.amax((1, 2), keepdim=True)).clamp(min=-80.0)


class OpenL3(AcousticModel):
    """Audio network of OpenL3 (mel256) with a dense head, the source of the paper's V2So.

    Four blocks of two 3 x 3 convolutions with batch normalisation, a 2 x 2 max-pool after each of the first three, a
    large one after the last, as published by Cramer et al. [1]_ and, for PyTorch, as torchopenl3. 4.7 M weights, and 10
    thousand million multiplications for a second of audio, about 0.5 s on a CPU core.

    Parameters
    ----------
    source_labels : sequence of str
        Names of the source classes, which the head is for.
    sample_rate, n_samples : int, default=48000
        In Hz, and in samples.
    frontend : dict, optional
        Parameters of :class:`DecibelMel`.
    channels : sequence of 4 int, default=(64, 128, 256, 512)
        Widths of the blocks.
    pool_size : pair of int, default=(32, 24)
        Of the last pool, in mel bands and frames after the other pools. The default gives one value a channel, the
        embedding of 512; (8, 8) the one of 6144.
    hidden_sizes : sequence of int, default=()
        Widths of the head's layers before the logits.

    Raises
    ------
    InvalidParameterError
        If there are not four widths, or the window is too short for the last pool.

    References
    ----------
    .. [1] J. Cramer et al., Look, listen, and learn more: design choices for deep audio embeddings, ICASSP 2019.
    """

    #: Whose arguments are checked in files; that of the other architectures is LogMel.
    FRONTEND = DecibelMel

    def __init__(
        self,
        source_labels,
        sample_rate=48000,
        n_samples=48000,
        frontend=None,
        channels=(64, 128, 256, 512),
        pool_size=POOL_SIZES[512],
        hidden_sizes=(),
    ):
        super().__init__(source_labels, DecibelMel(sample_rate, **(frontend or {})), sample_rate, n_samples)
        if len(channels) != 4:
            raise InvalidParameterError(f"channels must be 4 widths, got {list(channels)}.")
        self.pool_size = tuple(pool_size)
        n_mels, n_frames = self.frontend.filters.shape[1] // 8, self.frontend.n_frames(n_samples) // 8
        n_bands, n_times = n_mels // self.pool_size[0], n_frames // self.pool_size[1]
        if n_bands * n_times == 0:
            raise InvalidParameterError(
                f"{n_samples} samples give {n_mels} mel bands and {n_frames} frames before the last pool of "
                f"{self.pool_size}. Raise n_samples or n_mels, or lower pool_size."
            )
        # Names are those of the public weights: 1 to 7, then the embedding layer.
        widths = [1, *(width for width in channels for _ in range(2))]
        for number, (n_in, n_out) in enumerate(zip(widths[:-1], widths[1:], strict=True), start=1):
            self.add_module(f"batch_normalization_{number}", nn.BatchNorm2d(n_in, eps=0.001, momentum=0.01))
            name = f"conv2d_{number}" if number < 8 else "audio_embedding_layer"
            self.add_module(name, nn.Conv2d(n_in, n_out, 3, padding=1))
        self.n_embedding = channels[-1] * n_bands * n_times
        widths = [self.n_embedding, *hidden_sizes]
        self.hidden = nn.ModuleList(nn.Linear(i, o) for i, o in zip(widths[:-1], widths[1:], strict=True))
        self.output = nn.Linear(widths[-1], self.n_classes)

    def activations(self, features):
        """Return the activations of each layer: features (B, F, M) to a dict, see `AcousticModel.activations`.

        Keys ``block1`` ... ``block4`` (B, D, F'), the last convolution of a block, before the rectifier, the frequency
        axis averaged to a few bands, ``embedding`` (B, E), ``hidden`` (B, D) if there are hidden layers, the last of
        them, and ``logits`` (B, K).
        """
        layers = {}
        # Normalised features are not rectified, and only the last convolution of a block is a layer of the result.
        x = self.conv2d_1(self.batch_normalization_1(features.transpose(1, 2).unsqueeze(1)))  # (B, D, M, F)
        for number in range(2, 9):
            x = getattr(self, f"batch_normalization_{number}")(x)
            if number % 2 == 1:
                layers[f"block{number // 2}"] = bands_as_channels(x.transpose(2, 3))
            x = torch.relu(x)
            if number % 2 == 1:
                x = nn.functional.max_pool2d(x, 2)
            x = (getattr(self, f"conv2d_{number}") if number < 8 else self.audio_embedding_layer)(x)
        layers["block4"] = bands_as_channels(x.transpose(2, 3))
        x = nn.functional.max_pool2d(x, self.pool_size)
        x = layers["embedding"] = x.permute(0, 2, 3, 1).flatten(1)  # bands, frames, channels: the public order
        for layer in self.hidden:
            x = layers["hidden"] = torch.relu(layer(x))
        layers["logits"] = self.output(x)
        return layers

    def public_state(self):
        """Return the weights without those of the head, under the names of the public release."""
        return {
            name: tensor for name, tensor in self.state_dict().items() if not name.startswith(("hidden.", "output."))
        }


def load_openl3(path, source_labels, seed=0, **overrides):
    """Build the audio network of OpenL3 from public weights, with an untrained head.

    Parameters
    ----------
    path : path
        A ``.safetensors`` file with the tensors of torchopenl3's model for mel256 and one content type (music or
        environment): ``batch_normalization_{1..8}``, ``conv2d_{1..7}`` and ``audio_embedding_layer``. Those of its
        front end (``speclayer.*``) are left out.
    source_labels : sequence of str
        Names of the source classes that the head is to be trained for, see `fit_head`.
    seed : int, default=0
        Of the head's initial weights.
    **overrides
        Other arguments of `OpenL3`, such as ``pool_size=(8, 8)`` for the weights of the embedding of 6144.

    Returns
    -------
    OpenL3
        In training mode, nothing frozen.

    Raises
    ------
    WeightsError
        If the file is missing, of another format, or its tensors have other names or shapes.

    Examples
    --------
    A file of the same form, from a narrow network with random weights. The released weights need no ``narrow``.

    >>> import tempfile
    >>> from safetensors.torch import save_file
    >>> from v2s_sklearn.acoustic.openl3 import OpenL3, load_openl3
    >>> narrow = {"channels": (2, 2, 4, 4)}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_file(OpenL3(["any"], **narrow).public_state(), f"{folder}/openl3.safetensors")
    ...     model = load_openl3(f"{folder}/openl3.safetensors", ["dog", "rain", "siren"], **narrow)
    >>> model.sample_rate, model.n_samples, model.n_classes
    (48000, 48000, 3)
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = OpenL3(source_labels, **overrides)
    tensors = read_public_weights(path, model.public_state(), ignore=r"speclayer\.|.*\.num_batches_tracked")
    model.load_state_dict(tensors, strict=False)
    return model


def fit_head(model, waveforms, labels, C=1.0, max_iter=1000, random_state=0, batch_size=32):
    """Train the head on labelled waveforms; the network before it stays as it is.

    The embeddings are computed once and standardised; a multinomial logistic regression, or with hidden layers a
    multi-layer perceptron, both scikit-learn's, is fitted to them; its coefficients become the weights of the head.

    Parameters
    ----------
    model : OpenL3
        Changed in place, left in eval mode.
    waveforms : array-like or tensor of shape (N, S)
        In [-1, 1], at the model's sample rate.
    labels : sequence of str
        Of the waveforms; each of the model's ``source_labels`` has to occur.
    C : float, default=1.0
        Inverse of the penalty on the coefficients; the perceptron's ``alpha`` is ``1 / C``.
    max_iter : int, default=1000
        Of the solver.
    random_state : int, default=0
        Of the perceptron.
    batch_size : int, default=32
        Waveforms computed at a time.

    Returns
    -------
    OpenL3
        The model.

    Raises
    ------
    SpeechDataError
        If waveforms and labels do not fit the model.

    Examples
    --------
    Low and high tones, on a small network with random weights:

    >>> import numpy as np
    >>> from v2s_sklearn.acoustic.openl3 import OpenL3, fit_head
    >>> model = OpenL3(["high", "low"], n_samples=12000, channels=(2, 2, 4, 4), pool_size=(8, 2))
    >>> frequencies = np.repeat([300.0, 3000.0], 4) * np.tile([0.9, 1.0, 1.1, 1.2], 2)
    >>> waveforms = 0.1 * np.sin(2 * np.pi * frequencies[:, None] * np.arange(12000) / 48000)
    >>> model = fit_head(model, waveforms, np.repeat(["low", "high"], 4))
    >>> model.training, model.output.weight.shape
    (False, torch.Size([2, 48]))
    """
    waveforms, labels = torch.as_tensor(waveforms, dtype=torch.float32), np.asarray(labels)
    if waveforms.ndim != 2 or waveforms.shape[1] != model.n_samples or len(labels) != len(waveforms):
        raise SpeechDataError(
            f"waveforms must have shape ({len(labels)}, {model.n_samples}), a row for each label, {model.sample_rate} "
            f"Hz; got {tuple(waveforms.shape)}."
        )
    if set(labels.tolist()) != set(model.source_labels):
        raise SpeechDataError(
            f"labels must be the source labels of the model, each at least once: {sorted(model.source_labels)}; got "
            f"{sorted(set(labels.tolist()))}."
        )
    model.eval()
    with torch.no_grad():
        batches = waveforms.split(batch_size)
        embeddings = [model.activations(model.frontend(batch))["embedding"].cpu() for batch in batches]
    scaler = StandardScaler()
    X = scaler.fit_transform(torch.cat(embeddings).double().numpy())
    if model.hidden:
        sizes = [layer.out_features for layer in model.hidden]
        head = MLPClassifier(sizes, solver="lbfgs", alpha=1 / C, max_iter=max_iter, random_state=random_state).fit(
            X, labels
        )
        coefficients = [(weight.T, bias) for weight, bias in zip(head.coefs_, head.intercepts_, strict=True)]
    else:
        head = LogisticRegression(C=C, max_iter=max_iter).fit(X, labels)
        coefficients = [(head.coef_, head.intercept_)]
    _set_head([*model.hidden, model.output], coefficients, scaler, head.classes_, model.source_labels)
    return model


@torch.no_grad()
def _set_head(layers, coefficients, scaler, classes, source_labels):
    """Copy coefficients (weight (out, in), bias) into linear layers, with the scaling and the order of the classes."""
    weight, bias = coefficients[0]
    weight = weight / scaler.scale_
    coefficients[0] = weight, bias - weight @ scaler.mean_
    weight, bias = coefficients[-1]
    if len(weight) == 1:  # two classes: scikit-learn has one output, the logit of the second
        weight, bias = np.vstack([np.zeros_like(weight), weight]), np.append(0.0, bias)
    order = [list(classes).index(label) for label in source_labels]
    coefficients[-1] = weight[order], bias[order]
    for layer, (weight, bias) in zip(layers, coefficients, strict=True):
        layer.weight.copy_(torch.from_numpy(weight))
        layer.bias.copy_(torch.from_numpy(bias))
