"""Contours: time series made of speech, or of coloured noise in the same form.

Shape legend: N images, n contours, F frames, M mel bands, S samples of a clip, L points of a contour.
"""

from dataclasses import dataclass

import torch

from v2s_sklearn.acoustic.networks.contour import z_normalise

FRAME = 160  # samples
CLIP_POINTS, CLIP_DECIMATIONS = (48, 400), (1, 16)


@dataclass
class Corpus:
    """What contours are made of.

    Attributes
    ----------
    images : float16 tensor of shape (N, F, M)
        Log-mel images.
    labels : int tensor of shape (N,)
        Their words.
    clips : int16 tensor of shape (N', S)
        Raw clips; not those of the images.
    spans, clip_spans : int tensors of shapes (N, 2) and (N', 2)
        First frame, and first sample, of what sounds, and the one after the last.
    of_word : list of int tensors
        The images of each word that has some.
    """

    images: torch.Tensor
    labels: torch.Tensor
    clips: torch.Tensor

    def __post_init__(self):
        self.spans = sounding_spans(self.images.mean(2, dtype=torch.float32))
        n_frames = self.clips.shape[1] // FRAME
        frames = self.clips[:, : n_frames * FRAME].unflatten(1, (n_frames, FRAME))
        loudness = torch.stack([clip.float().abs().mean(1) for clip in frames])
        self.clip_spans = sounding_spans(torch.log(loudness + 1.0)) * FRAME
        order = self.labels.argsort(stable=True)
        self.of_word = [index for index in order.split(self.labels.bincount().tolist()) if len(index)]

    def to(self, device):
        """Return the corpus on a device, where tasks are drawn from it by a generator of that device."""
        return Corpus(self.images.to(device), self.labels.to(device), self.clips.to(device))


def sounding_spans(levels):
    """Return the first and the one after the last frame above the middle of the range: (N, F) to (N, 2)."""
    above = levels >= (levels.amin(1, keepdim=True) + levels.amax(1, keepdim=True)) / 2
    first = above.int().argmax(1)
    last = levels.shape[1] - above.flip(1).int().argmax(1)
    return torch.stack([first, last], 1)


def uniform(low, high, shape, generator):
    """Return uniform random numbers."""
    return low + (high - low) * torch.rand(shape, generator=generator, device=generator.device)


def log_uniform(low, high, shape, generator):
    """Return random numbers whose logarithms are uniform."""
    return low * (high / low) ** torch.rand(shape, generator=generator, device=generator.device)


def draw_index(n_values, n, generator):
    """Return random whole numbers below ``n_values``: (n,)."""
    return torch.randint(n_values, (n,), generator=generator, device=generator.device)


def permutation(n, generator):
    """Return a random order: (n,)."""
    return torch.randperm(n, generator=generator, device=generator.device)


def draw_bands(n, n_mels, generator):
    """Return random weightings of the mel bands, smooth bumps, three in ten the difference of two: (n, M)."""
    centres = uniform(0.0, n_mels, (n, 2, 1), generator)
    widths = log_uniform(1.0, 0.3 * n_mels, (n, 2, 1), generator)
    bumps = torch.exp(-0.5 * ((torch.arange(n_mels, device=centres.device) + 0.5 - centres) / widths) ** 2)
    bumps = bumps / bumps.sum(2, keepdim=True)
    is_difference = uniform(0.0, 1.0, (n, 1), generator) < 0.3
    return bumps[:, 0] - is_difference * bumps[:, 1]


def interpolate(series, positions):
    """Return the values at positions in points, linear between points, held at the ends: (n, S), (n, L) to (n, L)."""
    positions = positions.clamp(0, series.shape[1] - 1)
    before = positions.floor().long().clamp(max=max(series.shape[1] - 2, 0))
    after = (before + 1).clamp(max=series.shape[1] - 1)
    share = positions - before
    return torch.lerp(series.gather(1, before).float(), series.gather(1, after).float(), share)


def between(start, stop, n_points):
    """Return equally spaced positions, both ends included: (n,), (n,) to (n, L)."""
    return start[:, None] + (stop - start)[:, None] * torch.linspace(0, 1, n_points, device=start.device)


def image_contours(corpus, index, bands, start, stop, n_points):
    """Return contours of images, stretched: indices (n,), weightings (n, M), first and last frame (n,) to (n, L)."""
    contours = torch.bmm(corpus.images[index].float(), bands.unsqueeze(2)).squeeze(2)
    return interpolate(contours, between(start, stop, n_points))


def clip_contours(corpus, index, start, stop, decimation, n_points):
    """Return windows of clips, stretched: indices (n,), samples (n,), step of the decimation (n,) to (n, L)."""
    clips = corpus.clips[index]
    positions = between(start, stop, n_points)
    # The mean of four samples in a step is what is left of the anti-aliasing filter.
    return sum(interpolate(clips, positions + share * decimation[:, None]) for share in (-0.375, -0.125, 0.125, 0.375))


def draw_clip_windows(n, n_samples, generator):
    """Return the lengths of random windows in samples and the steps of their decimation, (n,) each."""
    decimations = log_uniform(*CLIP_DECIMATIONS, (n,), generator)
    return (log_uniform(*CLIP_POINTS, (n,), generator) * decimations).clamp(max=n_samples / 4), decimations


def transformed(contours, kind):
    """Return contours as they are, their differences or their running sums: (n, L), kinds 0 to 2 (n,) to (n, L)."""
    z = z_normalise(contours)
    changes = torch.nn.functional.pad(z.diff(dim=1), (1, 0))
    return torch.where((kind == 1)[:, None], changes, torch.where((kind == 2)[:, None], z.cumsum(1), z))


def draw_kinds(n, generator):
    """Return kinds for `transformed`: one in ten differences, one in ten sums: (n,)."""
    chance = uniform(0.0, 1.0, n, generator)
    return (chance < 0.2).int() + (chance < 0.1).int()


def draw_contours(corpus, n, n_points, generator):
    """Return random contours, three in ten of raw clips, each z-normalised: (n, L)."""
    n_clips = round(0.3 * n)
    n_images, (_, n_frames, n_mels) = n - n_clips, corpus.images.shape
    index = draw_index(len(corpus.images), n_images, generator)
    width = uniform(0.25, 1.0, n_images, generator) * (n_frames - 1)
    start = uniform(0.0, 1.0, n_images, generator) * (n_frames - 1 - width)
    bands = draw_bands(n_images, n_mels, generator)
    of_images = image_contours(corpus, index, bands, start, start + width, n_points)
    index = draw_index(len(corpus.clips), n_clips, generator)
    width, decimation = draw_clip_windows(n_clips, corpus.clips.shape[1], generator)
    first, last = corpus.clip_spans[index].unbind(1)
    start = first + uniform(0.0, 1.0, n_clips, generator) * (last - first) - width / 2
    start = start.clamp(min=0).minimum(corpus.clips.shape[1] - 1 - width)
    of_clips = clip_contours(corpus, index, start, start + width, decimation, n_points)
    contours = torch.cat([of_images, of_clips])[permutation(n, generator)]
    return z_normalise(transformed(contours, draw_kinds(n, generator)))


def coloured_noise(n, n_points, generator):
    """Return noise whose power falls with a random power, 0 to 3, of the frequency; deviation one: (n, L)."""
    spectrum = torch.fft.rfft(torch.randn((n, n_points), generator=generator))
    slopes = uniform(0.0, 1.5, (n, 1), generator)
    return z_normalise(torch.fft.irfft(spectrum * torch.arange(1, spectrum.shape[1] + 1) ** -slopes, n_points))


def noise_corpus(n_images, n_clips, shape, n_samples, n_words, seed):
    """Return a corpus without speech, of coloured noise: the control that tells tasks from what they are made of.

    A "word" is an image of noise, smooth over the bands; each image of it adds another such image to it.

    Parameters
    ----------
    n_images, n_clips : int
    shape : (int, int)
        Frames F and bands M of an image.
    n_samples : int
        Length S of the clips.
    n_words : int
    seed : int

    Returns
    -------
    Corpus
    """
    generator = torch.Generator().manual_seed(seed)
    n_frames, n_mels = shape
    distance = torch.arange(n_mels)[:, None] - torch.arange(n_mels)
    smoothing = torch.exp(-0.5 * (distance / 4.0) ** 2)
    smoothing = smoothing / smoothing.square().sum(0).sqrt()

    def noise_images(n):
        """Return smooth random images, (n, F, M)."""
        noise = coloured_noise(n * n_mels, n_frames, generator).unflatten(0, (n, n_mels))
        return noise.transpose(1, 2) @ smoothing

    words = noise_images(n_words)
    labels = torch.randint(n_words, (n_images,), generator=generator)
    images = torch.cat([(words[part] + noise_images(len(part))).half() for part in labels.split(1000)])
    clips = [
        8000.0 * coloured_noise(min(100, n_clips - start), n_samples, generator) for start in range(0, n_clips, 100)
    ]
    return Corpus(images, labels, torch.cat(clips).clamp(-32768, 32767).to(torch.int16))
