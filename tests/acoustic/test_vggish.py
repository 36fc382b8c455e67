import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from v2s_sklearn import V2SClassifier, load_acoustic_model
from v2s_sklearn.acoustic.networks.vggish import AUDIOSET_VGGISH, AudioSetLogMel, VGGish, load_audioset_vggish
from v2s_sklearn.acoustic.storage import save_weights
from v2s_sklearn.errors import InvalidParameterError, WeightsError

LABELS = ["yes", "no", "up", "down"]
TINY = {"channels": [4, 4, 8, 8, 8, 8], "dense_sizes": [16, 8]}
# Names of the convolutions and dense layers in the PyTorch release.
CONVOLUTIONS, DENSE = (0, 3, 6, 8, 11, 13), (0, 2, 4)
POOL_AFTER = (0, 3, 8, 13)


def public_tensors(channels=(3, 4, 5, 6, 7, 8), dense_sizes=(12, 10, 9)):
    """State dict under the names of the release, with random values."""
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    widths = [1, *channels]
    for index, n_in, n_out in zip(CONVOLUTIONS, widths[:-1], widths[1:], strict=True):
        tensors[f"features.{index}.weight"] = torch.randn(n_out, n_in, 3, 3, generator=generator) * (n_in * 4) ** -0.5
        tensors[f"features.{index}.bias"] = torch.randn(n_out, generator=generator) * 0.1
    widths = [channels[-1] * 4 * 6, *dense_sizes]
    for index, n_in, n_out in zip(DENSE, widths[:-1], widths[1:], strict=True):
        tensors[f"embeddings.{index}.weight"] = torch.randn(n_out, n_in, generator=generator) * n_in**-0.5
        tensors[f"embeddings.{index}.bias"] = torch.randn(n_out, generator=generator) * 0.1
    return tensors


def public_forward(tensors, examples):
    """What the release computes: examples (B, 1, 96, 64) to embeddings (B, E)."""
    x = examples
    for index in CONVOLUTIONS:
        x = F.relu(F.conv2d(x, tensors[f"features.{index}.weight"], tensors[f"features.{index}.bias"], padding=1))
        if index in POOL_AFTER:
            x = F.max_pool2d(x, 2)
    x = torch.stack([x[:, :, frame, band] for frame in range(6) for band in range(4)], 1).reshape(len(x), -1)
    for index in DENSE:
        x = F.relu(F.linear(x, tensors[f"embeddings.{index}.weight"], tensors[f"embeddings.{index}.bias"]))
    return x


@pytest.fixture
def public_file(tmp_path):
    path = tmp_path / "vggish.safetensors"
    save_file(public_tensors(), path)
    return path


def load_narrow(path):
    return load_audioset_vggish(path, LABELS, channels=(3, 4, 5, 6, 7, 8), dense_sizes=(12, 10, 9))


def test_the_default_is_small():
    model = VGGish(LABELS)
    assert 0.5e6 < model.n_parameters() < 2e6
    layers = model.activations(torch.zeros(2, 98, 40))
    assert {name: tuple(layer.shape[1:]) for name, layer in layers.items()} == {
        "conv1": (96, 98),  # 16 channels in 6 bands
        "conv2": (96, 49),
        "conv3": (64, 24),
        "conv4": (64, 24),
        "conv5": (128, 12),
        "conv6": (128, 12),
        "dense1": (256,),
        "dense2": (128,),
        "logits": (4,),
    }


def test_time_stays_time():
    model = VGGish(LABELS, **TINY).freeze()
    waveforms = torch.zeros(3, 16000)
    waveforms[1, 2000], waveforms[2, 14000] = 0.5, 0.5
    for name, layer in model.activations(model.frontend(waveforms)).items():
        if name.startswith("conv"):
            change = (layer[1:] - layer[0]).abs().sum(1)
            early, late = (change.argmax(1) / (change.shape[1] - 1)).tolist()
            assert early < 0.3 and late > 0.7


@pytest.mark.parametrize("config", [{}, {"frontend": "audioset", "n_samples": 15600, "batch_norm": False}])
def test_fit_predict_from_a_file(config, italy, tmp_path):
    X, y, X_test, y_test = italy
    config = {"source_labels": LABELS, **TINY, **config}
    path = tmp_path / "tiny.safetensors"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        original = VGGish(**config)
    save_weights(original, path, "vggish", config)
    model = load_acoustic_model(path)
    before = {name: tensor.clone() for name, tensor in original.state_dict().items()}
    clf = V2SClassifier(acoustic_model=path, random_state=0).fit(X[:20], y[:20])
    assert clf.acoustic_model_ is model
    assert clf.score(X_test[:40], y_test[:40]) > 0.7
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_other_windows_and_rates(italy):
    X, y, X_test, _ = italy
    model = VGGish(LABELS, 8000, 6000, {"win_length": 240, "hop_length": 80, "n_fft": 256, "f_max": 3900.0}, **TINY)
    probabilities = V2SClassifier(acoustic_model=model, random_state=0).fit(X[:20], y[:20]).predict_proba(X_test[:5])
    np.testing.assert_allclose(probabilities.sum(1), 1)


# The released network


def test_audioset_frontend_is_that_of_the_release():
    """Against the published steps, written out in float64."""
    samples = np.random.default_rng(0).normal(0, 0.1, 15600)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    mel_of = lambda f: 1127.0 * np.log(1 + f / 700.0)  # noqa: E731
    edges = np.linspace(mel_of(125), mel_of(7500), 66)
    filters = np.zeros((257, 64))
    for k in range(257):
        mel = mel_of(k * 16000 / 512)
        for band in range(64):
            low, centre, high = edges[band : band + 3]
            filters[k, band] = max(0.0, min((mel - low) / (centre - low), (high - mel) / (high - centre)))
    frames = [samples[start : start + 400] * window for start in range(0, 15600 - 399, 160)]
    expected = np.log(np.abs(np.fft.rfft(frames, 512)) @ filters + 0.01)
    features = AudioSetLogMel()(torch.tensor(samples[None], dtype=torch.float32))
    assert features.shape == (1, 96, 64)
    np.testing.assert_allclose(features[0], expected, atol=1e-4)


def test_the_gradient_at_silence_is_finite():
    waveform = torch.zeros(1, 15600, requires_grad=True)
    AudioSetLogMel()(waveform).sum().backward()
    assert waveform.grad.isfinite().all()


def test_public_weights_give_the_public_embeddings(public_file):
    model = load_narrow(public_file).eval()
    examples = torch.randn(3, 96, 64, generator=torch.Generator().manual_seed(1))
    layers = model.activations(examples)
    expected = public_forward(public_tensors(), examples.unsqueeze(1))
    torch.testing.assert_close(torch.relu(layers["dense3"]), expected)
    assert (expected > 0).any(1).all()
    assert layers["logits"].shape == (3, 4) and model.source_labels == tuple(LABELS)
    # The same head each time, and the global random state is left alone.
    state = torch.get_rng_state()
    assert torch.equal(load_narrow(public_file).output.weight, model.output.weight)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.output.weight.requires_grad


def test_the_full_network_has_the_shapes_of_the_release():
    with torch.device("meta"):
        model = VGGish(LABELS, **AUDIOSET_VGGISH)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    expected = {name: tuple(tensor.shape) for name, tensor in public_tensors_of_full_size().items()}
    assert {name: shape for name, shape in shapes.items() if not name.startswith("output.")} == expected
    assert shapes["embeddings.0.weight"] == (4096, 12288)
    assert sum(np.prod(shape) for shape in expected.values()) == 72_141_184


def public_tensors_of_full_size():
    widths, tensors = [1, 64, 128, 256, 256, 512, 512], {}
    for index, n_in, n_out in zip(CONVOLUTIONS, widths[:-1], widths[1:], strict=True):
        tensors[f"features.{index}.weight"] = torch.empty(n_out, n_in, 3, 3, device="meta")
        tensors[f"features.{index}.bias"] = torch.empty(n_out, device="meta")
    for index, n_in, n_out in zip(DENSE, (12288, 4096, 4096), (4096, 4096, 128), strict=True):
        tensors[f"embeddings.{index}.weight"] = torch.empty(n_out, n_in, device="meta")
        tensors[f"embeddings.{index}.bias"] = torch.empty(n_out, device="meta")
    return tensors


def test_other_files_are_refused(public_file, tmp_path):
    # "meta": the full size without its memory.
    with torch.device("meta"), pytest.raises(WeightsError, match=r"shape \(3, 1, 3, 3\), needed \(64, 1, 3, 3\)"):
        load_audioset_vggish(public_file, LABELS)
    with pytest.raises(WeightsError, match="No weights file at"):
        load_narrow(tmp_path / "missing.safetensors")
    tensors = public_tensors()
    tensors["classifier.weight"] = tensors.pop("embeddings.4.weight")
    save_file(tensors, public_file)
    with pytest.raises(WeightsError, match=r"missing \['embeddings.4.weight'\], not expected \['classifier.weight'\]"):
        load_narrow(public_file)
    public_file.write_bytes(public_file.read_bytes()[:-10])
    with pytest.raises(WeightsError, match="cannot be read as safetensors"):
        load_narrow(public_file)


def test_a_pickle_is_not_read_and_the_error_says_how_to_convert_it(tmp_path, monkeypatch):
    path = tmp_path / "vggish.pth"
    torch.save(public_tensors(), path)
    with pytest.raises(WeightsError, match="convert it once") as error:
        load_narrow(path)
    # The line in the message works.
    command = str(error.value).partition("convert it once: ")[2].replace("FILE", repr(str(path)))
    monkeypatch.chdir(tmp_path)
    exec(f"import torch, safetensors.torch\n{command}")
    assert load_narrow(tmp_path / "weights.safetensors").n_classes == 4


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"channels": (8, 8)}, r"channels must be 6 widths, got \[8, 8\]"),
        ({"n_samples": 2000}, "2000 samples give 10 frames of 40 mel bands; the 4 pools need at least 16"),
        ({"frontend": "audioset", "sample_rate": 8000}, "is for 16000 Hz, got sample_rate=8000"),
    ],
)
def test_parameters_that_do_not_fit(config, message):
    with pytest.raises(InvalidParameterError, match=message):
        VGGish(LABELS, **config)
