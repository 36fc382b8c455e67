import pickle

import numpy as np
import pytest
import torch
from aeon.datasets import load_basic_motions, load_japanese_vowels
from conftest import make_tiny_model
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from v2s_sklearn import TransferClassifier, V2SClassifier, load_acoustic_model
from v2s_sklearn.acoustic.frontend import LogMel
from v2s_sklearn.acoustic.interface import AcousticModel
from v2s_sklearn.acoustic.networks.tcn import TemporalConvNet


def tensors_of(model):
    """All parameters and buffers, those outside of the state dict too."""
    return {name: tensor.detach().clone() for name, tensor in [*model.named_parameters(), *model.named_buffers()]}


def assert_same_tensors(model, expected):
    tensors = tensors_of(model)
    assert tensors.keys() == expected.keys()
    for name, tensor in tensors.items():
        assert torch.equal(tensor, expected[name]), name


@pytest.fixture
def tiny():
    return TransferClassifier("tiny", max_epochs=2, random_state=0)


def test_fine_tuning_learns_on_real_data(italy):
    X, y, X_test, y_test = *italy[:2], italy[2][:100], italy[3][:100]
    source = load_acoustic_model("v2sa")
    before = tensors_of(source)
    clf = TransferClassifier(max_epochs=12, random_state=0).fit(X, y)
    losses = clf.net_.history[:, "train_loss"]
    assert losses[-1] < 0.6 * losses[0]
    assert clf.score(X_test, y_test) > 0.75
    probabilities = clf.predict_proba(X_test)
    assert probabilities.shape == (len(X_test), 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(clf.predict(X_test), clf.classes_[probabilities.argmax(axis=1)])
    assert clf.acoustic_model_ is source
    assert_same_tensors(source, before)
    restored = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(restored.predict_proba(X_test[:10]), probabilities[:10])


def test_one_step_by_hand(gunpoint):
    """One batch with all cases, one step of Adam on all weights but those of the source's output."""
    X, y = gunpoint[0][:10], gunpoint[1][:10]
    # The second step is the first that reaches the source: the new layer is zero before.
    clf = TransferClassifier("tiny", max_epochs=2, n_replicates=3, weight_decay=0.1, random_state=0).fit(X, y)
    padded = torch.zeros(10, 4000)
    for start in (0, 8 * 150, 16 * 150):
        padded[:, start : start + 150] = torch.from_numpy((X[:, 0] - X.mean()) / X.std())
    model = make_tiny_model().eval()
    dense = torch.nn.Linear(8, 2)
    torch.nn.init.zeros_(dense.weight)
    torch.nn.init.zeros_(dense.bias)
    weights = [weight for name, weight in model.named_parameters() if not name.startswith("output.")]
    optimizer = torch.optim.AdamW([*weights, *dense.parameters()], lr=0.001, weight_decay=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        logits = dense(model.activations(model.frontend(0.1 * padded))["dense"])
        torch.nn.functional.cross_entropy(logits, torch.from_numpy(np.searchsorted(clf.classes_, y))).backward()
        optimizer.step()
    trained = clf.net_.module_
    np.testing.assert_allclose(trained.dense.weight.detach(), dense.weight.detach(), atol=1e-5)
    source = load_acoustic_model("tiny").state_dict()
    for name, expected in model.state_dict().items():
        actual = trained.acoustic.state_dict()[name]
        # Where a gradient is rounding noise, Adam's first steps have its sign.
        assert (actual - expected).abs().median() < 1e-5, name
    assert (trained.acoustic.conv[0].weight - source["conv.0.weight"]).abs().median() > 5e-4


@pytest.mark.parametrize("given", ["name", "instance"])
def test_the_source_stays_frozen_and_the_copy_is_trained(given, tiny, gunpoint):
    X, y = gunpoint[:2]
    source = load_acoustic_model("tiny") if given == "name" else make_tiny_model()
    before = tensors_of(source)
    tiny.set_params(acoustic_model="tiny" if given == "name" else source).fit(X, y).predict(X)
    assert tiny.acoustic_model_ is source
    assert not source.training
    assert not any(parameter.requires_grad for parameter in source.parameters())
    assert_same_tensors(source, before)
    copied = tiny.net_.module_.acoustic
    memory = {tensor.data_ptr() for tensor in source.state_dict().values()}
    assert memory.isdisjoint(tensor.data_ptr() for tensor in copied.state_dict().values())
    for name, tensor in copied.state_dict().items():
        statistic = "running" in name or "num_batches" in name
        unused = name.startswith("output.")  # the new layer takes its place
        assert torch.equal(tensor, before[name]) == (statistic or unused), name


def test_theta_is_zero_and_no_parameter(tiny, gunpoint):
    X, y = gunpoint[:2]
    module = tiny.fit(X, y).net_.module_
    assert not module.padding.theta.any()
    assert list(module.padding.parameters()) == []
    assert not any(name.startswith("padding") for name in module.state_dict())
    assert not any(child.training for child in module.modules())


def test_a_power_spectrum_does_not_show_the_sign(tiny, gunpoint):
    X, y = gunpoint[:2]
    tiny.set_params(standardize=False, max_epochs=5, n_replicates=10).fit(X, y)
    probabilities = tiny.predict_proba(X)
    np.testing.assert_array_equal(tiny.predict_proba(-X), probabilities)
    assert (tiny.predict_proba(2 * X) != probabilities).any()


def test_a_layer_over_time_is_averaged():
    class Frames(AcousticModel):
        def __init__(self):
            super().__init__(["a", "b"], LogMel(), n_samples=4000)
            self.layer = torch.nn.Linear(40, 3)

        def activations(self, features):
            frames = self.layer(features)
            return {"frames": frames.transpose(1, 2), "logits": frames.mean(1)[:, :2]}

    with torch.random.fork_rng(devices=[]):
        model = Frames()
    clf = TransferClassifier(model, max_epochs=1, random_state=0).fit(np.eye(6), [0, 1] * 3)
    embedding = clf.net_.module_.embed(torch.ones(1, 4000))
    expected = clf.net_.module_.acoustic.layer(model.frontend(torch.ones(1, 4000))).mean(1)
    torch.testing.assert_close(embedding, expected)


def test_a_copy_of_a_model_around_a_loaded_one_is_a_copy_throughout():
    class Around(AcousticModel):
        def __init__(self, inner):
            super().__init__(inner.source_labels, torch.nn.Identity(), n_samples=inner.n_samples)
            self.inner = inner

        def activations(self, features):
            return self.inner.activations(self.inner.frontend(features))

    inner = load_acoustic_model("tiny")
    copied = Around(inner).trainable_copy()
    assert copied.inner is not inner
    assert all(parameter.requires_grad for parameter in copied.inner.parameters())
    assert not any(parameter.requires_grad for parameter in inner.parameters())
    waveform = torch.ones(2, 4000)
    torch.testing.assert_close(copied(waveform), inner(waveform))


def test_a_batch_of_one_case(gunpoint):
    X, y = gunpoint[0][:5], gunpoint[1][:5]
    clf = TransferClassifier("tiny", batch_size=1, max_epochs=1, random_state=0).fit(X, y)
    assert np.isfinite(clf.predict_proba(X)).all()
    alone = TransferClassifier("tiny", max_epochs=1).fit(X[:1], y[:1])
    np.testing.assert_array_equal(alone.predict_proba(X), np.ones((5, 1)))


def test_a_source_with_dropout_and_batch_norm_before_the_logits(gunpoint):
    X, y = gunpoint[:2]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        model = TemporalConvNet(["a", "b"], n_samples=4000, channels=(8, 8, 12))
    clf = TransferClassifier(model, max_epochs=2, batch_size=49, random_state=0)  # the last batch is one case
    probabilities = clf.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(clf.fit(X, y).predict_proba(X), probabilities)
    for name, buffer in model.named_buffers():
        assert torch.equal(buffer, dict(clf.net_.module_.acoustic.named_buffers())[name]), name


# Bits, pickles


def test_the_same_seed_gives_the_same_bits(tiny, gunpoint):
    X, y, X_test, _ = gunpoint
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    first = tiny.fit(X, y).predict_proba(X_test)
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)
    torch.rand(3)
    np.testing.assert_array_equal(clone(tiny).fit(X, y).predict_proba(X_test), first)
    with threadpool_limits(2):
        parallel = clone(tiny).set_params(n_jobs=2).fit(X, y)
        np.testing.assert_array_equal(parallel.predict_proba(X_test), first)
    np.testing.assert_array_equal(parallel.predict_proba(X_test[7:8]), first[7:8])
    other = clone(tiny).set_params(random_state=1).fit(X, y)
    assert (other.predict_proba(X_test) != first).any()


@pytest.mark.parametrize("given", ["name", "instance"])
def test_a_pickle_holds_the_fine_tuned_weights(given, tiny, gunpoint):
    X, y = gunpoint[:2]
    tiny.set_params(acoustic_model="tiny" if given == "name" else make_tiny_model()).fit(X, y)
    pickled = pickle.dumps(tiny)
    restored = pickle.loads(pickled)
    np.testing.assert_array_equal(restored.predict_proba(X), tiny.predict_proba(X))
    module = restored.net_.module_
    assert not module.training
    assert all(parameter.requires_grad for parameter in module.acoustic.parameters())
    weight = tiny.net_.module_.acoustic.lstm1.weight_ih_l0.detach().numpy()
    assert pickled.count(weight.tobytes()) == 1
    assert not hasattr(restored.net_, "optimizer_")
    source = load_acoustic_model("tiny")
    if given == "name":
        assert restored.acoustic_model_ is source
        assert source.lstm1.weight_ih_l0.numpy().tobytes() not in pickled
    else:
        assert_same_tensors(restored.acoustic_model_, tensors_of(source))
    assert clone(restored).get_params().keys() == tiny.get_params().keys()


# Weights, early stopping, forms of input


def test_sample_weight_is_the_same_as_repeating(tiny, gunpoint):
    X, y = gunpoint[:2]
    weight = np.random.default_rng(0).integers(0, 3, len(y))
    repeated = clone(tiny).fit(X.repeat(weight, axis=0), y.repeat(weight)).predict_proba(X)
    weighted = clone(tiny).fit(X, y, sample_weight=weight).predict_proba(X)
    np.testing.assert_allclose(weighted, repeated, rtol=1e-6)
    assert np.abs(weighted - clone(tiny).fit(X, y).predict_proba(X)).max() > 1e-6


def test_class_weight_is_a_weight_of_the_cases(tiny, gunpoint):
    X, y = gunpoint[:2]
    tiny = clone(tiny).set_params(standardize=False)  # the moments of the series take sample_weight alone
    weighted = clone(tiny).fit(X, y, sample_weight=np.where(y == "1", 1.0, 50.0)).predict_proba(X)
    balanced = clone(tiny).set_params(class_weight={"1": 1.0, "2": 50.0}).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(weighted, balanced)
    assert weighted[:, 1].mean() > clone(tiny).fit(X, y).predict_proba(X)[:, 1].mean()


def test_early_stopping_keeps_the_best_weights(gunpoint):
    X = gunpoint[0]
    y = np.random.default_rng(0).integers(0, 2, len(X))  # nothing to learn, so the loss soon rises
    options = {"n_replicates": 10, "learning_rate": 0.01, "early_stopping": True, "validation_fraction": 0.3}
    clf = TransferClassifier("tiny", max_epochs=60, n_iter_no_change=2, random_state=0, **options).fit(X, y)
    losses = clf.net_.history[:, "valid_loss"]
    best = int(np.argmin(losses))
    assert best == len(losses) - 1 - 2 < 59
    short = TransferClassifier("tiny", max_epochs=best + 1, n_iter_no_change=99, random_state=0, **options).fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), short.predict_proba(X))


def test_multivariate(tiny):
    X, y = load_basic_motions(split="train")
    tiny.set_params(n_replicates=1).fit(X, y)
    assert tiny.series_mean_.shape == (6,)
    assert not hasattr(tiny, "n_features_in_")  # of tables only
    batch = tiny.scaler_.transform(X[:2])
    series, lengths = torch.from_numpy(batch.series), torch.from_numpy(batch.lengths)
    waveform = tiny.net_.module_.padding(series, lengths)[:, 0]
    np.testing.assert_allclose(waveform[:, :600], 0.1 * series.flatten(1), rtol=1e-6)  # one after another
    assert not waveform[:, 600:].any()
    assert tiny.predict_proba(X).shape == (40, 4)


def test_unequal_length(tiny):
    X, y = load_japanese_vowels(split="train")
    X, y = X[::9], y[::9]
    assert len({series.shape[1] for series in X}) > 1
    together = tiny.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(together, np.concatenate([tiny.predict_proba([series]) for series in X]))
    assert not hasattr(tiny, "n_features_in_")


@pytest.mark.parametrize("n_points", [1, 5000])
def test_series_of_any_length(tiny, n_points):
    X = np.random.default_rng(0).normal(size=(6, n_points))
    assert np.isfinite(tiny.fit(X, [0, 1] * 3).predict_proba(X)).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_epochs": 0}, "'max_epochs' parameter of TransferClassifier.*Got 0"),
        ({"learning_rate": 0}, "'learning_rate' parameter.*Got 0"),
        ({"n_replicates": 0}, "'n_replicates' parameter.*Got 0"),
        ({"acoustic_model": ["tiny", "v2sa"]}, "'acoustic_model' parameter.*Got"),
        ({"acoustic_model": "v2sb"}, "no acoustic model 'v2sb'. Did you mean 'v2s"),
        ({"device": "gpu"}, "device='gpu' cannot be used here"),
        ({"class_weight": {"3": 1.0}}, r"weights for \['3'\], which are not among the classes"),
        ({"early_stopping": True, "validation_fraction": 0.001}, "validation_fraction"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_bad_parameters(parameters, message, tiny, gunpoint):
    X, y = gunpoint[:2]
    with pytest.raises(ValueError, match=message):
        tiny.set_params(**parameters).fit(X, y)


def test_parameters_are_those_of_v2s_classifier():
    ours, theirs = TransferClassifier().get_params(), V2SClassifier().get_params()
    assert ours.keys() < theirs.keys()
    assert ours.keys() == TransferClassifier._parameter_constraints.keys()
    different = {name for name, value in ours.items() if value != theirs[name]}
    assert different == {"acoustic_model", "max_epochs", "n_replicates"}


def test_series_without_label_are_scaled_by_but_no_class(tiny, gunpoint):
    X, y, X_test, _ = gunpoint
    missing = np.where(np.arange(len(y)) % 3 == 0, None, y)
    known = np.not_equal(missing, None)
    clf, some = clone(tiny).fit(X, missing), clone(tiny).fit(X[known], y[known])
    assert clf.classes_.tolist() == ["1", "2"]
    assert clf.series_scale_ == clone(tiny).fit(X, y).series_scale_ != some.series_scale_
    weightless = clone(tiny).fit(X, missing, sample_weight=known.astype(float))
    np.testing.assert_array_equal(weightless.predict_proba(X_test), some.predict_proba(X_test))
