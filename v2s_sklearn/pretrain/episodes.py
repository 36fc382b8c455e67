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
    draw_kinds,
    image_contours,
    interpolate,
    log_uniform,
    transformed,
    uniform,
)

N_CLASSES, N_PER_CLASS = 4, 8
N_CASES = N_CLASSES * N_PER_CLASS
SHOTS = (1, 2, 3, 5)
# Labels of the cases of an episode, class by class; the same in all episodes.
LABELS = torch.arange(N_CLASSES).repeat_interleave(N_PER_CLASS)


@dataclass
class Episodes:
    """Tasks of ``N_CLASSES`` classes.

    Attributes
    ----------
    series : tensor of shape (E, N, L)
        Normalised; the class of each is in ``LABELS``.
    support : bool tensor of shape (E, N)
        Which are labelled: the first 1, 2, 3 or 5 of each class. The others are asked for.
    """

    series: torch.Tensor
    support: torch.Tensor


def _of_cases(per_episode):
    """Return values of episodes (E, ...) for each of their cases: (E N, ...)."""
    return per_episode.repeat_interleave(N_CASES, 0)


def word_episodes(corpus, n_episodes, n_points, generator):
    """Return tasks whose classes are words, one weighting of the bands for all, cut to what sounds: (E, N, L)."""
    words = [i for i, index in enumerate(corpus.of_word) if len(index) >= N_PER_CLASS]
    index = []
    for _ in range(n_episodes):
        for i in torch.randperm(len(words), generator=generator)[:N_CLASSES].tolist():
            images = corpus.of_word[words[i]]
            index.append(images[torch.randperm(len(images), generator=generator)[:N_PER_CLASS]])
    index = torch.cat(index)
    _, n_frames, n_mels = corpus.images.shape
    span = corpus.spans[index] + uniform(-4.0, 4.0, (len(index), 2), generator)
    start, stop = span.clamp(0, n_frames - 1).unbind(1)
    start = torch.minimum(start, stop - 12).clamp(min=0)
    bands = _of_cases(draw_bands(n_episodes, n_mels, generator))
    contours = image_contours(corpus, index, bands, start, torch.maximum(stop, start + 12), n_points)
    return transformed(contours, _of_cases(draw_kinds(n_episodes, generator))).unflatten(0, (n_episodes, N_CASES))


def _places(n_episodes, first, last, width, generator):
    """Return where windows of four places in a range start, each place a class: (E,) three times to (E N,)."""
    order = torch.rand((n_episodes, N_CLASSES), generator=generator).argsort(1)
    place = (order + uniform(0.1, 0.9, (n_episodes, N_CLASSES), generator)) / N_CLASSES
    reach = (last - first - width).clamp(min=0)
    jitter = width * log_uniform(0.02, 0.25, n_episodes, generator)
    start = (first[:, None] + reach[:, None] * place).repeat_interleave(N_PER_CLASS, 1)
    return (start + jitter[:, None] * uniform(-1.0, 1.0, start.shape, generator)).flatten()


def texture_episodes(corpus, n_episodes, n_points, generator):
    """Return tasks whose classes are places in a recording, as image or raw, windows jittered: (E, N, L)."""
    n_images = n_episodes // 2 + int(n_episodes % 2 * torch.randint(2, (), generator=generator))
    n_clips, (_, n_frames, n_mels) = n_episodes - n_images, corpus.images.shape
    contours = []
    if n_images:
        index = torch.randint(len(corpus.images), (n_images,), generator=generator)
        width = uniform(0.15, 0.4, n_images, generator) * n_frames
        zero = torch.zeros(n_images)
        start = _places(n_images, zero, zero + n_frames - 1, width, generator).clamp(min=0)
        bands = _of_cases(draw_bands(n_images, n_mels, generator))
        contours.append(image_contours(corpus, _of_cases(index), bands, start, start + _of_cases(width), n_points))
    if n_clips:
        index = torch.randint(len(corpus.clips), (n_clips,), generator=generator)
        width, decimation = draw_clip_windows(n_clips, corpus.clips.shape[1], generator)
        start = _places(n_clips, *corpus.clip_spans[index].unbind(1), width, generator).clamp(min=0)
        stop = start + _of_cases(width)
        contours.append(clip_contours(corpus, _of_cases(index), start, stop, _of_cases(decimation), n_points))
    kinds = _of_cases(draw_kinds(n_episodes, generator))
    return transformed(torch.cat(contours), kinds).unflatten(0, (n_episodes, N_CASES))


def _smooth_warps(n_episodes, n_points, generator):
    """Return positions that run through a series unevenly and shifted, from case to case otherwise: (E, N, L)."""
    time = torch.linspace(0, 1, n_points)
    strength = log_uniform(0.002, 0.05, (n_episodes, 1, 1), generator)
    shift = log_uniform(0.002, 0.05, (n_episodes, 1, 1), generator) * torch.randn(
        (n_episodes, N_CASES, 1), generator=generator
    )
    positions = time + shift
    for wave in (1, 2):
        size = strength / wave * torch.randn((n_episodes, N_CASES, 1), generator=generator)
        phase = uniform(0.0, 2 * math.pi, (n_episodes, N_CASES, 1), generator)
        positions = positions + size * torch.sin(2 * math.pi * wave * time + phase)
    return positions


def variant_episodes(corpus, n_episodes, n_points, generator):
    """Return tasks whose classes are variants of a common contour: (E, N, L).

    A class adds to the base another contour within a Gaussian window, which in three of ten tasks moves from case to
    case. Three nuisance contours with random gains, uneven time, shifts, a trend and noise are in all classes.
    """
    contours = draw_contours(corpus, n_episodes * (N_CLASSES + 4), n_points, generator).unflatten(0, (n_episodes, -1))
    base, nuisances, parts = contours[:, :1], contours[:, 1:4], contours[:, 4:].repeat_interleave(N_PER_CLASS, 1)
    per_class, per_case = (n_episodes, N_CLASSES, 1), (n_episodes, N_CASES, 1)

    def of_class(values):
        """Return values of each class, repeated for its cases: (E, N_CLASSES, ...) to (E, N_CASES, ...)."""
        return values.repeat_interleave(N_PER_CLASS, 1)

    moves = torch.rand((n_episodes, 1, 1), generator=generator) < 0.3
    offset = moves * uniform(-0.15, 0.15, per_case, generator)
    time = torch.linspace(0, 1, n_points) - offset
    place = of_class(torch.rand(per_class, generator=generator))
    width = of_class(log_uniform(0.03, 0.5, per_class, generator))
    strength = of_class(log_uniform(0.1, 2.0, per_class, generator))
    moved = interpolate(parts.flatten(0, 1), (time * (n_points - 1)).flatten(0, 1)).view_as(parts)
    series = base + strength * torch.exp(-0.5 * ((time - place) / width) ** 2) * moved
    gains = log_uniform(0.02, 0.7, (n_episodes, 1, 1), generator) * torch.randn(
        (n_episodes, N_CASES, nuisances.shape[1]), generator=generator
    )
    series = series + gains @ nuisances
    positions = _smooth_warps(n_episodes, n_points, generator) * (n_points - 1)
    series = interpolate(series.flatten(0, 1), positions.flatten(0, 1)).view_as(series)
    noise = log_uniform(0.01, 0.5, (n_episodes, 1, 1), generator) * torch.randn(series.shape, generator=generator)
    trend = log_uniform(0.02, 0.5, (n_episodes, 1, 1), generator) * torch.randn(per_case, generator=generator)
    return series + noise + trend * torch.linspace(-1, 1, n_points)


KINDS = {"word": word_episodes, "texture": texture_episodes, "variant": variant_episodes}


def draw_episodes(corpus, counts, n_points, generator):
    """Return random tasks.

    Parameters
    ----------
    corpus : Corpus
    counts : dict of str to int
        How many of each kind in ``KINDS``.
    n_points : int
        L.
    generator : torch.Generator

    Returns
    -------
    Episodes
        In the order of ``counts``. One in four is normalised as a whole, so that levels tell; else each series is.
    """
    kinds = [KINDS[kind](corpus, count, n_points, generator) for kind, count in counts.items() if count]
    series = torch.cat(kinds)
    as_a_whole = torch.rand((len(series), 1, 1), generator=generator) < 0.25
    series = torch.where(as_a_whole, z_normalise(series.flatten(1)).view_as(series), z_normalise(series))
    n_shots = torch.tensor(SHOTS)[torch.randint(len(SHOTS), (len(series), 1), generator=generator)]
    return Episodes(series, torch.arange(N_CASES) % N_PER_CLASS < n_shots)
