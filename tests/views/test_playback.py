"""Playback: what it makes of series that stand still."""

import numpy as np
import pytest
import torch

from v2s_sklearn import load_acoustic_model
from v2s_sklearn.views import PlaybackView
from v2s_sklearn.views.mixtures import N_POOLED
from v2s_sklearn.views.playback import PlaybackReprogram, centre, fade_wins


def test_a_constant_waveform_without_its_mean_is_nothing():
    levels = torch.from_numpy(np.random.default_rng(0).uniform(-3, 3, (200, 1)).astype(np.float32))
    waveforms = levels.expand(-1, 150)
    assert (centre(waveforms) == 0).all()
    assert (waveforms - waveforms.mean(1, keepdim=True)).any()  # a mean is rounded
    walks = torch.randn(9, 40, generator=torch.Generator().manual_seed(0)).cumsum(1)
    torch.testing.assert_close(centre(walks), walks - walks.mean(1, keepdim=True))


def test_of_a_constant_series_only_the_series_tells_the_level():
    series = np.linspace(-2, 2, 31, dtype=np.float32)[:, None, None].repeat(47, 2)
    lengths = np.full(31, 47)
    reprogram = PlaybackReprogram().fit(series, np.full(31, 60))
    with torch.no_grad():
        heard = reprogram(torch.from_numpy(series), torch.from_numpy(lengths))
    assert torch.equal(heard[:, 0], torch.from_numpy(series[:, 0, :1]).expand(-1, 60))
    assert torch.equal(heard[:, 1:], heard[:1, 1:].expand(31, -1, -1))


@pytest.mark.parametrize("n_channels", [1, 3])
def test_where_a_constant_crosses_zero_nothing_jumps(n_channels):
    rng = np.random.default_rng(0)
    view = PlaybackView(load_acoustic_model("wav2vec"))
    walks = rng.normal(size=(12, n_channels, 40)).cumsum(axis=2).astype(np.float32)
    view.fit(walks, np.full(12, 40))

    def heard(levels):
        series = np.broadcast_to(levels.astype(np.float32)[:, :, None], (len(levels), n_channels, 40)).copy()
        return view.embed(view.waveforms(series, np.full(len(series), 40)))

    nothing = heard(np.zeros((1, n_channels)))
    n_first = nothing.shape[1] // view.N_KINDS
    tiny = heard(1e-7 * rng.normal(size=(20, n_channels)))
    assert (tiny - nothing).abs().max() < 1e-5
    course = heard(np.linspace(-0.2, 0.2, 41)[:, None] * rng.normal(size=n_channels))
    assert (course[:, :n_first].diff(dim=0).square().mean(1) < 0.01).all()
    assert torch.equal(course[:, n_first:], nothing[:, n_first:].expand(41, -1))


def test_only_quiet_constants_fade():
    generator = torch.Generator().manual_seed(0)
    pooled = torch.rand(4, 2 * N_POOLED * 16, generator=generator)
    series = torch.randn(4, 2, 30, generator=generator)
    series[1] = torch.tensor([[0.2], [-0.25]])
    series[2] = torch.tensor([[1.5], [0.0]])
    faded = fade_wins(pooled, series, 2)
    assert torch.equal(faded[[0, 2, 3]], pooled[[0, 2, 3]])  # 2 is loud
    before, after = (part[1].unflatten(0, (2, N_POOLED, 16)) for part in (pooled, faded))
    assert torch.equal(after[:, :3], before[:, :3])
    torch.testing.assert_close(after[:, 3:5], 0.25 * before[:, 3:5] + 0.75 / 8)
    torch.testing.assert_close(after[:, 5:], 0.25 * before[:, 5:] + 0.75 / 16)
