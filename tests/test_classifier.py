import numpy as np
import pandas as pd
import pytest
import torch
from aeon.datasets import load_basic_motions, load_japanese_vowels
from conftest import MODES
from sklearn.base import clone
from skorch.callbacks import EpochScoring

from v2s_sklearn import V2SClassifier, load_acoustic_model
from v2s_sklearn.views import Voice
from v2s_sklearn.views.pad import PadReprogram


def test_default_on_real_data(gunpoint, italy):
    for X_train, y_train, X_test, y_test in (gunpoint, italy):
        clf = V2SClassifier(random_state=0).fit(X_train, y_train)
        assert clf.score(X_test, y_test) > 0.9
        probabilities = clf.predict_proba(X_test)
        assert probabilities.shape == (len(X_test), 2)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)
        np.testing.assert_array_equal(clf.predict(X_test), clf.classes_[probabilities.argmax(axis=1)])


def test_paper_mode_learns_on_real_data(italy):
    X_train, y_train, X_test, y_test = italy
    clf = V2SClassifier.icml2021(max_epochs=15, n_replicates=10, random_state=0).fit(X_train, y_train)
    # A mean over 18 source classes is at most 1 / 18, so the loss is at least log 18.
    losses = np.array(clf.net_.history[:, "train_loss"]) - np.log(18)
    assert 0 < losses[-1] < 0.5 * losses[0]
    assert clf.score(X_test, y_test) > 0.8


def test_the_settings_of_the_paper():
    clf = V2SClassifier.icml2021()
    expected = {
        "acoustic_model": "v2sa",
        "reprogramming": "pad",
        "mapping": "random",
        "max_epochs": 100,
        "learning_rate": 0.05,
        "batch_size": 32,
        "weight_decay": 0.04,
        "early_stopping": False,
    }
    assert {name: clf.get_params()[name] for name in expected} == expected
    assert V2SClassifier.ICML2021_GRID == {
        "dropout": [0.0, 0.1, 0.2, 0.3, 0.4],
        "n_replicates": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    }
    assert V2SClassifier.icml2021(dropout=0.3, mapping="frequency").get_params()["dropout"] == 0.3


def test_the_net_of_paper_mode(gunpoint):
    X, y = gunpoint[:2]
    clf = V2SClassifier.icml2021(acoustic_model="tiny", max_epochs=3, n_replicates=2, random_state=0).fit(X, y)
    assert isinstance(clf.net_.optimizer_, torch.optim.AdamW)
    group = clf.net_.optimizer_.param_groups[0]
    assert (group["lr"], group["weight_decay"]) == (0.05, 0.04)
    assert [parameter.shape for parameter in group["params"]] == [(4000,)]  # theta and nothing else is trained
    assert isinstance(clf.net_.module_.transformations[0], PadReprogram)
    assert clf.theta_.shape == (4000,)
    assert clf.label_mapping_.shape == (2, 6)
    assert len(np.unique(clf.label_mapping_)) == 12
    assert len(clf.net_.history) == 3


def test_one_step_of_paper_mode_by_hand(gunpoint):
    """The whole of Algorithm 1 by hand: one batch with all cases, one step."""
    X, y = gunpoint[0][:10], gunpoint[1][:10]
    options = {"acoustic_model": "tiny", "batch_size": 32, "n_replicates": 3, "random_state": 3}
    start = V2SClassifier.icml2021(max_epochs=0, **options).fit(X, y)
    fitted = V2SClassifier.icml2021(max_epochs=1, **options).fit(X, y)

    theta = torch.tensor(start.theta_, requires_grad=True)
    padded, mask = np.zeros((10, 4000), dtype=np.float32), np.ones(4000, dtype=np.float32)
    interval = (4000 // 150) // 3 * 150
    for copy in range(3):
        padded[:, copy * interval : copy * interval + 150] = X[:, 0]
        mask[copy * interval : copy * interval + 150] = 0
    model = load_acoustic_model("tiny")
    source = torch.softmax(model(0.1 * (torch.from_numpy(padded) + torch.from_numpy(mask) * theta)), dim=1)
    target = source[:, torch.from_numpy(start.label_mapping_)].mean(2)
    labels = torch.from_numpy(np.searchsorted(start.classes_, y))
    optimizer = torch.optim.AdamW([theta], lr=0.05, weight_decay=0.04)
    (-torch.log(target[torch.arange(10), labels])).mean().backward()
    optimizer.step()
    np.testing.assert_allclose(fitted.theta_, theta.detach().numpy(), atol=1e-3)
    moved = np.abs(fitted.theta_ - start.theta_)
    assert np.median(moved) > 0.01


@pytest.mark.parametrize("name", ["v2sa", "tiny", "wav2vec"])
@pytest.mark.parametrize("mode", MODES)
def test_the_acoustic_model_is_frozen(name, mode, gunpoint):
    X, y = gunpoint[0][::5], gunpoint[1][::5]
    model = load_acoustic_model(name)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    buffers = {key: value.clone() for key, value in model.named_buffers()}
    clf = V2SClassifier(name, **(MODES[mode] | {"max_epochs": 1})).fit(X, y)
    clf.predict(X)
    clf.net_.module_.train()
    batch = clf.scaler_.transform(X)
    clf.net_.module_(torch.from_numpy(batch.series), torch.from_numpy(batch.lengths))
    clf.net_.module_.eval()
    assert clf.acoustic_model_ is model
    assert not any(module.training for module in model.modules())
    assert not any(parameter.requires_grad for parameter in model.parameters())
    for key, value in before.items():
        assert torch.equal(value, model.state_dict()[key]), key
    for key, value in buffers.items():
        assert torch.equal(value, dict(model.named_buffers())[key]), key
    trained = {id(parameter) for parameter in clf.net_.module_.parameters()}
    assert trained.isdisjoint(id(parameter) for parameter in model.parameters())


def test_training_moves_theta(gunpoint):
    X = gunpoint[0]
    y = np.random.default_rng(0).integers(0, 2, len(X))  # not separable, so that there is a gradient
    start = V2SClassifier("tiny", random_state=0).fit(X, y).theta_
    theta = V2SClassifier("tiny", random_state=0, max_epochs=1).fit(X, y).theta_
    for name in ("carrier", "deviation", "loudness", "additive"):
        assert (theta[name] != start[name]).any(), name


@pytest.mark.parametrize(
    "labels",
    [[-1, 1], ["a", "b"], [True, False], [3.0, 7.0], np.array(["x", "y"], dtype=object)],
    ids=["signed", "str", "bool", "float", "object"],
)
def test_labels_of_any_type(tiny, gunpoint, labels):
    X, y = gunpoint[:2]
    y = np.asarray(labels)[(y == "1").astype(int)]
    tiny.fit(X, y)
    assert list(tiny.classes_) == sorted(labels)
    assert tiny.predict(X).dtype == tiny.classes_.dtype
    assert set(tiny.predict(X)) <= set(y)


def test_a_single_class(tiny, gunpoint):
    X = gunpoint[0][:6]
    tiny.fit(X, ["only"] * 6)
    assert list(tiny.predict(X)) == ["only"] * 6
    np.testing.assert_allclose(tiny.predict_proba(X), np.ones((6, 1)))


def test_two_cases(tiny, gunpoint):
    X, y = gunpoint[:2]
    chosen = [np.flatnonzero(y == label)[0] for label in np.unique(y)]
    tiny.fit(X[chosen], y[chosen])
    assert np.isfinite(tiny.predict_proba(X)).all()
    if tiny.mapping == "ridge" and tiny.max_epochs == 0:
        np.testing.assert_array_equal(tiny.predict(X[chosen]), y[chosen])


@pytest.mark.parametrize("n_points", [1, 2, 4000, 16001, 40000])
def test_series_of_any_length(tiny, n_points):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 5)
    X = rng.normal(0, 0.1, (10, n_points)) + y[:, None]
    tiny.fit(X, y)
    assert np.isfinite(tiny.predict_proba(X)).all()
    if tiny.mapping == "ridge":
        assert tiny.score(X, y) == 1


def test_a_large_offset_does_not_matter(gunpoint):
    X, y = gunpoint[:2]
    plain = V2SClassifier("tiny").fit(X, y).predict_proba(X)
    np.testing.assert_allclose(V2SClassifier("tiny").fit(X + 1e8, y).predict_proba(X + 1e8), plain, atol=0.01)


def test_unequal_length(tiny):
    X, y = load_japanese_vowels(split="train")
    X, y = X[::9], y[::9]
    assert len({series.shape[1] for series in X}) > 1
    if tiny.mapping != "ridge":
        y = np.where(y.astype(int) > 5, "late", "early")
    tiny.fit(X, y)
    together = tiny.predict_proba(X)
    alone = np.concatenate([tiny.predict_proba([series]) for series in X])
    np.testing.assert_array_equal(together, alone)
    assert not hasattr(tiny, "n_features_in_")


def test_multivariate():
    X, y = load_basic_motions(split="train")
    X_test, y_test = load_basic_motions(split="test")
    clf = V2SClassifier(random_state=0).fit(X, y)
    assert clf.series_mean_.shape == (6,)
    assert clf.score(X_test, y_test) > 0.9


def test_input_forms_agree(tiny, gunpoint):
    X, y = gunpoint[:2]
    expected = tiny.fit(X, y).predict_proba(X)
    for form in (X[:, 0], list(X), [series[0] for series in X], X[:, 0].tolist(), pd.DataFrame(X[:, 0])):
        np.testing.assert_array_equal(tiny.fit(form, y).predict_proba(form), expected)
        is_table = isinstance(form, np.ndarray | pd.DataFrame)
        assert getattr(tiny, "n_features_in_", None) == (150 if is_table else None)
    frame = pd.DataFrame(X[:, 0], columns=[f"t{index}" for index in range(150)])
    assert list(tiny.fit(frame, y).feature_names_in_) == list(frame.columns)


# Weights, early stopping, callbacks


def test_sample_weight_is_the_same_as_repeating(gunpoint):
    X, y = gunpoint[:2]
    weight = np.random.default_rng(0).integers(0, 3, len(y))
    repeated = V2SClassifier("tiny").fit(X.repeat(weight, axis=0), y.repeat(weight))
    weighted = V2SClassifier("tiny").fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-7)


def test_sample_weight_reaches_the_training_of_theta(gunpoint):
    X, y = gunpoint[:2]
    options = {"acoustic_model": "tiny", "max_epochs": 2, "random_state": 0}
    heavy = np.where(y == "1", 1.0, 50.0)
    plain = V2SClassifier.icml2021(**options).fit(X, y)
    weighted = V2SClassifier.icml2021(**options).fit(X, y, sample_weight=heavy)
    balanced = V2SClassifier.icml2021(class_weight={"1": 1.0, "2": 50.0}, **options).fit(X, y)
    np.testing.assert_array_equal(weighted.theta_, balanced.theta_)
    assert (plain.theta_ != weighted.theta_).any()


def test_class_weight_moves_the_decision(italy):
    X, y = italy[:2]
    shares = [
        np.mean(V2SClassifier("tiny", class_weight=weight).fit(X, y).predict(X) == "1")
        for weight in ({"1": 1e-6, "2": 1.0}, "balanced", {"1": 1.0, "2": 1e-6})
    ]
    assert shares[0] < shares[1] < shares[2]


def test_early_stopping_keeps_the_best_theta(italy):
    X, y = italy[:2]
    clf = V2SClassifier(
        "tiny",
        max_epochs=60,
        learning_rate=0.3,
        early_stopping=True,
        validation_fraction=0.3,
        n_iter_no_change=3,
        random_state=0,
    ).fit(X, y)
    losses = clf.net_.history[:, "valid_loss"]
    assert len(losses) < 60
    assert int(np.argmin(losses)) == len(losses) - 1 - 3
    without = V2SClassifier("tiny", max_epochs=2).fit(X, y)
    assert "valid_loss" not in without.net_.history[-1]


def test_callbacks_are_run(gunpoint):
    X, y = gunpoint[:2]
    callback = EpochScoring("accuracy", name="training_accuracy", on_train=True)
    clf = V2SClassifier("tiny", max_epochs=2, callbacks=[callback]).fit(X, y)
    assert all(0 <= value <= 1 for value in clf.net_.history[:, "training_accuracy"])


def test_verbose_shows_progress(gunpoint, capfd):
    X, y = gunpoint[:2]
    V2SClassifier("tiny", max_epochs=1).fit(X, y)
    assert capfd.readouterr() == ("", "")
    V2SClassifier("tiny", max_epochs=1, verbose=1).fit(X, y)
    shown = capfd.readouterr()
    assert "train_loss" in shown.out
    assert "it/s" in shown.err


def test_voices_can_be_given(gunpoint):
    X, y = gunpoint[:2]
    clf = V2SClassifier("tiny", voices=[Voice(700, deviation=100)]).fit(X, y)
    np.testing.assert_allclose(clf.theta_["carrier"], [700])
    assert clf.label_mapping_.shape[0] == load_acoustic_model("tiny").embed(torch.zeros(1, 4000)).shape[1]


@pytest.mark.parametrize("mode", ["default", "trained", "paper", "frequency"])
def test_series_without_label_are_heard_but_no_class(mode, gunpoint):
    X, y, X_test, _ = gunpoint
    missing = np.where(np.arange(len(y)) % 3 == 0, None, y)
    known = np.not_equal(missing, None)
    clf = V2SClassifier("tiny", **(MODES[mode] | {"random_state": 0})).fit(X, missing)
    assert clf.classes_.tolist() == ["1", "2"]
    # What is learned without labels is that of all series, not of the labelled ones.
    every, some = clone(clf).fit(X, y), clone(clf).fit(X[known], y[known])
    assert clf.series_scale_ == every.series_scale_ != some.series_scale_
    assert (clf.predict_proba(X_test) != every.predict_proba(X_test)).any()
    # A label does not count for a case that has none.
    other = clone(clf).set_params(missing_label="?").fit(X, np.where(known, y, "?"))
    np.testing.assert_array_equal(other.predict_proba(X_test), clf.predict_proba(X_test))
    weightless = clone(clf).fit(X, missing, sample_weight=known.astype(float))
    np.testing.assert_allclose(weightless.predict_proba(X_test), some.predict_proba(X_test), rtol=1e-6)


def test_one_label_is_enough():
    X = np.random.default_rng(0).normal(size=(6, 1, 30))
    clf = V2SClassifier("tiny", random_state=0).fit(X, [None, None, 7, None, None, None])
    assert clf.predict(X).tolist() == [7] * 6
