"""What all views have in common."""

import pickle

import numpy as np
import pytest
import torch

from v2s_sklearn import load_acoustic_model
from v2s_sklearn.errors import InvalidParameterError
from v2s_sklearn.views import DEFAULT_SOURCES, VIEWS, ContourView, ModulationView, PadView, PlaybackView, plan_views

KINDS = {"contour": "v2sc", "playback": "wav2vec", "modulation": "v2sa", "pad": "v2st"}


@pytest.fixture(params=VIEWS)
def view(request):
    return VIEWS[request.param](load_acoustic_model(KINDS[request.param]))


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(12, 3, 40)).cumsum(2).astype(np.float32), rng.integers(20, 41, 12)


def test_a_view_can_be_tried_alone(view, data):
    before = {name: value.clone() for name, value in view.acoustic.state_dict().items()}
    assert view.fit(*data) is view
    waveforms = view.waveforms(*data)
    embedding = view.embed(waveforms)
    assert waveforms.shape[:2] == (12, view.n_waveforms)
    assert embedding.shape == (12, view.n_features)
    assert embedding.isfinite().all()
    columns = np.concatenate([np.arange(block.start, block.stop) for block in view.blocks().values()])
    assert set(columns) == set(range(view.n_features))
    assert not any(view.acoustic is module for module in view.modules())
    assert all(torch.equal(value, before[name]) for name, value in view.acoustic.state_dict().items())


def test_a_view_is_pickled_without_weights(view, data):
    embedding = view.fit(*data).embed(view.waveforms(*data))
    again = pickle.loads(pickle.dumps(view))
    own, other = (one.acoustic.full_rate or one.acoustic for one in (view, again))
    assert own is other
    assert torch.equal(again.embed(again.waveforms(*data)), embedding)


def test_more_channels_and_points_cost_more(view, data):
    series, lengths = data
    one = view.fit(series[:, :1], lengths).cost()
    assert view.fit(*data).cost() >= one > 1e5


def test_features_do_not_grow_with_the_channels():
    rng = np.random.default_rng(0)
    counts = []
    for n_channels in (5, 12):
        series, lengths = rng.normal(size=(6, n_channels, 60)).astype(np.float32), np.full(6, 60)
        plan = plan_views([load_acoustic_model(name) for name in DEFAULT_SOURCES], n_channels)
        counts.append([view.fit(series, lengths).n_features for view in plan.views])
    assert counts[0] == counts[1]


def test_each_source_is_heard_through_the_first_view_that_can():
    models = [load_acoustic_model(name) for name in ("v2sa", "wav2vec", "v2sc")]
    kinds = [type(view) for view in plan_views(models, 1).views]
    assert kinds == [ModulationView, PlaybackView, ContourView]
    kinds = [type(view) for view in plan_views(models, 1, learned_mapping=False).views]
    assert kinds == [ModulationView] * 3
    kinds = [type(view) for view in plan_views(models, 1, reprogramming="pad").views]
    assert kinds == [PadView] * 3
    with pytest.raises(InvalidParameterError, match="'playback' needs .*'v2sa' cannot be heard so"):
        plan_views(models, 1, reprogramming="playback")


def test_beside_playback_fewer_mixtures_of_the_channels_are_heard():
    series, lengths = np.random.default_rng(0).normal(size=(6, 7, 60)).astype(np.float32), np.full(6, 60)
    for sources, expected in ((["v2sa", "wav2vec", "v2sc"], [1, 28, 2]), (["v2sa", "v2sc"], [4 * 3, 4])):
        plan = plan_views([load_acoustic_model(name) for name in sources], 7)
        assert [view.fit(series, lengths).n_waveforms for view in plan.views] == expected


def test_sources_with_one_window_share_theta():
    views = plan_views([load_acoustic_model(name) for name in ("v2sa", "v2st", "sincnet")], 1).views
    assert views[0].transformation is views[1].transformation
    assert views[0].transformation is not views[2].transformation  # not at half the rate
