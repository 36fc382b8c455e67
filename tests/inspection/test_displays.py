import sys

import numpy as np
import pytest
import torch
from aeon.datasets import load_basic_motions
from matplotlib import pyplot
from matplotlib.colors import to_rgb
from scipy.io import wavfile
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from v2s_sklearn import TransferClassifier, V2SClassifier
from v2s_sklearn.errors import InvalidParameterError, InvalidSeriesError, MissingDependencyError
from v2s_sklearn.inspection import (
    AttentionDisplay,
    EmbeddingDisplay,
    LabelMappingDisplay,
    ReprogrammedInputDisplay,
    SaliencyDisplay,
    TrainingDisplay,
    ViewsDisplay,
    listen,
)
from v2s_sklearn.inspection.drawing import class_colours

OF_A_SERIES = [AttentionDisplay, ReprogrammedInputDisplay, SaliencyDisplay, ViewsDisplay]


@pytest.fixture(autouse=True)
def no_windows():
    pyplot.switch_backend("agg")
    yield
    pyplot.close("all")


@pytest.fixture(scope="module")
def paper(gunpoint):
    X, y = gunpoint[:2]
    return V2SClassifier.icml2021(acoustic_model="tiny", max_epochs=2, n_replicates=3, random_state=0).fit(X, y)


@pytest.fixture(scope="module")
def default(gunpoint):
    X, y = gunpoint[:2]
    return V2SClassifier(random_state=0).fit(X[::2], y[::2])


@pytest.fixture(scope="module")
def multivariate():
    X, y = load_basic_motions(split="train")
    return V2SClassifier(random_state=0).fit(X[::3], y[::3]), X[0]


def draw(display, clf, x):
    return display.from_estimator(clf, x)


@pytest.mark.parametrize("display", OF_A_SERIES)
def test_every_estimator_and_every_form_of_a_series(display, paper, default, multivariate, gunpoint):
    x = gunpoint[2][0]
    first = draw(display, paper, x)
    for form in (x[0], x[None], x.tolist()):
        again = draw(display, paper, form)
        assert len(np.ravel(again.ax_)) == len(np.ravel(first.ax_))
    draw(display, default, x)
    clf, case = multivariate
    drawn = draw(display, clf, case)
    assert drawn.figure_ is np.ravel(drawn.ax_)[0].figure
    if display is not ViewsDisplay:
        np.testing.assert_array_equal(drawn.series, case)


@pytest.mark.parametrize("display", OF_A_SERIES)
def test_a_case_that_does_not_fit(display, default, gunpoint):
    with pytest.raises(InvalidSeriesError, match=r"shape \(2, 1, 150\); needed is one series.*X\[0\]"):
        draw(display, default, gunpoint[0][:2])
    with pytest.raises(InvalidSeriesError, match="has 2 channels"):
        draw(display, default, np.zeros((2, 150)))
    with pytest.raises(ValueError, match="infinity"):
        draw(display, default, np.full(150, np.inf))


@pytest.mark.parametrize("display", OF_A_SERIES)
def test_not_fitted(display, gunpoint):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        draw(display, V2SClassifier("tiny"), gunpoint[0][0])
    for other in (TrainingDisplay, LabelMappingDisplay):
        with pytest.raises(NotFittedError):
            other.from_estimator(V2SClassifier("tiny"))
    with pytest.raises(NotFittedError):
        EmbeddingDisplay.from_estimator(V2SClassifier("tiny"), gunpoint[0])


@pytest.mark.parametrize("display", OF_A_SERIES)
def test_an_estimator_without_reprogramming(display, gunpoint):
    clf = TransferClassifier("tiny", max_epochs=1).fit(*gunpoint[:2])
    with pytest.raises(InvalidParameterError, match=r"does not reprogram.*Give a fitted V2SClassifier"):
        draw(display, clf, gunpoint[0][0])


def test_axes_can_be_given(paper, gunpoint):
    x = gunpoint[0][0]
    figure, (left, right) = pyplot.subplots(1, 2)
    assert AttentionDisplay.from_estimator(paper, x, ax=left).figure_ is figure
    assert LabelMappingDisplay.from_estimator(paper, ax=right).ax_[0] is right
    _, axes = pyplot.subplots(2, 2)
    drawn = ReprogrammedInputDisplay.from_estimator(paper, x, ax=axes)
    assert list(drawn.ax_) == list(axes.ravel())
    with pytest.raises(ValueError, match="ax has 4 axes, but 2"):
        AttentionDisplay.from_estimator(paper, x, ax=axes)


def test_matplotlib_is_needed_only_to_draw(monkeypatch):
    display = TrainingDisplay({"train_loss": [1.0]})
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(MissingDependencyError, match=r"Drawing needs matplotlib.*pip install 'v2s-sklearn\[plots\]'"):
        display.plot()


@pytest.mark.parametrize("n", [2, 8, 40])
def test_colours_differ(n):
    assert len({to_rgb(colour) for colour in class_colours(n)}) == n


# Reprogrammed input, sound


def test_the_reprogrammed_input_is_what_the_source_hears(paper, gunpoint):
    x = gunpoint[2][0]
    display = ReprogrammedInputDisplay.from_estimator(paper, x)
    view = paper.net_.module_.views[0]
    batch = paper.scaler_.transform([x])
    with torch.no_grad():
        np.testing.assert_allclose(display.waveform, view.waveforms(batch.series, batch.lengths)[0, 0].numpy())
    stands = ~np.isnan(display.points)
    assert stands.sum() == 3 * 150
    np.testing.assert_allclose(display.waveform[stands], 0.1 * np.tile(x[0], 3), atol=1e-6)
    np.testing.assert_allclose(display.waveform[~stands], 0.1 * paper.theta_[~stands], atol=1e-6)
    np.testing.assert_array_equal(display.theta, paper.theta_)
    features = paper.acoustic_model_.frontend(torch.from_numpy(display.waveform)[None])[0].numpy()
    np.testing.assert_allclose(display.log_mel, features, atol=1e-4)
    assert len(display.frame_edges) == len(features) + 1 and len(display.band_edges) == features.shape[1] + 1


def test_the_spectrogram_has_the_voice_at_its_frequency(gunpoint):
    X, y = gunpoint[:2]
    clf = V2SClassifier("v2sa", standardize=False).fit(X[:10], y[:10])
    display = ReprogrammedInputDisplay.from_estimator(clf, np.ones(150))
    loudest = display.log_mel.mean(axis=0).argmax()
    low, high = display.band_edges[loudest : loudest + 2]
    assert low <= 2000 <= high  # carrier 1500 Hz, deviation 500 Hz
    with pytest.raises(IndexError, match="3 waveforms"):
        ReprogrammedInputDisplay.from_estimator(clf, np.ones(150), waveform=3)


def test_sources_that_hear_no_such_waveform(gunpoint, tmp_path):
    clf = V2SClassifier(("wav2vec", "v2sc"), random_state=0).fit(*gunpoint[:2])
    for function in (ReprogrammedInputDisplay.from_estimator, AttentionDisplay.from_estimator):
        with pytest.raises(InvalidParameterError, match="it has: none.*ViewsDisplay"):
            function(clf, gunpoint[0][0])
    with pytest.raises(InvalidParameterError):
        listen(clf, gunpoint[0][0], tmp_path / "x.wav")


def test_an_unknown_source(default, gunpoint):
    with pytest.raises(InvalidParameterError, match="no source 'v2sr'.*it has: v2sa"):
        AttentionDisplay.from_estimator(default, gunpoint[0][0], source="v2sr")


def test_listen(gunpoint, tmp_path):
    X, y = gunpoint[:2]
    paper = V2SClassifier.icml2021(max_epochs=0, random_state=0).fit(X[:6], y[:6])
    path = listen(paper, X[0], tmp_path / "paper.wav")
    rate, samples = wavfile.read(path)
    waveform = ReprogrammedInputDisplay.from_estimator(paper, X[0]).waveform
    assert rate == 16000 and samples.dtype == np.int16
    np.testing.assert_allclose(samples / 32768, waveform, atol=1e-4)

    # Three voices at 8 kHz: three seconds at 16 kHz; the first is a tone of 2000 Hz for a series of ones.
    voices = V2SClassifier("v2sa", standardize=False).fit(X[:6], y[:6])
    rate, samples = wavfile.read(listen(voices, np.ones(150), tmp_path / "voices.wav"))
    assert (rate, len(samples)) == (16000, 48000)
    spectrum = np.abs(np.fft.rfft(samples[:16000]))
    assert abs(spectrum.argmax() - 2000) <= 2


# Attention


def test_attention_on_the_time_axis(default, gunpoint):
    x = gunpoint[2][0]
    display = AttentionDisplay.from_estimator(default, x)
    view = default.net_.module_.views[0]
    batch = default.scaler_.transform([x])
    with torch.no_grad():
        frames = view.acoustic.attention(view.waveforms(batch.series, batch.lengths)[0])[0].numpy()
    expected = np.interp(np.arange(150), np.linspace(0, 149, len(frames)), frames)
    assert np.corrcoef(display.weights[0], expected)[0, 1] > 0.95
    np.testing.assert_allclose(display.weights.sum(axis=1), 1)
    assert display.share == 1


def test_attention_to_theta(paper, gunpoint):
    display = AttentionDisplay.from_estimator(paper, gunpoint[0][0])
    assert 0 < display.share < 0.5  # 450 of 4000 samples play the series


def test_a_source_without_attention(gunpoint):
    clf = V2SClassifier("v2st", random_state=0).fit(gunpoint[0][:10], gunpoint[1][:10])
    with pytest.raises(InvalidParameterError, match="'v2st' has no attention"):
        AttentionDisplay.from_estimator(clf, gunpoint[0][0])


# Training, label mapping, views, embedding


def test_training(paper, default):
    display = TrainingDisplay.from_estimator(paper)
    assert display.history["train_loss"] == paper.net_.history[:, "train_loss"]
    (axes,) = display.ax_
    np.testing.assert_array_equal(axes.get_lines()[0].get_ydata(), paper.net_.history[:, "train_loss"])
    with pytest.raises(InvalidParameterError, match="no epochs to draw.*max_epochs"):
        TrainingDisplay.from_estimator(default)


def test_words(paper):
    display = LabelMappingDisplay.from_estimator(paper)
    labels = paper.acoustic_model_.source_labels
    assert display.words == [[labels[index] for index in row] for row in paper.label_mapping_]
    shown = {text.get_text() for text in display.ax_[0].texts}
    assert set(labels) <= shown and {"1", "2"} <= shown


def test_words_of_several_sources(gunpoint):
    clf = V2SClassifier(("tiny", "tiny-wave"), reprogramming="pad", mapping="random", random_state=0).fit(*gunpoint[:2])
    words = [word for row in LabelMappingDisplay.from_estimator(clf).words for word in row]
    assert len(set(words)) == 24 and "tiny-wave: word3" in words


def test_shares_of_views_and_layers(default, multivariate):
    for clf in (default, multivariate[0]):
        display = LabelMappingDisplay.from_estimator(clf)
        assert set(display.view_shares) == set(clf.net_.module_.mapping.group_names)
        np.testing.assert_allclose(sum(display.view_shares.values()), 1)
        np.testing.assert_allclose(sum(display.layer_shares.values()), 1)
        assert {
            "v2sa: conv",
            "v2sa: lstm1",
            "wav2vec: octave 0",
            "v2sc: stage 4",
            "v2sc-varied: stage 1",
        } <= display.layer_shares.keys()


def test_layers_are_where_the_views_say(default, multivariate):
    """Only the values of a layer change when its activations do."""
    for clf in (default, multivariate[0]):
        for view in clf.net_.module_.views:
            columns = np.concatenate(list(view.layers().values()))
            np.testing.assert_array_equal(np.sort(columns), np.arange(view.n_features))
    view = default.net_.module_.views[0]
    waveforms = (
        torch.randn(2, view.n_waveforms, view.acoustic.n_samples, generator=torch.Generator().manual_seed(0)) / 10
    )
    with torch.no_grad():
        whole = view.embed(waveforms).numpy()
        for layer, columns in view.layers().items():
            alone = view.acoustic.embed(waveforms.flatten(0, 1), [layer]).reshape(2, -1).numpy()
            np.testing.assert_allclose(whole[:, columns], alone, atol=1e-5)


def test_what_the_views_say_adds_up_to_the_decision(default, multivariate, gunpoint):
    for clf, x in ((default, gunpoint[2][0]), multivariate):
        said = ViewsDisplay.from_estimator(clf, x).said
        total = sum(np.array(list(one.values())) for one in said) + clf.net_.module_.mapping.bias.detach().numpy()
        probabilities = np.exp(total - total.max()) / np.exp(total - total.max()).sum()
        np.testing.assert_allclose(clf.predict_proba([x])[0], probabilities, atol=1e-6)


def test_what_a_source_says_in_words(paper, gunpoint):
    (said,) = ViewsDisplay.from_estimator(paper, gunpoint[2][0]).said
    np.testing.assert_allclose(sum(said.values()), 1, rtol=1e-5)
    target = np.array([np.mean([said[f"word{index}"] for index in row]) for row in paper.label_mapping_])
    np.testing.assert_allclose(paper.predict_proba(gunpoint[2][:1])[0], target / target.sum(), atol=1e-5)


def test_embedding(paper, default, gunpoint):
    X, y = gunpoint[0][:12], gunpoint[1][:12]
    for clf in (paper, default, TransferClassifier("tiny", max_epochs=1).fit(X, y)):
        display = EmbeddingDisplay.from_estimator(clf, X, y)
        before, after = display.points.values()
        assert before.shape == after.shape == (12, 2)
        again = EmbeddingDisplay.from_estimator(clf, X, y).points.values()
        for one, other in zip((before, after), again, strict=True):
            np.testing.assert_array_equal(one, other)
    assert EmbeddingDisplay.from_estimator(paper, X, n_components=3).ax_[0].name == "3d"
    with pytest.raises(InvalidParameterError, match="3 series"):
        EmbeddingDisplay.from_estimator(paper, X[:3])
    with pytest.raises(InvalidParameterError, match="n_components=4"):
        EmbeddingDisplay.from_estimator(paper, X, n_components=4)
    with pytest.raises(InvalidParameterError, match="12 series and 3 labels"):
        EmbeddingDisplay.from_estimator(paper, X, y[:3])


def test_classes_lie_apart_after_reprogramming(default, gunpoint):
    """What the mapping reads tells the classes of GunPoint apart; its nearest neighbours in the plane do, too."""
    X, y = gunpoint[0], gunpoint[1]
    after = EmbeddingDisplay.from_estimator(default, X, y).points["after reprogramming"]
    distances = np.linalg.norm(after[:, None] - after, axis=2) + np.diag(np.full(len(X), np.inf))
    assert (y[distances.argmin(axis=1)] == y).mean() > 0.75


def test_estimators_are_not_changed(tiny, gunpoint):
    X, y = gunpoint[:2]
    clf = clone(tiny).fit(X, y)
    before = clf.predict_proba(X)
    SaliencyDisplay.from_estimator(clf, X[0])
    ViewsDisplay.from_estimator(clf, X[0])
    LabelMappingDisplay.from_estimator(clf)
    np.testing.assert_array_equal(clf.predict_proba(X), before)
    assert not any(p.requires_grad for view in clf.net_.module_.views for p in view.acoustic.parameters())
