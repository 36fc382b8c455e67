"""Reading of the tensors of public networks from safetensors, with their names and shapes checked."""

import os
import re
from pathlib import Path

from v2s_sklearn.errors import WeightsError
from v2s_sklearn.files.tensors import check_finite, check_tensors, read_header, read_tensors

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
        If the file is missing, of another format, or its tensors have other names or shapes or are not finite. Nothing
        is unpickled.
    """
    path = Path(path)
    if os.path.isfile(path) and path.suffix != ".safetensors":
        raise WeightsError(
            f"{path} is no .safetensors file, and other formats can run code when they are read. If you trust it, "
            f"convert it once: {CONVERT}"
        )
    _, found = read_header(path)
    if ignore is not None:
        found = {name: shape for name, shape in found.items() if not re.match(ignore, name)}
        expected = {name: tensor for name, tensor in expected.items() if not re.match(ignore, name)}
    check_tensors(path, found, expected)
    tensors = {name: tensor.to(expected[name].dtype) for name, tensor in read_tensors(path, found).items()}
    check_finite(path, tensors)
    return tensors
