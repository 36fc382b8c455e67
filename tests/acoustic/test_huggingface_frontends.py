"""Front ends beside the extractors of transformers."""

import pytest
import torch
import transformers
from hub_checkpoints import extract, make_sounds, noise

from v2s_sklearn.acoustic.hub.huggingface_frontends import make_frontend

pytestmark = [
    # Of the extractors of transformers, and of its WavLM where it is given a mask.
    pytest.mark.filterwarnings("ignore:At least one mel filter has all zero values"),
    pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask"),
]


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
