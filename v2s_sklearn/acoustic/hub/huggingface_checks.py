"""Checks of a Hugging Face checkpoint before transformers builds anything from it.

transformers takes what configurations say: a few bytes would make it allocate gigabytes.
"""

from pathlib import Path

import torch

from v2s_sklearn.acoustic.configuration import FOURIER_LENGTH, MEL_BANDS, SAMPLE_RATE, integer, number
from v2s_sklearn.errors import WeightsError
from v2s_sklearn.files.tensors import read_header, read_json

MAX_INTEGER = 2**20
MAX_WINDOW = 2**20  # samples; Whisper's are 480,000
# Weights and buffers that a network may have beyond those in its files.
SPARE_VALUES = 2**22

# Need and check of values by their name, wherever they stand; integers of other names are at most `MAX_INTEGER`.
PARAMETERS = {
    "chunk_length": integer(1, 60),
    "feature_size": MEL_BANDS,
    "fft_overlap_size": FOURIER_LENGTH,
    "hop_length": integer(1, 2**15),
    "max_length": integer(1, 2**14),
    "max_source_positions": integer(1, 2**16),
    "mean": number(-1e6, 1e6),
    "n_fft": FOURIER_LENGTH,
    "num_labels": integer(1, 2**14),
    "num_mel_bins": MEL_BANDS,
    "padding_value": number(-1e6, 1e6),
    "sampling_rate": SAMPLE_RATE,
    "std": number(1e-6, 1e6),
}


def read_object(path):
    """Return the object in a JSON file; raise WeightsError if it holds something else."""
    try:
        found = read_json(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:  # of the encoding, too
        raise WeightsError(f"{path} is no JSON ({error}). Download the checkpoint again.") from error
    if not isinstance(found, dict):
        raise WeightsError(f"{path} holds a {type(found).__name__}, needed: an object. Download the checkpoint again.")
    return found


def shard_names(path):
    """Return the names of the weights files that an index names; raise WeightsError if it is damaged."""
    names = read_object(path).get("weight_map")
    names = set(names.values()) if isinstance(names, dict) and all(map(_is_text, names.values())) else set()
    if not names or any(Path(name).name != name or not name.endswith(".safetensors") for name in names):
        raise WeightsError(
            f"{path} must have a weight_map of the names of tensors and of .safetensors files in the same folder. "
            "Download the checkpoint again."
        )
    return sorted(names)


def _is_text(value):
    return isinstance(value, str)


def check_values(path, n_tensors):
    """Raise WeightsError if a JSON file asks for more than a network of so many tensors can need.

    Parameters
    ----------
    path : path
        The configuration of a model or of its feature extractor.
    n_tensors : int
        In its weights files.
    """
    layers = integer(0, min(512, n_tensors))
    waiting = [("", read_object(path))]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.items()
        elif isinstance(value, list):
            waiting += ((name, item) for item in value)
        elif value is not None and (isinstance(value, int | float) or name in PARAMETERS):
            default = ("a value within 1048576", lambda number: abs(number) <= MAX_INTEGER or type(number) is not int)
            need, check = layers if name.endswith("_layers") else PARAMETERS.get(name, default)
            if not check(value):
                raise WeightsError(f"{path} has {name}={value!r}, needed: {need}. Take the checkpoint's own file.")


def count_values(paths):
    """Return how many tensors and how many values safetensors files hold, from their headers."""
    shapes = [shape for path in paths for shape, _ in read_header(path)[1].values()]
    return len(shapes), sum(torch.Size(shape).numel() for shape in shapes)


def source_labels(reference, config):
    """Return the names of the classes; raise WeightsError if one has none."""
    labels = [config.id2label.get(index) for index in range(config.num_labels)]
    if not labels or not all(map(_is_text, labels)):
        wrong = [index for index, label in enumerate(labels) if not _is_text(label)]
        raise WeightsError(
            f"The checkpoint {reference!r} has no names for the classes {wrong[:5]} of {len(labels)}. Needed: id2label "
            "in config.json with a text for each number from 0."
        )
    return labels


def check_size(transformers, reference, config, n_values):
    """Raise WeightsError if the network of a configuration is larger than its files, before it takes memory."""
    with torch.device("meta"):
        network = transformers.AutoModelForAudioClassification.from_config(config, attn_implementation=None)
    needed = sum(tensor.numel() for part in (network.parameters(), network.buffers()) for tensor in part)
    if needed > 2 * n_values + SPARE_VALUES:
        raise WeightsError(
            f"The checkpoint {reference!r} is of a network of {needed} values by its config.json, and its files hold "
            f"{n_values}. Needed: the configuration of these weights."
        )
