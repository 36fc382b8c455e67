"""Saved estimators: the same answers, whatever they were fitted with; files of all versions; files that are refused.

``python tests/persistence/test_loading.py`` adds those files of this version that are missing to the archive of kept
files. A file that is there stays as it is: it has to load for ever.
"""

import json
import pickle
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from aeon.datasets import load_basic_motions, load_italy_power_demand, load_japanese_vowels
from safetensors.numpy import load_file, save_file
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from skorch.callbacks import EpochTimer

import v2s_sklearn
from v2s_sklearn import (
    TransferClassifier,
    V2SClassifier,
    V2SFeatures,
    load_acoustic_model,
    register_acoustic_model,
)
from v2s_sklearn.acoustic import registry
from v2s_sklearn.acoustic.storage import load_weights
from v2s_sklearn.errors import SavedFileError, WeightsError
from v2s_sklearn.files.state import SAVED_KIND as KIND
from v2s_sklearn.files.state import SAVED_VERSION as VERSION
from v2s_sklearn.files.tensors import read_header
from v2s_sklearn.files.trees import KEY
from v2s_sklearn.views import Voice

ARCHIVE = Path(__file__).with_name("saved.zip")
_FOLDER = tempfile.TemporaryDirectory()  # while the tests run
SAVED = Path(_FOLDER.name)
shutil.unpack_archive(ARCHIVE, SAVED)
VOICES = [Voice(1500.0, deviation=500.0), Voice(200.0, loudness=0.7, n_harmonics=10)]
PAPER = {"reprogramming": "pad", "mapping": "random", "max_epochs": 1, "n_replicates": 3, "dropout": 0.1}


def few(load, step=2):
    X, y = load(split="train")
    return (X[::step] if isinstance(X, np.ndarray) else list(X[::step])), y[::step]


# Estimator, and the data that it is fitted to.
CASES = {
    "default": (V2SClassifier(random_state=0), load_italy_power_demand),
    "modulation": (V2SClassifier("v2sa", voices=VOICES, random_state=0), load_italy_power_demand),
    "playback": (V2SClassifier("wav2vec", random_state=0), load_basic_motions),
    "contour-trained": (V2SClassifier("v2sc", max_epochs=1, random_state=0), load_italy_power_demand),
    "paper": (V2SClassifier("v2st", **PAPER, standardize=False, random_state=0), load_italy_power_demand),
    "two-sources": (V2SClassifier(("v2sa", "v2st"), **PAPER, random_state=0), load_italy_power_demand),
    "unequal-length": (
        V2SClassifier("v2sa", reprogramming="pad", mapping="frequency", max_channels=3, random_state=0),
        load_japanese_vowels,
    ),
    "transfer": (TransferClassifier("saved-source", max_epochs=2, random_state=0), load_italy_power_demand),
    "features": (V2SFeatures("v2sa", voices=VOICES), load_italy_power_demand),
}
# Small enough to be kept.
KEPT = [name for name in CASES if name not in ("default", "playback")]


def register_source():
    """Register the small acoustic model of the kept files."""
    register_acoustic_model("saved-source", lambda: load_weights(SAVED / "source.safetensors")[0], overwrite=True)


register_source()


def answers(estimator, X):
    return estimator.transform(X) if isinstance(estimator, V2SFeatures) else estimator.predict_proba(X)


def fitted(name):
    estimator, load = CASES[name]
    X, y = few(load)
    return clone(estimator).fit(X, y), X


@pytest.fixture
def small(italy):
    return V2SClassifier("tiny", random_state=0).fit(*italy[:2])


def memory_of(estimator):
    """Return how each tensor of an estimator lies in memory, by which products of matrices round on some processors."""
    network = estimator.net_.module_ if hasattr(estimator, "net_") else estimator._network
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    return {
        name: (
            tensor.data_ptr() % 64,
            [step for step, size in zip(tensor.stride(), tensor.shape, strict=True) if size > 1],
        )
        for name, tensor in tensors.items()
    }


@pytest.mark.parametrize("name", CASES)
def test_a_loaded_estimator_answers_as_the_saved_one(name, tmp_path, monkeypatch):
    estimator, X = fitted(name)
    estimator.save(tmp_path / "x")
    expected = answers(estimator, X)
    monkeypatch.setattr(registry, "_LOADED", {})  # as in another process
    state = torch.get_rng_state()
    loaded = v2s_sklearn.load(tmp_path / "x")
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(answers(loaded, X), expected)
    assert memory_of(loaded) == memory_of(estimator)
    assert type(loaded) is type(estimator)
    for attribute, value in vars(estimator).items():
        if attribute in ("metadata_", "n_features_in_", "n_classes_", "_n_features_out"):
            assert vars(loaded)[attribute] == value
    np.testing.assert_array_equal(loaded.series_mean_, estimator.series_mean_)
    if not isinstance(estimator, V2SFeatures):
        assert loaded.classes_.dtype == estimator.classes_.dtype
        np.testing.assert_array_equal(loaded.predict(X), estimator.predict(X))
        losses = [[epoch["train_loss"] for epoch in clf.net_.history] for clf in (loaded, estimator)]
        assert losses[0] == losses[1]
    # Saved again it is the same file, and it can be fitted again.
    loaded.save(tmp_path / "y")
    assert (tmp_path / "y").read_bytes() == (tmp_path / "x").read_bytes()
    assert repr(clone(loaded)) == repr(clone(estimator))


def test_theta_and_mapping_are_there(tmp_path):
    for name in ("modulation", "two-sources"):
        estimator, _ = fitted(name)
        estimator.save(tmp_path / "x")
        loaded = v2s_sklearn.load(tmp_path / "x")
        np.testing.assert_array_equal(loaded.label_mapping_, estimator.label_mapping_)
        np.testing.assert_equal(loaded.theta_, estimator.theta_)
        assert len(loaded.net_.module_.transformations) == len(estimator.net_.module_.transformations)
        assert not loaded.net_.module_.training


@pytest.mark.parametrize(
    "labels",
    [np.array([1, 2]), np.array([2.0, -1.0]), np.array(["a", "ü"]), np.array(["a", "bc"], dtype=object),
     np.array([False, True])],
    ids=lambda labels: labels.dtype.str,
)  # fmt: skip
def test_labels_keep_their_type(labels, tmp_path, italy):
    X, y = italy[0], labels[(italy[1] == italy[1][0]).astype(int)]
    clf = V2SClassifier("tiny", random_state=0, class_weight={label: 2.0 for label in labels.tolist()}).fit(X, y)
    clf.save(tmp_path / "x")
    loaded = v2s_sklearn.load(tmp_path / "x")
    predicted = loaded.predict(X)
    assert predicted.dtype == clf.predict(X).dtype
    assert (predicted == clf.predict(X)).all()
    assert loaded.get_params() == clf.get_params()
    loaded.fit(X, y)


def test_parameters_of_every_kind(tmp_path, italy):
    random_state = np.random.RandomState(3)
    voices = [*VOICES, Voice(np.float32(300), n_harmonics=np.int64(2))]
    options = {"voices": voices, "device": torch.device("cpu"), "batch_size": np.int64(16)}
    V2SClassifier("tiny", random_state=random_state, **options).fit(*italy[:2]).save(tmp_path / "x")
    loaded = v2s_sklearn.load(tmp_path / "x")
    assert loaded.voices == voices
    assert loaded.device == torch.device("cpu")
    assert loaded.random_state.randint(1000) == random_state.randint(1000)
    path = registry.WEIGHTS_DIR / "v2sa.safetensors"
    for model in (path, str(path), load_acoustic_model("v2sa"), [load_acoustic_model("v2sa")]):
        V2SFeatures(model).fit(italy[0][:4]).save(tmp_path / "x")
        loaded = v2s_sklearn.load(tmp_path / "x")
        assert type(loaded.acoustic_model) is type(model)
        np.testing.assert_array_equal(loaded.transform(italy[0][:4]), V2SFeatures("v2sa").fit_transform(italy[0][:4]))


def test_feature_names_are_kept(tmp_path, italy):
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(italy[0][:, 0], columns=[f"hour {hour}" for hour in range(24)])
    V2SFeatures("tiny").fit(X).save(tmp_path / "x")
    loaded = v2s_sklearn.load(tmp_path / "x")
    assert loaded.feature_names_in_.tolist() == list(X)
    with pytest.raises(ValueError, match="feature names should match"):
        loaded.transform(X.rename(columns={"hour 3": "hour 03"}))


def test_what_cannot_be_saved_is_named(tmp_path, italy, small):
    X, y = italy[:2]
    with pytest.raises(NotFittedError, match="call fit before save"):
        V2SClassifier().save(tmp_path / "x")
    small.set_params(callbacks=[("timer", EpochTimer())])
    with pytest.raises(SavedFileError, match=r"parameters\.callbacks\.0\.1 is a EpochTimer.* set_params"):
        small.save(tmp_path / "x")
    small.set_params(callbacks=None).save(tmp_path / "x")

    class Other(V2SClassifier):
        pass

    with pytest.raises(SavedFileError, match="Other cannot be saved, only the estimators of this package"):
        Other("tiny").fit(X, y).save(tmp_path / "x")
    nameless = load_acoustic_model("tiny").trainable_copy()
    with pytest.raises(SavedFileError, match="parameters.acoustic_model is an acoustic model without a name"):
        V2SClassifier(nameless).fit(X, y).save(tmp_path / "x")
    with pytest.raises(FileNotFoundError):
        small.save(tmp_path / "missing" / "x")


def change(path, tensors=None, **values):
    """Write a saved file again with other values in its header, or more arrays."""
    content = json.loads(read_header(path)[0][KEY]) | values
    save_file(load_file(path) | (tensors or {}), path, {KEY: json.dumps(content)})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "There is no file"),
        (lambda path: path.write_bytes(b""), f"cannot be read as a {KIND}"),
        (lambda path: path.write_bytes(path.read_bytes()[:-50]), f"cannot be read as a {KIND}"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"x"), "is damaged"),
        (lambda path: change(path, version=VERSION + 1), "a newer one wrote it. Install the newest v2s_sklearn"),
        (lambda path: change(path, version="x"), f"cannot be read as a {KIND}"),
        (lambda path: change(path, kind="other"), f"is not a {KIND}, but other"),
        (lambda path: change(path, tree="{}"), "is damaged"),
        (lambda path: change(path, {"more": np.zeros(3)}), "is damaged"),
        (lambda path: path.write_bytes((SAVED / "source.safetensors").read_bytes()), f"is not a {KIND}, but"),
    ],
)
def test_damaged_newer_and_other_files_are_refused(damage, message, small, tmp_path):
    path = tmp_path / "clf.safetensors"
    small.save(path)
    damage(path)
    with pytest.raises(SavedFileError, match=f"clf.safetensors.* {message}|{message} .*clf.safetensors"):
        v2s_sklearn.load(path)


@pytest.mark.parametrize(
    "tree",
    [None, [], {"dict": {}}, {"dict": {"class": "os"}}, {"unknown": 1}, {"module": "Linear"}, {"module": "system"},
     {"dict": {"class": "V2SClassifier", "parameters": {"dict": {"none": 1}}, "attributes": {"dict": {}}}},
     {"array": "missing"}, {"range": "x", "dtype": "O"}, {"range": [0, 10**12], "dtype": "<i8"},
     {"values": ["a"], "dtype": "<U500000000", "shape": [1]}, {"again": 3}, {"source": []}, {}],
    ids=str,
)  # fmt: skip
def test_trees_that_are_no_estimators_are_refused(tree, small, tmp_path, monkeypatch):
    small.save(tmp_path / "x")
    monkeypatch.setattr("v2s_sklearn.files.trees._checksum", lambda text, arrays: "0")
    change(tmp_path / "x", tree=json.dumps(tree), sha256="0")
    with pytest.raises(SavedFileError, match=str(tmp_path / "x")):
        v2s_sklearn.load(tmp_path / "x")


def test_a_source_that_was_moved_is_named_and_can_be_given(tmp_path, italy, monkeypatch):
    monkeypatch.setattr(registry, "_FACTORIES", dict(registry._FACTORIES))
    old, new = tmp_path / "old.safetensors", tmp_path / "folder" / "new.safetensors"
    old.write_bytes((SAVED / "source.safetensors").read_bytes())
    clf = V2SClassifier(old, random_state=0).fit(*italy[:2])
    clf.save(tmp_path / "x")
    pickled, expected = pickle.dumps(clf), clf.predict_proba(italy[2])
    new.parent.mkdir()
    old.rename(new)
    monkeypatch.setattr(registry, "_LOADED", {})
    ways = (lambda: v2s_sklearn.load(tmp_path / "x"), lambda: pickle.loads(pickled))
    for way in ways:
        with pytest.raises(WeightsError, match=rf"{old}.* first call register_acoustic_model\('{old}', lambda"):
            way()
    register_acoustic_model(str(old), lambda: load_acoustic_model(new))
    for way in ways:
        np.testing.assert_array_equal(way().predict_proba(italy[2]), expected)
    way().save(tmp_path / "again")
    registry._FACTORIES.pop(str(old))
    monkeypatch.setattr(registry, "_LOADED", {})
    np.testing.assert_array_equal(v2s_sklearn.load(tmp_path / "again").predict_proba(italy[2]), expected)


def test_another_acoustic_model_is_refused(tmp_path, italy, monkeypatch):
    from conftest import make_tiny_wave_model

    register_acoustic_model("changing", lambda: load_weights(SAVED / "source.safetensors")[0], overwrite=True)
    V2SClassifier("changing", random_state=0).fit(*italy[:2]).save(tmp_path / "x")
    register_acoustic_model("changing", make_tiny_wave_model, overwrite=True)
    with pytest.raises(WeightsError, match="not the weights the estimator was fitted with"):
        v2s_sklearn.load(tmp_path / "x")
    assert issubclass(SavedFileError, ValueError)


def test_other_settings_of_the_process_and_devices_that_are_not_there(small, italy, tmp_path):
    expected = small.predict_proba(italy[2])
    small.device = "cuda:7"  # as it was fitted on another machine
    small.save(tmp_path / "x")
    torch.set_default_dtype(torch.float64)
    try:
        loaded = v2s_sklearn.load(tmp_path / "x")
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_array_equal(loaded.predict_proba(italy[2]), expected)
    assert loaded.device == "cuda:7"
    loaded = v2s_sklearn.load(tmp_path / "x", device="cpu")
    np.testing.assert_array_equal(loaded.fit(*italy[:2]).predict_proba(italy[2]), expected)
    with pytest.raises(ValueError, match="device='nowhere' cannot be used here"):
        v2s_sklearn.load(tmp_path / "x", device="nowhere")


FILES = sorted(SAVED.glob("version*/*.safetensors"))


@pytest.mark.parametrize("path", FILES, ids=[f"{path.parent.name} {path.stem}" for path in FILES])
def test_files_of_all_versions_load(path):
    loaded = v2s_sklearn.load(path)
    with np.load(path.with_name("answers.npz")) as kept:
        expected = kept[path.stem]
    X = few(CASES[path.stem][1])[0][:5]
    # Processors add in other orders: a moment at the level of a share of time may count on one and not on another.
    close = np.isclose(answers(loaded, X), expected, atol=1e-4, rtol=1e-3)
    assert close.mean() > 0.999
    np.testing.assert_allclose(answers(loaded, X), expected, atol=0.1)


def test_a_file_of_this_version_is_kept_of_every_kind():
    assert {path.stem for path in FILES if path.parent.name == f"version{VERSION}"} == set(KEPT)


if __name__ == "__main__":
    folder = SAVED / f"version{VERSION}"
    folder.mkdir(exist_ok=True)
    path = folder / "answers.npz"
    kept = dict(np.load(path)) if path.exists() else {}
    for name in KEPT:
        if name not in kept:
            estimator, X = fitted(name)
            estimator.save(folder / f"{name}.safetensors")
            kept[name] = answers(estimator, X[:5])
    np.savez_compressed(path, **kept)
    shutil.make_archive(str(ARCHIVE.with_suffix("")), "zip", SAVED)
