"""Checkpoints know the training they are of; what does not fit is refused with what to do."""

import dataclasses
import os

import numpy as np
import pytest
import torch

from v2s_sklearn.acoustic.frontend import LogMel
from v2s_sklearn.acoustic.networks.attention_rnn import AttentionRNN
from v2s_sklearn.errors import SavedFileError
from v2s_sklearn.pretrain import datasets
from v2s_sklearn.pretrain.checkpoints import FILE, Checkpoint, read_history
from v2s_sklearn.pretrain.datasets import Split, inverted
from v2s_sklearn.pretrain.supervised import TrainingConfig, train

CONFIG = TrainingConfig(epochs=1, batch_size=8)


def new_model(labels=("a", "b"), seed=0, **config):
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return AttentionRNN(list(labels), **({"hidden_size": 4, "dense_sizes": [4]} | config))


def new_data(seed=0):
    features = torch.randn(24, 98, 40, generator=torch.Generator().manual_seed(seed)).half()
    return {name: Split(features[rows], torch.arange(12) % 2) for name, rows in
            (("train", slice(0, 12)), ("validation", slice(12, 24)))}  # fmt: skip


@pytest.fixture
def work_dir(tmp_path):
    train(new_model(), new_data(), CONFIG, tmp_path, [new_model(seed=5)])
    return tmp_path


def test_the_same_training_goes_on(work_dir):
    _, history = train(new_model(), new_data(), CONFIG, work_dir, [new_model(seed=5)])
    assert history == read_history(work_dir)
    assert len(history) == 1
    assert read_history(work_dir / "missing") == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"model": new_model(("a", "c"))}, "network, source classes or first weights"),
        ({"model": new_model(seed=1)}, "network, source classes or first weights"),
        ({"model": new_model(hidden_size=8)}, "network, source classes or first weights"),
        ({"data": new_data(1)}, "data"),
        ({"teachers": [new_model(seed=6)]}, "teachers"),
        ({"config": dataclasses.replace(CONFIG, epochs=2)}, "configuration"),
    ],
)
def test_another_training_is_refused(change, named, work_dir):
    arguments = {"model": new_model(), "data": new_data(), "config": CONFIG, "teachers": [new_model(seed=5)]}
    with pytest.raises(
        SavedFileError, match=rf"was written with another {named}. Give another --work-dir, or remove .*{FILE}"
    ):
        train(**(arguments | change), work_dir=work_dir)


@pytest.mark.parametrize("damage", [lambda content: b"", lambda content: content[:-10], lambda content: b"x" * 100])
def test_a_damaged_checkpoint_is_refused(damage, work_dir):
    path = work_dir / FILE
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(SavedFileError, match=rf"{FILE} cannot be read as a checkpoint .* or remove .*{FILE}"):
        train(new_model(), new_data(), CONFIG, work_dir, [new_model(seed=5)])


def test_a_changed_bit_is_seen(work_dir):
    path = work_dir / FILE
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(SavedFileError, match="is damaged"):
        Checkpoint(work_dir, CONFIG, new_model(), new_data(), [new_model(seed=5)]).load({})


def test_a_full_disk_is_reported_and_leaves_the_old_checkpoint(work_dir, monkeypatch):
    checkpoint = Checkpoint(work_dir, CONFIG, new_model(), new_data(), [new_model(seed=5)])
    before = (work_dir / FILE).read_bytes()

    def full(temporary, path):
        raise OSError(28, "No space left on device", str(temporary))

    monkeypatch.setattr("v2s_sklearn.files.writing.os.replace", full)
    with pytest.raises(OSError, match=f"No space left on device: '.*{FILE}'"):
        checkpoint.save({"model": new_model()}, [])
    assert (work_dir / FILE).read_bytes() == before
    assert [path.name for path in work_dir.iterdir()] == [FILE]


def test_what_a_killed_process_left_is_removed(work_dir):
    checkpoint = Checkpoint(work_dir, CONFIG, new_model(), new_data())
    old, new = (work_dir / f".{digit * 32}.v2s-tmp" for digit in "0a")
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    checkpoint.save({"model": new_model()}, [])
    assert (old.exists(), new.exists()) == (False, True)


def test_inverted_clips_are_those_of_the_features(tmp_path, monkeypatch):
    """The work folder may hold those of other data, or a batch that was cut short."""
    features = torch.randn(5, 98, 40, generator=torch.Generator().manual_seed(0))
    calls = []

    def loudness(log_mel, features, generator):
        calls.append(len(features))
        return features.mean((1, 2))[:, None].expand(-1, 16000).clamp(-1, 1)

    monkeypatch.setattr(datasets, "invert_log_mel", loudness)
    first = np.array(inverted(features, LogMel(), tmp_path, batch_size=2))
    assert not np.array_equal(first, inverted(2 * features, LogMel(), tmp_path, batch_size=2))
    assert calls == [2, 2, 1] * 2
    assert np.array_equal(first, inverted(features, LogMel(), tmp_path, batch_size=2))
    assert len(calls) == 6
    whole = next(path for path in tmp_path.iterdir() if np.array_equal(np.fromfile(path, np.int16), first.ravel()))
    whole.with_suffix(".partial").write_bytes(whole.read_bytes()[: 3 * 16000 * 2 + 7])
    whole.unlink()
    assert np.array_equal(first, inverted(features, LogMel(), tmp_path, batch_size=2))
    assert calls[6:] == [2, 1]
