import numpy as np
import torch
from conftest import make_tiny_model

from v2s_sklearn.pretrain.datasets import TestSet
from v2s_sklearn.pretrain.source_logits import choose_clips, compute_source_logits


def test_as_many_clips_of_each_class_as_there_are():
    words = ["a"] * 20 + ["b"] * 3 + ["c"] * 20
    chosen = choose_clips(words, ["a", "b", "c"], n_clips=15)
    assert [sum(words[i] == word for i in chosen) for word in "abc"] == [5, 3, 5]
    assert (np.diff(chosen) > 0).all()
    np.testing.assert_array_equal(chosen, choose_clips(words, ["a", "b", "c"], n_clips=15))


def test_logits_are_those_of_the_first_window_of_each_clip():
    model = make_tiny_model().freeze()
    rng = np.random.default_rng(0)
    waveforms = rng.normal(0, 0.1, (6, 5000)).astype(np.float32)
    words = ["word3", "word0", "word11"]
    test = TestSet(waveforms, words, np.array([0, 0, 1, 1, 1, 2]))
    logits, labels = compute_source_logits(model, test)
    assert list(labels) == [3, 0, 11]
    with torch.no_grad():
        expected = model(torch.from_numpy(waveforms[[0, 2, 5], :4000])).numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-5)
