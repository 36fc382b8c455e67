"""wav2vec: an encoder of the raw waveform and a causal context network, pretrained by predicting what comes next.

Shape legend: B batch, S waveform samples, F latent frames, D channels, K source classes.
"""

import torch
from torch import nn

from v2s_sklearn.acoustic.interface import AcousticModel

# Kernel sizes and strides of the encoder: one latent frame every 160 samples, as in the paper.
ENCODER = ((10, 5), (8, 4), (4, 2), (4, 2), (4, 2))


class NormalisedConv(nn.Module):
    """Convolution and group normalisation over channels and time: (B, D, F) to (B, D', F').

    Parameters
    ----------
    n_in, n_out, kernel_size, stride : int
    causal : bool, default=False
        Pad at the start, so that a frame sees no later one; otherwise no padding.
    """

    def __init__(self, n_in, n_out, kernel_size, stride=1, causal=False):
        super().__init__()
        self.n_padded = kernel_size - 1 if causal else 0
        # A bias before the normalisation would drown a quiet waveform.
        self.conv = nn.Conv1d(n_in, n_out, kernel_size, stride, bias=False)
        self.norm = nn.GroupNorm(1, n_out)

    def forward(self, x):
        """Return the normalised values before the rectifier."""
        return self.norm(self.conv(nn.functional.pad(x, (self.n_padded, 0))))


class Wav2Vec(AcousticModel):
    """wav2vec: encoder and context network on the raw waveform, with a linear probe for the source classes.

    Five convolutions encode the waveform to one latent frame every 160 samples; causal convolutions with shortcuts make
    a context of the frames so far [1]_. Both are pretrained without labels by
    :func:`v2s_sklearn.pretrain.contrastive.train_contrastive`; the probe, a linear function of the mean and the maximum
    context, is fitted afterwards and changes neither. The released model is 512 channels wide.

    Parameters
    ----------
    source_labels : sequence of str
        Names of the source classes.
    sample_rate, n_samples : int, default=16000
        In Hz, and in samples.
    encoder_channels : sequence of 5 int, default=(48, 64, 64, 96, 96)
        Widths of the encoder.
    n_context_layers : int, default=6
        Convolutions of the context network, of the encoder's last width.
    n_steps : int, default=8
        How many frames ahead are predicted in pretraining.

    References
    ----------
    .. [1] S. Schneider et al., wav2vec: unsupervised pre-training for speech recognition, Interspeech 2019, section 2.
    """

    def __init__(
        self,
        source_labels,
        sample_rate=16000,
        n_samples=16000,
        encoder_channels=(48, 64, 64, 96, 96),
        n_context_layers=6,
        n_steps=8,
    ):
        super().__init__(source_labels, nn.Identity(), sample_rate, n_samples)
        widths = [1, *encoder_channels]
        self.encoder = nn.ModuleList(
            NormalisedConv(i, o, kernel_size, stride)
            for i, o, (kernel_size, stride) in zip(widths[:-1], widths[1:], ENCODER, strict=True)
        )
        width = widths[-1]
        self.context = nn.ModuleList(NormalisedConv(width, width, 3, causal=True) for _ in range(n_context_layers))
        # The affine maps h_k of the paper, one for each step k ahead.
        self.predict = nn.ModuleList(nn.Linear(width, width) for _ in range(n_steps))
        self.output = nn.Linear(2 * width, self.n_classes)

    @property
    def filters(self):
        """The filters of the encoder's first layer on the waveform, (D, n)."""
        return self.encoder[0].conv.weight.squeeze(1)

    def encode(self, waveform):
        """Return the values of each layer of both networks, before the rectifiers: (B, S) to a dict of (B, D, F')."""
        # The encoder's first normalisation takes out the level; a clip of silence stays finite.
        x, layers = waveform.unsqueeze(1), {}
        for index, layer in enumerate(self.encoder, start=1):
            x = layer(torch.relu(x) if index > 1 else x)
            layers[f"encoder{index}"] = x
        x = torch.relu(x)
        for index, layer in enumerate(self.context, start=1):
            values = layer(x)
            layers[f"context{index}"] = values
            x = x + torch.relu(values)
        layers["context"] = x
        return layers

    def activations(self, features):
        """Return the activations of each layer: waveforms (B, S) to a dict, see `AcousticModel.activations`.

        Keys ``encoder1`` ..., ``context1`` ... (B, D, F'), before the rectifiers, ``context`` (B, D, F) and ``logits``
        (B, K).
        """
        layers = self.encode(features)
        context = layers["context"]
        layers["logits"] = self.output(torch.cat([context.mean(2), context.amax(2)], dim=1))
        return layers
