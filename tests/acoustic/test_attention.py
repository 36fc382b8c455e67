import numpy as np
import pytest
import torch
from hub_checkpoints import CONFIGS, EXTRACTORS, STANDARDISING, make_network, noise

from v2s_sklearn import load_acoustic_model
from v2s_sklearn.acoustic.hub.huggingface import HuggingFaceModel
from v2s_sklearn.acoustic.hub.huggingface_frontends import make_frontend
from v2s_sklearn.errors import InvalidParameterError

TRANSFORMERS = sorted(CONFIGS)
pytestmark = [
    pytest.mark.filterwarnings("ignore:At least one mel filter has all zero values"),
    pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask"),
]


def make_model(name):
    network = make_network(name)
    extractor = EXTRACTORS.get(name, STANDARDISING)
    return HuggingFaceModel(network, make_frontend(extractor, network.config)).freeze()


@pytest.mark.parametrize("name", ["v2sa", "v2su", "v2sa-digits"])
@torch.no_grad()
def test_attention_weights_make_the_attended_state(name):
    model = load_acoustic_model(name)
    waveform = noise(3, model.n_samples)
    weights = model.attention(waveform)
    layers = model.activations(model.frontend(waveform))
    assert weights.shape == (3, layers["lstm2"].shape[2])
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)
    attended = torch.einsum("bf,bhf->bh", weights, layers["lstm2"])
    np.testing.assert_allclose(attended, layers["attention"], atol=1e-5)
    np.testing.assert_allclose(model.at_half_rate().attention(waveform[:, ::2]).sum(1), 1, rtol=1e-5)


@pytest.mark.parametrize("name", TRANSFORMERS)
@torch.no_grad()
def test_transformers(name):
    model = make_model(name)
    waveform = noise(2, model.n_samples)
    before, implementation = model(waveform), model.network.config._attn_implementation
    weights = model.attention(waveform)
    n_frames = [layer.shape[2] for layer in model.activations(model.frontend(waveform)).values() if layer.ndim == 3]
    assert weights.shape == (2, n_frames[-1])
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)
    assert (weights >= 0).all() and weights.std() > 0
    assert model.network.config._attn_implementation == implementation
    assert torch.equal(model(waveform), before)


def test_sources_without():
    with pytest.raises(InvalidParameterError, match=r"v2st.* has no attention.*'v2sa'"):
        load_acoustic_model("v2st").attention(torch.zeros(1, 16000))
