"""Files that ask for too much, or for a network that cannot work: one error that names the file, at little cost."""

import json
import re
import resource
import struct

import pytest
import torch
from conftest import TINY_CONFIG, make_tiny_model, make_tiny_wave_model
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from v2s_sklearn import load_acoustic_model
from v2s_sklearn.acoustic import storage
from v2s_sklearn.acoustic.networks.contour import ContourNet
from v2s_sklearn.acoustic.networks.openl3 import OpenL3
from v2s_sklearn.acoustic.networks.sincnet import SincNet
from v2s_sklearn.acoustic.networks.vggish import VGGish
from v2s_sklearn.acoustic.storage import HEADER_KEY, check_sounds, load_weights, save_weights
from v2s_sklearn.errors import WeightsError
from v2s_sklearn.files import checksums
from v2s_sklearn.files.public_weights import read_public_weights

LABELS = TINY_CONFIG["source_labels"]
SMALL = {
    "attention_rnn": (make_tiny_model, TINY_CONFIG),
    "contour": (
        lambda: ContourNet(LABELS, channels=[4, 4], kernel_sizes=[3, 3], n_blocks=[1, 1]),
        {"source_labels": LABELS, "channels": [4, 4], "kernel_sizes": [3, 3], "n_blocks": [1, 1]},
    ),
    "openl3": (
        lambda: OpenL3(LABELS, n_samples=24000, channels=[2, 2, 2, 2], pool_size=[32, 12]),
        {"source_labels": LABELS, "n_samples": 24000, "channels": [2, 2, 2, 2], "pool_size": [32, 12]},
    ),
    "sincnet": (
        lambda: SincNet(LABELS, n_samples=4000, n_filters=4, channels=[4]),
        {"source_labels": LABELS, "n_samples": 4000, "n_filters": 4, "channels": [4]},
    ),
    "vggish": (
        lambda: VGGish(LABELS, channels=[2] * 6, dense_sizes=[4]),
        {"source_labels": LABELS, "channels": [2] * 6, "dense_sizes": [4]},
    ),
    "wav2vec": (
        make_tiny_wave_model,
        {
            "source_labels": LABELS,
            "n_samples": 4000,
            "encoder_channels": [8] * 5,
            "n_context_layers": 1,
            "n_steps": 1,
        },
    ),
}
HUGE = 10**7
HOSTILE = {
    "attention_rnn": [{"n_samples": value} for value in (HUGE, 2**63, 0, 1, -1, 16000.5, "16000", None, True, [16000])]
    + [{"sample_rate": value} for value in (0, -16000, 10**12, "x", 16000.0)]
    + [{"hidden_size": value} for value in (HUGE, 0, -8, 8.0, 9)]
    + [{"dense_sizes": value} for value in ([HUGE], [8] * 10**5, [8.5], 8, [[8]], {"a": 8})]
    + [{"conv_channels": value} for value in ([], [16], [16, 4, 4], [0, 4])]
    + [{"dropout": value} for value in (1, -0.1, "x")]
    + [{"source_labels": value} for value in ([], [1] * 12, ["a"] * 12, "abcdefghijkl", LABELS[:-1])]
    + [{"unknown": 1}, {"self": 1}, {"args": 1}]
    + [
        {"frontend": value}
        for value in (
            {"n_mels": HUGE},
            {"n_mels": 0},
            {"n_fft": 2**40},
            {"n_fft": 8},
            {"win_length": HUGE},
            {"win_length": 0},
            {"win_length": 513},
            {"hop_length": 0},
            {"hop_length": 1, "n_fft": 2**15},
            {"hop_length": -160},
            {"f_min": 5000.0},
            {"f_min": -1.0},
            {"f_max": 9000.0},
            {"f_max": 0.0},
            {"std": 0},
            {"std": 1e-300},
            {"std": -1.0},
            {"log_offset": -300.0},
            {"log_offset": 0},
            {"mean": 1e300},
            {"sample_rate": 16000},
            {"other": 1},
            "audioset",
            "other",
            [1],
            3,
        )
    ],
    "contour": [
        {"channels": []},
        {"kernel_sizes": [4, 4]},
        {"kernel_sizes": [3]},
        {"n_blocks": 1},
        {"n_blocks": [HUGE, 1]},
        {"n_blocks": []},
        {"n_bands": HUGE},
        {"n_points": HUGE},
        {"n_points": 1},
    ],
    "openl3": [
        {"pool_size": [0, 12]},
        {"pool_size": [HUGE, HUGE]},
        {"pool_size": [32]},
        {"channels": []},
        {"frontend": {"hop_length": 0}},
        {"frontend": {"n_fft": 2**30}},
    ],
    "sincnet": [
        {"stride": 0},
        {"pool": 0},
        {"hop": 0},
        {"pool": 3999},
        {"kernel_size": HUGE},
        {"kernel_size": 0},
        {"kernel_size": 4001},
        {"f_min": 5000.0},
        {"f_max": 1e300},
        {"channels": []},
        {"n_filters": HUGE},
    ],
    "vggish": [
        {"channels": []},
        {"channels": [2] * 5},
        {"dense_sizes": [HUGE]},
        {"n_samples": 480},
        {"batch_norm": "yes"},
        {"batch_norm": False},
        {"frontend": "audioset", "sample_rate": 8000},
    ],
    "wav2vec": [{"encoder_channels": []}, {"n_context_layers": HUGE}, {"n_steps": HUGE}, {"n_samples": 400}],
}
CASES = [(architecture, change) for architecture, changes in HOSTILE.items() for change in changes]


def write(path, architecture, config, **tensors):
    """Write the tensors of a small network under some configuration, as `save_weights` does without its checks."""
    state = {name: tensor.contiguous() for name, tensor in SMALL[architecture][0]().state_dict().items()}
    header = config if isinstance(config, str) else json.dumps({"architecture": architecture, "config": config})
    save_file(state | tensors, path, {HEADER_KEY: header})
    return path


def refuse(path, load=load_weights):
    """Check that a file is refused by name, for less than 200 MB."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(WeightsError, match=re.escape(str(path))) as error:
        load(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # in kB
    return str(error.value)


@pytest.mark.parametrize("architecture", SMALL)
def test_the_small_networks_load(architecture, tmp_path):
    make, config = SMALL[architecture]
    path, original = tmp_path / "small.safetensors", make()
    save_weights(original, path, architecture, config)
    model, _ = load_weights(path)
    assert model.source_labels == tuple(LABELS)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in original.state_dict().items())


@pytest.mark.parametrize(("architecture", "change"), CASES, ids=[f"{name}-{str(value)[:40]}" for name, value in CASES])
def test_configurations_that_ask_for_too_much_or_cannot_work(architecture, change, tmp_path):
    config = SMALL[architecture][1] | change
    refuse(write(tmp_path / "hostile.safetensors", architecture, config))
    with pytest.raises((WeightsError, ValueError, TypeError, RuntimeError)):
        save_weights(SMALL[architecture][0](), tmp_path / "saved.safetensors", architecture, config)
        load_weights(tmp_path / "saved.safetensors")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=50, deadline=None)
@given(
    architecture=st.sampled_from(list(SMALL)),
    name=st.sampled_from(sorted({name for changes in HOSTILE.values() for change in changes for name in change})),
    value=JSON_VALUES,
)
def test_any_value_of_a_parameter_is_refused_or_gives_a_network_that_works(tmp_path_factory, architecture, name, value):
    path = write(
        tmp_path_factory.mktemp("any") / "any.safetensors", architecture, SMALL[architecture][1] | {name: value}
    )
    try:
        model, _ = load_weights(path)
    except WeightsError as error:
        assert str(path) in str(error)
    else:
        check_sounds(model)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "null",
        "[]",
        "{}",
        "no json",
        "[" * 10**5,
        '{"architecture": "attention_rnn"}',
        '{"architecture": [], "config": {}}',
        '{"architecture": "attention_rnn", "config": []}',
        '{"architecture": "attention_rnn", "config": {}}',
        '{"architecture": "attention_rnn", "config": {"source_labels": ["a"], "dropout": NaN}}',
        '{"architecture": "attention_rnn", "config": {"source_labels": ["a"], "n_samples": ' + "9" * 10**5 + "}}",
    ],
    ids=lambda header: header[:60],
)
def test_other_headers(header, tmp_path):
    refuse(write(tmp_path / "hostile.safetensors", "attention_rnn", header))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_weights_that_are_not_finite(value, tmp_path):
    bias = torch.full((12,), value, dtype=torch.float64)
    message = refuse(write(tmp_path / "x.safetensors", "attention_rnn", TINY_CONFIG, **{"output.bias": bias}))
    assert "values in output.bias that are NaN, infinite or too large" in message


def test_finite_weights_whose_answers_are_not(tmp_path):
    huge = {"output.weight": torch.full((12, 8), 3e38), "dense.0.bias": torch.full((8,), 3e38)}
    path = write(tmp_path / "x.safetensors", "attention_rnn", TINY_CONFIG, **huge)
    assert "its layer 'logits' is not finite for silence or a tone" in refuse(path)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"output.bias": torch.zeros(13)}, "has output.bias of shape"),
        ({"output.bias": torch.zeros(12, dtype=torch.int32)}, "has output.bias as integers"),
        ({"more": torch.zeros(1)}, "not expected .'more'"),
    ],
)
def test_other_tensors(tensors, message, tmp_path):
    assert re.search(message, refuse(write(tmp_path / "x.safetensors", "attention_rnn", TINY_CONFIG, **tensors)))


def sparse(path, n_bytes, header=b""):
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(n_bytes)
    return path


def test_large_sparse_files_are_not_read(tmp_path, monkeypatch):
    """They take no room on the disk; their checksum would take a minute."""
    n_bytes = 20 * 10**9
    for module in (checksums, storage):
        monkeypatch.setattr(module, "sha256_of", lambda path: pytest.fail("the whole file was read"))
    for load in (load_weights, load_acoustic_model):
        refuse(sparse(tmp_path / "zeros.safetensors", n_bytes), load)
        header = json.dumps(
            {
                "__metadata__": {HEADER_KEY: json.dumps({"architecture": "attention_rnn", "config": TINY_CONFIG})},
                "output.bias": {"dtype": "U8", "shape": [n_bytes], "data_offsets": [0, n_bytes]},
            }
        ).encode()
        refuse(sparse(tmp_path / "one.safetensors", 8 + len(header) + n_bytes, header), load)
    with pytest.raises(WeightsError, match="another network"):
        read_public_weights(tmp_path / "one.safetensors", {"weight": torch.zeros(3)})


@pytest.mark.parametrize(
    "name", ["a" * 300, "a" * 300 + ".safetensors", "a/" * 3000, "~" * 300, "a\0b", "hf:" + "a" * 300]
)
def test_names_that_no_file_can_have(name):
    with pytest.raises(ValueError):
        load_acoustic_model(name)
