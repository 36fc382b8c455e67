"""Estimators on another device than the CPU: one of our own, and a GPU where `make test-cuda` finds one."""

import copy
import pickle
import threading
from contextlib import nullcontext

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from aeon.datasets import load_basic_motions, load_japanese_vowels
from conftest import make_tiny_model, make_tiny_wave_model
from second_device import SecondDevice

import v2s_sklearn
from v2s_sklearn import TransferClassifier, V2SClassifier, V2SFeatures, load_acoustic_model
from v2s_sklearn.acoustic.interface import AcousticModel
from v2s_sklearn.alignment import AlignmentHistory
from v2s_sklearn.inspection import (
    AttentionDisplay,
    EmbeddingDisplay,
    LabelMappingDisplay,
    ReprogrammedInputDisplay,
    SaliencyDisplay,
    TrainingDisplay,
    ViewsDisplay,
    class_activation_maps,
    importance,
)
from v2s_sklearn.persistence.onnx import to_onnx
from v2s_sklearn.runtime.compilation import torch_alone
from v2s_sklearn.runtime.devices import resolve_device
from v2s_sklearn.runtime.settings import full_precision, own_settings

PLACES = [torch.backends.mkldnn.conv, torch.backends.mkldnn.rnn, torch.backends.mkldnn.matmul]
if torch.backends.cuda.is_built():
    PLACES += [torch.backends.cudnn.conv, torch.backends.cudnn.rnn, torch.backends.cuda.matmul]
DEVICES = ["meta", "cuda"] if torch.cuda.is_available() else ["meta"]
PAPER = {"reprogramming": "pad", "n_replicates": 2, "max_epochs": 1}
ESTIMATORS = {
    "default": V2SClassifier(),
    "default, trained": V2SClassifier(("tiny", "v2sc"), max_epochs=1),
    "fast": V2SClassifier.fast(),
    "early stopping": V2SClassifier("tiny", max_epochs=2, early_stopping=True, validation_fraction=0.3),
    "paper": V2SClassifier("v2sa", mapping="random", dropout=0.2, **PAPER),
    "frequency": V2SClassifier(("tiny", "tiny-wave"), mapping="frequency", **PAPER),
    "transfer": TransferClassifier("tiny", max_epochs=1),
    "features": V2SFeatures(("tiny", "v2sc", "wav2vec")),
}


@pytest.fixture(params=DEVICES)
def device(request):
    # Kernels add in another order than torch, which computes at both places here.
    with torch_alone(), SecondDevice() if request.param == "meta" else nullcontext():
        yield request.param


@pytest.fixture(scope="module")
def series(gunpoint):
    return gunpoint[0][::4], gunpoint[1][::4], gunpoint[2][:12]


def answers(estimator, X):
    return estimator.transform(X) if isinstance(estimator, V2SFeatures) else estimator.predict_proba(X)


def made(name, device):
    estimator = copy.deepcopy(ESTIMATORS[name]).set_params(device=device)
    return estimator.set_params(random_state=0) if "random_state" in estimator.get_params() else estimator


def where(estimator):
    """Return the types of the devices on which its weights lie."""
    network = estimator._network if isinstance(estimator, V2SFeatures) else estimator.net_.module_
    sources = estimator.acoustic_model_ if isinstance(estimator.acoustic_model_, tuple) else [estimator.acoustic_model_]
    modules = [network, *sources, *(view.acoustic for view in getattr(network, "views", ()))]
    return {tensor.device.type for module in modules for tensor in [*module.parameters(), *module.buffers()]}


def assert_near(found, expected, device="meta"):
    """A GPU adds in another order, and a voice has the rounding of its phase.

    The search for a calibration ends at a hundredth, where the last bit of a loss can decide.
    """
    assert np.abs(found - expected).mean() < {"meta": 5e-4, "cuda": 0.05}[device]


@pytest.mark.parametrize("name", ESTIMATORS)
def test_answers_are_those_of_the_cpu(name, device, series, tmp_path):
    X, y, X_test = series
    expected = answers(made(name, "cpu").fit(X, y), X_test)
    estimator = made(name, device).fit(X, y)
    found = answers(estimator, X_test)
    assert where(estimator) == {device}
    assert_near(found, expected, device)
    np.testing.assert_array_equal(answers(made(name, device).fit(X, y), X_test), found)

    estimator.save(tmp_path / "saved")
    pickled = pickle.dumps(estimator)
    for again in (pickle.loads(pickled), copy.deepcopy(estimator), v2s_sklearn.load(tmp_path / "saved")):
        assert where(again) == {device}
        np.testing.assert_array_equal(answers(again, X_test), found)
    on_cpu = v2s_sklearn.load(tmp_path / "saved", device="cpu")
    assert where(on_cpu) == {"cpu"}
    assert_near(answers(on_cpu, X_test), found, device)


@pytest.mark.parametrize("name", ["fast", "transfer", "features"])
def test_the_device_is_read_when_it_is_used(name, device, series):
    X, y, X_test = series
    estimator = made(name, "cpu").fit(X, y)
    expected = answers(estimator, X_test)
    assert_near(answers(estimator.set_params(device=device), X_test), expected, device)
    assert where(estimator) == {device}
    np.testing.assert_array_equal(answers(estimator.set_params(device="cpu"), X_test), expected)
    assert where(estimator) == {"cpu"}


def test_many_channels_and_unequal_length(device):
    for load in (load_basic_motions, load_japanese_vowels):
        X, y = load(split="train")
        X, y = X[::12], y[::12]
        expected, found = (V2SClassifier(device=d, random_state=0).fit(X, y).predict_proba(X) for d in ("cpu", device))
        assert_near(found, expected, device)


def test_a_pickle_needs_no_second_device(series):
    """Weights without a name, and fine-tuned ones, are pickled as they are."""
    X, y, X_test = series
    with SecondDevice():
        estimators = [
            V2SClassifier(make_tiny_model(), mapping="random", reprogramming="pad", device="meta", random_state=0),
            V2SFeatures([make_tiny_model(), make_tiny_wave_model()], device="meta"),
            TransferClassifier("tiny", max_epochs=1, device="meta", random_state=0),
        ]
        found = [answers(estimator.fit(X, y), X_test) for estimator in estimators]
        for estimator in estimators:
            estimator.device = "cuda:7"  # which is not there when the pickle is read
        for estimator in (estimators[0], estimators[2]):
            estimator.net_.device = "cuda:7"
        pickled = [pickle.dumps(estimator) for estimator in estimators]
        assert [pickle.dumps(estimator) for estimator in estimators] == pickled
        for estimator in estimators[:2]:
            assert where(estimator) == {"meta"}
    for content, expected in zip(pickled, found, strict=True):
        again = pickle.loads(content)
        assert where(again) == {"cpu"}
        assert_near(answers(again, X_test), expected)


def test_inspection(device, series):
    X, y, X_test = series
    plain = V2SClassifier(("tiny", "tiny-wave", "v2sc"), device=device, random_state=0).fit(X, y)
    paper = made("paper", device).set_params(acoustic_model="tiny").fit(X, y)
    TrainingDisplay.from_estimator(paper)
    for clf in (plain, paper):
        for display in (ReprogrammedInputDisplay, SaliencyDisplay, ViewsDisplay, AttentionDisplay):
            display.from_estimator(clf, X_test[0])
            plt.close("all")
        LabelMappingDisplay.from_estimator(clf)
        EmbeddingDisplay.from_estimator(clf, X_test)
        plt.close("all")
        assert class_activation_maps(clf, X_test[:2])
        assert np.isfinite(importance(clf, X_test[:1], windows=[30])).all()


def test_alignment_is_followed(device, series):
    followed = made("paper", device).set_params(callbacks=[AlignmentHistory()]).fit(*series[:2])
    assert followed.net_.history[-1]["train_swd"] > 0


def test_an_onnx_graph(series, tmp_path):
    """The exporter traces, which the second device cannot be; a GPU's estimator is written from the CPU."""
    for device in [name for name in DEVICES if name != "meta"] or ["cpu"]:
        clf = V2SClassifier("v2sa", device=device, random_state=0).fit(*series[:2])
        to_onnx(clf, tmp_path / "graph.onnx", tolerance=0.02)
        assert where(clf) == {device}


def test_what_lies_in_two_places_does_not_go_together():
    """The second device is one: what a GPU refuses, it refuses."""
    with SecondDevice():
        weights = torch.ones(3, 2).to("meta").requires_grad_()
        (weights * 2).sum().backward()
        assert weights.grad.device.type == "meta" and weights.grad.cpu().tolist() == [[2.0, 2.0]] * 3
        with pytest.raises(RuntimeError, match="same device"):
            torch.ones(4, 3) @ weights
        with pytest.raises(RuntimeError, match="same device"):
            torch.nn.functional.nll_loss(weights, torch.zeros(3, dtype=int))
        with pytest.raises(TypeError, match="numpy"):
            weights.detach().numpy()


def test_auto_is_the_cpu_in_a_child_of_a_process_that_uses_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "_is_in_bad_fork", lambda: True)
    assert resolve_device("auto") == torch.device("cpu")


def precisions():
    return torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_products_have_full_precision_whatever_the_caller_allows(precision, series):
    expected = made("fast", "cpu").fit(*series[:2]).predict_proba(series[2])
    barrier, seen = threading.Barrier(4), []

    def work():
        for _ in range(10):
            barrier.wait()
            with full_precision():
                seen.extend(place.fp32_precision for place in PLACES)

    torch.set_float32_matmul_precision(precision)
    try:
        before = precisions()
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with own_settings():
            seen.extend(place.fp32_precision for place in PLACES)
        np.testing.assert_array_equal(made("fast", "cpu").fit(*series[:2]).predict_proba(series[2]), expected)
        assert precisions() == before
    finally:
        torch.set_float32_matmul_precision("highest")
    assert not set(seen) & {"tf32", "bf16"}


def test_a_precision_that_follows_its_backend_goes_on_doing_so():
    places = torch.backends.mkldnn, torch.backends.mkldnn.conv
    try:
        torch.backends.mkldnn.fp32_precision = "bf16"
        with full_precision():
            assert places[1].fp32_precision == "ieee"
        assert places[1].fp32_precision == "bf16"
        torch.backends.mkldnn.fp32_precision = "tf32"
        assert places[1].fp32_precision == "tf32"
    finally:
        torch.backends.mkldnn.fp32_precision = "none"


class Inside(AcousticModel):
    """A network of one's own around a packaged one."""

    def __init__(self, inner):
        super().__init__(inner.source_labels, copy.deepcopy(inner.frontend), inner.sample_rate, inner.n_samples)
        self.inner, self.louder = inner, torch.nn.Parameter(torch.ones(1))

    def activations(self, features):
        return self.inner.activations(features * self.louder)


def test_a_packaged_source_inside_another_is_pickled_by_its_name(series):
    X, y, X_test = series
    expected = V2SClassifier(Inside(load_acoustic_model("v2sa")), device="cpu", random_state=0).fit(X, y)
    with SecondDevice():
        clf = V2SClassifier(Inside(load_acoustic_model("v2sa", device="meta")), device="meta", random_state=0).fit(X, y)
        found = clf.predict_proba(X_test)
        pickled = pickle.dumps(clf)
        assert len(pickled) < len(pickle.dumps(expected)) + 1000
        assert_near(pickle.loads(pickled).predict_proba(X_test), found)
    assert_near(found, expected.predict_proba(X_test))
    assert load_acoustic_model("v2sa").lies_on(torch.device("cpu"))
