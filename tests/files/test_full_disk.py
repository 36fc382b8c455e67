"""A disk without room: nothing half written, the old file still there, an error that names the file."""

import resource
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TINY_CONFIG, make_tiny_model

from v2s_sklearn import V2SClassifier, load
from v2s_sklearn.acoustic.storage import load_weights, save_weights
from v2s_sklearn.pretrain.checkpoints import Checkpoint, read_history
from v2s_sklearn.pretrain.datasets import Split
from v2s_sklearn.pretrain.supervised import TrainingConfig

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@contextmanager
def room_for(n_bytes):
    """Let files grow to so many bytes; more is an error of the system, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def saved_estimator(folder, monkeypatch):
    X = np.random.default_rng(0).normal(size=(6, 1, 8))
    clf = V2SClassifier("tiny", random_state=0).fit(X, [0, 1] * 3)
    path = folder / "clf.safetensors"
    return path, lambda: clf.save(path), lambda: load(path).predict_proba(X)


def weights(folder, monkeypatch):
    path, model = folder / "tiny.safetensors", make_tiny_model()
    model.freeze()

    def write():
        model.output.weight.data += 1.0  # so that the checksum beside the file is another one, too
        save_weights(model, path, "attention_rnn", TINY_CONFIG)

    return path, write, lambda: load_weights(path)[0].output.weight.detach().numpy()


def checkpoint(folder, monkeypatch):
    model = make_tiny_model()
    data = {"train": Split(torch.zeros(2, 98, 40), torch.zeros(2))}
    written = Checkpoint(folder, TrainingConfig(), model, data)
    return written.path, lambda: written.save({"model": model}, [{"loss": 1.0}]), lambda: read_history(folder)


def result_file(folder, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from results_file import Result

    del sys.modules["results_file"]
    path = folder / "testResample0.csv"
    result = Result("Data", "Name", 0, np.zeros(200, int), np.ones((200, 1)), 1.0, 1.0)
    return path, lambda: result.write(path), lambda: Result.read(path).probabilities


@pytest.mark.parametrize("kind", [saved_estimator, weights, checkpoint, result_file], ids=lambda kind: kind.__name__)
def test_what_was_there_stays_whole(kind, tmp_path, monkeypatch):
    path, write, read = kind(tmp_path, monkeypatch)
    write()
    before, answer, files = path.read_bytes(), read(), sorted(tmp_path.iterdir())
    for n_bytes in (0 if kind is not weights else 200, len(before) - 1):
        with room_for(n_bytes), pytest.raises(OSError, match=path.name):
            write()
        assert path.read_bytes() == before
        assert sorted(tmp_path.iterdir()) == files
        np.testing.assert_array_equal(read(), answer)
    write()  # there is room again
    read()
