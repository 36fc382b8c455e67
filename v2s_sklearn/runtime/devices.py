"""The torch device that a parameter stands for."""

import torch

from v2s_sklearn.errors import InvalidParameterError


def resolve_device(device):
    """Return the torch device that a ``device`` parameter stands for.

    Raises
    ------
    InvalidParameterError
        If torch does not know it or cannot use it here.
    """
    if device == "auto":
        # A forked child cannot use the GPU if its parent did.
        usable = torch.cuda.is_available() and not torch.cuda._is_in_bad_fork()
        device = "cuda" if usable else "cpu"
    try:
        return torch.empty(0, device=device).device  # with its number
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InvalidParameterError(
            f"device={device!r} cannot be used here: {reason}. Take 'auto', 'cpu' or a device of this machine."
        ) from error


def device_or_cpu(device):
    """Return the torch device that a ``device`` parameter stands for, the CPU if this machine has none such."""
    try:
        return resolve_device(device)
    except InvalidParameterError:
        return torch.device("cpu")
