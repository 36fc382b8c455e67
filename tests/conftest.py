"""Small acoustic models, registered as "tiny" and "tiny-wave", and real data that aeon ships."""

import os

os.environ.setdefault("SCIPY_ARRAY_API", "1")  # before scipy is imported; scikit-learn skips a check without it
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")  # the same answers on every machine; `make test-cuda` names a GPU

import pytest
import torch
from aeon.datasets import load_gunpoint, load_italy_power_demand

from v2s_sklearn import V2SClassifier, register_acoustic_model
from v2s_sklearn.acoustic.networks.attention_rnn import AttentionRNN
from v2s_sklearn.acoustic.networks.wav2vec import Wav2Vec

TINY_CONFIG = {
    "source_labels": [f"word{index}" for index in range(12)],
    "n_samples": 4000,
    "hidden_size": 8,
    "dense_sizes": [8],
}


def make_tiny_model():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return AttentionRNN(**TINY_CONFIG)


def make_tiny_wave_model():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return Wav2Vec(
            TINY_CONFIG["source_labels"], n_samples=4000, encoder_channels=[8] * 5, n_context_layers=1, n_steps=1
        )


register_acoustic_model("tiny", make_tiny_model, overwrite=True)
register_acoustic_model("tiny-wave", make_tiny_wave_model, overwrite=True)


@pytest.fixture(scope="session")
def gunpoint():
    X_train, y_train = load_gunpoint(split="train")
    X_test, y_test = load_gunpoint(split="test")
    return X_train, y_train, X_test, y_test


@pytest.fixture(scope="session")
def italy():
    X_train, y_train = load_italy_power_demand(split="train")
    X_test, y_test = load_italy_power_demand(split="test")
    return X_train, y_train, X_test[:200], y_test[:200]


MODES = {
    "default": {},
    "trained": {"max_epochs": 2},
    "paper": {"reprogramming": "pad", "mapping": "random", "max_epochs": 2, "learning_rate": 0.05, "dropout": 0.2},
    "frequency": {"reprogramming": "pad", "mapping": "frequency", "max_epochs": 1, "n_replicates": 3},
}


@pytest.fixture(params=[*MODES.values(), {"acoustic_model": ("tiny", "tiny-wave")}], ids=[*MODES, "two sources"])
def tiny(request):
    return V2SClassifier(**({"acoustic_model": "tiny", "random_state": 0} | request.param))
