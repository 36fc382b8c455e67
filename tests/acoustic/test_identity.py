"""Which model a name, a file or a pickle stands for, whatever happens to files, folders and names in between."""

import copy
import os
import pickle

import pytest
import torch
from conftest import TINY_CONFIG, make_tiny_model, make_tiny_wave_model

from v2s_sklearn import V2SClassifier, load_acoustic_model, register_acoustic_model
from v2s_sklearn.acoustic import registry
from v2s_sklearn.acoustic.storage import CHECKSUMS_FILE, WEIGHTS_DIR, load_weights, read_checksums, save_weights
from v2s_sklearn.errors import WeightsError

PACKAGED = sorted(path.stem for path in WEIGHTS_DIR.glob("*.safetensors"))


def make_other_model(value=1.0):
    model = make_tiny_model()
    torch.nn.init.constant_(model.output.bias, value)
    return model


def write(path, model):
    save_weights(model, path, "attention_rnn", TINY_CONFIG)
    return path


@pytest.fixture
def another_process(monkeypatch):
    """A function that makes this process forget the models that it has loaded, as another one would not have them."""
    return lambda: monkeypatch.setattr(registry, "_LOADED", {})


def bias_of(model):
    return model.output.bias[0].item()


def test_a_file_that_changed_is_loaded_again(tmp_path):
    path = write(tmp_path / "model.safetensors", make_other_model(1.0))
    first = load_acoustic_model(path)
    times = path.stat()
    write(path, make_other_model(2.0))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # the same size and time
    second = load_acoustic_model(path)
    assert (bias_of(first), bias_of(second)) == (1.0, 2.0)
    # In place, and back to what it was.
    write(tmp_path / "copy.safetensors", make_other_model(1.0))
    (tmp_path / CHECKSUMS_FILE).unlink()
    path.write_bytes((tmp_path / "copy.safetensors").read_bytes())
    assert load_acoustic_model(path) is first
    # What is in use stays in use.
    assert load_acoustic_model(second) is second
    assert copy.deepcopy(second) is second


def test_a_relative_path_is_of_the_folder_it_was_given_in(tmp_path, monkeypatch, another_process, italy):
    for value, folder in enumerate(["a", "b"], start=1):
        write(tmp_path / folder / "model.safetensors", make_other_model(value))
    monkeypatch.chdir(tmp_path / "a")
    clf = V2SClassifier("model.safetensors", random_state=0).fit(*italy[:2])
    content = pickle.dumps(clf)
    monkeypatch.chdir(tmp_path / "b")
    assert bias_of(load_acoustic_model("model.safetensors")) == 2.0
    another_process()
    assert bias_of(pickle.loads(content).acoustic_model_) == 1.0
    assert pickle.loads(content).predict(italy[2]).tolist() == clf.predict(italy[2]).tolist()


def test_a_packaged_model_keeps_its_name(another_process):
    register_acoustic_model("mine", lambda: load_acoustic_model("v2sa"), overwrite=True)
    register_acoustic_model("half", lambda: load_acoustic_model("v2sa").at_half_rate(), overwrite=True)
    packaged = load_acoustic_model("v2sa")
    assert load_acoustic_model("mine") is packaged
    assert load_acoustic_model("half").full_rate is packaged
    assert packaged.source.name == "v2sa"
    content = pickle.dumps(packaged)
    another_process()
    del registry._FACTORIES["mine"], registry._FACTORIES["half"]
    assert pickle.loads(content).source == packaged.source


def test_a_model_under_two_names_keeps_the_first():
    model = make_tiny_model()
    register_acoustic_model("first", lambda: model, overwrite=True)
    register_acoustic_model("second", lambda: model, overwrite=True)
    assert load_acoustic_model("first") is load_acoustic_model("second")
    assert load_acoustic_model("second").source.name == "first"


def same_weights_other_front_end():
    model = make_tiny_model()
    model.frontend.log_offset = 3.0
    return model


def same_weights_other_labels():
    model = make_tiny_model()
    model.source_labels = model.source_labels[::-1]
    return model


@pytest.mark.parametrize(
    "other", [make_other_model, make_tiny_wave_model, same_weights_other_front_end, same_weights_other_labels]
)
def test_pickles_of_a_registered_model_refuse_another_one(other, italy, another_process):
    register_acoustic_model("changing", make_tiny_model, overwrite=True)
    clf = V2SClassifier("changing", random_state=0).fit(*italy[:2])
    content = pickle.dumps(clf)
    another_process()
    register_acoustic_model("changing", make_tiny_model, overwrite=True)
    assert (pickle.loads(content).predict(italy[2]) == clf.predict(italy[2])).all()
    register_acoustic_model("changing", other, overwrite=True)
    with pytest.raises(WeightsError, match="'changing' has sha256 .* not the weights the estimator was fitted with"):
        pickle.loads(content)


@pytest.mark.parametrize("name", PACKAGED)
def test_loading_draws_nothing_from_the_global_generator(name, another_process):
    another_process()
    state = torch.get_rng_state()
    load_acoustic_model(name)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_checksum_beside_a_file_is_checked(tmp_path):
    path = write(tmp_path / "model.safetensors", make_tiny_model())
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # the last bit of a weight: still a whole file of finite values
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"expected [0-9a-f]{64}: the file was changed or damaged.*SHA256SUMS"):
        load_acoustic_model(path)
    (tmp_path / CHECKSUMS_FILE).write_text(f"{'0' * 64}  other.safetensors\n\nnonsense\n")
    assert load_acoustic_model(path).n_classes == 12


def test_a_packaged_model_needs_its_checksum(tmp_path, monkeypatch):
    write(tmp_path / "mine.safetensors", make_tiny_model())
    monkeypatch.setattr(registry, "WEIGHTS_DIR", tmp_path)
    monkeypatch.setattr(registry, "read_checksums", lambda: read_checksums(tmp_path))
    assert load_acoustic_model("mine").n_classes == 12
    write(tmp_path / "mine.safetensors", make_other_model())
    (tmp_path / CHECKSUMS_FILE).unlink()
    with pytest.raises(WeightsError, match=r"has no checksum of mine.safetensors.* Install the package again"):
        load_acoustic_model("mine")


@pytest.mark.parametrize("n_writes", [0, 1, 2])
def test_a_kill_while_weights_are_written_leaves_a_file_that_loads(n_writes, tmp_path, monkeypatch):
    path = write(tmp_path / "model.safetensors", make_other_model(1.0))
    written = []

    def killed(*args):
        if len(written) == n_writes:
            raise KeyboardInterrupt
        written.append(args)
        os.rename(*args)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write(path, make_other_model(2.0))
    monkeypatch.undo()
    assert bias_of(load_weights(path)[0]) == (1.0 if n_writes < 2 else 2.0)
    write(path, make_other_model(3.0))
    assert read_checksums(tmp_path) == {path.name: {load_weights(path)[1]}}
    assert sorted(file.name for file in tmp_path.iterdir()) == [CHECKSUMS_FILE, path.name]
