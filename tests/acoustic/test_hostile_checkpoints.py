"""Hugging Face checkpoints that ask for too much or cannot work: one error that names them, before they take memory."""

import json
import resource
import shutil

import pytest
import torch
from hub_checkpoints import save_checkpoint
from safetensors.torch import load_file, save_file

from v2s_sklearn import load_acoustic_model
from v2s_sklearn.acoustic.hub import huggingface
from v2s_sklearn.acoustic.hub.huggingface import load_huggingface
from v2s_sklearn.errors import WeightsError
from v2s_sklearn.files import checksums

HUGE = 10**7
CONFIG, EXTRACTOR, INDEX = "config.json", "preprocessor_config.json", "model.safetensors.index.json"
# Kind of model, file, what replaces its values; None takes a value out.
HOSTILE = [
    *(
        ("wav2vec2", CONFIG, change)
        for change in (
            {"hidden_size": 2**20},
            {"hidden_size": HUGE},
            {"hidden_size": 0},
            {"intermediate_size": 2**20},
            {"num_hidden_layers": HUGE},
            {"num_hidden_layers": 200},
            {"num_hidden_layers": -1},
            {"num_attention_heads": 0},
            {"conv_dim": [2**20] * 3},
            {"conv_dim": []},
            {"conv_stride": [10**6, 4, 4]},
            {"conv_stride": [0, 4, 4]},
            {"conv_kernel": [10, 8]},
            {"num_labels": HUGE, "id2label": None},
            {"id2label": {"0": "a", "1": "b", "2": "c", "3": "d", "4": "e", "6": "g"}},
            {"id2label": {"a": "b"}},
            {"id2label": {}},
            {"id2label": [1, 2]},
            {"id2label": {str(i): i for i in range(6)}},
            {"layer_norm_eps": -1.0},
            {"model_type": "wav2vec3"},
            {"model_type": None},
            {"vocab_size": 2**40},
        )
    ),
    *(
        ("wav2vec2", EXTRACTOR, change)
        for change in (
            {"sampling_rate": HUGE},
            {"sampling_rate": 0},
            {"sampling_rate": "x"},
            {"feature_extractor_type": "None"},
        )
    ),
    *(
        ("ast", file, change)
        for file, change in (
            (CONFIG, {"max_length": HUGE}),
            (CONFIG, {"num_mel_bins": 2**20}),
            (CONFIG, {"patch_size": 0}),
            (CONFIG, {"time_stride": 0}),
            (EXTRACTOR, {"max_length": HUGE}),
            (EXTRACTOR, {"num_mel_bins": HUGE}),
            (EXTRACTOR, {"std": 0}),
            (EXTRACTOR, {"mean": 1e300}),
            (EXTRACTOR, {"sampling_rate": 10**12}),
        )
    ),
    *(
        ("whisper", file, change)
        for file, change in (
            (CONFIG, {"max_source_positions": HUGE}),
            (CONFIG, {"d_model": 2**20}),
            (CONFIG, {"encoder_layers": HUGE}),
            (EXTRACTOR, {"chunk_length": HUGE}),
            (EXTRACTOR, {"chunk_length": 0}),
            (EXTRACTOR, {"n_fft": 2**40}),
            (EXTRACTOR, {"hop_length": 0}),
            (EXTRACTOR, {"feature_size": HUGE}),
        )
    ),
]


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    return {name: save_checkpoint(name, tmp_path_factory.mktemp(name)) for name in ("wav2vec2", "ast", "whisper")}


@pytest.fixture
def folder(originals, tmp_path):
    return shutil.copytree(originals["wav2vec2"], tmp_path / "wav2vec2")


def refuse(folder):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(WeightsError, match=folder.name) as error:
        load_acoustic_model(f"hf:{folder}")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # in kB
    return str(error.value)


@pytest.mark.filterwarnings("ignore:At least one mel filter has all zero values")
@pytest.mark.parametrize(("name", "file", "change"), HOSTILE, ids=[f"{n}-{str(c)[:40]}" for n, _, c in HOSTILE])
def test_configurations_that_ask_for_too_much_or_cannot_work(name, file, change, originals, tmp_path):
    folder = shutil.copytree(originals[name], tmp_path / name)
    values = json.loads((folder / file).read_text()) | change
    (folder / file).write_text(json.dumps({key: value for key, value in values.items() if value is not None}))
    refuse(folder)


@pytest.mark.parametrize("file", [CONFIG, EXTRACTOR, INDEX])
@pytest.mark.parametrize("content", [b"", b"[]", b"no json", b'{"a": NaN}', b"\xff\xfe", b"[" * 10**5])
def test_files_that_are_no_json(file, content, folder):
    (folder / file).write_bytes(content)
    if file == INDEX:
        (folder / "model.safetensors").unlink()
    refuse(folder)


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/passwd", "model.bin", "", 3, None, {}])
def test_an_index_names_files_of_its_folder_only(name, folder):
    (folder / "model.safetensors").rename(folder.parent / "model.safetensors")
    (folder / INDEX).write_text(json.dumps({"weight_map": {"weight": name} if name != {} else {}}))
    assert "must have a weight_map" in refuse(folder)


def test_weights_that_are_not_finite(folder):
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights["classifier.bias"][3] = float("nan")
    save_file(weights, path, {"format": "pt"})
    assert "values in classifier.bias that are NaN" in refuse(folder)


def test_answers_that_are_not_finite(folder):
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights["classifier.weight"] = torch.full_like(weights["classifier.weight"], 3e38)
    weights["projector.bias"] = torch.full_like(weights["projector.bias"], 3e38)
    save_file(weights, path, {"format": "pt"})
    assert "is not finite for silence or a tone" in refuse(folder)


def test_a_large_sparse_file_is_not_read(folder, monkeypatch):
    for module in (checksums, huggingface):
        monkeypatch.setattr(
            module, "sha256_of", lambda path: "0" * 64 if path.suffix == ".json" else pytest.fail("read")
        )
    with open(folder / "model.safetensors", "r+b") as file:
        file.truncate(20 * 10**9)
    refuse(folder)


def test_a_changed_configuration_is_another_model(folder):
    first = load_acoustic_model(f"hf:{folder}")
    config = json.loads((folder / EXTRACTOR).read_text())
    (folder / EXTRACTOR).write_text(json.dumps(config | {"do_normalize": False}))
    second = load_acoustic_model(f"hf:{folder}")
    assert (first.frontend.standardise, second.frontend.standardise) == (True, False)
    assert first.source.sha256 != second.source.sha256
    with pytest.raises(WeightsError, match="not the weights the estimator was fitted with"):
        load_acoustic_model(f"hf:{folder}", sha256="0" * 64)


def test_a_relative_folder_is_of_the_folder_it_was_given_in(originals, tmp_path, monkeypatch):
    for name in ("ast", "wav2vec2"):
        shutil.copytree(originals[name], tmp_path / name / "model")
    monkeypatch.chdir(tmp_path / "ast")
    assert load_acoustic_model("hf:model").source.name == f"hf:{tmp_path / 'ast' / 'model'}"
    monkeypatch.chdir(tmp_path / "wav2vec2")
    assert load_acoustic_model("hf:model").network.config.model_type == "wav2vec2"
    assert load_huggingface("model")[0].network.config.model_type == "wav2vec2"
