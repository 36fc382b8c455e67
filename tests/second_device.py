"""A second device on a machine without a GPU: tensors that lie "there", and errors where those of both places meet.

Torch's device of no memory, "meta", lends its name; the numbers are on the CPU.
"""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

aten = torch.ops.aten
# What a GPU takes operands of both places for.
BETWEEN = {
    aten._local_scalar_dense.default,
    aten._to_copy.default,
    aten.copy_.default,
    aten.index.Tensor,
    aten.index_put.default,
    aten.index_put_.default,
}


class There(torch.Tensor):
    """A tensor there."""

    @staticmethod
    def __new__(cls, here):
        place = {"strides": here.stride(), "storage_offset": here.storage_offset(), "device": "meta"}
        tensor = torch.Tensor._make_wrapper_subclass(cls, here.size(), dtype=here.dtype, **place)
        tensor.here = here
        return tensor

    def __repr__(self):
        return f"There({self.here!r})"

    def tolist(self):
        return self.here.tolist()

    def numpy(self, *args, **kwargs):
        raise TypeError("can't convert a tensor there to numpy. Use Tensor.cpu() first.")

    def __deepcopy__(self, memo):
        twin = There(self.here.clone())
        return torch.nn.Parameter(twin, self.requires_grad) if isinstance(self, torch.nn.Parameter) else twin

    def __reduce_ex__(self, protocol):
        return brought_there, (self.here, isinstance(self, torch.nn.Parameter), self.requires_grad)

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return compute(function, args, kwargs or {})


def brought_there(here, is_parameter, requires_grad):
    """Return what was pickled there, which needs a place to go."""
    if not SecondDevice.n_entered:
        raise RuntimeError("Attempting to deserialize object on a device that is not here.")
    return torch.nn.Parameter(There(here), requires_grad) if is_parameter else There(here)


class SecondDevice(TorchDispatchMode):
    """Context in which device="meta" holds numbers."""

    n_entered = 0

    def __enter__(self):
        SecondDevice.n_entered += 1
        return super().__enter__()

    def __exit__(self, *exception):
        SecondDevice.n_entered -= 1
        return super().__exit__(*exception)

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return compute(function, args, kwargs or {})


def compute(function, args, kwargs):
    """Return what an operation gives, where its operands are."""
    operands = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    n_there = sum(isinstance(operand, There) for operand in operands)
    left_behind = [operand for operand in operands if not isinstance(operand, There) and operand.ndim > 0]
    if n_there and left_behind and function not in BETWEEN:
        raise RuntimeError(f"Expected all tensors to be on the same device: {function}")
    goes_there, inner = n_there > 0, tree_map(lambda leaf: leaf.here if isinstance(leaf, There) else leaf, kwargs)
    if kwargs.get("device") is not None:
        goes_there, inner["device"] = torch.device(kwargs["device"]).type == "meta", "cpu"
    result = function(*tree_map(lambda leaf: leaf.here if isinstance(leaf, There) else leaf, args), **inner)
    written = [
        args[position] if position < len(args) else kwargs[argument.name]
        for position, argument in enumerate(function._schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
        if position < len(args) or argument.name in kwargs
    ]
    if written:  # in place: what was given, not another tensor around the same numbers
        return written[0] if len(function._schema.returns) == 1 else tuple(written)
    return tree_map(lambda leaf: There(leaf) if isinstance(leaf, torch.Tensor) and goes_there else leaf, result)
