import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn import functional as F

from v2s_sklearn import V2SClassifier, load_acoustic_model
from v2s_sklearn.acoustic.networks.openl3 import DecibelMel, OpenL3, fit_head, load_openl3
from v2s_sklearn.acoustic.storage import save_weights
from v2s_sklearn.errors import InvalidParameterError, SpeechDataError, WeightsError

LABELS = ["siren", "dog", "rain"]
# A quarter of a second at 48 kHz: 50 frames, 6 of them before the last pool.
TINY = {
    "n_samples": 12000,
    "frontend": {"n_mels": 32, "n_fft": 1024},
    "channels": [3, 4, 5, 6],
    "pool_size": [2, 3],
}


def public_tensors(channels=(3, 4, 5, 6)):
    """State dict under the names of the PyTorch release, with random values."""
    generator = torch.Generator().manual_seed(0)
    widths = [1, *(width for width in channels for _ in range(2))]
    tensors = {"speclayer.mel_basis": torch.zeros(3, 3)}
    for number, (n_in, n_out) in enumerate(zip(widths[:-1], widths[1:], strict=True), start=1):
        conv = f"conv2d_{number}" if number < 8 else "audio_embedding_layer"
        tensors[f"{conv}.weight"] = torch.randn(n_out, n_in, 3, 3, generator=generator) * (n_in * 4) ** -0.5
        tensors[f"{conv}.bias"] = torch.randn(n_out, generator=generator) * 0.1
        norm = f"batch_normalization_{number}"
        tensors[f"{norm}.weight"] = 0.5 + torch.rand(n_in, generator=generator)
        tensors[f"{norm}.bias"] = torch.randn(n_in, generator=generator) * 0.1
        # Decibels lie between -80 and 0; the layers between them around 0.
        tensors[f"{norm}.running_mean"] = torch.randn(n_in, generator=generator) * 0.1 - 40.0 * (number == 1)
        tensors[f"{norm}.running_var"] = torch.ones(n_in) * (400.0 if number == 1 else 1.0)
        tensors[f"{norm}.num_batches_tracked"] = torch.tensor(0)
    return tensors


def public_forward(tensors, decibel, pool_size):
    """What the release computes: (B, 1, M, F) to embeddings (B, E), flattened with the channels last."""

    def norm(x, number):
        name = f"batch_normalization_{number}"
        mean, variance = tensors[f"{name}.running_mean"], tensors[f"{name}.running_var"]
        scale = tensors[f"{name}.weight"] / torch.sqrt(variance + 0.001)
        return (x - mean[:, None, None]) * scale[:, None, None] + tensors[f"{name}.bias"][:, None, None]

    def conv(x, name):
        return F.conv2d(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"], padding=1)

    x = norm(decibel, 1)
    for block in (1, 2, 3):
        x = F.relu(norm(conv(x, f"conv2d_{2 * block - 1}"), 2 * block))
        x = F.max_pool2d(F.relu(norm(conv(x, f"conv2d_{2 * block}"), 2 * block + 1)), 2)
    x = conv(F.relu(norm(conv(x, "conv2d_7"), 8)), "audio_embedding_layer")
    return F.max_pool2d(x, pool_size).permute(0, 2, 3, 1).reshape(len(x), -1)


@pytest.fixture
def public_file(tmp_path):
    path = tmp_path / "openl3.safetensors"
    save_file(public_tensors(), path)
    return path


@pytest.fixture(scope="module")
def sounds():
    """Three kinds of sound, 12 clips each: a falling tone, clicks, noise."""
    rng = np.random.default_rng(0)
    time = np.arange(12000) / 48000
    waveforms, labels = [], []
    for _ in range(12):
        waveforms.append(np.sin(2 * np.pi * rng.uniform(1000, 3000) * time * (1 - time)))
        waveforms.append((np.arange(12000) % rng.integers(800, 2000) == 0) * 0.9)
        waveforms.append(rng.normal(0, 0.1, 12000))
        labels += LABELS
    noise = rng.normal(0, 1e-3, (36, 12000))
    return (np.array(waveforms) + noise).astype(np.float32), labels


# The released network


def test_the_frontend_is_that_of_the_release():
    """Against the published steps, written out in float64."""
    samples = np.random.default_rng(0).normal(0, 0.1, 48000) * np.linspace(0, 1, 48000) ** 8
    padded = np.pad(samples, 982)  # "same" padding: 2048 - 48000 % 242 zeros
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(2048) / 2048)
    frames = [padded[start : start + 2048] * window for start in range(0, len(padded) - 2047, 242)]
    power = np.abs(np.fft.rfft(frames)) ** 2
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 24000 / 700), 258) / 2595) - 1)
    bins = np.arange(1025) * 48000 / 2048
    filters = np.zeros((1025, 256))
    for band in range(256):
        low, centre, high = edges[band : band + 3]
        for k in range(1025):
            weight = min((bins[k] - low) / (centre - low), (high - bins[k]) / (high - centre))
            filters[k, band] = max(0.0, weight) * 2 / (high - low)
    decibel = 10 * np.log10(np.maximum(np.sqrt(power @ filters), 1e-10))
    expected = np.maximum(decibel - decibel.max(), -80)
    features = DecibelMel()(torch.tensor(samples[None], dtype=torch.float32))
    assert features.shape == (1, 199, 256) and DecibelMel().n_frames(48000) == 199
    np.testing.assert_allclose(features[0], expected, atol=2e-2)
    assert expected.min() == -80 and (expected > -80).mean() > 0.3


def test_clips_do_not_mix_and_loudness_cancels():
    frontend = DecibelMel(n_mels=32)
    waveforms = torch.randn(2, 12000, generator=torch.Generator().manual_seed(0)) * torch.tensor([[0.01], [0.5]])
    features = frontend(waveforms)
    torch.testing.assert_close(frontend(waveforms[:1]), features[:1])
    torch.testing.assert_close(frontend(waveforms * 0.1), features, atol=1e-3, rtol=0)
    assert (features.amax((1, 2)) == 0).all()
    assert (frontend(torch.zeros(1, 12000)) == 0).all()


def test_the_gradient_is_finite_also_at_silence(public_file):
    model = load_openl3(public_file, LABELS, **TINY).freeze()
    waveforms = torch.randn(2, 12000, generator=torch.Generator().manual_seed(0)) * 0.1
    waveforms[0] = 0
    waveforms.requires_grad_()
    model(waveforms).sum().backward()
    assert waveforms.grad.isfinite().all()
    assert (waveforms.grad[1] != 0).float().mean() > 0.5


def test_public_weights_give_the_public_embeddings(public_file):
    model = load_openl3(public_file, LABELS, **TINY).eval()
    features = torch.rand(2, 50, 32, generator=torch.Generator().manual_seed(1)) * -80
    layers = model.activations(features)
    expected = public_forward(public_tensors(), features.transpose(1, 2).unsqueeze(1), (2, 3))
    assert expected.shape == (2, 6 * 2 * 2)
    torch.testing.assert_close(layers["embedding"], expected)
    assert model.source_labels == tuple(LABELS) and layers["logits"].shape == (2, 3)
    assert [tuple(layers[f"block{n}"].shape[1:]) for n in (1, 2, 3, 4)] == [(96, 50), (64, 25), (40, 12), (24, 6)]
    assert torch.equal(load_openl3(public_file, LABELS, **TINY).output.weight, model.output.weight)


def test_the_full_network_has_the_shapes_of_the_release():
    tensors = {name: tensor for name, tensor in public_tensors((64, 128, 256, 512)).items() if "speclayer" not in name}
    for pool_size, n_embedding in (((32, 24), 512), ((8, 8), 6144)):
        with torch.device("meta"):
            model = OpenL3(LABELS, pool_size=pool_size)
        shapes = {name: tensor.shape for name, tensor in model.public_state().items()}
        assert shapes == {name: tensor.shape for name, tensor in tensors.items()}
        assert model.n_embedding == n_embedding and (model.sample_rate, model.n_samples) == (48000, 48000)


def test_other_files_are_refused(public_file):
    with pytest.raises(WeightsError, match="weights of a network of another size"):
        load_openl3(public_file, LABELS, **(TINY | {"channels": [3, 4, 5, 7]}))
    tensors = public_tensors()
    del tensors["audio_embedding_layer.bias"]
    save_file(tensors, public_file)
    with pytest.raises(WeightsError, match=r"missing \['audio_embedding_layer.bias'\], not expected none"):
        load_openl3(public_file, LABELS, **TINY)
    with pytest.raises(WeightsError, match="is no .safetensors file"):
        load_openl3(public_file.rename(public_file.with_suffix(".pt")), LABELS, **TINY)


# The head


@pytest.mark.parametrize("labels", [LABELS, LABELS[:2]])
@pytest.mark.parametrize("hidden_sizes", [(), (7,)])
def test_the_head_is_scikit_learns(labels, hidden_sizes, public_file, sounds):
    rows = [row for row, label in enumerate(sounds[1]) if label in labels]
    waveforms, y = sounds[0][rows], np.array(sounds[1])[rows]
    model = load_openl3(public_file, labels, hidden_sizes=hidden_sizes, **TINY)
    before = {name: tensor.clone() for name, tensor in model.public_state().items()}
    assert fit_head(model, waveforms, y, C=0.5, batch_size=10) is model
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.public_state().items())
    with torch.no_grad():
        embeddings = model.activations(model.frontend(torch.from_numpy(waveforms)))["embedding"].double().numpy()
    if hidden_sizes:
        classifier = MLPClassifier(hidden_sizes, solver="lbfgs", alpha=2.0, max_iter=1000, random_state=0)
    else:
        classifier = LogisticRegression(C=0.5, max_iter=1000)
    reference = make_pipeline(StandardScaler(), classifier).fit(embeddings, y)
    expected = reference.predict_proba(embeddings)[:, [list(reference.classes_).index(label) for label in labels]]
    probabilities = model.predict_proba(torch.from_numpy(waveforms)).numpy()
    np.testing.assert_allclose(probabilities, expected, atol=1e-3)
    assert (np.array(labels)[probabilities.argmax(1)] == y).mean() > 0.9


def test_waveforms_and_labels_have_to_fit_the_model(public_file, sounds):
    waveforms, labels = sounds
    model = load_openl3(public_file, LABELS, **TINY)
    with pytest.raises(SpeechDataError, match=r"must have shape \(36, 12000\), .* 48000 Hz; got \(36, 11000\)"):
        fit_head(model, waveforms[:, :11000], labels)
    with pytest.raises(SpeechDataError, match=r"got \(35, 12000\)"):
        fit_head(model, waveforms[:35], labels)
    with pytest.raises(SpeechDataError, match="labels must be the source labels of the model"):
        fit_head(model, waveforms, ["siren", "dog", "dog"] * 12)


# As a source


def test_fit_predict_from_a_file(public_file, sounds, italy, tmp_path):
    X, y, X_test, y_test = italy
    model = fit_head(load_openl3(public_file, LABELS, **TINY), *sounds)
    path = tmp_path / "v2so.safetensors"
    save_weights(model, path, "openl3", {"source_labels": LABELS, **TINY})
    loaded = load_acoustic_model(path)
    assert (loaded.sample_rate, loaded.n_samples) == (48000, 12000)
    waveforms = torch.from_numpy(sounds[0][:6])
    torch.testing.assert_close(loaded.predict_proba(waveforms), model.predict_proba(waveforms))
    clf = V2SClassifier(acoustic_model=path, random_state=0).fit(X[:20], y[:20])
    assert clf.acoustic_model_ is loaded
    assert clf.score(X_test[:40], y_test[:40]) > 0.7
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in loaded.state_dict().items())


def test_the_papers_method_on_it(public_file, italy):
    X, y, X_test, _ = italy
    model = load_openl3(public_file, LABELS, **TINY)
    clf = V2SClassifier.icml2021(acoustic_model=model, max_epochs=1, random_state=0).fit(X[:10], y[:10])
    assert clf.theta_.shape == (12000,)
    np.testing.assert_allclose(clf.predict_proba(X_test[:3]).sum(1), 1)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"channels": (8, 8)}, r"channels must be 4 widths, got \[8, 8\]"),
        ({"n_samples": 24000}, r"24000 samples give 32 mel bands and 12 frames before the last pool of \(32, 24\)"),
    ],
)
def test_parameters_that_do_not_fit(config, message):
    with pytest.raises(InvalidParameterError, match=message):
        OpenL3(LABELS, **config)
