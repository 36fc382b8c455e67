"""The view of contours."""

import pickle

import numpy as np
import pytest
import torch

from v2s_sklearn import V2SClassifier, load_acoustic_model
from v2s_sklearn.errors import InvalidParameterError
from v2s_sklearn.views import ContourView
from v2s_sklearn.views.contour import ContourReprogram


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(30, 2, 50)).cumsum(2).astype(np.float32), rng.integers(20, 51, 30)


def test_contours_are_normalised_by_the_training_series(data):
    series, lengths = data
    transformation = ContourReprogram().fit(*data)
    contours = transformation(*map(torch.as_tensor, data)).detach()
    assert contours.shape == (30, 2, 128)
    torch.testing.assert_close(contours.mean((0, 2)), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(contours.square().mean((0, 2)), torch.ones(2), atol=1e-3, rtol=0)
    # The ends of a series are those of its contour.
    raw = series[3, 1, [0, lengths[3] - 1]]
    scaled = (raw - transformation.mean[1, 0].item()) / transformation.scale[1, 0].item()
    np.testing.assert_allclose(contours[3, 1, [0, -1]], scaled, rtol=1e-4)


@pytest.mark.parametrize("unit", [2.0**-60, 2.0**-20, 2.0**29])
@pytest.mark.parametrize("offset", [0.0, 1000.0, None])
def test_contours_have_no_unit(data, unit, offset):
    series, lengths = data
    series = np.full_like(series, 0.1) if offset is None else series + np.float32(offset)
    plain, scaled = (
        ContourReprogram().fit(values, lengths)(torch.from_numpy(values), torch.from_numpy(lengths))
        for values in (series, series * np.float32(unit))
    )
    torch.testing.assert_close(scaled, plain, atol=0, rtol=0)
    assert plain.abs().max() < (1e-6 if offset is None else 10)


@pytest.mark.parametrize(("n_points", "lengths"), [(1, (128,)), (256, (128,)), (257, (128, 512)), (2700, (128, 512))])
def test_long_series_are_heard_at_two_lengths(n_points, lengths):
    series = np.random.default_rng(0).normal(size=(5, 1, n_points)).cumsum(2).astype(np.float32)
    view = ContourView(load_acoustic_model("v2sc")).fit(series, np.full(5, n_points))
    assert view.transformation.lengths == lengths
    assert view.transformation.theta_numpy().shape == lengths[-1:]
    assert list(view.blocks()) == [f"contour {n}{kind}" for n in lengths for kind in ("", " mixtures")]


def test_the_embedding_has_the_size_that_it_says_in_its_blocks():
    rng = np.random.default_rng(0)
    data = rng.normal(size=(12, 2, 300)).cumsum(2).astype(np.float32), rng.integers(100, 301, 12)
    view = ContourView(load_acoustic_model("v2sc")).fit(*data)
    embedding = view.embed(view.waveforms(*data))
    blocks = view.blocks()
    assert [block.start for block in blocks.values()] == [0, *[block.stop for block in blocks.values()][:-1]]
    assert embedding.shape == (12, view.n_features) == (12, blocks["contour 512 mixtures"].stop)
    assert embedding.isfinite().all()
    assert torch.equal(embedding, pickle.loads(pickle.dumps(view)).embed(view.waveforms(*data)))


def test_the_network_takes_the_statistics_of_the_training_series(data):
    model = load_acoustic_model("v2sc")
    view = ContourView(model).fit(*data)
    contours = view.waveforms(*data).flatten(0, 1)
    expected = model.pool(model.stages(contours, model.fit_statistics(contours))).reshape(30, -1)
    torch.testing.assert_close(view.embed(view.waveforms(*data))[:, : expected.shape[1]], expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("series", [np.zeros((1, 1, 1)), np.ones((4, 6, 3)), np.full((3, 1, 900), 7.0)])
def test_constant_series_are_finite(series):
    series, lengths = series.astype(np.float32), np.full(len(series), series.shape[2])
    view = ContourView(load_acoustic_model("v2sc")).fit(series, lengths)
    assert view.embed(view.waveforms(series, lengths)).isfinite().all()


def test_classes_are_told_apart(italy):
    X, y, X_test, y_test = italy
    assert V2SClassifier("v2sc", random_state=0).fit(X, y).score(X_test, y_test) > 0.9


def test_theta_is_trained(italy):
    X, y, _, _ = italy
    clf = V2SClassifier("v2sc", max_epochs=1, random_state=0).fit(X, y[np.random.default_rng(0).permutation(len(y))])
    assert np.abs(clf.theta_).max() > 0


@pytest.mark.parametrize("options", [{"acoustic_model": "v2sa"}, {"acoustic_model": "v2sc", "mapping": "random"}])
def test_what_cannot_be_heard_so(options, italy):
    with pytest.raises(InvalidParameterError, match="'contour' needs mapping='ridge' and a source trained on contours"):
        V2SClassifier(reprogramming="contour", **options).fit(*italy[:2])


def test_paper_mode_and_voices_work_with_it_too(italy):
    X, y, X_test, _ = italy
    for options in (
        {"reprogramming": "modulation", "mapping": "frequency"},
        {"reprogramming": "pad", "mapping": "random", "max_epochs": 1},
    ):
        clf = V2SClassifier("v2sc", random_state=0, **options).fit(X, y)
        assert np.isfinite(clf.predict_proba(X_test)).all()
