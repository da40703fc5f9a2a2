"""Choosing where a network runs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from hs2s_core.errors import HS2SError
from hs2s_core.jobs.engines import cores
from hs2s_core.wording import counted

_LOOKS = 6
"""At what runs now: what runs but for a moment takes no thread away."""
_TILES = "amx_tile"
_BFLOAT16 = ("avx512_bf16", _TILES)
"""Instructions, each of which multiplies bfloat16."""


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


def offered_devices() -> list[str]:
    """What :func:`pick_device` takes on this machine: ``auto``, and what is there."""
    return ["auto", *_available_devices()]


def half_precision(device: torch.device) -> tuple[torch.dtype | None, str]:
    """The half precision that ``device`` has instructions for, or None; and why, in words.

    Without them a CPU computes in float32 after all, and converts in addition.
    """
    if device.type == "cuda":
        return torch.float16, "the GPU has it"
    if device.type != "cpu":
        return None, f"half precision was not tried on {device.type}"
    if any(map(_has, _BFLOAT16)):
        return torch.bfloat16, "this CPU has instructions for it"
    return None, "this CPU has no instructions for bfloat16"


def multiplies_tiles() -> bool:
    """Whether this CPU multiplies bfloat16 in tiles (AMX): many times as fast as float32."""
    return _has(_TILES)


def _has(name: str) -> bool:
    """Whether oneDNN is there, and this CPU has these instructions."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    # Private to PyTorch, hence the doubt; its kernels ask the same.
    ask = getattr(torch.cpu, f"_is_{name}_supported", None)
    return ask is not None and bool(ask())


def use_threads(count: int | None = None) -> str:
    """Let torch compute on ``count`` threads of the CPU; says in words what was chosen.

    None takes as many as there are cores that nobody uses, as threads that must share a core spin
    and wait for each other; where ``OMP_NUM_THREADS`` is set, that many. More than there are cores
    are never taken: thousands would stop the whole machine.
    """
    if count is not None and count > cores():
        chosen, why = cores(), f"{count} asked for, but there are {counted(cores(), 'core')}"
    elif count is not None:
        chosen, why = count, "as asked for"
    elif os.environ.get("OMP_NUM_THREADS"):
        chosen, why = torch.get_num_threads(), "as OMP_NUM_THREADS says"
    else:
        load = _load()
        chosen, why = max(1, cores() - round(load)), f"{cores()} cores, load {load:.1f}"
    torch.set_num_threads(chosen)
    return f"computing on {counted(chosen, 'thread')} ({why})"


@contextmanager
def free_threads() -> Iterator[None]:
    """While this lasts, compute on no more threads of the CPU than there are free cores now.

    For work within a program that goes on: never more than torch has been given, and in the end as
    many as before. What the program itself did in the last minute does not count.
    """
    before = torch.get_num_threads()
    if before > 1:  # else there is nothing to look for, which takes a while
        torch.set_num_threads(max(1, min(before, cores() - round(_running()))))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _load() -> float:
    """How many processes want a core: in the last minute, or now where these are more.

    0 where the system does not tell. The average follows within a minute only, and threads that
    share a core with another process from the start are several times slower than one alone.
    """
    average = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return max(average, _running())


def _running() -> float:
    """How many other threads run all the while that is looked, 50 ms; 0 where nobody tells."""
    counts = Path("/proc/loadavg")
    if not counts.is_file():
        return 0.0
    seen = []
    for look in range(_LOOKS):
        time.sleep(0.01 if look else 0)
        runnable, _, _ = counts.read_text().split()[3].partition("/")
        seen.append(int(runnable))
    return max(0.0, min(seen) - 1.0)  # less this one


def _available_devices() -> list[str]:
    """Devices of this machine, the preferred one first."""
    names = []
    if torch.cuda.is_available():
        names += [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps")
    return [*names, "cpu"]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device, or this machine, had no memory left for what was to be computed."""
    exhausted = isinstance(error, (torch.OutOfMemoryError, MemoryError))
    return exhausted or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))


def free_memory(device: torch.device) -> None:
    """Give back what PyTorch keeps of a GPU's memory without using it."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
