"""Small checkpoints of transformers, made here, in the format of the hub; a plugin of pytest with fixtures of them."""

import hashlib
import math

import pytest
import torch
import transformers

from v2s_sklearn.files.checksums import sha256_of

LABELS = dict(enumerate(["yes", "no", "up", "down", "left", "right"]))
LAYERS = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
# One second is 4000 samples, and a frame 80.
WAV2VEC = LAYERS | {
    "classifier_proj_size": 8,
    "conv_dim": (16, 16, 16),
    "conv_kernel": (10, 8, 4),
    "conv_stride": (5, 4, 4),
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}
CONFIGS = {
    "wav2vec2": transformers.Wav2Vec2Config(**WAV2VEC, do_stable_layer_norm=True, feat_extract_norm="layer"),
    "hubert": transformers.HubertConfig(**WAV2VEC, use_weighted_layer_sum=True),
    "wavlm": transformers.WavLMConfig(**WAV2VEC),
    "sew": transformers.SEWConfig(**WAV2VEC),
    "sew-d": transformers.SEWDConfig(**WAV2VEC),
    "unispeech": transformers.UniSpeechConfig(**WAV2VEC),
    "unispeech-sat": transformers.UniSpeechSatConfig(**WAV2VEC),
    "data2vec-audio": transformers.Data2VecAudioConfig(**WAV2VEC),
    "wav2vec2-conformer": transformers.Wav2Vec2ConformerConfig(**WAV2VEC),
    "ast": transformers.ASTConfig(
        **LAYERS, patch_size=8, frequency_stride=6, time_stride=5, max_length=24, num_mel_bins=16
    ),
    "whisper": transformers.WhisperConfig(
        d_model=16,
        encoder_layers=2,
        encoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_layers=1,
        num_mel_bins=16,
        max_source_positions=50,
        classifier_proj_size=8,
    ),
}
EXTRACTORS = {
    "ast": transformers.ASTFeatureExtractor(num_mel_bins=16, max_length=24),
    "whisper": transformers.WhisperFeatureExtractor(feature_size=16, chunk_length=1),
    "hubert": transformers.Wav2Vec2FeatureExtractor(sampling_rate=4000, do_normalize=False),
}
STANDARDISING = transformers.Wav2Vec2FeatureExtractor(sampling_rate=4000, return_attention_mask=True)


def make_network(name):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = CONFIGS[name]
        config.id2label, config.initializer_range = LABELS, 0.2
        network = transformers.AutoModelForAudioClassification.from_config(config)
        # Biases and the weights that start constant would leave the logits hardly dependent on the input.
        for parameter in network.parameters():
            parameter.data += 0.1 * torch.randn(parameter.shape)
    return network.eval()


def save_checkpoint(name, folder, **options):
    make_network(name).save_pretrained(folder, **options)
    EXTRACTORS.get(name, STANDARDISING).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    return {name: save_checkpoint(name, tmp_path_factory.mktemp(name)) for name in CONFIGS}


@pytest.fixture
def checkpoint(tmp_path):
    return save_checkpoint("wav2vec2", tmp_path / "checkpoint")


def digest_of(folder):
    """Return the checksum of all files of a checkpoint, the weights last."""
    names = ["config.json", "preprocessor_config.json"]
    names += sorted(path.name for path in folder.glob("*.safetensors"))
    return hashlib.sha256("".join(sha256_of(folder / name) for name in names).encode()).hexdigest()


def noise(*shape, seed=0):
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def make_sounds(n_samples):
    """Noise; a tone, whose spectrum spans many decades; a loud chirp with an offset; a click in silence."""
    time = torch.arange(n_samples) / 16000
    click = torch.zeros(n_samples)
    click[n_samples // 2] = 0.5
    tone = 0.1 * torch.sin(2 * math.pi * 1500 * time)
    chirp = 0.3 + 0.6 * torch.sin(2 * math.pi * (200 + 2000 * time) * time)
    return torch.stack([noise(n_samples), tone, chirp, click])


def extract(extractor, waveforms):
    """Return what the extractor of transformers gives: (B, S) to (B, F, M) or (B, S)."""
    features = extractor(list(waveforms.numpy()), sampling_rate=extractor.sampling_rate, return_tensors="pt")
    if "input_features" in features:
        return features["input_features"].transpose(1, 2)
    return features["input_values"]
