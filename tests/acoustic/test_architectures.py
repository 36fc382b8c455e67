"""Every architecture of the package behind the one interface, through the public API."""

import pytest
import torch
from torch import nn

from v2s_sklearn import V2SClassifier, load_acoustic_model
from v2s_sklearn.acoustic.recurrence import frozen_bilstm
from v2s_sklearn.acoustic.storage import ARCHITECTURES, architecture_class, save_weights

LABELS = [f"word{index}" for index in range(8)]
# Small, with another window than the packaged models.
SMALL = {
    "attention_rnn": {"hidden_size": 8, "dense_sizes": [8]},
    "contour": {"channels": [4, 8, 8, 12], "n_bands": 2, "n_points": 64},
    "openl3": {"channels": [2, 4, 4, 8], "n_samples": 24000, "pool_size": [32, 12]},
    "resnet": {"channels": [4, 8], "n_blocks": 1},
    "sincnet": {"n_filters": 8, "channels": [8, 12]},
    "tcn": {"channels": [8, 12, 16]},
    "unet_attention_rnn": {"hidden_size": 8, "dense_sizes": [8], "unet_channels": [2, 4]},
    "vggish": {"channels": [4, 4, 8, 8, 8, 8], "dense_sizes": [16]},
    "wav2vec": {"encoder_channels": [8, 8, 8, 8, 8], "n_context_layers": 2, "n_steps": 2},
}


@pytest.fixture(scope="module", params=sorted(ARCHITECTURES))
def model(request, tmp_path_factory):
    config = {"source_labels": LABELS, "n_samples": 6000} | SMALL[request.param]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        network = architecture_class(request.param)(**config)
        with torch.no_grad():
            for _ in range(10):  # gives batch normalisation its statistics
                network(0.1 * torch.randn(8, network.n_samples) * torch.rand(8, 1))
    path = tmp_path_factory.mktemp("weights") / f"{request.param}.safetensors"
    save_weights(network, path, request.param, config)
    return load_acoustic_model(path)


def waveforms(model, n=3):
    return 0.1 * torch.randn(n, model.n_samples, generator=torch.Generator().manual_seed(0))


def test_layers_and_logits(model):
    features = model.frontend(waveforms(model))
    layers = model.activations(features)
    assert list(layers)[-1] == "logits"
    assert layers["logits"].shape == (3, len(LABELS))
    torch.testing.assert_close(layers["logits"], model(waveforms(model)), rtol=1e-5, atol=1e-5)
    assert all(values.ndim in (2, 3) and len(values) == 3 and values.isfinite().all() for values in layers.values())
    first = next(iter(layers))
    one = model.embed(waveforms(model), layers=[first])
    assert one.shape[1] < model.embed(waveforms(model)).shape[1]


def test_time_stays_time(model):
    """A burst later in the window gives the same values later in the first layer."""
    early, late = torch.zeros(2, 1, model.n_samples)
    eighth = model.n_samples // 8
    early[:, eighth : 2 * eighth] = late[:, 5 * eighth : 6 * eighth] = waveforms(model, 1)[:, :eighth]
    first, second = (next(iter(model.activations(model.frontend(clip)).values()))[0] for clip in (early, late))
    n_frames = first.shape[1]
    distances = [(second[:, n:] - first[:, : n_frames - n]).abs().mean() for n in range(3 * n_frames // 4)]
    assert abs(torch.stack(distances).argmin() / n_frames - 0.5) < 0.1


def test_a_case_is_the_same_alone_and_among_others(model):
    together = model.embed(waveforms(model, 4))
    assert torch.allclose(together[2:3], model.embed(waveforms(model, 4)[2:3]), atol=1e-4)


def test_gradients_reach_the_waveform(model):
    waveform = waveforms(model).requires_grad_()
    model(waveform).square().sum().backward()
    assert waveform.grad.isfinite().all()
    assert (waveform.grad != 0).any()
    assert all(parameter.grad is None for parameter in model.parameters())


def test_silence_stays_finite(model):
    assert model.embed(torch.zeros(1, model.n_samples)).isfinite().all()


@pytest.mark.parametrize("mode", ["default", "paper"])
def test_fit_and_predict(model, mode, italy):
    X, y, X_test, _ = italy
    options = {"acoustic_model": model, "random_state": 0}
    clf = V2SClassifier.icml2021(max_epochs=2, **options) if mode == "paper" else V2SClassifier(**options)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    probabilities = clf.fit(X, y).predict_proba(X_test[:10])
    assert probabilities.shape == (10, 2)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    if mode == "default":
        assert clf.score(X, y) > 0.7


def test_the_filters_are_the_first_layer_of_the_encoder():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        network = architecture_class("wav2vec")(source_labels=LABELS, **SMALL["wav2vec"]).eval()
    conv, waveform = network.encoder[0].conv, waveforms(network, 2)
    heard = waveform.unfold(1, network.filters.shape[1], conv.stride[0]) @ network.filters.T
    torch.testing.assert_close(heard.transpose(1, 2), conv(waveform.unsqueeze(1)), atol=1e-5, rtol=1e-4)


def test_filters_over_neighbouring_bands_start_at_nothing():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        plain = architecture_class("tcn")(source_labels=LABELS, channels=(4, 6, 8))
        network = architecture_class("tcn")(source_labels=LABELS, channels=(4, 6, 8), band_filters=(3, 5))
    network.load_state_dict(plain.state_dict(), strict=False)
    plain.freeze(), network.eval()
    waveform = waveforms(plain, 2)
    # Not equal to the last bit: processors add in other orders where there is one more tensor.
    torch.testing.assert_close(network(waveform), plain(waveform), atol=1e-5, rtol=1e-5)
    network(waveform).square().sum().backward()
    assert network.neighbourhoods.projection.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("shape", [(5, 7, 6), (1, 1, 3), (3, 2, 10)])
def test_states_and_gradient_are_those_of_torch(shape):
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        lstm = nn.LSTM(shape[2], 4, batch_first=True, bidirectional=True).double()
        sequence, weights = torch.randn(*shape).double(), torch.randn(*shape[:2], 8).double()
    results = []
    for run in (lambda x: lstm(x)[0], lambda x: frozen_bilstm(lstm, x)):
        inputs = (2 * sequence).requires_grad_()
        states = run(inputs)
        (gradient,) = torch.autograd.grad((states * weights).sum(), inputs)
        results.append((states, gradient))
    for ours, theirs in zip(results[1], results[0], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_large_inputs_saturate():
    lstm = nn.LSTM(3, 4, batch_first=True, bidirectional=True)
    inputs = torch.full((2, 5, 3), 1e4, requires_grad=True)
    states = frozen_bilstm(lstm, inputs)
    states.sum().backward()
    torch.testing.assert_close(states, lstm(inputs)[0])
    assert inputs.grad.isfinite().all()


def test_frozen_and_trainable_model_have_the_same_gradient_of_the_waveform():
    frozen = load_acoustic_model("v2sa")
    gradients = []
    for model in (frozen.trainable_copy().double().requires_grad_(trainable) for trainable in (False, True)):
        waveform = 0.1 * torch.randn(2, 16000, generator=torch.Generator().manual_seed(0)).double()
        model(waveform.requires_grad_()).square().sum().backward()
        gradients.append(waveform.grad)
        assert (model.lstm1.weight_ih_l0.grad is None) == (
            model is not None and not model.lstm1.weight_ih_l0.requires_grad
        )
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-8, atol=1e-10)
