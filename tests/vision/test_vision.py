"""Image networks of torchvision as sources; run by `make test-vision` in an environment of its own."""

import copy
import pickle
import threading

import numpy as np
import pytest
import torch
import torchvision
from aeon.datasets import load_italy_power_demand

from v2s_sklearn import V2SClassifier, load_acoustic_model
from v2s_sklearn.acoustic import registry
from v2s_sklearn.acoustic.hub.vision import VisionModel, load_torchvision
from v2s_sklearn.errors import AcousticModelNotFoundError, InvalidParameterError, WeightsError
from v2s_sklearn.files.checksums import sha256_of
from v2s_sklearn.views import Voice

LABELS = ["cat", "dog", "ship", "tree", "car", "plane"]
INCEPTION = {"aux_logits": False, "init_weights": False}
# Smallest member -> arguments, image size that keeps a fit short, channels of the stages, width before the logits.
NETWORKS = {
    "alexnet": ({}, 64, (64, 192, 256), 4096),
    "vgg11": ({}, 32, (64, 128, 256, 512, 512), 4096),
    "googlenet": (INCEPTION, 64, (64, 192, 480, 832, 1024), 1024),
    "inception_v3": (INCEPTION, 96, (64, 192, 288, 768, 2048), 2048),
    "resnet18": ({}, 64, (64, 64, 128, 256, 512), 512),
    "densenet121": ({}, 64, (128, 256, 512, 1024), 1024),
    "squeezenet1_1": ({}, 64, (64, 128, 256, 512), None),
    "mobilenet_v2": ({}, 64, (96, 96, 96, 96, 320), 1280),
}
VOICES = [Voice(1500.0, deviation=500.0)]


def make_network(name, n_classes=6):
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return torchvision.models.get_model(name, weights=None, num_classes=n_classes, **NETWORKS[name][0])


@pytest.fixture(scope="module", params=NETWORKS)
def case(request):
    _, image_size, channels, width = NETWORKS[request.param]
    return VisionModel(make_network(request.param), LABELS, frontend={"image_size": image_size}), channels, width


@pytest.fixture(scope="module")
def series():
    X, y = load_italy_power_demand(split="train")
    return X[:20], y[:20], X[20:40], y[20:40]


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    yield folder
    registry._LOADED.clear()


def publish(network, hub, weights, monkeypatch, rename=lambda name: name):
    """Put a state dict into torch's hub folder, as if it were what torchvision's entry names."""
    path = hub / "weights.pth"
    torch.save({rename(name): tensor for name, tensor in network.state_dict().items()}, path)
    path = path.rename(hub / f"{weights.name.lower()}-{sha256_of(path)[:8]}.pth")
    monkeypatch.setattr(weights.value, "url", f"https://download.invalid/models/{path.name}")
    return path


def test_fit_predict_with_frozen_weights(case, series):
    model = case[0]
    X, y, X_test, y_test = series
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    clf = V2SClassifier(acoustic_model=model, voices=VOICES, random_state=0).fit(X, y)
    # Random weights are of use, too: chance is 0.5 and the classes are easily told apart.
    assert clf.score(X_test, y_test) >= 0.7
    assert clf.acoustic_model_ is model and not model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_stages_keep_time_and_end_in_the_logits(case):
    model, channels, width = case
    model.freeze()
    waveforms = torch.zeros(3, 16000)
    waveforms[1, 2000], waveforms[2, 14000] = 0.5, 0.5
    with torch.no_grad():
        layers = model.activations(model.frontend(waveforms))
        stages = [layer for name, layer in layers.items() if name.startswith("stage")]
        assert tuple(stage.shape[1] for stage in stages) == channels
        assert list(layers)[-1] == "logits"
        assert layers["logits"].shape == (3, len(LABELS))
        torch.testing.assert_close(layers["logits"], model.network(model.frontend(waveforms)))
        if width is None:
            assert "pool" not in layers
        else:
            assert layers["pool"].shape == (3, width)
        assert model.embed(waveforms).shape == (3, 15 * sum(channels) + (width or 0))
    for stage in stages[:2]:
        change = (stage[1:] - stage[0]).abs().sum(1)  # (2, F')
        early, late = (change.argmax(1) / (change.shape[1] - 1)).tolist()
        assert early < 0.35 and late > 0.65


def test_the_gradient_reaches_the_waveform(case):
    model = case[0].freeze()
    waveform = (torch.randn(1, 16000, generator=torch.Generator().manual_seed(0)) * 0.1).requires_grad_()
    model(waveform)[0, 0].backward()
    assert waveform.grad.isfinite().all()
    assert (waveform.grad != 0).float().mean() > 0.9


@pytest.mark.parametrize(("name", "size"), [("inception_v3", 299), ("resnet18", 224), ("vgg11", 224)])
def test_the_default_image_is_of_the_size_of_the_family(name, size):
    model = VisionModel(make_network(name), LABELS)
    assert model.frontend(torch.zeros(1, 16000)).shape == (1, 3, size, size)
    assert model.predict_proba(torch.zeros(1, 16000)).sum().item() == pytest.approx(1)


def test_the_image_is_a_fixed_map_of_the_loudness():
    frontend = VisionModel(make_network("resnet18"), LABELS).frontend
    time = torch.arange(16000) / 16000
    tones = torch.stack(
        [torch.zeros(16000), torch.sin(2 * torch.pi * 1000 * time), torch.sin(2 * torch.pi * 300 * time)]
    )
    image = frontend(tones) * frontend.image_std + frontend.image_mean  # back to [0, 1]
    torch.testing.assert_close(image[:, 0], image[:, 2])
    torch.testing.assert_close(image[0], torch.zeros_like(image[0]), atol=1e-6, rtol=0)
    assert 0.95 < image[1].max() <= 1.01
    assert image[2].mean(0).mean(1).argmax() > image[1].mean(0).mean(1).argmax()  # the low tone lies lower
    # Another clip in the batch changes nothing.
    torch.testing.assert_close(frontend(tones[:1]), frontend(tones)[:1])


def test_other_windows_and_rates(series):
    X, y, X_test, _ = series
    model = VisionModel(make_network("squeezenet1_1"), LABELS, 8000, 4000, {"image_size": 64, "f_max": 3800.0})
    probabilities = V2SClassifier(acoustic_model=model, voices=VOICES, random_state=0).fit(X, y).predict_proba(X_test)
    np.testing.assert_allclose(probabilities.sum(1), 1)


def test_threads_share_a_model(case):
    model = case[0].freeze()
    waveforms = torch.randn(4, 2, 16000, generator=torch.Generator().manual_seed(0)) * 0.1
    results = [None] * 4

    def compute(index):
        with torch.no_grad():
            results[index] = model.embed(waveforms[index])

    threads = [threading.Thread(target=compute, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for waveform, result in zip(waveforms, results, strict=True):
        with torch.no_grad():
            torch.testing.assert_close(model.embed(waveform), result)


def test_copies_and_pickles_of_a_network_of_ones_own():
    model = VisionModel(make_network("resnet18"), LABELS, frontend={"image_size": 64}).freeze()
    waveform = torch.randn(1, 16000, generator=torch.Generator().manual_seed(0)) * 0.1
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        torch.testing.assert_close(other.embed(waveform), model.embed(waveform), rtol=0, atol=0)
        torch.nn.init.zeros_(other.network.fc.weight)
        torch.nn.init.zeros_(other.network.fc.bias)
        assert (other(waveform) == 0).all() and (model(waveform) != 0).any()


def test_a_model_can_be_trained_further():
    # Its dropout is a function, which the traced graph holds for training and not for inference.
    network = torchvision.models.densenet121(num_classes=len(LABELS), drop_rate=0.5)
    model = VisionModel(network, LABELS, frontend={"image_size": 64})
    waveforms = torch.randn(2, 16000, generator=torch.Generator().manual_seed(0)) * 0.1
    torch.testing.assert_close(model(waveforms), model(waveforms), rtol=0, atol=0)
    before = network.features.norm0.running_mean.clone()
    first, second = model.train()(waveforms), model(waveforms)
    assert (first != second).any()
    first.sum().backward()
    assert network.classifier.weight.grad.abs().sum() > 0
    assert (network.features.norm0.running_mean != before).any()
    assert not model.eval().network.training
    torch.testing.assert_close(model(waveforms), model(waveforms), rtol=0, atol=0)


# torchvision's weights files


def old_densenet_name(name):
    for layer in ("norm", "conv"):
        name = name.replace(f".{layer}1.", f".{layer}.1.").replace(f".{layer}2.", f".{layer}.2.")
    return name


@pytest.mark.parametrize("name", ["densenet121", "googlenet", "mobilenet_v2", "resnet18"])
def test_weights_in_the_hub_folder_are_loaded_by_name(name, hub, series, monkeypatch):
    network = torchvision.models.get_model(
        name, weights=None, num_classes=1000, **({"init_weights": False} if name == "googlenet" else {})
    )
    weights = torchvision.models.get_model_weights(name).DEFAULT
    rename = old_densenet_name if name == "densenet121" else str
    path = publish(network, hub, weights, monkeypatch, rename)
    state = torch.get_rng_state()
    model = load_acoustic_model(f"torchvision:{name}")
    assert torch.equal(torch.get_rng_state(), state)
    assert model.source == (f"torchvision:{name}", sha256_of(path))
    assert model.source_labels == tuple(weights.meta["categories"]) and model.n_classes == 1000
    assert model.frontend.image_size == 224
    loaded, original = model.network.state_dict(), network.state_dict()
    assert all(torch.equal(tensor, original[key]) for key, tensor in loaded.items())
    assert not any(key.startswith("aux") for key in loaded)
    pickled = pickle.dumps(model)
    assert len(pickled) < 1000 and pickle.loads(pickled) is model


def test_fit_by_name(hub, series, monkeypatch):
    X, y, X_test, _ = series
    weights = torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1
    publish(make_network("squeezenet1_1", 1000), hub, weights, monkeypatch)
    name = "torchvision:squeezenet1_1/IMAGENET1K_V1"
    clf = V2SClassifier(acoustic_model=name, voices=VOICES, random_state=0).fit(X, y)
    pickled = pickle.dumps(clf)
    np.testing.assert_array_equal(pickle.loads(pickled).predict_proba(X_test), clf.predict_proba(X_test))
    conv = clf.acoustic_model_.network.features[0].weight
    assert conv.numpy().tobytes() not in pickled
    # The class takes the name as well.
    other = VisionModel("squeezenet1_1/IMAGENET1K_V1")
    assert other.source_labels == clf.acoustic_model_.source_labels
    assert torch.equal(other.network.features[0].weight, conv)


def test_other_files_are_refused(hub, monkeypatch):
    weights = torchvision.models.ResNet18_Weights.IMAGENET1K_V1
    path = publish(make_network("squeezenet1_1", 1000), hub, weights, monkeypatch)
    with pytest.raises(WeightsError, match="does not hold the weights of resnet18"):
        load_torchvision("resnet18")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(WeightsError, match="is damaged or not torchvision's. Remove it"):
        load_torchvision("resnet18")


class Evil:
    called = False

    def __reduce__(self):
        return setattr, (Evil, "called", True)


def test_nothing_in_a_file_is_run(hub, monkeypatch):
    network = make_network("squeezenet1_1")
    monkeypatch.setattr(network, "state_dict", lambda: {"features.0.weight": Evil()})
    publish(network, hub, torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1, monkeypatch)
    with pytest.raises(WeightsError, match="does not hold the weights"):
        load_torchvision("squeezenet1_1")
    assert not Evil.called


def test_without_a_network_the_error_says_where_the_file_has_to_lie(hub, monkeypatch):
    weights = torchvision.models.ResNet18_Weights.IMAGENET1K_V1
    monkeypatch.setattr(weights.value, "url", "https://download.invalid/models/resnet18-f37072fd.pth")
    with pytest.raises(WeightsError, match="could not be downloaded") as error:
        load_acoustic_model("torchvision:resnet18")
    assert str(hub / "resnet18-f37072fd.pth") in str(error.value) and weights.url in str(error.value)
    assert "TORCH_HOME" in str(error.value)
    assert list(hub.iterdir()) == []


# Errors


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("resnet19", "no image network 'resnet19'. Did you mean 'resnet1"),
        ("vit_b_16", "no image network 'vit_b_16'"),
        ("resnet18/IMAGENET1K_V7", "no set of weights of resnet18 'IMAGENET1K_V7'. Did you mean 'IMAGENET1K_V1'"),
        ("vgg16/IMAGENET1K_FEATURES", "have no classes"),
    ],
)
def test_unknown_names(reference, message):
    with pytest.raises(AcousticModelNotFoundError, match=message):
        load_acoustic_model(f"torchvision:{reference}")


def test_networks_and_labels_that_do_not_fit():
    with pytest.raises(InvalidParameterError, match="has 6 outputs, got 3 source_labels"):
        VisionModel(make_network("resnet18"), LABELS[:3])
    with pytest.raises(InvalidParameterError, match="source_labels are needed"):
        VisionModel(make_network("resnet18"))
    with pytest.raises(InvalidParameterError, match="AlexNet, VGG, .* got Linear"):
        VisionModel(torch.nn.Linear(2, 2), LABELS)
    network = make_network("vgg11")
    network.classifier = torch.nn.Linear(512 * 49, len(LABELS))
    with pytest.raises(InvalidParameterError, match="lacks a layer of torchvision's"):
        VisionModel(network, LABELS)
