"""Weights files: safetensors with the model's configuration in the header, verified by sha256.

The packaged files lie in ``weights/`` beside this file; ``weights/SHA256SUMS`` holds their checksums.
"""

import hashlib
import json
import os
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from v2s_sklearn.acoustic.attention_rnn import AttentionRNN
from v2s_sklearn.acoustic.openl3 import OpenL3
from v2s_sklearn.acoustic.resnet import ResNet
from v2s_sklearn.acoustic.sincnet import SincNet
from v2s_sklearn.acoustic.tcn import TemporalConvNet
from v2s_sklearn.acoustic.unet import UNetAttentionRNN
from v2s_sklearn.acoustic.vggish import VGGish
from v2s_sklearn.acoustic.wav2vec import Wav2Vec
from v2s_sklearn.errors import WeightsError

WEIGHTS_DIR = Path(__file__).parent / "weights"
CHECKSUMS_FILE = "SHA256SUMS"
HEADER_KEY = "v2s_sklearn"
ARCHITECTURES = {
    "attention_rnn": AttentionRNN,
    "openl3": OpenL3,
    "resnet": ResNet,
    "sincnet": SincNet,
    "tcn": TemporalConvNet,
    "unet_attention_rnn": UNetAttentionRNN,
    "vggish": VGGish,
    "wav2vec": Wav2Vec,
}


def sha256_of(path):
    """Return the sha256 of a file as 64 hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_checksums(directory=WEIGHTS_DIR):
    """Return the recorded checksums of a folder: a dict of file name to sha256, empty without a record."""
    path = Path(directory) / CHECKSUMS_FILE
    if not path.exists():
        return {}
    pairs = (line.split(maxsplit=1) for line in path.read_text().splitlines() if line.strip())
    return {name.strip(): digest for digest, name in pairs}


def write_atomically(path, content):
    """Write bytes to a file so that a kill leaves the old content or the new one, whole."""
    path = Path(path)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(content)
    os.replace(temporary, path)


def save_weights(model, path, architecture, config):
    """Write a model's weights with its configuration, and record the checksum beside it.

    Parameters
    ----------
    model : AcousticModel
    path : path
        Ends in ``.safetensors``.
    architecture : str
        A key of ``ARCHITECTURES``.
    config : dict
        Keyword arguments that build the model; JSON types only.

    Returns
    -------
    str
        The sha256 of the file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    header = json.dumps({"architecture": architecture, "config": config}, sort_keys=True)
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    write_atomically(path, save(tensors, metadata={HEADER_KEY: header}))
    checksums = read_checksums(path.parent) | {path.name: sha256_of(path)}
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(checksums.items()))
    write_atomically(path.parent / CHECKSUMS_FILE, lines.encode())
    return checksums[path.name]


def load_weights(path, sha256=None):
    """Build a model from a weights file.

    Parameters
    ----------
    path : path
        A file that `save_weights` wrote.
    sha256 : str, optional
        What the file's checksum has to be.

    Returns
    -------
    model : AcousticModel
        Frozen.
    sha256 : str
        The checksum of the file.

    Raises
    ------
    WeightsError
        If the file is missing, is not such a file, or has another checksum. Nothing is unpickled.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"No weights file at {path}. Give the name of an acoustic model or the path of a file.")
    digest = sha256_of(path)
    if sha256 is not None and digest != sha256:
        raise WeightsError(
            f"{path} has sha256 {digest}, expected {sha256}: the file was changed or damaged. Install the package "
            "again, or restore the file that the estimator was fitted with."
        )
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[HEADER_KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        model = ARCHITECTURES[header["architecture"]](**header["config"])
        model.load_state_dict(tensors)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"{path} is not a weights file of v2s_sklearn ({type(error).__name__}: {error}). Needed: safetensors with "
            f"the configuration under {HEADER_KEY!r} in the header, as python -m v2s_sklearn.pretrain writes it."
        ) from error
    return model.freeze(), digest
