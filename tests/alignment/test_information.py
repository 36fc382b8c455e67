import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from v2s_sklearn import load_acoustic_model
from v2s_sklearn.alignment import RidgeProbe, labelled_information, split_sections, unlabelled_information
from v2s_sklearn.alignment.information import entropy, held_out_cross_entropy
from v2s_sklearn.errors import InvalidParameterError, InvalidSeriesError


def noisy_channel(n_cases, n_classes, error, seed=0):
    """Return one-hot codes of labels of which a share is replaced by others, the labels, and the information."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes, n_cases)
    wrong = rng.random(n_cases) < error
    heard = np.where(wrong, (labels + rng.integers(1, n_classes, n_cases)) % n_classes, labels)
    lost = -(1 - error) * np.log(1 - error) - error * np.log(error / (n_classes - 1))
    return np.eye(n_classes)[heard], labels, np.log(n_classes) - lost


@pytest.mark.parametrize("n_classes, error", [(2, 0.1), (2, 0.4), (4, 0.2), (8, 0.3)])
def test_the_information_of_a_noisy_channel(n_classes, error):
    codes, labels, information = noisy_channel(2000, n_classes, error)
    bound = labelled_information(codes, labels)
    assert bound < information + 0.05  # sampling error
    assert bound > information - 0.06


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 99), st.integers(2, 5), st.floats(0.05, 0.6))
def test_the_bound_never_exceeds_the_information(seed, n_classes, error):
    codes, labels, _ = noisy_channel(800, n_classes, error, seed)
    nuisance = np.random.default_rng(seed).normal(size=(800, 5))
    right = (codes.argmax(1) == labels).mean()  # of these cases: the information of others differs by 0.1 and more
    said = right * np.log(1 - error) + (1 - right) * np.log(error / (n_classes - 1))
    assert labelled_information(np.hstack([codes, nuisance]), labels) < np.log(n_classes) + said + 0.05


def test_gaussian_classes():
    """Two classes at -1 and 1 with unit noise: the information by numerical integration is 0.337 nats."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 4000)
    values = (2 * labels - 1 + rng.normal(size=4000))[:, None]
    grid = np.linspace(-9, 9, 20001)
    density = [np.exp(-0.5 * (grid - m) ** 2) / np.sqrt(2 * np.pi) for m in (-1, 1)]
    mixture = sum(density) / 2
    step = grid[1] - grid[0]
    information = sum(0.5 * (d * np.log(np.where(d > 1e-300, d / mixture, 1))).sum() * step for d in density)
    for probe in (None, LogisticRegression()):
        bound = labelled_information(values, labels, probe=probe)
        assert information - 0.05 < bound < information + 0.03


def test_no_information_and_many_values():
    """Held out: a probe with more values than cases learns its training cases by heart, which must not count."""
    rng = np.random.default_rng(0)
    assert labelled_information(rng.normal(size=(60, 400)), rng.integers(0, 2, 60)) < 0.05


def test_a_class_that_is_in_no_training_fold_costs_finitely_much():
    labels = np.array([0] * 10 + [1] * 9 + [2])
    assert np.isfinite(held_out_cross_entropy(np.eye(3)[labels], labels))


def test_entropy():
    np.testing.assert_allclose(entropy(np.repeat([0, 1, 3], [2, 1, 1])), 1.5 * np.log(2))


def test_sections_that_share_a_state():
    """Both sections show one of 4 states: the information is log 4; without a common state there is none."""
    rng = np.random.default_rng(0)
    state, other = rng.integers(0, 4, (2, 400))
    centres = 10 * rng.normal(size=(4, 6))
    first = centres[state] + rng.normal(size=(400, 6))
    second = centres[state] @ np.ones((6, 3)) * [1, -1, 2] + rng.normal(size=(400, 3))
    assert np.log(4) - 0.1 < unlabelled_information(first, second, n_clusters=4) < np.log(4) + 0.02
    assert unlabelled_information(centres[other] + rng.normal(size=(400, 6)), second, n_clusters=4) < 0.05


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 99), st.floats(0.1, 0.95))
def test_gaussian_sections_never_have_more_than_their_information(seed, correlation):
    rng = np.random.default_rng(seed)
    first = rng.normal(size=(600, 1))
    second = correlation * first + np.sqrt(1 - correlation**2) * rng.normal(size=(600, 1))
    assert unlabelled_information(first, second) < -0.5 * np.log(1 - correlation**2) + 0.1


def test_speech_like_sounds():
    """Voices of four pitches, a second long: both halves tell the pitch, through a frozen model."""
    rng = np.random.default_rng(0)
    pitch = np.repeat([110.0, 170.0, 260.0, 400.0], 12)
    time = np.arange(16000) / 16000
    phase = 2 * np.pi * pitch[:, None] * time
    voices = sum(np.sin(k * phase + rng.uniform(0, 6, (48, 1))) / k for k in range(1, 8))
    waveforms = 0.05 * (voices + 0.1 * rng.normal(size=voices.shape))
    model = load_acoustic_model("v2sa")
    silence = np.zeros((48, 8000))
    with torch.no_grad():
        first, second = (
            model.embed(torch.from_numpy(np.hstack([half, silence]).astype(np.float32))).numpy()
            for half in split_sections(waveforms)
        )
    assert 1.0 < labelled_information(first, pitch) <= np.log(4)
    assert 0.8 < unlabelled_information(first, second, n_clusters=4) <= np.log(4)


def test_the_same_seed_gives_the_same_bits():
    codes, labels, _ = noisy_channel(100, 3, 0.2)
    assert labelled_information(codes, labels) == labelled_information(codes, labels)
    noisy = codes + np.random.default_rng(0).normal(size=codes.shape)
    assert unlabelled_information(codes, noisy) == unlabelled_information(codes, noisy)
    assert labelled_information(noisy, labels, random_state=1) != labelled_information(noisy, labels)


def test_the_probe_takes_labels_of_any_type():
    codes, labels, _ = noisy_channel(100, 3, 0.0001)
    probe = RidgeProbe().fit(codes, np.array(["a", "b", "c"])[labels])
    assert (probe.predict(codes) == np.array(["a", "b", "c"])[labels]).all()


def test_split_sections():
    X = np.arange(30).reshape(2, 3, 5)
    first, second = split_sections(X)
    np.testing.assert_array_equal(np.concatenate([first, second], axis=2), X)
    assert first.shape[2] == 2
    first, second = split_sections([X[0], X[1][:, :4]])
    assert [len(case[0]) for case in first] == [2, 2] and [len(case[0]) for case in second] == [3, 2]
    with pytest.raises(InvalidSeriesError, match="has 1 points"):
        split_sections([X[0], X[1][:, :1]])


def test_what_cannot_be_used():
    codes, labels, _ = noisy_channel(20, 2, 0.1)
    with pytest.raises(InvalidParameterError, match=r"20 cases, 19 labels"):
        labelled_information(codes, labels[1:])
    with pytest.raises(InvalidParameterError, match="1 classes"):
        labelled_information(codes, np.zeros(20))
    with pytest.raises(InvalidParameterError, match="n_folds=1"):
        labelled_information(codes, labels, n_folds=1)
    with pytest.raises(InvalidParameterError, match=r"shape \(20,\)"):
        labelled_information(labels, labels)
    with pytest.raises(InvalidParameterError, match="20 first and 19 second"):
        unlabelled_information(codes, codes[1:])
    with pytest.raises(InvalidParameterError, match="n_clusters=1"):
        unlabelled_information(codes, codes, n_clusters=1)
