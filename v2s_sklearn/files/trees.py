"""Nested values and arrays in one safetensors file, without pickle.

The values, a tree of dicts, lists, numbers and texts, stand as JSON in the header of the file, arrays under names that
the JSON refers to. What JSON lacks is written as an object with one key that says what it is:

``{"dict": {...}}``, ``{"items": [[key, value], ...]}`` (keys that are no texts), ``{"tuple": [...]}``,
``{"float": "inf"}``, ``{"scalar": 3, "dtype": "<i8"}``, ``{"array": name}``, ``{"tensor": name}``,
``{"range": [start, stop], "dtype": "<i8"}`` (an array of successive integers), ``{"times": name, "dtype": "<M8[ns]"}``,
``{"values": [...], "dtype": "<U3", "shape": [3]}`` (an array of texts or objects), ``{"path": text}``, ``{"device":
text}`` and ``{"random state": [...]}`` (numpy's). The rest is JSON's own.

A class of this package gives its own object by a method ``to_tree(name, writer)``, see `module_tree` of
`v2s_sklearn.runtime.portable_modules`; what makes it again is told to the reader.
"""

import hashlib
import json
import math
import os
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save
from torch import nn

from v2s_sklearn.errors import SavedFileError, V2SError, WeightsError
from v2s_sklearn.files.checksums import digest_of_tensors
from v2s_sklearn.files.tensors import read_header, read_json
from v2s_sklearn.files.writing import write_atomically
from v2s_sklearn.runtime.portable_modules import module_tree, to_tensor

KEY = "v2s_sklearn tree"
MAX_HEADER_BYTES = 2**26
# An array that the JSON describes in few characters has at most so many bytes.
MAX_DESCRIBED_BYTES = 2**28


def _join(name, part):
    return f"{name}.{part}" if name else str(part)


def _refuse(value, name):
    raise SavedFileError(
        f"{name} is a {type(value).__name__}, which cannot be saved without pickle. Take it out before, for "
        "example callbacks by set_params(callbacks=None), or use pickle."
    )


class TreeWriter:
    """Encodes values as JSON and collects the arrays among them."""

    def __init__(self):
        self.arrays = {}
        self._numbers = {}

    def number(self, value):
        """Return the number of an object that may stand in the tree several times, and whether it stands there yet."""
        known = id(value) in self._numbers
        number, _ = self._numbers.setdefault(id(value), (len(self._numbers), value))  # kept, so that its id stays its
        return number, known

    def encode(self, value, name):
        """Return a value as JSON; ``name`` says where in the tree it stands."""
        if value is None or isinstance(value, bool | int | str):
            return str(value) if isinstance(value, str) else value
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else {"float": str(float(value))}
        if type(value) in (list, tuple):
            items = [self.encode(item, _join(name, index)) for index, item in enumerate(value)]
            return items if type(value) is list else {"tuple": items}
        if isinstance(value, dict):
            if all(isinstance(key, str) for key in value):
                return {"dict": {str(key): self.encode(item, _join(name, key)) for key, item in value.items()}}
            pairs = [(key, item, _join(name, key)) for key, item in value.items()]
            return {"items": [[self.encode(key, place), self.encode(item, place)] for key, item, place in pairs]}
        if isinstance(value, np.generic):
            return {"scalar": self.encode(value.item(), name), "dtype": value.dtype.str}
        if type(value) is np.ndarray:
            return self._encode_array(value, name)
        if isinstance(value, torch.Tensor):
            return {"tensor": self._keep(value.detach().cpu().numpy(), name)}
        if isinstance(value, np.random.RandomState):
            return {"random state": self.encode(value.get_state(), name)}
        if isinstance(value, Path):
            return {"path": str(value)}
        if isinstance(value, torch.device):
            return {"device": str(value)}
        if type(value) is nn.ModuleList:
            return module_tree(value, name, self)
        return value.to_tree(name, self) if hasattr(value, "to_tree") else _refuse(value, name)

    def _encode_array(self, value, name):
        is_short = (
            value.dtype.kind in "iu" and value.ndim == 1 and value.size > 1 and value.nbytes <= MAX_DESCRIBED_BYTES
        )
        if is_short and (np.diff(value) == 1).all():
            return {"range": [int(value[0]), int(value[-1]) + 1], "dtype": value.dtype.str}
        if value.dtype.kind in "biuf" and value.dtype.itemsize <= 8:
            return {"array": self._keep(value, name)}
        if value.dtype.kind in "mM":
            return {"times": self._keep(value.view(np.int64), name), "dtype": value.dtype.str}
        if value.dtype.kind in "OU":
            return {
                "values": self.encode(value.ravel().tolist(), name),
                "dtype": value.dtype.str,
                "shape": list(value.shape),
            }
        return _refuse(value, name)

    def _keep(self, array, name):
        self.arrays[name] = np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")
        return name


class TreeReader:
    """Decodes what `TreeWriter` encoded.

    Parameters
    ----------
    arrays : dict of str to ndarray
    decode_other : callable, optional
        Takes an object of JSON that a ``to_tree`` made and this reader.
    """

    def __init__(self, arrays, decode_other=None):
        self.arrays = arrays
        self._decode_other = decode_other

    def decode(self, value):
        """Return the value that some JSON stands for; raises whatever it meets in one that is damaged."""
        if isinstance(value, list):
            return [self.decode(item) for item in value]
        if not isinstance(value, dict):
            return value
        kind, content = next(iter(value.items()))
        if kind == "dict":
            return {key: self.decode(item) for key, item in content.items()}
        if kind == "items":
            return {self.decode(key): self.decode(item) for key, item in content}
        if kind == "tuple":
            return tuple(self.decode(content))
        if kind == "float":
            return float(content)
        if kind == "scalar":
            return np.dtype(value["dtype"]).type(self.decode(content))
        if kind == "array":
            return self.arrays[content].copy()
        if kind == "tensor":
            return to_tensor(self.arrays[content])
        if kind == "range":
            start, stop = content
            dtype = _described(value["dtype"], stop - start)
            return np.arange(start, stop, dtype=dtype)
        if kind == "times":
            return self.arrays[content].view(value["dtype"])
        if kind == "values":
            array = np.empty(len(content), dtype=_described(value["dtype"], len(content)))
            for index, item in enumerate(self.decode(content)):
                array[index] = item
            return array.reshape(value["shape"])
        if kind == "random state":
            random_state = np.random.RandomState()
            random_state.set_state(self.decode(content))
            return random_state
        if kind == "path":
            return Path(content)
        if kind == "device":
            return torch.device(content)
        if self._decode_other is None:
            raise ValueError(f"unknown kind of value {kind!r}")
        return self._decode_other(value, self)


def _described(dtype, size):
    """Return the type of an array of so many values; ValueError if a few bytes ask for much memory."""
    dtype = np.dtype(dtype)
    if size * dtype.itemsize > MAX_DESCRIBED_BYTES:
        raise ValueError(f"an array of {size} values of {dtype.itemsize} bytes")
    return dtype


def _checksum(text, arrays):
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    return digest_of_tensors(tensors, hashlib.sha256(text.encode()))


def write_tree(path, tree, kind, version):
    """Write a tree of values and arrays to a file, whole or not at all.

    Parameters
    ----------
    path : path
    tree : nested values
    kind : str
        What the file holds; `read_tree` refuses files of other kinds.
    version : int
        Of the form of the tree.

    Raises
    ------
    SavedFileError
        If the tree holds something of another type.
    """
    writer = TreeWriter()
    text = json.dumps(writer.encode(tree, ""), allow_nan=False, separators=(",", ":"))
    content = {"kind": kind, "version": version, "sha256": _checksum(text, writer.arrays), "tree": text}
    # One entry: the order of several would not always be the same.
    write_atomically(path, save(writer.arrays, metadata={KEY: json.dumps(content)}))


def read_tree(path, kind, version, decode_other=None):
    """Return the tree in a file that `write_tree` wrote, and the version of its form.

    Parameters
    ----------
    path : path
    kind : str
    version : int
        The newest that is known.
    decode_other : callable, optional
        See `TreeReader`.

    Returns
    -------
    tree : nested values
    version : int

    Raises
    ------
    SavedFileError
        If the file is missing, damaged, of another kind or of a newer version.
    """
    path = Path(path)
    if not os.path.isfile(path):
        raise SavedFileError(f"There is no file {path}. Give the path of a {kind}.")
    try:
        content = read_json(read_header(path, MAX_HEADER_BYTES)[0].get(KEY, "{}"))
        if content.get("kind") != kind:
            raise SavedFileError(f"{path} is not a {kind}, but {content.get('kind', 'something else')}.")
        if content["version"] > version:
            raise SavedFileError(
                f"{path} is of version {content['version']} of its form, and this v2s_sklearn reads up to {version}: a "
                "newer one wrote it. Install the newest v2s_sklearn."
            )
        arrays = load_file(path)
        if _checksum(content["tree"], arrays) != content["sha256"]:
            raise SavedFileError(f"{path} is damaged: its content has another checksum than it says. Restore the file.")
        return TreeReader(arrays, decode_other).decode(read_json(content["tree"])), content["version"]
    except V2SError as error:
        if type(error) is WeightsError and str(path) in str(error):
            raise SavedFileError(f"{path} cannot be read as a {kind}: {error}") from error
        raise
    except (AttributeError, IndexError, KeyError, RuntimeError, StopIteration, TypeError, ValueError) as error:
        raise SavedFileError(
            f"{path} cannot be read as a {kind} ({type(error).__name__}: {error}). Restore the file, or write it again."
        ) from error
