"""Tensors in safetensors files: names, shapes and types are checked from the header, before a tensor is read."""

import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from v2s_sklearn.errors import WeightsError

# Headers of networks with a thousand layers have a twentieth of this.
MAX_HEADER_BYTES = 2**22


def read_header(path, max_bytes=MAX_HEADER_BYTES):
    """Return what stands in the header of a file.

    Parameters
    ----------
    path : path
    max_bytes : int, optional
        A longer header is refused.

    Returns
    -------
    metadata : dict of str to str
    tensors : dict of str to (tuple of int, bool)
        Shape of each tensor, and whether its values are floating-point numbers.

    Raises
    ------
    WeightsError
        If there is no such file, or it is no safetensors file, or not a whole one.
    """
    path = Path(path)
    if not os.path.isfile(path):  # Path.is_file raises where a name is too long
        raise WeightsError(f"No weights file at {path}. Give the name of an acoustic model or the path of a file.")
    with open(path, "rb") as file:
        if int.from_bytes(file.read(8), "little") > max_bytes:
            raise WeightsError(
                f"{path} is not a safetensors file, or its header has more than {max_bytes} bytes. Convert or "
                "download it again."
            )
    try:
        with safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}
            tensors = {
                name: (tuple(part.get_shape()), part.get_dtype().startswith(("F", "BF")))
                for name, part in slices.items()
            }
            return file.metadata() or {}, tensors
    except SafetensorError as error:
        raise WeightsError(f"{path} cannot be read as safetensors ({error}). Convert or download it again.") from error


def check_tensors(path, found, expected):
    """Raise WeightsError unless a file holds the tensors that are expected.

    Parameters
    ----------
    path : path
    found : dict of str to (tuple of int, bool)
        From `read_header`.
    expected : dict of str to tensor
        Those of the network, which may lie on the "meta" device.
    """
    missing, unknown = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    if missing or unknown:
        needed = sorted(expected)
        raise WeightsError(
            f"{path} holds the tensors of another network: missing {missing[:5] or 'none'}, not expected "
            f"{unknown[:5] or 'none'}. Needed: {', '.join(needed[:20])}{' ...' if len(needed) > 20 else ''}."
        )
    for name, tensor in expected.items():
        shape, is_floating_point = found[name]
        if shape != tuple(tensor.shape):
            raise WeightsError(
                f"{path} has {name} of shape {shape}, needed {tuple(tensor.shape)}: these are the weights of a network "
                "of another size."
            )
        if is_floating_point != tensor.is_floating_point():
            raise WeightsError(
                f"{path} has {name} as {'floating-point numbers' if is_floating_point else 'integers'}, needed "
                f"{tensor.dtype}. Convert the file again."
            )


def read_tensors(path, names=None):
    """Return the tensors of a file that has been checked, all or some, by name."""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in (file.keys() if names is None else names)}


def check_finite(path, tensors):
    """Raise WeightsError if one of the tensors, by name, has values that are NaN or infinite."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise WeightsError(
                f"{path} has values in {name} that are NaN, infinite or too large for single precision. Restore the "
                "file, or train the model again."
            )


def read_json(text):
    """Return what a text in JSON stands for; unlike Python's own reader, without NaN and infinity.

    Raises
    ------
    ValueError
        If it is no JSON.
    """

    def refuse(constant):
        """Raise an error for NaN and infinity, which Python's parser takes."""
        raise ValueError(f"{constant} is no JSON")

    try:
        return json.loads(text, parse_constant=refuse)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
