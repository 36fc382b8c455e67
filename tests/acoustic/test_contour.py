"""The contour network: series straight into its stages, statistics from outside."""

import pytest
import torch

from v2s_sklearn import load_acoustic_model
from v2s_sklearn.acoustic.networks.contour import ContourNet, GivenNorm, changes_of, resample, z_normalise

SMALL = {"channels": (4, 8, 8, 12), "n_points": 64, "n_bands": 2}


@pytest.fixture(scope="module")
def net():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return ContourNet(["a", "b", "c"], **SMALL).freeze()


def random_series(n, length, seed=0):
    walks = torch.randn((n, length), generator=torch.Generator().manual_seed(seed)).cumsum(1)
    return z_normalise(walks)


@pytest.mark.parametrize("length", [8, 33, 100])
def test_shapes_of_the_stages_and_of_the_embedding(net, length):
    stages = net.stages(random_series(5, length))
    halves = [length, -(-length // 2), -(-length // 4), -(-length // 8)]
    assert [tuple(stage.shape) for stage in stages] == list(zip([5] * 4, SMALL["channels"], halves, strict=True))
    pooled = net.pool(stages)
    assert pooled.shape == (5, net.n_pooled)
    assert torch.equal(pooled[:, :4], stages[0].mean(2))
    assert torch.equal(pooled[:, 4:8], stages[0].amax(2))
    if length == 8:  # one value is all four segments
        assert torch.equal(pooled[:, -4 * 12 :].unflatten(1, (12, 4)), stages[-1].expand(-1, -1, 4))


def test_statistics_are_those_of_the_given_series(net):
    """With them every normalisation gives mean zero and variance one on the series they are from."""
    series = random_series(40, 64)
    statistics = net.fit_statistics(series)
    outputs = []
    norms = [module for module in net.modules() if isinstance(module, GivenNorm)]
    assert len(statistics) == 2 * len(norms)
    hooks = [norm.register_forward_hook(lambda norm, given, output: outputs.append(output)) for norm in norms]
    net.stages(series, statistics)
    for hook in hooks:
        hook.remove()
    for output in outputs:
        variance, mean = torch.var_mean(output, (0, 2), correction=0)
        torch.testing.assert_close(mean, torch.zeros_like(mean), atol=1e-4, rtol=0)
        torch.testing.assert_close(variance, torch.ones_like(variance), atol=2e-2, rtol=0)
    again = net.fit_statistics(series)
    assert all(torch.equal(a, b) for a, b in zip(statistics, again, strict=True))
    others = net.fit_statistics(random_series(40, 64, seed=1))
    assert not all(torch.equal(a, b) for a, b in zip(statistics, others, strict=True))


@pytest.mark.parametrize("length", [40, 64])
def test_stages_that_come_with_the_statistics(net, length):
    series = random_series(40, length)
    statistics, stages = net.fit_stages(series)
    assert all(torch.equal(a, b) for a, b in zip(statistics, net.fit_statistics(series), strict=True))
    for stage, expected in zip(stages, net.stages(series, statistics), strict=True):
        assert stage.shape == expected.shape
        torch.testing.assert_close(stage, expected, atol=1e-4, rtol=1e-4)


def test_a_case_is_embedded_alone_as_among_others(net):
    series = random_series(6, 64)
    statistics = net.fit_statistics(series)
    together, alone = (net.pool(net.stages(part, statistics)) for part in (series, series[2:3]))
    torch.testing.assert_close(together[2:3], alone, atol=1e-5, rtol=1e-4)


def test_episodes_are_normalised_each_by_itself(net):
    """As `fit_statistics` on the episode's series would."""
    episodes = torch.stack([random_series(12, 64, seed) for seed in (0, 1)])
    found = net.embed_episodes(episodes)
    for episode, embedding in zip(episodes, found, strict=True):
        expected = net.pool(net.stages(episode, net.fit_statistics(episode)))
        torch.testing.assert_close(embedding, expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("n", [1, 3])
def test_constant_and_single_series_stay_finite(net, n):
    constant = z_normalise(torch.full((n, 20), 3.3))
    assert (constant == 0).all()
    statistics = net.fit_statistics(constant)
    assert net.pool(net.stages(constant, statistics)).isfinite().all()
    assert net.pool(net.stages(random_series(4, 20), statistics)).isfinite().all()
    statistics = net.fit_statistics(random_series(n, 20))
    assert net.pool(net.stages(constant, statistics)).isfinite().all()


def test_changes_that_are_rounding_are_none():
    steady = torch.full((1, 128), 0.3)
    rounded = steady.clone()
    rounded[:, ::3] = torch.nextafter(rounded[:, ::3], torch.ones(1))
    assert (changes_of(torch.cat([steady, rounded, 1e6 * rounded])) == 0).all()
    slow = 0.3 + 1e-4 * torch.linspace(0, 1, 128).square().unsqueeze(0)
    assert (changes_of(slow).square().mean(1) - 1).abs() < 1e-3


def test_nothing_of_the_network_changes(net):
    before = {name: value.clone() for name, value in net.state_dict().items()}
    net.stages(random_series(5, 64), net.fit_statistics(random_series(5, 64)))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_stored_statistics_are_the_default():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        net = ContourNet(["a", "b"], **SMALL).freeze()
    series = random_series(30, 64)
    unstored = net.pool(net.stages(series))
    net.store_statistics(series)
    stored = net.pool(net.stages(series))
    assert not torch.allclose(stored, unstored)
    assert torch.equal(stored, net.pool(net.stages(series, net.fit_statistics(series))))
    reloaded = ContourNet(["a", "b"], **SMALL)
    reloaded.load_state_dict(net.state_dict())
    assert torch.equal(reloaded.pool(reloaded.stages(series)), stored)


def test_z_normalisation():
    series = torch.tensor([[1.0, 2.0, 3.0, 4.0], [1e6, 1e6, 1e6, 1e6], [0.1, 0.1, 0.1, 0.1], [1e-4, 0.0, 1e-4, 0.0]])
    z = z_normalise(series)
    torch.testing.assert_close(z[[0, 3]].mean(1), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(z[[0, 3]].square().mean(1), torch.ones(2))
    assert (z[1:3] == 0).all()


def test_stretching_keeps_both_ends_and_straight_lines():
    line = torch.linspace(-1, 2, 50)[None]
    for n_points in (8, 50, 128):
        torch.testing.assert_close(resample(line, n_points), torch.linspace(-1, 2, n_points)[None])


def test_a_waveform_with_constant_contours_has_gradients(net):
    """Silence, whose contours have no deviation to divide by."""
    waveform = torch.zeros((2, net.n_samples), requires_grad=True)
    net(waveform).sum().backward()
    assert waveform.grad.isfinite().all()
    loud = (0.1 * torch.randn((2, net.n_samples), generator=torch.Generator().manual_seed(0))).requires_grad_()
    net(loud).square().sum().backward()
    assert loud.grad.isfinite().all()
    assert (loud.grad != 0).any()


def test_stages_without_gradients_are_the_same():
    network = load_acoustic_model("v2sc")
    series = z_normalise(torch.randn(20, 50, generator=torch.Generator().manual_seed(0)).cumsum(1))
    statistics = network.fit_statistics(series)
    for given in (None, statistics):
        with torch.enable_grad():
            expected = network.stages(series, given)
        with torch.no_grad():
            found = network.stages(series, given)
        for one, other in zip(expected, found, strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
