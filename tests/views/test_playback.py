"""Playback: what it makes of series that stand still."""

import numpy as np
import torch

from v2s_sklearn.views.playback import PlaybackReprogram, centre


def test_a_constant_waveform_without_its_mean_is_nothing():
    levels = torch.from_numpy(np.random.default_rng(0).uniform(-3, 3, (200, 1)).astype(np.float32))
    waveforms = levels.expand(-1, 150)
    assert (centre(waveforms) == 0).all()
    assert (waveforms - waveforms.mean(1, keepdim=True)).any()  # a mean is rounded
    walks = torch.randn(9, 40, generator=torch.Generator().manual_seed(0)).cumsum(1)
    assert torch.equal(centre(walks), walks - walks.mean(1, keepdim=True))


def test_of_a_constant_series_only_the_series_tells_the_level():
    series = np.linspace(-2, 2, 31, dtype=np.float32)[:, None, None].repeat(47, 2)
    lengths = np.full(31, 47)
    reprogram = PlaybackReprogram().fit(series, np.full(31, 60))
    with torch.no_grad():
        heard = reprogram(torch.from_numpy(series), torch.from_numpy(lengths))
    assert torch.equal(heard[:, 0], torch.from_numpy(series[:, 0, :1]).expand(-1, 60))
    assert torch.equal(heard[:, 1:], heard[:1, 1:].expand(31, -1, -1))
