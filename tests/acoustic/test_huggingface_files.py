"""Checkpoints as files: what is read of them, and what is refused."""

import json
import pickle
import sys

import huggingface_hub.constants
import pytest
import torch
import transformers
from hub_checkpoints import digest_of, make_network, noise, save_checkpoint
from safetensors.torch import load_file, save_file

from v2s_sklearn import load_acoustic_model
from v2s_sklearn.acoustic import registry
from v2s_sklearn.acoustic.hub.huggingface import load_huggingface
from v2s_sklearn.errors import (
    AcousticModelNotFoundError,
    MissingDependencyError,
    WeightsError,
)

pytest_plugins = ["hub_checkpoints"]
pytestmark = [
    # Of the extractors of transformers, and of its WavLM where it is given a mask.
    pytest.mark.filterwarnings("ignore:At least one mel filter has all zero values"),
    pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask"),
]


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
