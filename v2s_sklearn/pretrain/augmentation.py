"""Random changes of a batch of clips in training.

Shape legend: N clips, B batch, S waveform samples, F frames, M mel bands.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional as F


@dataclass
class Augmentation:
    """Random changes of a batch of log-mel features.

    Time stretch and shift, warp of the frequency axis, level and contrast, background noise mixed in as energy, and
    masks over time and frequency [1]_.

    Attributes
    ----------
    stretch, shift, warp, contrast : float
        Largest relative change of the time axis, shift as a share of the clip, relative change of the frequency axis
        and of the features' spread.
    level : float
        Standard deviation of an offset added to a clip.
    noise_probability : float
        Share of clips with background noise.
    noise_range : float
        The noise lies up to this many nats of energy below the clip.
    log_std : float
        Nats of energy in one unit of the features (``LogMel.std``).
    n_masks, time_mask, mel_mask : int
        Masks an axis, and their greatest width in frames and in bands.

    References
    ----------
    .. [1] D. S. Park et al., SpecAugment, Interspeech 2019.
    """

    stretch: float = 0.15
    shift: float = 0.12
    warp: float = 0.08
    contrast: float = 0.1
    level: float = 0.35
    noise_probability: float = 0.5
    noise_range: float = 6.0
    log_std: float = 5.15
    n_masks: int = 2
    time_mask: int = 16
    mel_mask: int = 6

    def __call__(self, x, noise, generator):
        """Return a changed copy.

        Parameters
        ----------
        x : tensor of shape (B, F, M)
            Standardised log-mel features.
        noise : tensor of shape (N, F, M)
            Features of background noise, a random one for each clip.
        generator : torch.Generator
        """
        n, n_frames, n_mels = x.shape

        def uniform(low, high, *shape):
            """Return uniform random numbers in a range, with a row a clip."""
            return low + (high - low) * torch.rand(n, *shape, generator=generator)

        grid = torch.zeros(n, 2, 3)
        grid[:, 0, 0] = 1 + uniform(-self.warp, self.warp)
        grid[:, 0, 2] = grid[:, 0, 0] - 1  # keeps the lowest band in place
        grid[:, 1, 1] = 1 + uniform(-self.stretch, self.stretch)
        grid[:, 1, 2] = 2 * uniform(-self.shift, self.shift)
        grid = F.affine_grid(grid, (n, 1, n_frames, n_mels), align_corners=False)
        x = F.grid_sample(x.unsqueeze(1), grid, padding_mode="border", align_corners=False).squeeze(1)

        background = noise[torch.randint(len(noise), (n,), generator=generator)].to(x.dtype)
        gap = x.mean((1, 2), keepdim=True) - background.mean((1, 2), keepdim=True)
        background = (background + gap) * self.log_std - uniform(0.0, self.noise_range, 1, 1)
        mixed = torch.logaddexp(x * self.log_std, background) / self.log_std
        x = torch.where(uniform(0.0, 1.0, 1, 1) < self.noise_probability, mixed, x)

        x = x * (1 + uniform(-self.contrast, self.contrast, 1, 1))
        x = x + self.level * torch.randn(n, 1, 1, generator=generator)

        mean = x.mean((1, 2), keepdim=True)
        for axis, width in ((1, self.time_mask), (2, self.mel_mask)):
            size = x.shape[axis]
            shape = (1, size, 1) if axis == 1 else (1, 1, size)
            position = torch.arange(size).reshape(shape)
            for _ in range(self.n_masks):
                length = uniform(0.0, width, 1, 1)
                start = uniform(0.0, 1.0, 1, 1) * (size - length)
                x = torch.where((position >= start) & (position < start + length), mean, x)
        return x


@dataclass
class WaveformAugmentation:
    """Random changes of a batch of waveforms.

    Speed (and with it pitch), shift, loudness, background noise mixed in, and a silenced part.

    Attributes
    ----------
    speed, shift : float
        Largest relative change of the time axis, and shift as a share of the clip.
    gain : float
        Standard deviation of the level in nats.
    noise_probability : float
        Share of clips with background noise.
    noise_range : float
        The noise lies up to this many nats of amplitude below the clip.
    silenced : float
        Longest part that is silenced, as a share of the clip.
    """

    speed: float = 0.12
    shift: float = 0.12
    gain: float = 0.5
    noise_probability: float = 0.5
    noise_range: float = 3.0
    silenced: float = 0.15

    def __call__(self, x, noise, generator):
        """Return a changed copy.

        Parameters
        ----------
        x : tensor of shape (B, S)
            Waveforms, full scale 1.
        noise : tensor of shape (N, S)
            Background noise, a random one for each clip.
        generator : torch.Generator
        """
        n, n_samples = x.shape

        def uniform(low, high):
            """Return uniform random numbers in a range, with a row a clip."""
            return low + (high - low) * torch.rand(n, 1, generator=generator)

        rate = 1 + uniform(-self.speed, self.speed)
        start = uniform(-self.shift, self.shift) * n_samples + (1 - rate) * n_samples / 2
        position = start + rate * torch.arange(n_samples)
        inside = (position >= 0) & (position <= n_samples - 1)
        left = position.floor().long().clamp(0, n_samples - 2)
        x = torch.lerp(x.gather(1, left), x.gather(1, left + 1), position - left) * inside

        background = noise[torch.randint(len(noise), (n,), generator=generator)]
        loudness = x.std(1, keepdim=True) / (background.std(1, keepdim=True) + 1e-6)
        background = background * loudness * torch.exp(-uniform(0.0, self.noise_range))
        x = torch.where(uniform(0.0, 1.0) < self.noise_probability, x + background, x)

        length = uniform(0.0, self.silenced) * n_samples
        start = uniform(0.0, 1.0) * (n_samples - length)
        sample = torch.arange(n_samples)
        x = torch.where((sample >= start) & (sample < start + length), 0.0, x)
        return x * torch.exp(self.gain * torch.randn(n, 1, generator=generator))
