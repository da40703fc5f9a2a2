"""One process or several (``torchrun``): the few places where that makes a difference."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor


def rank() -> int:
    """Number of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def pooled(values: Tensor) -> Tensor:
    """Sum of ``values`` over all processes, with a gradient; the values themselves if alone."""
    if world_size() == 1:
        return values
    from torch.distributed.nn.functional import all_reduce

    # Each one's loss depends on it, so its gradient is theirs in sum.
    result: Tensor = all_reduce(values)  # type: ignore[no-untyped-call]
    return result


def agreed(device: torch.device, *values: float) -> list[float]:
    """Process 0's ``values``, on every process: what decides must decide alike everywhere."""
    if world_size() == 1:
        return list(values)
    shared = torch.tensor(values, dtype=torch.float64, device=device)
    dist.broadcast(shared, 0)
    return [float(value) for value in shared]


def wait_for_all() -> None:
    """Go on once all processes have come this far; what process 0 wrote is there then."""
    if world_size() > 1:
        dist.barrier()


@contextmanager
def process_group(device: torch.device) -> Iterator[torch.device]:
    """Join the processes that ``torchrun`` started; yields this process's device.

    GPUs talk over NCCL, CPUs over gloo. Without ``torchrun``'s environment nothing happens.
    """
    if "RANK" not in os.environ:
        yield device
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield device
    finally:
        dist.destroy_process_group()
