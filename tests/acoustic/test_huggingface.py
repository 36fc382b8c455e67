import hashlib
import json
import math
import pickle
import random
import sys

import huggingface_hub.constants
import numpy as np
import pytest
import torch
import transformers
from huggingface_hub import utils as hub
from safetensors.torch import load_file, save_file
from sklearn.base import clone
from transformers.utils import logging

from v2s_sklearn import V2SClassifier, V2SFeatures, load_acoustic_model, register_acoustic_model
from v2s_sklearn.acoustic import registry
from v2s_sklearn.acoustic.digests import sha256_of
from v2s_sklearn.acoustic.huggingface import load_huggingface
from v2s_sklearn.acoustic.huggingface_frontends import make_frontend
from v2s_sklearn.errors import (
    AcousticModelNotFoundError,
    InvalidParameterError,
    MissingDependencyError,
    WeightsError,
)

LABELS = dict(enumerate(["yes", "no", "up", "down", "left", "right"]))
LAYERS = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
# One second is 4000 samples, and a frame 80.
WAV2VEC = LAYERS | {
    "classifier_proj_size": 8,
    "conv_dim": (16, 16, 16),
    "conv_kernel": (10, 8, 4),
    "conv_stride": (5, 4, 4),
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}
CONFIGS = {
    "wav2vec2": transformers.Wav2Vec2Config(**WAV2VEC, do_stable_layer_norm=True, feat_extract_norm="layer"),
    "hubert": transformers.HubertConfig(**WAV2VEC, use_weighted_layer_sum=True),
    "wavlm": transformers.WavLMConfig(**WAV2VEC),
    "sew": transformers.SEWConfig(**WAV2VEC),
    "sew-d": transformers.SEWDConfig(**WAV2VEC),
    "unispeech": transformers.UniSpeechConfig(**WAV2VEC),
    "unispeech-sat": transformers.UniSpeechSatConfig(**WAV2VEC),
    "data2vec-audio": transformers.Data2VecAudioConfig(**WAV2VEC),
    "wav2vec2-conformer": transformers.Wav2Vec2ConformerConfig(**WAV2VEC),
    "ast": transformers.ASTConfig(
        **LAYERS, patch_size=8, frequency_stride=6, time_stride=5, max_length=24, num_mel_bins=16
    ),
    "whisper": transformers.WhisperConfig(
        d_model=16,
        encoder_layers=2,
        encoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_layers=1,
        num_mel_bins=16,
        max_source_positions=50,
        classifier_proj_size=8,
    ),
}
EXTRACTORS = {
    "ast": transformers.ASTFeatureExtractor(num_mel_bins=16, max_length=24),
    "whisper": transformers.WhisperFeatureExtractor(feature_size=16, chunk_length=1),
    "hubert": transformers.Wav2Vec2FeatureExtractor(sampling_rate=4000, do_normalize=False),
}
STANDARDISING = transformers.Wav2Vec2FeatureExtractor(sampling_rate=4000, return_attention_mask=True)
pytestmark = [
    # Of the extractors of transformers, and of its WavLM where it is given a mask.
    pytest.mark.filterwarnings("ignore:At least one mel filter has all zero values"),
    pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask"),
]
MAIN_MODELS = ["ast", "wav2vec2", "hubert", "wavlm", "whisper"]


def make_network(name):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = CONFIGS[name]
        config.id2label, config.initializer_range = LABELS, 0.2
        network = transformers.AutoModelForAudioClassification.from_config(config)
        # Biases and the weights that start constant would leave the logits hardly dependent on the input.
        for parameter in network.parameters():
            parameter.data += 0.1 * torch.randn(parameter.shape)
    return network.eval()


def save_checkpoint(name, folder, **options):
    make_network(name).save_pretrained(folder, **options)
    EXTRACTORS.get(name, STANDARDISING).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    return {name: save_checkpoint(name, tmp_path_factory.mktemp(name)) for name in CONFIGS}


@pytest.fixture
def checkpoint(tmp_path):
    return save_checkpoint("wav2vec2", tmp_path / "checkpoint")


@pytest.fixture
def italy_few(italy):
    X_train, y_train, X_test, _ = italy
    return X_train[:36], y_train[:36], X_test[:20]


def digest_of(folder):
    """Return the checksum of all files of a checkpoint, the weights last."""
    names = ["config.json", "preprocessor_config.json"]
    names += sorted(path.name for path in folder.glob("*.safetensors"))
    return hashlib.sha256("".join(sha256_of(folder / name) for name in names).encode()).hexdigest()


def noise(*shape, seed=0):
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def make_sounds(n_samples):
    """Noise; a tone, whose spectrum spans many decades; a loud chirp with an offset; a click in silence."""
    time = torch.arange(n_samples) / 16000
    click = torch.zeros(n_samples)
    click[n_samples // 2] = 0.5
    tone = 0.1 * torch.sin(2 * math.pi * 1500 * time)
    chirp = 0.3 + 0.6 * torch.sin(2 * math.pi * (200 + 2000 * time) * time)
    return torch.stack([noise(n_samples), tone, chirp, click])


def extract(extractor, waveforms):
    """Return what the extractor of transformers gives: (B, S) to (B, F, M) or (B, S)."""
    features = extractor(list(waveforms.numpy()), sampling_rate=extractor.sampling_rate, return_tensors="pt")
    if "input_features" in features:
        return features["input_features"].transpose(1, 2)
    return features["input_values"]


# Extractor, its settings, configuration of a model, its settings, samples.
AST = transformers.ASTFeatureExtractor, transformers.ASTConfig
WAV2VEC_2 = transformers.Wav2Vec2FeatureExtractor, transformers.Wav2Vec2Config
WHISPER = transformers.WhisperFeatureExtractor, transformers.WhisperConfig
FULL_SIZE = {
    "AST, AudioSet": (AST, {}, {}, 164080),
    "AST, 1 s in a longer window": (AST, {"max_length": 128, "mean": -6.8, "std": 5.5}, {"max_length": 128}, 16000),
    "AST, not normalised": (AST, {"max_length": 128, "do_normalize": False}, {"max_length": 128}, 20720),
    "wav2vec 2.0": (WAV2VEC_2, {}, {}, 16000),
    "wav2vec 2.0, raw": (WAV2VEC_2, {"do_normalize": False}, {}, 16000),
    "Whisper": (WHISPER, {}, {}, 480000),
    "Whisper large, 1 s": (WHISPER, {"feature_size": 128}, {"num_mel_bins": 128}, 16000),
}


def make_full_size(case):
    (extractor, config), settings, model_settings, n_samples = FULL_SIZE[case]
    extractor = extractor(**settings)
    return extractor, make_frontend(extractor, config(**model_settings)), n_samples


@pytest.mark.parametrize("case", FULL_SIZE)
def test_front_ends_give_what_the_extractors_give(case):
    extractor, frontend, n_samples = make_full_size(case)
    assert frontend.shortest <= n_samples <= frontend.longest
    sounds = make_sounds(n_samples)
    expected = extract(extractor, sounds)
    assert expected.std() > 0.01
    torch.testing.assert_close(frontend(sounds), expected, rtol=1e-4, atol=1e-5)


def test_equal_lengths_need_no_padding():
    extractor = transformers.Wav2Vec2FeatureExtractor(return_attention_mask=True)
    sounds = make_sounds(400)  # few enough to tell a variance over S from one over S - 1
    padded = extractor(list(sounds.numpy()), sampling_rate=16000, padding=True, return_tensors="pt")
    assert padded["attention_mask"].all()
    frontend = make_frontend(extractor, transformers.Wav2Vec2Config())
    torch.testing.assert_close(frontend(sounds), padded["input_values"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", FULL_SIZE)
def test_gradients_flow_through_the_front_ends(case):
    _, frontend, _ = make_full_size(case)
    waveforms = torch.stack([noise(16000), torch.zeros(16000)]).requires_grad_()
    features = frontend(waveforms)
    (features * noise(*features.shape, seed=1)).sum().backward()
    assert torch.isfinite(waveforms.grad).all()
    assert (waveforms.grad[0] != 0).float().mean() > 0.9


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
    monkeypatch.setattr("v2s_sklearn.acoustic.huggingface.PART_SAMPLES", 3 * model.n_samples)
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


def test_checkpoints_in_several_files(checkpoints, tmp_path):
    folder = save_checkpoint("wav2vec2", tmp_path / "sharded", max_shard_size="20KB")
    files = sorted(folder.glob("model-*.safetensors"))
    assert len(files) > 1
    model, digest = load_huggingface(str(folder))
    assert digest == digest_of(folder)
    waveforms = noise(2, 4000)
    torch.testing.assert_close(model(waveforms), load_acoustic_model(f"hf:{checkpoints['wav2vec2']}")(waveforms))
    files[-1].write_bytes(b"")
    with pytest.raises(WeightsError, match=f"{files[-1].name} cannot be read as safetensors"):
        load_huggingface(str(folder))
    files[-1].unlink()
    with pytest.raises(WeightsError, match=f"has no {files[-1].name}"):
        load_huggingface(str(folder))


def test_older_names_and_half_precision(checkpoints, checkpoint):
    # The weight normalisation of most checkpoints of the hub has names of older versions of torch.
    old = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    weights = {}
    for name, tensor in load_file(checkpoint / "model.safetensors").items():
        for new, other in old.items():
            name = name.replace(new, other)
        weights[name] = tensor.half()
    assert sum(name.endswith(("weight_g", "weight_v")) for name in weights) == 2
    save_file(weights, checkpoint / "model.safetensors", {"format": "pt"})
    config = json.loads((checkpoint / "config.json").read_text()) | {"dtype": "float16"}
    (checkpoint / "config.json").write_text(json.dumps(config | {"attn_implementation": "flash_attention_2"}))
    model, _ = load_huggingface(str(checkpoint))
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    waveforms = noise(2, 4000)
    expected = load_acoustic_model(f"hf:{checkpoints['wav2vec2']}")(waveforms)
    torch.testing.assert_close(model(waveforms), expected, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("file", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_a_missing_file_is_named(file, checkpoint):
    (checkpoint / file).unlink()
    with pytest.raises(WeightsError, match=f"has no {file}"):
        load_acoustic_model(f"hf:{checkpoint}")


def test_pickled_weights_are_refused(checkpoint):
    weights = load_file(checkpoint / "model.safetensors")
    (checkpoint / "model.safetensors").unlink()
    torch.save(weights, checkpoint / "pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"never from a pickle.*save_pretrained\(folder, safe_serialization=True\)"):
        load_huggingface(str(checkpoint))


def test_damaged_weights_are_refused(checkpoint):
    path = checkpoint / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="model.safetensors cannot be read as safetensors"):
        load_huggingface(str(checkpoint))


def test_a_model_without_a_head_is_refused(checkpoint):
    make_network("wav2vec2").base_model.save_pretrained(checkpoint)
    with pytest.raises(WeightsError, match="has no weights for classifier.bias, .* not a base model"):
        load_huggingface(str(checkpoint))


def test_mismatched_weights_are_refused(checkpoint):
    weights = load_file(checkpoint / "model.safetensors")
    weights["classifier.bias"] = torch.zeros(3)
    save_file(weights, checkpoint / "model.safetensors", {"format": "pt"})
    with pytest.raises(WeightsError, match="has weights of another shape for classifier.bias"):
        load_huggingface(str(checkpoint))


def test_a_mask_of_training_may_be_missing(checkpoint):
    weights = load_file(checkpoint / "model.safetensors")
    del weights["wav2vec2.masked_spec_embed"]
    save_file(weights, checkpoint / "model.safetensors", {"format": "pt"})
    assert load_huggingface(str(checkpoint))[0].n_classes == 6


def test_other_extractors_are_refused(checkpoint):
    transformers.SeamlessM4TFeatureExtractor().save_pretrained(checkpoint)
    with pytest.raises(WeightsError, match="is SeamlessM4TFeatureExtractor.*Supported.*: ASTFeatureExtractor, "):
        load_huggingface(str(checkpoint))


def test_an_extractor_of_another_size_is_refused(tmp_path):
    folder = save_checkpoint("ast", tmp_path / "ast")
    transformers.ASTFeatureExtractor(num_mel_bins=16, max_length=30).save_pretrained(folder)
    with pytest.raises(WeightsError, match=r"gives \(frames, mel bands\) \(30, 16\), but .* takes \(24, 16\)"):
        load_huggingface(str(folder))


def test_other_models_are_refused(checkpoint):
    transformers.BertConfig().save_pretrained(checkpoint)
    with pytest.raises(WeightsError, match="is a bert model. Supported are .* wav2vec2"):
        load_huggingface(str(checkpoint))


def test_code_of_a_checkpoint_is_not_run(checkpoint):
    config = json.loads((checkpoint / "config.json").read_text())
    config |= {"model_type": "custom", "auto_map": {"AutoConfig": "custom.Config"}}
    (checkpoint / "config.json").write_text(json.dumps(config))
    (checkpoint / "custom.py").write_text("raise SystemExit('this was run')")
    with pytest.raises(WeightsError, match="could not be loaded"):
        load_huggingface(str(checkpoint))


def test_other_weights_files_are_not_read(checkpoint):
    # A configuration can name a file, whose checksum would not be the one that was taken.
    config = json.loads((checkpoint / "config.json").read_text()) | {"transformers_weights": "other.safetensors"}
    (checkpoint / "config.json").write_text(json.dumps(config))
    expected = load_file(checkpoint / "model.safetensors")
    save_file(
        {name: 2 * tensor for name, tensor in expected.items()}, checkpoint / "other.safetensors", {"format": "pt"}
    )
    model, _ = load_huggingface(str(checkpoint))
    assert torch.equal(model.network.classifier.weight, expected["classifier.weight"])


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(registry, "_LOADED", {})
    return tmp_path / "hub" / "models--owner--name"


def test_a_checkpoint_in_the_cache_of_the_hub(hub_cache, checkpoints):
    commit = "0123456789abcdef0123456789abcdef01234567"
    snapshot = save_checkpoint("wavlm", hub_cache / "snapshots" / commit)
    for branch in ("main", "v1"):
        path = hub_cache / "refs" / branch
        path.parent.mkdir(exist_ok=True)
        path.write_text(commit)
    expected = load_acoustic_model(f"hf:{checkpoints['wavlm']}")(noise(2, 4000))
    for reference in ("owner/name", "owner/name@v1", f"owner/name@{commit}"):
        model = load_acoustic_model(f"hf:{reference}")
        assert model.source == (f"hf:{reference}", digest_of(snapshot))
        torch.testing.assert_close(model(noise(2, 4000)), expected)
        assert pickle.loads(pickle.dumps(model)) is model
    with pytest.raises(AcousticModelNotFoundError, match=r"hf download owner/name --revision v2`"):
        load_acoustic_model("hf:owner/name@v2")
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match="'owner/name' has no model.safetensors"):
        load_huggingface("owner/name")


def test_what_is_not_found_is_explained(hub_cache, tmp_path):
    with pytest.raises(AcousticModelNotFoundError, match=r"`hf download owner/name`.*HF_HUB_OFFLINE=1.*local folder"):
        load_acoustic_model("hf:owner/name")
    for reference in (str(tmp_path / "missing"), "./missing", "a model"):
        with pytest.raises(AcousticModelNotFoundError, match="is neither a folder nor the id of a model"):
            load_acoustic_model(f"hf:{reference}")


def test_without_transformers_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'v2s-sklearn\[hub\]'"):
        load_acoustic_model("hf:without/transformers")
