"""Views of others: registered by name, heard, pickled, and refused where no file could name them."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from v2s_sklearn import V2SClassifier, V2SFeatures, load_acoustic_model
from v2s_sklearn.errors import InvalidParameterError, SavedFileError
from v2s_sklearn.network.reprogrammed import fit_views
from v2s_sklearn.series.scaling import SeriesBatch
from v2s_sklearn.views import VIEWS, ArrayModule, ModulationView, PadView, View, plan_views, register_view, stretch
from v2s_sklearn.views.contour import ContourReprogram


class LoudReprogram(ArrayModule):
    """A tone whose loudness follows the series."""

    def __init__(self, n_samples, seed):
        super().__init__()
        self.seed = seed
        self.theta = nn.Parameter(torch.zeros(n_samples, dtype=torch.float32))
        self.register_buffer("tone", torch.arange(n_samples, dtype=torch.float32).mul(0.5).sin())

    def fit(self, series, lengths, sample_weight=None):
        return self

    def forward(self, series, lengths):
        return torch.tanh(stretch(series, lengths, len(self.theta))) * self.tone + self.theta

    def theta_numpy(self):
        return self.theta.detach().cpu().numpy()


class LoudView(View):
    options = ("seed",)
    needs = "a source of words"

    def __init__(self, acoustic, *, seed=0):
        super().__init__(acoustic, LoudReprogram(acoustic.n_samples, seed))

    @classmethod
    def hears_with(cls, acoustic, learned_mapping):
        return acoustic.filters is None

    @classmethod
    def max_points(cls, acoustic, n_channels):
        return 700


class OwnFitView(LoudView):
    """Overrides what estimators do in two steps."""

    def fit(self, series, lengths, sample_weight=None):
        return self


class NoLimitView(View):
    """Does not say how many points of a series it takes."""


@pytest.fixture(autouse=True)
def own_registry():
    before = dict(VIEWS)
    yield
    VIEWS.clear()
    VIEWS.update(before)


def test_a_registered_view_classifies(gunpoint):
    X, y = gunpoint[:2]
    clf = V2SClassifier("v2sa", reprogramming="loud", random_state=3)
    with pytest.raises(ValueError, match="'reprogramming' parameter.*Got 'loud'"):
        clf.fit(X, y)
    register_view("loud", LoudView)
    clf = clone(clf).fit(X, y)
    (view,) = clf.net_.module_.views
    assert type(view) is LoudView
    assert clf.theta_.shape == (load_acoustic_model("v2sa").n_samples,)
    assert clf.score(X, y) > 0.8
    assert [name for name, _ in clf.net_.module_.blocks()] == ["v2sa: loud"]
    features = V2SFeatures("v2sa", reprogramming="loud").fit_transform(X)
    assert features.shape == (len(X), view.n_features)


def test_bits_do_not_depend_on_company_or_threads(gunpoint):
    register_view("loud", LoudView)
    X, y, X_test, _ = gunpoint
    clf = V2SClassifier("v2sa", reprogramming="loud", random_state=3).fit(X, y)
    together = clf.predict_proba(X_test[:20])
    np.testing.assert_array_equal(clf.predict_proba(X_test[7:8]), together[7:8])
    np.testing.assert_array_equal(clf.set_params(n_jobs=2).predict_proba(X_test[:20]), together)


def test_options_and_needs_are_those_of_the_class():
    register_view("loud", LoudView)
    (view,) = plan_views([load_acoustic_model("v2sa")], 1, reprogramming="loud", seed=5, dropout=0.1).views
    assert view.transformation.seed == 5
    with pytest.raises(InvalidParameterError, match="'loud' needs a source of words; 'wav2vec' cannot"):
        plan_views([load_acoustic_model("wav2vec")], 1, reprogramming="loud")


def test_auto_takes_the_packaged_views_only():
    register_view("loud", LoudView)
    VIEWS.update({"loud": VIEWS.pop("loud"), **{name: VIEWS.pop(name) for name in list(VIEWS) if name != "loud"}})
    assert next(iter(VIEWS)) == "loud"
    assert type(plan_views([load_acoustic_model("v2sa")], 1).views[0]) is ModulationView


@pytest.mark.parametrize(
    ("name", "cls", "said"),
    [
        ("pad", LoudView, "There is a view 'pad' already.*cannot be replaced"),
        ("auto", LoudView, "There is a view 'auto' already"),
        ("loud", PadView, "There is a view 'loud' already.*overwrite=True"),
        ("", LoudView, "not empty, got ''"),
        (3, LoudView, "must be a text"),
        ("other", nn.Identity, "must be a subclass of v2s_sklearn.views.View, got .*Identity"),
        ("other", "LoudView", "Give the class itself"),
        ("other", NoLimitView, "NoLimitView does not say how long a series may be"),
        ("other", OwnFitView, "OwnFitView has a fit of its own.*Implement _fit_pooling"),
    ],
)
def test_what_cannot_be_registered(name, cls, said):
    register_view("loud", LoudView)
    before = dict(VIEWS)
    with pytest.raises(InvalidParameterError, match=said):
        register_view(name, cls)
    assert before == VIEWS


def test_no_view_of_the_package_has_a_fit_that_estimators_do_not_call():
    for cls in VIEWS.values():
        assert cls.fit is View.fit


def test_an_estimator_trains_paper_mode_with_the_frames_of_its_series(gunpoint):
    clf = V2SClassifier.icml2021(max_epochs=1, random_state=0).fit(*gunpoint[:2])
    (view,) = clf.net_.module_.views
    assert 0 < len(view.frames) < view.acoustic.frontend(torch.zeros(1, view.acoustic.n_samples)).shape[-1]


def test_a_view_is_registered_again():
    register_view("loud", LoudView)
    register_view("loud", LoudView)  # the same class
    register_view("loud", PadView, overwrite=True)
    assert VIEWS["loud"] is PadView
    with pytest.raises(InvalidParameterError, match="'pad' already"):
        register_view("pad", LoudView, overwrite=True)


def test_no_file_is_written_of_a_foreign_view(gunpoint, tmp_path):
    register_view("loud", LoudView)
    clf = V2SClassifier("v2sa", reprogramming="loud", random_state=3).fit(*gunpoint[:2])
    with pytest.raises(SavedFileError, match="LoudView of .*test_plan, which is no class of this package.*pickle"):
        clf.save(tmp_path / "clf.safetensors")
    assert list(tmp_path.iterdir()) == []


MODULE = """
import torch
from v2s_sklearn.views import PadView, register_view

class QuietView(PadView):
    def waveforms(self, series, lengths):
        return 0.5 * super().waveforms(series, lengths)

register_view("quiet", QuietView)
"""
OTHER_PROCESS = """
import pickle, sys
import numpy as np
with open(sys.argv[1], "rb") as file:
    clf, X, expected = pickle.load(file)
np.testing.assert_allclose(clf.predict_proba(X), expected, rtol=0, atol=1e-6)
clf.fit(X, [0, 1] * (len(X) // 2))  # the name is known: unpickling imported the module
"""


def test_a_pickle_is_read_where_the_module_can_be_imported(gunpoint, tmp_path, monkeypatch):
    (tmp_path / "quiet_view.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    __import__("quiet_view")
    X, y = gunpoint[:2]
    clf = V2SClassifier("v2sa", reprogramming="quiet", random_state=3).fit(X, y)
    (tmp_path / "clf.pickle").write_bytes(pickle.dumps((clf, X[:6], clf.predict_proba(X[:6]))))
    paths = {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    command = [sys.executable, "-c", OTHER_PROCESS, str(tmp_path / "clf.pickle")]
    run = subprocess.run(command, env=os.environ | paths, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("n_jobs", [1, 2, 3])
def test_views_that_share_a_transformation_are_fitted_side_by_side_as_each_alone(n_jobs, monkeypatch):
    rng = np.random.default_rng(0)
    batch = SeriesBatch(rng.normal(size=(9, 1, 40)).cumsum(2).astype(np.float32), rng.integers(20, 41, 9))
    models = [load_acoustic_model(name) for name in ("v2sa", "wav2vec", "v2sc", "v2sc-varied")]
    alone = [view.fit(batch.series, batch.lengths) for view in plan_views(models, 1).views]
    fitted, fit = [], ContourReprogram.fit
    monkeypatch.setattr(ContourReprogram, "fit", lambda self, *data: fitted.append(self) or fit(self, *data))
    views = plan_views(models, 1).views
    fit_views(views, batch, n_jobs=n_jobs)
    assert fitted == [views[2].transformation]
    for view, expected in zip(views, alone, strict=True):
        waveforms = view.waveforms(batch.series, batch.lengths)
        assert torch.equal(waveforms, expected.waveforms(batch.series, batch.lengths))
        with torch.no_grad():
            assert torch.equal(view.embed(waveforms), expected.embed(waveforms))
