"""Episodes: small classification tasks made of contours, a few cases of each class labelled.

Shape legend: E episodes, C classes, N cases of an episode, C times as many as a class has, L points.
"""

import math
from dataclasses import dataclass

import torch

from v2s_sklearn.acoustic.networks.contour import z_normalise
from v2s_sklearn.pretrain.contours import (
    clip_contours,
    draw_bands,
    draw_clip_windows,
    draw_contours,
    draw_index,
    draw_kinds,
    image_contours,
    interpolate,
    log_uniform,
    permutation,
    transformed,
    uniform,
)

SHOTS = (1, 2, 3, 5)
# A motif task: so many motifs, in so many places of a series, each of which has one of them or none.
N_MOTIFS, N_PLACES = 3, 3


@dataclass(frozen=True)
class TaskShape:
    """How large a task is.

    Attributes
    ----------
    n_classes, n_per_class : int
        C, and the cases of each class, two at least.
    """

    n_classes: int = 4
    n_per_class: int = 8

    @property
    def n_cases(self):
        """N."""
        return self.n_classes * self.n_per_class

    def labels(self, device=None):
        """Return the class of each case, class by class: (N,)."""
        return torch.arange(self.n_classes, device=device).repeat_interleave(self.n_per_class)

    def of_cases(self, per_episode):
        """Return values of episodes (E, ...) for each of their cases: (E N, ...)."""
        return per_episode.repeat_interleave(self.n_cases, 0)

    def of_classes(self, per_class):
        """Return values of classes (E, C, ...) for each of their cases: (E, N, ...)."""
        return per_class.repeat_interleave(self.n_per_class, 1)


@dataclass
class Episodes:
    """Tasks of one shape.

    Attributes
    ----------
    series : tensor of shape (E, N, L)
        Normalised; the class of each is in ``shape.labels()``.
    support : bool tensor of shape (E, N)
        Which are labelled: the first 1, 2, 3 or 5 of each class, fewer where a class has no more. The others are asked
        for.
    shape : TaskShape
    """

    series: torch.Tensor
    support: torch.Tensor
    shape: TaskShape


def word_episodes(corpus, n_episodes, n_points, generator, shape):
    """Return tasks whose classes are words, one weighting of the bands for all, cut to what sounds: (E, N, L)."""
    words = [i for i, index in enumerate(corpus.of_word) if len(index) >= shape.n_per_class]
    index = []
    for _ in range(n_episodes):
        for i in permutation(len(words), generator)[: shape.n_classes].tolist():
            images = corpus.of_word[words[i]]
            index.append(images[permutation(len(images), generator)[: shape.n_per_class]])
    index = torch.cat(index)
    _, n_frames, n_mels = corpus.images.shape
    span = corpus.spans[index] + uniform(-4.0, 4.0, (len(index), 2), generator)
    start, stop = span.clamp(0, n_frames - 1).unbind(1)
    start = torch.minimum(start, stop - 12).clamp(min=0)
    bands = shape.of_cases(draw_bands(n_episodes, n_mels, generator))
    contours = image_contours(corpus, index, bands, start, torch.maximum(stop, start + 12), n_points)
    kinds = shape.of_cases(draw_kinds(n_episodes, generator))
    return transformed(contours, kinds).unflatten(0, (n_episodes, shape.n_cases))


def _places(n_episodes, first, last, width, generator, shape):
    """Return where windows in a range start, a place for each class: (E,) three times to (E N,)."""
    size = (n_episodes, shape.n_classes)
    order = uniform(0.0, 1.0, size, generator).argsort(1)
    place = (order + uniform(0.1, 0.9, size, generator)) / shape.n_classes
    reach = (last - first - width).clamp(min=0)
    jitter = width * log_uniform(0.02, 0.25, n_episodes, generator)
    start = shape.of_classes(first[:, None] + reach[:, None] * place)
    return (start + jitter[:, None] * uniform(-1.0, 1.0, start.shape, generator)).flatten()


def texture_episodes(corpus, n_episodes, n_points, generator, shape):
    """Return tasks whose classes are places in a recording, as image or raw, windows jittered: (E, N, L)."""
    n_images = n_episodes // 2 + n_episodes % 2 * int(draw_index(2, 1, generator))
    n_clips, (_, n_frames, n_mels) = n_episodes - n_images, corpus.images.shape
    contours = []
    if n_images:
        index = draw_index(len(corpus.images), n_images, generator)
        width = uniform(0.15, 0.4, n_images, generator) * n_frames
        zero = torch.zeros_like(width)
        start = _places(n_images, zero, zero + n_frames - 1, width, generator, shape).clamp(min=0)
        bands = shape.of_cases(draw_bands(n_images, n_mels, generator))
        stop = start + shape.of_cases(width)
        contours.append(image_contours(corpus, shape.of_cases(index), bands, start, stop, n_points))
    if n_clips:
        index = draw_index(len(corpus.clips), n_clips, generator)
        width, decimation = draw_clip_windows(n_clips, corpus.clips.shape[1], generator)
        start = _places(n_clips, *corpus.clip_spans[index].unbind(1), width, generator, shape).clamp(min=0)
        stop = start + shape.of_cases(width)
        contours.append(clip_contours(corpus, shape.of_cases(index), start, stop, shape.of_cases(decimation), n_points))
    kinds = shape.of_cases(draw_kinds(n_episodes, generator))
    return transformed(torch.cat(contours), kinds).unflatten(0, (n_episodes, shape.n_cases))


def _normal(size, generator):
    """Return standard normal numbers."""
    return torch.randn(size, generator=generator, device=generator.device)


def _times(n_points, device):
    """Return the share of a series that has passed at each of its points: (L,)."""
    return torch.linspace(0, 1, n_points, device=device)


def _smooth_warps(n_episodes, n_points, generator, shape):
    """Return positions that run through a series unevenly and shifted, from case to case otherwise: (E, N, L)."""
    per_case = (n_episodes, shape.n_cases, 1)
    time = _times(n_points, generator.device)
    strength = log_uniform(0.002, 0.05, (n_episodes, 1, 1), generator)
    shift = log_uniform(0.002, 0.05, (n_episodes, 1, 1), generator) * _normal(per_case, generator)
    positions = time + shift
    for wave in (1, 2):
        size = strength / wave * _normal(per_case, generator)
        phase = uniform(0.0, 2 * math.pi, per_case, generator)
        positions = positions + size * torch.sin(2 * math.pi * wave * time + phase)
    return positions


def _read(series, positions):
    """Return the values of series (E, N, L) at positions in shares of their length: (E, N, L) to the same."""
    n_points = series.shape[2]
    return interpolate(series.flatten(0, 1), (positions * (n_points - 1)).flatten(0, 1)).view_as(series)


def _disturb(series, nuisances, generator, shape):
    """Return series with what all classes have: random amounts of other contours, uneven time, noise, a trend.

    Series (E, N, L), of an episode (E, n, L) the contours, to (E, N, L).
    """
    n_episodes, n_cases, n_points = series.shape
    gains = log_uniform(0.02, 0.7, (n_episodes, 1, 1), generator) * _normal(
        (n_episodes, n_cases, nuisances.shape[1]), generator
    )
    series = _read(series + gains @ nuisances, _smooth_warps(n_episodes, n_points, generator, shape))
    noise = log_uniform(0.01, 0.5, (n_episodes, 1, 1), generator) * _normal(series.shape, generator)
    trend = log_uniform(0.02, 0.5, (n_episodes, 1, 1), generator) * _normal((n_episodes, n_cases, 1), generator)
    return series + noise + trend * (2 * _times(n_points, generator.device) - 1)


def _draw_groups(corpus, n_episodes, n, n_points, generator):
    """Return random contours, n an episode: (E, n, L)."""
    return draw_contours(corpus, n_episodes * n, n_points, generator).unflatten(0, (n_episodes, n))


def variant_episodes(corpus, n_episodes, n_points, generator, shape):
    """Return tasks whose classes are variants of a common contour: (E, N, L).

    A class adds to the base another contour within a Gaussian window, which in three of ten tasks moves from case to
    case. Three nuisance contours with random gains, uneven time, shifts, a trend and noise are in all classes.
    """
    contours = _draw_groups(corpus, n_episodes, shape.n_classes + 4, n_points, generator)
    base, nuisances, parts = contours[:, :1], contours[:, 1:4], shape.of_classes(contours[:, 4:])
    per_class = (n_episodes, shape.n_classes, 1)
    moves = uniform(0.0, 1.0, (n_episodes, 1, 1), generator) < 0.3
    time = _times(n_points, generator.device)
    time = time - moves * uniform(-0.15, 0.15, (n_episodes, shape.n_cases, 1), generator)
    place = shape.of_classes(uniform(0.0, 1.0, per_class, generator))
    width = shape.of_classes(log_uniform(0.03, 0.5, per_class, generator))
    strength = shape.of_classes(log_uniform(0.1, 2.0, per_class, generator))
    window = torch.exp(-0.5 * ((time - place) / width) ** 2)
    return _disturb(base + strength * window * _read(parts, time), nuisances, generator, shape)


def motif_episodes(corpus, n_episodes, n_points, generator, shape):
    """Return tasks whose classes are sequences of short motifs, whose places vary: (E, N, L).

    A series has ``N_PLACES`` places in turn, with one of ``N_MOTIFS`` motifs or none each; a class is one such
    sequence. So classes differ in which motifs there are, in how many, and in their order.
    """
    per_episode, per_case = (n_episodes, 1, 1), (n_episodes, shape.n_cases, 1)
    contours = _draw_groups(corpus, n_episodes, N_MOTIFS + 3, n_points, generator)
    motifs, nuisances = contours[:, :N_MOTIFS], contours[:, N_MOTIFS:]
    silent = torch.zeros_like(motifs[:, :1])
    motifs = torch.cat([silent, motifs], 1)
    n_codes = (N_MOTIFS + 1) ** N_PLACES
    code = uniform(0.0, 1.0, (n_episodes, n_codes), generator).argsort(1)[:, : shape.n_classes]
    time = _times(n_points, generator.device)
    width = log_uniform(0.02, 0.12, per_episode, generator)
    jitter = log_uniform(0.05, 0.9, per_episode, generator) / N_PLACES
    series = torch.zeros((n_episodes, shape.n_cases, n_points), device=generator.device)
    for place in range(N_PLACES):
        motif = shape.of_classes(code // (N_MOTIFS + 1) ** place % (N_MOTIFS + 1))
        centre = (place + 0.5) / N_PLACES + jitter * uniform(-0.5, 0.5, per_case, generator)
        shapes = motifs.gather(1, motif[:, :, None].expand(-1, -1, n_points))
        # Four deviations of the window hear all of the motif's contour.
        reading = 0.5 + (time - centre) / (4 * width)
        strength = torch.exp(0.2 * _normal(per_case, generator))
        series = series + strength * torch.exp(-0.5 * ((time - centre) / width) ** 2) * _read(shapes, reading)
    return _disturb(2.0 * series, nuisances, generator, shape)


def rhythm_episodes(corpus, n_episodes, n_points, generator, shape):
    """Return tasks whose classes are paces at which a contour runs forth and back, phases random: (E, N, L)."""
    per_episode, per_case = (n_episodes, 1, 1), (n_episodes, shape.n_cases, 1)
    contours = _draw_groups(corpus, n_episodes, 4, n_points, generator)
    base, nuisances = contours[:, :1].expand(-1, shape.n_cases, -1), contours[:, 1:]
    order = uniform(0.0, 1.0, (n_episodes, shape.n_classes, 1), generator).argsort(1)
    pace = log_uniform(0.25, 4.0, per_episode, generator) * log_uniform(1.1, 1.6, per_episode, generator) ** order
    pace = shape.of_classes(pace.clamp(max=n_points / 16))
    reading = pace * _times(n_points, generator.device) + uniform(0.0, 2.0, per_case, generator)
    return _disturb(_read(base, (reading % 2.0 - 1.0).abs()), nuisances, generator, shape)


KINDS = {
    "word": word_episodes,
    "texture": texture_episodes,
    "variant": variant_episodes,
    "motif": motif_episodes,
    "rhythm": rhythm_episodes,
}


def draw_episodes(corpus, counts, n_points, generator, shape=TaskShape()):
    """Return random tasks.

    Parameters
    ----------
    corpus : Corpus
    counts : dict of str to int
        How many of each kind in ``KINDS``.
    n_points : int
        L.
    generator : torch.Generator
        Of the corpus's device.
    shape : TaskShape, optional

    Returns
    -------
    Episodes
        In the order of ``counts``. One in four is normalised as a whole, so that levels tell; else each series is.
    """
    kinds = [KINDS[kind](corpus, count, n_points, generator, shape) for kind, count in counts.items() if count]
    series = torch.cat(kinds)
    as_a_whole = uniform(0.0, 1.0, (len(series), 1, 1), generator) < 0.25
    series = torch.where(as_a_whole, z_normalise(series.flatten(1)).view_as(series), z_normalise(series))
    n_shots = torch.tensor(SHOTS, device=generator.device)[draw_index(len(SHOTS), len(series), generator)]
    n_shots = n_shots.clamp(max=shape.n_per_class - 1)
    number = torch.arange(shape.n_cases, device=generator.device) % shape.n_per_class
    return Episodes(series, number < n_shots[:, None], shape)
