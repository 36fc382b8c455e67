import hashlib
import pickle

import numpy as np
import pytest
import torch
from conftest import TINY_CONFIG, make_tiny_model
from safetensors.torch import save_file

import v2s_sklearn
from v2s_sklearn import V2SClassifier, V2SFeatures, list_acoustic_models, load_acoustic_model, register_acoustic_model
from v2s_sklearn.acoustic.registry import load_acoustic_models
from v2s_sklearn.acoustic.storage import WEIGHTS_DIR, load_weights, read_checksums, save_weights
from v2s_sklearn.errors import AcousticModelNotFoundError, InvalidParameterError, WeightsError
from v2s_sklearn.pretrain.card import read_cards
from v2s_sklearn.views import Voice

PACKAGED = sorted(path.stem for path in WEIGHTS_DIR.glob("*.safetensors"))


@pytest.fixture
def weights_file(tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_weights(make_tiny_model(), path, "attention_rnn", TINY_CONFIG)
    return path


def test_the_packaged_models_are_listed():
    assert "v2sa" in PACKAGED
    assert set(PACKAGED) | {"tiny"} <= set(list_acoustic_models())


# Trained on Speech Commands; the others on ten classes of other sounds.
SPOKEN_WORDS = [name for name in PACKAGED if name not in ("v2sa-digits", "v2sa-esc10")]


@pytest.mark.parametrize("name", PACKAGED)
def test_packaged_models(name):
    model = load_acoustic_model(name)
    assert isinstance(model, torch.nn.Module)
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert (model.sample_rate, model.n_samples) == (16000, 16000)
    assert model.n_classes == (36 if name in SPOKEN_WORDS else 10)
    assert len(set(model.source_labels)) == model.n_classes
    waveforms = torch.randn(3, 16000, generator=torch.Generator().manual_seed(0)) * 1e-3
    probabilities = model.predict_proba(waveforms)
    assert probabilities.shape == (3, model.n_classes)
    assert torch.allclose(probabilities.sum(1), torch.ones(3))


# wav2vec takes out the level of a clip, so that faint noise is noise to it.
@pytest.mark.parametrize("name", sorted(set(SPOKEN_WORDS) - {"wav2vec"}))
def test_faint_noise_is_silence(name):
    """The one sound without a speech file at hand that has a right answer."""
    model = load_acoustic_model(name)
    waveforms = torch.randn(3, 16000, generator=torch.Generator().manual_seed(0)) * 1e-3
    assert [model.source_labels[i] for i in model.predict_proba(waveforms).argmax(1)] == ["_silence_"] * 3


@pytest.mark.parametrize("name", PACKAGED)
def test_the_model_card_states_the_file_and_a_measured_accuracy(name):
    card = read_cards(WEIGHTS_DIR)[name]
    digest = hashlib.sha256((WEIGHTS_DIR / f"{name}.safetensors").read_bytes()).hexdigest()
    assert read_checksums()[f"{name}.safetensors"] == {digest}
    assert digest in card
    for item in ("licence CC BY", "accuracy on raw test audio", f"python -m v2s_sklearn.pretrain {name} "):
        assert item in card
    assert ("hash split" in card) == (name in SPOKEN_WORDS)
    assert f"{load_acoustic_model(name).n_parameters():,} weights" in card


@pytest.mark.parametrize("name", PACKAGED)
def test_every_packaged_model_is_a_source(name, italy):
    X, y, X_test, y_test = italy
    voices = [Voice(1500.0, deviation=500.0)]
    clf = V2SClassifier(name, voices=voices).fit(X, y)
    assert clf.score(X_test[:60], y_test[:60]) > 0.8
    X_new = V2SFeatures(name, reprogramming="modulation", voices=voices).fit_transform(X[:3])
    assert X_new.shape == (3, load_acoustic_model(name).embed(torch.zeros(1, 16000)).shape[1])


def test_the_packaged_weights_are_small():
    assert sum(path.stat().st_size for path in WEIGHTS_DIR.iterdir()) < 22e6


def test_a_model_is_loaded_once():
    assert load_acoustic_model("v2sa") is load_acoustic_model("v2sa")
    assert load_acoustic_model(load_acoustic_model("v2sa")) is load_acoustic_model("v2sa")


def test_round_trip_through_a_file(weights_file):
    model, original = load_acoustic_model(weights_file), make_tiny_model().freeze()
    waveform = torch.randn(2, 4000, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model(waveform), original(waveform), rtol=0, atol=0)
    assert load_acoustic_model(str(weights_file)) is model


def test_a_loaded_model_is_pickled_as_a_reference(weights_file):
    model = load_acoustic_model(weights_file)
    pickled = pickle.dumps(model)
    assert len(pickled) < 1000
    assert pickle.loads(pickled) is model


def test_a_changed_file_is_refused(weights_file):
    digest = hashlib.sha256(weights_file.read_bytes()).hexdigest()
    content = bytearray(weights_file.read_bytes())
    content[-1] ^= 1
    weights_file.write_bytes(content)
    with pytest.raises(WeightsError, match=f"expected {digest}: the file was changed or damaged"):
        load_weights(weights_file, sha256=digest)


def test_a_model_of_another_time_is_the_model_of_its_name(monkeypatch):
    model = load_acoustic_model("tiny")
    monkeypatch.setattr(v2s_sklearn.acoustic.registry, "_LOADED", {})
    with pytest.raises(ValueError, match="each once"):
        load_acoustic_models(("tiny", model))


def test_a_pickle_refuses_other_weights(weights_file, monkeypatch):
    pickled = pickle.dumps(load_acoustic_model(weights_file))
    monkeypatch.setattr(v2s_sklearn.acoustic.registry, "_LOADED", {})
    other = make_tiny_model()
    torch.nn.init.zeros_(other.output.bias)
    save_weights(other, weights_file, "attention_rnn", TINY_CONFIG)
    with pytest.raises(WeightsError, match="not the weights the estimator was fitted with"):
        pickle.loads(pickled)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text", "is not a safetensors file"),
        ("pickle", "is not a safetensors file"),
        ("foreign", "is not a weights file of v2s_sklearn: it is of another kind"),
        ("truncated", "cannot be read as safetensors"),
    ],
)
def test_other_files_are_refused(content, message, weights_file):
    if content == "text":
        weights_file.write_text("no weights")
    elif content == "pickle":
        torch.save(make_tiny_model().state_dict(), weights_file)
    elif content == "foreign":
        save_file({"weight": torch.zeros(3)}, weights_file)
    else:
        weights_file.write_bytes(weights_file.read_bytes()[:-100])
    with pytest.raises(WeightsError, match=message):
        load_weights(weights_file)


def test_unknown_names_get_a_suggestion():
    with pytest.raises(AcousticModelNotFoundError, match="Did you mean 'v2sa'"):
        load_acoustic_model("v2s_a")
    with pytest.raises(WeightsError, match="No weights file at"):
        load_acoustic_model("missing.safetensors")
    with pytest.raises(InvalidParameterError, match="got int"):
        load_acoustic_model(3)


def test_registering_checks_the_name_and_the_factory():
    with pytest.raises(InvalidParameterError, match="registered as 'tiny' already"):
        register_acoustic_model("tiny", make_tiny_model)
    with pytest.raises(InvalidParameterError, match="packaged models cannot be replaced"):
        register_acoustic_model("v2sa", make_tiny_model, overwrite=True)
    with pytest.raises(
        InvalidParameterError, match="must be a function that returns an AcousticModel, got AttentionRNN"
    ):
        register_acoustic_model("other", make_tiny_model())


def test_embeddings_pool_every_layer_over_time():
    model = make_tiny_model().freeze()
    waveform = torch.randn(2, 4000, generator=torch.Generator().manual_seed(0)) * 0.1
    layers = model.activations(model.frontend(waveform))
    assert list(layers)[-1] == "logits"
    states = layers["lstm2"].numpy()
    embedding = model.embed(waveform, ["lstm2", "attention"]).numpy()
    n = states.shape[1]
    np.testing.assert_allclose(embedding[:, :n], states.mean(2), atol=1e-6)
    np.testing.assert_allclose(embedding[:, n : 2 * n], states.max(2), atol=1e-6)
    np.testing.assert_allclose(embedding[:, 2 * n : 3 * n], states.std(2), atol=1e-6)
    above = states > states.mean(2, keepdims=True)
    middle = (states.min(2, keepdims=True) + states.max(2, keepdims=True)) / 2
    np.testing.assert_allclose(embedding[:, 3 * n : 4 * n], np.abs(np.diff(states)).mean(2), atol=1e-6)
    np.testing.assert_allclose(embedding[:, 4 * n : 5 * n], above.mean(2), atol=0.05)
    np.testing.assert_allclose(embedding[:, 5 * n : 6 * n], (states > middle).mean(2), atol=0.05)
    np.testing.assert_allclose(embedding[:, 6 * n : 7 * n], np.diff(above).mean(2), atol=0.05)
    segments = embedding[:, 7 * n : 15 * n].reshape(2, n, 8)
    np.testing.assert_allclose(segments.mean(2), states.mean(2), atol=0.05)
    np.testing.assert_allclose(embedding[:, 15 * n :], layers["attention"].numpy(), atol=1e-6)


def test_layers_are_embedded_and_computed_as_far_as_asked_for(monkeypatch):
    model = make_tiny_model().freeze()
    waveform = torch.randn(2, 4000, generator=torch.Generator().manual_seed(0)) * 0.1
    layers = model.activations(model.frontend(waveform))

    def width(names):
        return sum(layers[name].shape[1] * (15 if layers[name].ndim == 3 else 1) for name in names)

    assert model.embed(waveform).shape[1] == width(model.embedded_layers)
    assert model.embed(waveform, ["dense", "conv"]).shape[1] == width(["dense", "conv"])
    monkeypatch.setattr(model, "lstm2", None)
    assert model.embed(waveform).shape[1] == width(["conv", "lstm1"])
    unet = load_acoustic_model("v2su")
    names = list(unet.activations(unet.frontend(torch.zeros(1, 16000))))
    assert names[0] == "unet"
    assert torch.equal(unet.embed(torch.ones(1, 16000)), unet.embed(torch.ones(1, 16000), names[:-1]))


def test_a_model_at_half_rate_shares_its_weights_and_is_pickled_as_a_reference():
    model = load_acoustic_model("v2sa")
    half = model.at_half_rate()
    assert half.window == (8000, 8000)
    assert model.window == (16000, 16000)
    assert all(a is b for a, b in zip(half.parameters(), model.parameters(), strict=True))
    content = pickle.dumps(half)
    assert len(content) < 1000
    again = pickle.loads(content)
    assert again.full_rate is model
    assert again.window == half.window
    assert load_acoustic_model(half).full_rate is model
    wave = load_acoustic_model("wav2vec")
    assert wave.at_half_rate() is wave
    # A copy to be trained is pickled with its own weights.
    trained = half.trainable_copy()
    with torch.no_grad():
        trained.output.bias.fill_(7.0)
    assert torch.all(pickle.loads(pickle.dumps(trained)).output.bias == 7.0)
    assert not torch.any(model.output.bias == 7.0)
