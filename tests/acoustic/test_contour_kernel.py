"""The compiled stages of a ContourNet: what torch gives, in a view that keeps nothing of them."""

import copy
import pickle

import numpy as np
import pytest
import torch
from aeon.datasets import load_basic_motions, load_gunpoint

from v2s_sklearn import load_acoustic_model
from v2s_sklearn.acoustic.networks.contour import ContourNet, z_normalise
from v2s_sklearn.acoustic.networks.contour_kernel import PART_SERIES, PreparedStages, fits
from v2s_sklearn.runtime.compilation import torch_alone
from v2s_sklearn.views.contour import ContourView


@pytest.fixture(scope="module")
def network():
    return load_acoustic_model("v2sc")


def walks(n_series, n_points):
    return z_normalise(torch.randn(n_series, n_points, generator=torch.Generator().manual_seed(0)).cumsum(1))


@torch.no_grad()
@pytest.mark.parametrize("n_points", [128, 512])
@pytest.mark.parametrize("n_series", [1, PART_SERIES, 2 * PART_SERIES + 3])
def test_as_torch(network, n_series, n_points):
    series = walks(n_series, n_points)
    statistics = network.fit_statistics(walks(9, n_points))
    found = PreparedStages(network, statistics, n_points)(series)
    for stage, expected in zip(found, network.stages(series, statistics), strict=True):
        assert stage.shape == expected.shape
        torch.testing.assert_close(stage, expected, rtol=1e-5, atol=1e-5 * float(expected.max()))


@torch.no_grad()
def test_constant_series(network):
    series = torch.zeros(3, 128)
    statistics = network.fit_statistics(walks(9, 128))
    for stage, expected in zip(
        PreparedStages(network, statistics, 128)(series), network.stages(series, statistics), strict=True
    ):
        torch.testing.assert_close(stage, expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_bits_do_not_depend_on_company(network):
    series = walks(20, 128)
    prepared = PreparedStages(network, network.fit_statistics(series), 128)
    together = prepared(series)
    for case in (0, 7, 8, 19):
        for stage, alone in zip(together, prepared(series[case : case + 1]), strict=True):
            assert torch.equal(stage[case : case + 1], alone)


def test_models_and_lengths_that_the_kernel_is_not_given(network):
    assert fits(network, 128)
    assert not fits(network, 64)
    assert not fits(network, 130)
    assert not fits(torch.nn.Linear(2, 2), 128)
    labels = ["a", "b", "c"]
    assert not fits(ContourNet(labels, channels=(32, 60, 128, 128)), 128)
    assert not fits(ContourNet(labels, kernel_sizes=(5, 5, 3, 19)), 128)


@pytest.mark.parametrize("load", [load_gunpoint, load_basic_motions])
def test_a_view_of_real_series(load):
    X, X_test = (load(split=split)[0][::2].astype(np.float32) for split in ("train", "test"))
    view = ContourView(load_acoustic_model("v2sc")).fit(X, np.full(len(X), X.shape[2]))
    with torch.no_grad():
        contours = view.waveforms(X_test, np.full(len(X_test), X.shape[2]))
        with torch_alone():
            expected = view.embed(contours)
        found = view.embed(contours)
    plain = view.blocks()["contour 128"]
    torch.testing.assert_close(found[:, plain], expected[:, plain], rtol=1e-5, atol=1e-5)
    # A moment at the level of a share counts or not; the shortest stage has 16.
    moved = (found[:, plain.stop :] - expected[:, plain.stop :]).abs() > 1e-6
    assert moved.double().mean() < 1e-3


def test_a_view_keeps_nothing_of_the_network(gunpoint):
    X = gunpoint[0][::5].astype(np.float32)
    lengths = np.full(len(X), X.shape[2])
    view = ContourView(load_acoustic_model("v2sc")).fit(X, lengths)
    with torch.no_grad():
        expected = view.embed(view.waveforms(X, lengths))
        assert len(pickle.dumps(view)) < 200_000  # the weights are two million bytes
        for twin in (pickle.loads(pickle.dumps(view)), copy.deepcopy(view)):
            assert torch.equal(twin.embed(twin.waveforms(X, lengths)), expected)
        other = view.fit(-(X[:, :, ::-1] ** 3), lengths).embed(view.waveforms(X, lengths))
        fresh = ContourView(load_acoustic_model("v2sc")).fit(-(X[:, :, ::-1] ** 3), lengths)
        assert torch.equal(other, fresh.embed(fresh.waveforms(X, lengths)))
