"""Soft masks of stretches in logs on disk, so that memory does not grow with their length."""

from __future__ import annotations

import json
import os
import struct
import zlib
from array import array
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import IO, Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from hs2s_core.models.tensors import writing_tensors
from hs2s_core.propagation.engine import SoftMask
from hs2s_core.propagation.snapshot import Snapshot

_HEAD = struct.Struct("<IHH")
"""Before each mask: bytes of the compressed mask, its height and width."""
_DAMAGED = (FileNotFoundError, SafetensorError, LookupError, TypeError, ValueError, struct.error)
"""What files raise that are missing, cut short or altered."""
CHECKPOINT_EVERY = 64
"""Masks of a stretch after which its state is saved: what ``kill -9`` costs at most."""


class MaskLog:
    """The masks of one stretch, in the order in which its frames are passed."""

    def __init__(self, file: IO[bytes], using: Lock | None = None) -> None:
        """An empty one, whose masks go to the end of ``file``.

        Others may share that, with the same lock, and masks be read while others are added.
        """
        self._file = file
        self._using = using or Lock()
        self._places = array("Q")
        self._sum = 0
        """CRC-32 of all that it holds."""

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: int) -> SoftMask:
        with self._using:
            self._file.seek(self._places[number])
            size, height, width = _HEAD.unpack(self._file.read(_HEAD.size))
            packed = self._file.read(size)
        values = np.frombuffer(zlib.decompress(packed), np.uint8)
        return values.reshape(height, width)

    def append(self, mask: SoftMask) -> None:
        """Add the next mask."""
        packed = zlib.compress(np.ascontiguousarray(mask).tobytes(), 1)
        entry = _HEAD.pack(len(packed), *mask.shape) + packed
        with self._using:
            self._file.seek(0, 2)
            self._places.append(self._file.tell())
            self._file.write(entry)
        self._sum = zlib.crc32(entry, self._sum)

    def _reopen(self, count: int, expected: int = 0) -> None:
        """Take up the first ``count`` masks of the file, of that CRC-32; what follows them goes."""
        self._places, self._sum = array("Q"), 0
        self._file.seek(0)
        for _ in range(count):
            self._places.append(self._file.tell())
            head = self._file.read(_HEAD.size)
            packed = self._file.read(_HEAD.unpack(head)[0])
            self._sum = zlib.crc32(head + packed, self._sum)
        if self._sum != expected:
            raise ValueError("somebody altered the masks, or the file ends before")
        self._file.truncate()


class CheckpointedMaskLog(MaskLog):
    """A stretch's masks and its latest state, in a folder; goes on after the masks of that state.

    Masks without a state after them may be torn, and are made again; so are all, where the state
    or a mask before it is damaged.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._state = folder / "state.safetensors"
        path = folder / "masks.bin"
        path.touch()
        super().__init__(path.open("r+b", buffering=0))
        self._checkpointed = 0
        with suppress(*_DAMAGED):
            about, _ = self._read()
            self._reopen(about["masks"], about["sum"])
            self._checkpointed = len(self)
        if not self._checkpointed:
            self._reopen(0)

    @property
    def due(self) -> bool:
        """Whether it is time for another state."""
        return len(self) - self._checkpointed >= CHECKPOINT_EVERY

    def checkpoint(self, snapshot: Snapshot) -> None:
        """Keep the state after the mask added last."""
        os.fsync(self._file.fileno())
        sums = {"sum": self._sum, "state": _checksum(snapshot.tensors)}
        about = json.dumps({"masks": len(self), "meta": snapshot.meta, **sums})
        with writing_tensors(self._state) as part:
            save_file(snapshot.tensors, part, metadata={"about": about})
        self._checkpointed = len(self)

    def resume(self) -> Snapshot:
        """The state after the last mask."""
        about, tensors = self._read()
        return Snapshot(tensors, about["meta"])

    def _read(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        with safe_open(self._state, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            about: dict[str, Any] = json.loads(file.metadata()["about"])
        if about["state"] != _checksum(tensors):
            raise ValueError("somebody altered the state")
        return about, tensors


def _checksum(tensors: Mapping[str, Tensor]) -> int:
    """CRC-32 of what a snapshot's tensors hold."""
    found = 0
    for name in sorted(tensors):
        values = tensors[name].reshape(-1).view(torch.uint8)
        found = zlib.crc32(values.numpy().data, found)
    return found
