"""The controls of pretraining: random weights in place of trained ones."""

import numpy as np
import pytest
import torch

from benchmarks.sources import controls
from v2s_sklearn import load_acoustic_model


@pytest.mark.parametrize("name", ["v2sa", "v2st", "v2sc"])
def test_random_weights_are_seeded_other_and_at_work(name):
    trained, one, again, other = (
        load_acoustic_model(name),
        *(controls.with_random_weights(name, seed) for seed in (0, 0, 1)),
    )
    clips = 0.1 * torch.randn(4, trained.n_samples, generator=torch.Generator().manual_seed(0))
    embeddings = [model.embed(clips) for model in (trained, one, again, other)]
    assert torch.equal(embeddings[1], embeddings[2])
    assert not torch.allclose(embeddings[0], embeddings[1]) and not torch.allclose(embeddings[1], embeddings[3])
    assert embeddings[1].isfinite().all() and embeddings[1].std(0).gt(1e-6).any()
    assert not one.training and not any(parameter.requires_grad for parameter in one.parameters())


def test_splits_and_scores():
    labels = np.repeat([0, 1, 2], 8)
    folds = list(controls.splits(labels, None))
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(24))
    few = list(controls.splits(labels, 2))
    assert len(few) == controls.N_DRAWS
    assert all((np.bincount(labels[train]) == 2).all() and not set(train) & set(test) for train, test in few)
    assert list(controls.splits(labels, 8)) == []
    embeddings = np.random.default_rng(0).normal(size=(24, 5)).astype(np.float32)
    embeddings[np.arange(24), labels] += 6
    found = controls.score(embeddings, [("all", slice(0, 5))], labels, 5)
    assert found["accuracy"] > 0.9 and found["log_loss"] < 0.5
    assert controls.score(embeddings, [("all", slice(0, 5))], labels, 10) == {}
