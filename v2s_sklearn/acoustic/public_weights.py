"""Reading of the tensors of public networks from safetensors, with their names and shapes checked."""

import re
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file

from v2s_sklearn.errors import WeightsError

CONVERT = (
    "safetensors.torch.save_file({name: tensor.contiguous() for name, tensor in torch.load(FILE, map_location='cpu', "
    "weights_only=True).items()}, 'weights.safetensors')"
)


def read_public_weights(path, expected, ignore=None):
    """Return the tensors of a safetensors file.

    Parameters
    ----------
    path : path
    expected : dict of str to tensor
        Names and shapes that the tensors must have.
    ignore : str, optional
        Regular expression; tensors whose names start so may be there or not, and are left out.

    Returns
    -------
    dict of str to tensor

    Raises
    ------
    WeightsError
        If the file is missing, of another format, or its tensors have other names or shapes. Nothing is unpickled.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"No weights file at {path}. Give the path of a .safetensors file.")
    if path.suffix != ".safetensors":
        raise WeightsError(
            f"{path} is no .safetensors file, and other formats can run code when they are read. If you trust it, "
            f"convert it once: {CONVERT}"
        )
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise WeightsError(f"{path} cannot be read as safetensors ({error}). Convert or download it again.") from error
    if ignore is not None:
        tensors = {name: tensor for name, tensor in tensors.items() if not re.match(ignore, name)}
        expected = {name: tensor for name, tensor in expected.items() if not re.match(ignore, name)}
    check_tensors(path, tensors, expected)
    return tensors


def check_tensors(path, tensors, expected):
    """Raise WeightsError unless the names and shapes of two dicts of tensors are the same."""
    missing = sorted(expected.keys() - tensors.keys())
    unknown = sorted(tensors.keys() - expected.keys())
    if missing or unknown:
        raise WeightsError(
            f"{path} holds the tensors of another network: missing {missing[:5] or 'none'}, not expected "
            f"{unknown[:5] or 'none'}. Needed: {', '.join(sorted(expected))}."
        )
    for name, tensor in expected.items():
        if tensors[name].shape != tensor.shape:
            raise WeightsError(
                f"{path} has {name} of shape {tuple(tensors[name].shape)}, needed {tuple(tensor.shape)}: these are the "
                "weights of a network of another size."
            )
