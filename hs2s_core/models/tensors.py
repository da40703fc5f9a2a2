"""Tensors of files: read without running code, compared by name and shape."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hs2s_core.errors import InvalidWeights
from hs2s_core.wording import counted


def read_tensors(path: Path) -> Any:
    """What a PyTorch file holds; nothing in it is executed.

    Raises InvalidWeights if it cannot be read so.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, KeyError) as error:
        reason = str(error).split("\n", 1)[0]
        raise InvalidWeights(
            f"{str(path)!r} cannot be read as a checkpoint of plain tensors ({reason}); it is "
            "damaged, or holds code, which is never run: take it from its source again"
        ) from error


def check_tensors(
    expected: Mapping[str, Tensor], found: Mapping[str, Tensor], *, name: str
) -> None:
    """Raise InvalidWeights naming every tensor that is missing, extra or misshapen."""
    wanted, there = (
        {key: tuple(value.shape) for key, value in tensors.items()} for tensors in (expected, found)
    )
    missing = [f"missing {key} {wanted[key]}" for key in wanted if key not in there]
    extra = [f"extra {key} {there[key]}" for key in there if key not in wanted]
    misshapen = [
        f"misshapen {key}: found {there[key]}, expected {wanted[key]}"
        for key in wanted
        if key in there and there[key] != wanted[key]
    ]
    problems = missing + extra + misshapen
    if problems:
        raise InvalidWeights(
            f"{name}: {counted(len(missing), 'tensor')} missing, {len(extra)} extra, "
            f"{len(misshapen)} misshapen, so these weights belong to another network, or to one of "
            "another width:\n  " + "\n  ".join(problems)
        )
