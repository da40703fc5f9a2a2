"""All that an engine carries from frame to frame, as named tensors and back, bit for bit.

A network's state is a tree of tensors in named tuples. Kernels choose their way by a tensor's
strides, and another way rounds differently, so these come back too.
"""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

import torch
from torch import Tensor

_ROOM = "hs2s_core.models."
"""States are named tuples of this package; a file may name no other class."""


class Snapshot(NamedTuple):
    """A state, ready for a file."""

    tensors: dict[str, Tensor]
    """On the CPU, contiguous, none sharing memory with another: as safetensors wants them."""
    meta: dict[str, Any]
    """What JSON can hold."""


def pack(tree: Any) -> tuple[dict[str, Tensor], Any]:
    """Tensors by the path that leads to each, and the shape of ``tree`` as JSON can hold it."""
    tensors: dict[str, Tensor] = {}
    names: dict[tuple[Any, ...], str] = {}

    def walk(node: Any, path: str) -> Any:
        if node is None:
            return None
        if isinstance(node, Tensor):
            key = (node.data_ptr(), tuple(node.shape), node.stride())
            name = names.setdefault(key, path)
            if name not in tensors:
                base = _each_once(node).detach().cpu()
                tensors[name] = base.clone(memory_format=torch.contiguous_format)
            return {"tensor": name, "shape": list(node.shape), "stride": list(node.stride())}
        fields = getattr(node, "_fields", range(len(node)))
        kind = type(node)
        named = f"{kind.__module__}:{kind.__qualname__}" if hasattr(node, "_fields") else ""
        parts = [walk(part, f"{path}.{name}") for name, part in zip(fields, node, strict=True)]
        return {"tuple": named, "parts": parts}

    return tensors, walk(tree, "state")


def unpack(tensors: dict[str, Tensor], tree: Any, device: torch.device) -> Any:
    """The tree that :func:`pack` took apart, on ``device``."""

    def build(node: Any) -> Any:
        if node is None:
            return None
        if "tensor" in node:
            values = tensors[node["tensor"]].to(device)
            laid_out = torch.empty_strided(
                node["shape"], node["stride"], dtype=values.dtype, device=device
            )
            _each_once(laid_out).copy_(values)
            return laid_out
        parts = [build(part) for part in node["parts"]]
        return _kind(node["tuple"])(*parts) if node["tuple"] else tuple(parts)

    return build(tree)


def _each_once(tensor: Tensor) -> Tensor:
    """A view in which dimensions that repeat one value (stride 0) have length 1."""
    for dimension, stride in enumerate(tensor.stride()):
        if stride == 0 and tensor.shape[dimension] > 1:
            tensor = tensor.narrow(dimension, 0, 1)
    return tensor


def _kind(name: str) -> Any:
    module, _, qualified = name.partition(":")
    if not module.startswith(_ROOM):
        raise ValueError(f"a snapshot names {name}; expected a state of {_ROOM[:-1]}")
    return getattr(importlib.import_module(module), qualified)
