"""The faster twin of a frozen network: the same values, and no trace of it in weights, copies and pickles."""

import copy
import pickle

import pytest
import torch
from conftest import make_tiny_model
from torch import nn

from v2s_sklearn import load_acoustic_model
from v2s_sklearn.acoustic.folding import PairedConv2d, fold

NAMES = ["v2sa", "v2st", "v2sr", "v2sv", "v2su", "sincnet", "wav2vec"]


def waveforms(n=3):
    return 0.1 * torch.randn(n, 16000, generator=torch.Generator().manual_seed(0))


def untrained(channels=4):
    """Return layers whose batch normalisation has statistics and weights of its own."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        layers = nn.Sequential(nn.Conv1d(2, channels, 3, stride=2, padding=1), nn.BatchNorm1d(channels), nn.ReLU())
        layers(5 + 3 * torch.randn(8, 2, 30))
        nn.init.normal_(layers[1].weight)
        nn.init.normal_(layers[1].bias)
    return layers.requires_grad_(False).eval()


@pytest.mark.parametrize("name", NAMES)
def test_all_layers_have_the_same_values(name):
    model = load_acoustic_model(name)
    features = model.frontend(waveforms())
    plain, folded = model.activations(features), model._network().activations(features)
    assert list(plain) == list(folded)
    for layer, values in plain.items():
        scale = values.abs().max().item()
        torch.testing.assert_close(folded[layer], values, rtol=0, atol=2e-6 * scale)


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_of_the_waveform_is_the_same(name):
    model = load_acoustic_model(name)
    model = model.trainable_copy().requires_grad_(False).double()
    features = model.frontend(waveforms(1).double()).detach()
    gradients = []
    for network in (model, fold(model)):
        inputs = features.clone().requires_grad_()
        network.activations(inputs)["logits"].square().sum().backward()
        gradients.append(inputs.grad)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-8, atol=1e-10)


def test_a_batch_normalisation_is_folded_into_the_convolution_before_it():
    layers = untrained()
    twin = fold(layers)
    assert [type(layer).__name__ for layer in twin] == ["ChannelsLastConv1d", "Identity", "ReLU"]
    x = torch.randn(3, 2, 17, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(twin(x), layers(x))
    assert isinstance(layers[1], nn.BatchNorm1d)
    assert twin[2] is layers[2]


@pytest.mark.parametrize("size", [1, 3, 5, 7])
@pytest.mark.parametrize("shape", [(8, 6), (9, 7)])
def test_a_strided_convolution_of_one_channel(size, shape):
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        convolution = nn.Conv2d(1, 3, size, stride=2, padding=size // 2).double().requires_grad_(False)
        x = torch.randn(2, 1, *shape).double().requires_grad_()
    values, expected = fold(convolution)(x), convolution(x)
    torch.testing.assert_close(values, expected)
    gradients = [torch.autograd.grad(result.square().sum(), x)[0] for result in (values, expected)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("n_out", "kernel", "padding"), [(4, 5, 2), (1, (3, 1), (0, 0)), (3, (2, 3), (1, 1))])
@pytest.mark.parametrize("n_bands", [8, 7, 2])
def test_a_convolution_to_few_channels(n_out, kernel, padding, bias, n_bands):
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        convolution = nn.Conv2d(6, n_out, kernel, padding=padding, bias=bias).double().requires_grad_(False)
        x = torch.randn(2, 6, 9, n_bands).double()
    twin = fold(convolution)
    assert isinstance(twin, PairedConv2d)
    torch.testing.assert_close(twin(x), convolution(x))
    x.requires_grad_()
    gradients = [torch.autograd.grad(one(x).square().sum(), x)[0] for one in (twin, convolution)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(
    "settings", [{"stride": 2}, {"dilation": 2}, {"groups": 2}, {"padding": 0}, {"padding_mode": "circular"}]
)
def test_other_convolutions_to_few_channels_stay(settings):
    convolution = nn.Conv2d(6, 4, 5, **{"padding": 2} | settings).requires_grad_(False)
    assert fold(convolution) is convolution


def test_a_module_without_anything_to_fold_is_its_own_twin():
    layers = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Conv2d(1, 1, 3)).eval()
    assert fold(layers) is layers


def test_the_twin_follows_the_weights():
    model = load_acoustic_model("v2st").trainable_copy().requires_grad_(False)
    before = model(waveforms())
    with torch.no_grad():
        model.stem.bias += 1
    after = model(waveforms())
    assert (after - before).abs().max() > 0.01
    torch.testing.assert_close(after, model.activations(model.frontend(waveforms()))["logits"], rtol=1e-5, atol=1e-5)
    assert model.double()(waveforms().double()).dtype == torch.float64


def test_nothing_is_folded_where_weights_take_gradients():
    model = load_acoustic_model("v2st").trainable_copy()
    assert model._network() is model
    model(waveforms(2)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.stem.parameters())
    assert model.requires_grad_(False)._network() is not model
    assert model.train()._network() is model


def test_no_trace_in_weights_copies_and_pickles():
    model = load_acoustic_model("v2st")
    names = list(model.state_dict())
    modules = len(list(model.modules()))
    model(waveforms())
    assert list(model.state_dict()) == names
    assert len(list(model.modules())) == modules
    copy = model.trainable_copy()
    assert copy._folded is None
    size = len(pickle.dumps(copy))
    copy.requires_grad_(False)(waveforms())
    assert len(pickle.dumps(copy)) == size
    half = model.at_half_rate()
    assert half._network().frontend is half.frontend


def test_weights_that_are_shared_stay_shared_in_a_pickle():
    model = make_tiny_model()
    model.output.bias = model.also = torch.nn.Parameter(torch.arange(12.0))
    model.again = model.output.bias
    model.register_buffer("passing", torch.ones(2), persistent=False)
    copied = pickle.loads(pickle.dumps(model.freeze()))
    assert copied.again is copied.output.bias is copied.also and torch.equal(copied.again, model.again)
    assert "passing" in copied._non_persistent_buffers_set and "passing" not in copied.state_dict()
    assert not copied.again.requires_grad and copied.again is not model.again


@pytest.mark.parametrize("trainable", [False, True])
def test_copies_of_copies_have_the_same_bits_in_the_same_order_of_memory(trainable):
    model = load_acoustic_model("v2sa").trainable_copy()
    model = model if trainable else model.freeze()
    with torch.no_grad():
        expected = model(waveforms())
    strides = [tensor.stride() for tensor in model.parameters()]
    for make in (
        lambda one: pickle.loads(pickle.dumps(one)),
        copy.deepcopy,
        lambda one: pickle.loads(pickle.dumps(one)),
    ):
        model = make(model)
        assert [tensor.stride() for tensor in model.parameters()] == strides
        with torch.no_grad():
            assert torch.equal(model(waveforms()), expected)
