"""Tensors of files: read without running code, compared by name, shape and kind; written whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from hs2s_core.errors import HS2SError, InvalidWeights
from hs2s_core.files import replacing
from hs2s_core.wording import counted


def read_tensors(path: Path) -> Any:
    """What a PyTorch file holds; nothing in it is executed.

    Raises InvalidWeights if it cannot be read so.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # its reader raises whatever it stumbles over
        raise InvalidWeights(
            f"{str(path)!r} cannot be read as a checkpoint of plain tensors ({_reason(error)}); it "
            "is damaged, or holds code, which is never run: take it from its source again"
        ) from error


def read_state(path: Path, kind: str, expected: str) -> dict[str, Tensor]:
    """Name -> tensor of a PyTorch file that holds a network's, alone or under ``model``.

    Raises InvalidWeights, which calls the file a ``kind`` file and says what was ``expected``.
    """
    if not path.is_file():
        raise InvalidWeights(f"no {kind} file {str(path)!r}; expected {expected}")
    content = read_tensors(path)
    if isinstance(content, dict) and isinstance(content.get("model"), dict):
        content = content["model"]
    if not isinstance(content, dict) or not content:
        raise InvalidWeights(
            f"{str(path)!r} holds {type(content).__name__}; expected a mapping of names to tensors"
        )
    odd = [str(name) for name, value in content.items() if not isinstance(value, Tensor)]
    if odd:
        raise InvalidWeights(
            f"{str(path)!r} holds entries that are no tensors: {', '.join(odd)}; expected the "
            "network's state dict, alone or under 'model'"
        )
    return {str(name): value for name, value in content.items()}


def _reason(error: Exception) -> str:
    """In short, without PyTorch's advice to run what is in a file."""
    words = str(error).split("\n", 1)[0]
    return type(error).__name__ if not words or "weights_only" in words else words


@contextmanager
def writing_tensors(path: Path) -> Iterator[Path]:
    """As :func:`replacing`; raises HS2SError where PyTorch or safetensors cannot write the file."""
    with replacing(path) as part:
        try:
            yield part
        except (RuntimeError, SafetensorError) as error:  # neither has an error of its own for it
            raise HS2SError(
                f"{path}: cannot be written; is the disk full? ({_reason(error)})"
            ) from error


def check_tensors(
    expected: Mapping[str, Tensor], found: Mapping[str, Tensor], *, name: str
) -> None:
    """Raise InvalidWeights naming every tensor that is missing, extra, misshapen or of integers."""
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
    _check_kinds(expected, found, name)


def _check_kinds(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], name: str) -> None:
    """Refuse whole numbers and truth values where a network has fractions."""
    whole = [
        f"{key}: found {found[key].dtype}"
        for key, value in expected.items()
        if value.is_floating_point() and not found[key].is_floating_point()
    ]
    if whole:
        raise InvalidWeights(
            f"{name}: {counted(len(whole), 'tensor')} of whole numbers, as of quantised weights; "
            "expected float32 or float16:\n  " + "\n  ".join(whole)
        )
