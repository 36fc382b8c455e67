"""Checkpoints of transformers as acoustic models, beside transformers itself."""

import pickle
import random

import numpy as np
import pytest
import torch
import transformers
from hub_checkpoints import CONFIGS, EXTRACTORS, LABELS, STANDARDISING, digest_of, make_sounds, noise
from huggingface_hub import utils as hub
from safetensors.torch import load_file, save_file
from sklearn.base import clone
from transformers.utils import logging

from v2s_sklearn import V2SClassifier, V2SFeatures, load_acoustic_model, register_acoustic_model
from v2s_sklearn.acoustic import registry
from v2s_sklearn.acoustic.hub.huggingface import load_huggingface
from v2s_sklearn.errors import (
    InvalidParameterError,
)

pytest_plugins = ["hub_checkpoints"]
pytestmark = [
    # Of the extractors of transformers, and of its WavLM where it is given a mask.
    pytest.mark.filterwarnings("ignore:At least one mel filter has all zero values"),
    pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask"),
]
MAIN_MODELS = ["ast", "wav2vec2", "hubert", "wavlm", "whisper"]


@pytest.fixture
def italy_few(italy):
    X_train, y_train, X_test, _ = italy
    return X_train[:36], y_train[:36], X_test[:20]


@pytest.mark.parametrize("name", CONFIGS)
def test_logits_are_those_of_transformers(name, checkpoints):
    model = load_acoustic_model(f"hf:{checkpoints[name]}")
    window, rate = {"ast": (4080, 16000), "whisper": (16000, 16000)}.get(name, (4000, 4000))
    assert (model.n_samples, model.sample_rate, model.n_classes) == (window, rate, 6)
    assert model.source_labels == tuple(LABELS.values())
    waveforms = make_sounds(window)
    extractor = transformers.AutoFeatureExtractor.from_pretrained(checkpoints[name])
    network = transformers.AutoModelForAudioClassification.from_pretrained(checkpoints[name])
    inputs = extractor(list(waveforms.numpy()), sampling_rate=rate, return_tensors="pt")
    with torch.no_grad():
        expected = network(**inputs).logits
    assert expected.std(0).min() > 1e-2  # they depend on the waveform
    torch.testing.assert_close(model(waveforms), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(model(waveforms[1:2]), expected[1:2], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", CONFIGS)
def test_activations_and_embeddings(name, checkpoints):
    model = load_acoustic_model(f"hf:{checkpoints[name]}")
    waveforms = make_sounds(model.n_samples).requires_grad_()
    layers = model.activations(model.frontend(waveforms))
    pooled = ["pooled"] if name == "ast" else []
    assert list(layers) == ["embeddings", "layer1", "layer2", *pooled, "logits"]
    n_frames = {"ast": 4, "whisper": 50, "sew": 24, "sew-d": 24}.get(name, 49)
    for layer in ("embeddings", "layer1", "layer2"):
        assert layers[layer].shape == (4, 16, n_frames)
    assert all(layers[layer].shape == (4, 16) for layer in pooled)
    embeddings = model.embed(waveforms)
    assert embeddings.shape == (4, 2 * 15 * 16 + 16 * len(pooled))
    torch.testing.assert_close(embeddings[:, :16], layers["layer1"].mean(2), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model.embed(waveforms, ["layer2"])[:, :16], layers["layer2"].mean(2))
    embeddings.square().mean().backward()
    assert torch.isfinite(waveforms.grad).all()
    assert (waveforms.grad[0] != 0).float().mean() > 0.9


def test_the_time_axis_of_ast_is_time(checkpoints):
    model = load_acoustic_model(f"hf:{checkpoints['ast']}")
    features = model.frontend(noise(1, 4080))
    changed = features.clone()
    changed[:, -3:] += 1  # frames of the last patch only
    difference = model.activations(changed)["embeddings"] - model.activations(features)["embeddings"]
    assert torch.equal(difference.abs().amax((0, 1)) > 0, torch.tensor([False, False, False, True]))


def test_long_batches_are_computed_in_parts(checkpoints, monkeypatch):
    model = load_acoustic_model(f"hf:{checkpoints['ast']}")
    waveforms = make_sounds(model.n_samples)
    logits, embeddings = model(waveforms), model.embed(waveforms)
    sizes = []
    hook = model.frontend.register_forward_hook(lambda module, inputs, output: sizes.append(len(output)))
    monkeypatch.setattr("v2s_sklearn.acoustic.hub.huggingface.PART_SAMPLES", 3 * model.n_samples)
    torch.testing.assert_close(model(waveforms), logits)
    torch.testing.assert_close(model.embed(waveforms), embeddings, rtol=1e-4, atol=1e-5)
    hook.remove()
    assert sizes == [3, 1, 3, 1]


@pytest.mark.parametrize("name", MAIN_MODELS)
def test_a_classifier_fits_predicts_and_is_pickled(name, checkpoints, italy_few, monkeypatch):
    X, y, X_test = italy_few
    reference = f"hf:{checkpoints[name]}"
    before = {key: tensor.clone() for key, tensor in load_acoustic_model(reference).state_dict().items()}
    clf = V2SClassifier(reference, random_state=0).fit(X, y)
    model = clf.acoustic_model_
    assert model is load_acoustic_model(reference) and not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert clf.score(X, y) > 0.9
    probabilities = clf.predict_proba(X_test)
    np.testing.assert_array_equal(clf.set_params(n_jobs=2).predict_proba(X_test), probabilities)
    np.testing.assert_allclose(clf.predict_proba(X_test[:1]), probabilities[:1], atol=1e-5)
    pickled = pickle.dumps(clf)
    monkeypatch.setattr(registry, "_LOADED", {})
    np.testing.assert_array_equal(pickle.loads(pickled).predict_proba(X_test), probabilities)
    assert clf.acoustic_model_.source == (reference, digest_of(checkpoints[name]))


def test_the_mode_of_the_paper_trains_theta_only(checkpoints, italy_few):
    X, y, X_test = italy_few
    reference = f"hf:{checkpoints['ast']}"
    before = {key: tensor.clone() for key, tensor in load_acoustic_model(reference).state_dict().items()}
    clf = V2SClassifier.icml2021(acoustic_model=reference, max_epochs=2, random_state=0).fit(X, y)
    assert all(torch.equal(tensor, before[key]) for key, tensor in clf.acoustic_model_.state_dict().items())
    untrained = V2SClassifier.icml2021(acoustic_model=reference, max_epochs=0, random_state=0).fit(X, y)
    assert (clf.theta_ != untrained.theta_).mean() > 0.5
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(clf)).predict(X_test), clf.predict(X_test))


def test_features(checkpoints, italy_few):
    X, _, X_test = italy_few
    features = V2SFeatures(f"hf:{checkpoints['hubert']}").fit(X).transform(X_test)
    assert features.shape == (20, 3 * 2 * 15 * 16) and np.isfinite(features).all()


@pytest.mark.parametrize("name", ["ast", "wavlm", "whisper"])
def test_another_window(name, checkpoints):
    n_samples = {"ast": 2000, "wavlm": 6000, "whisper": 8000}[name]
    model, _ = load_huggingface(str(checkpoints[name]), n_samples=n_samples)
    assert model.n_samples == n_samples
    waveforms = make_sounds(n_samples)
    logits = model(waveforms)
    network = transformers.AutoModelForAudioClassification.from_pretrained(checkpoints[name])
    extractor = EXTRACTORS.get(name, STANDARDISING)
    inputs = extractor(list(waveforms.numpy()), sampling_rate=extractor.sampling_rate, return_tensors="pt")
    with torch.no_grad():
        torch.testing.assert_close(logits, network(**inputs).logits, rtol=1e-4, atol=1e-4)
    # Without a name it is pickled with its weights, also after a forward pass.
    copied = pickle.loads(pickle.dumps(model))
    assert copied is not model and not copied.training
    assert not any(parameter.requires_grad for parameter in copied.parameters())
    torch.testing.assert_close(copied(waveforms), logits, rtol=0, atol=0)
    assert clone(V2SClassifier(model)).acoustic_model.n_samples == n_samples


def test_another_window_under_a_name(checkpoints, italy_few):
    X, y, X_test = italy_few
    register_acoustic_model("ast-short", lambda: load_huggingface(str(checkpoints["ast"]), 2000)[0], overwrite=True)
    clf = V2SClassifier("ast-short", random_state=0).fit(X, y)
    pickled = pickle.loads(pickle.dumps(clf))
    assert pickled.acoustic_model_ is clf.acoustic_model_ and pickled.acoustic_model_.n_samples == 2000
    np.testing.assert_array_equal(pickled.predict(X_test), clf.predict(X_test))


@pytest.mark.parametrize(
    ("name", "n_samples", "limits"),
    [
        ("ast", 4081, "400 to 4080"),
        ("ast", 399, "400 to 4080"),
        ("whisper", 16001, "1 to 16000"),
        ("sew", 184, "185 to"),
    ],
)
def test_windows_that_do_not_fit_are_refused(name, n_samples, limits, checkpoints):
    with pytest.raises(InvalidParameterError, match=f"n_samples={n_samples} cannot be used .* have {limits}"):
        load_huggingface(str(checkpoints[name]), n_samples=n_samples)


@pytest.mark.parametrize("name", ["wav2vec2", "sew"])
def test_the_shortest_window_has_one_frame(name, checkpoints):
    model, _ = load_huggingface(str(checkpoints[name]), n_samples={"wav2vec2": 105, "sew": 185}[name])
    assert model.activations(model.frontend(noise(1, model.n_samples)))["layer2"].shape[2] == 1


def test_loading_and_inference_leave_the_global_state_alone(checkpoint, capfd, caplog, recwarn):
    # A weight too many makes transformers print a report.
    weights = load_file(checkpoint / "model.safetensors")
    save_file(weights | {"extra": torch.zeros(3)}, checkpoint / "model.safetensors", {"format": "pt"})
    transformers.AutoModelForAudioClassification.from_pretrained(checkpoint)
    assert "extra" in caplog.text and "Loading weights" in capfd.readouterr().err
    caplog.clear()
    recwarn.clear()

    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    settings = logging.get_verbosity(), logging.is_progress_bar_enabled()
    model, _ = load_huggingface(str(checkpoint))
    model.embed(noise(2, 4000))
    pickle.loads(pickle.dumps(model))
    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == states
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == settings
    assert capfd.readouterr() == ("", "")
    assert not caplog.records and not recwarn.list


@pytest.mark.parametrize("library", ["transformers", "hub"])
def test_progress_bars_that_were_off_stay_off(library, checkpoint):
    logging.enable_progress_bar()
    hub.disable_progress_bars() if library == "hub" else logging.disable_progress_bar()
    settings = logging.is_progress_bar_enabled(), hub.are_progress_bars_disabled()
    try:
        load_huggingface(str(checkpoint))
        assert (logging.is_progress_bar_enabled(), hub.are_progress_bars_disabled()) == settings
        assert settings[1]
    finally:
        logging.enable_progress_bar()


def test_a_trainable_copy_is_pickled_with_its_weights(checkpoints):
    model = load_acoustic_model(f"hf:{checkpoints['hubert']}")
    twin = model.trainable_copy()
    twin(noise(2, 4000)).square().sum().backward()
    with torch.no_grad():
        twin.network.classifier.bias += 1
    copied = pickle.loads(pickle.dumps(twin))
    assert all(parameter.requires_grad for parameter in copied.parameters())
    torch.testing.assert_close(copied(noise(2, 4000)), model(noise(2, 4000)) + 1)
