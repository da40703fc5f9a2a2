"""Choosing where a network runs."""

from __future__ import annotations

import torch

from hs2s_core.errors import HS2SError


def pick_device(device: str = "auto") -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps`` into a device that is there.

    ``auto`` prefers CUDA, then Apple's MPS, then the CPU. Raises HS2SError with what this
    machine offers when the device asked for is absent.
    """
    if device == "auto":
        return torch.device(_available_devices()[0])
    try:
        wanted = torch.device(device)
    except RuntimeError:
        wanted = None
    if wanted is None or wanted.type not in ("cpu", "cuda", "mps"):
        raise HS2SError(f"unknown device {device!r}; expected auto, cpu, cuda, cuda:N or mps")
    offered = _available_devices()
    name = f"cuda:{wanted.index or 0}" if wanted.type == "cuda" else wanted.type
    if name not in offered:
        why = ""
        if wanted.type == "cuda" and not torch.cuda.is_available():
            why = (
                "; this PyTorch was built without CUDA"
                if torch.version.cuda is None
                else "; PyTorch finds no CUDA driver or GPU"
            )
        raise HS2SError(
            f"device {device!r} was asked for{why}; available here: {', '.join(offered)}. "
            "Choose one of these, or auto"
        )
    return wanted


def _available_devices() -> list[str]:
    """Devices of this machine, the preferred one first."""
    names = []
    if torch.cuda.is_available():
        names += [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps")
    return [*names, "cpu"]
