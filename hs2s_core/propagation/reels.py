"""Soft masks of stretches, kept on disk, so that memory does not grow with their length."""

from __future__ import annotations

import struct
import zlib
from array import array
from typing import IO

import numpy as np

from hs2s_core.propagation.engine import SoftMask
from hs2s_core.propagation.snapshot import Snapshot

_HEAD = struct.Struct("<IHH")
"""Before each mask: bytes of the compressed mask, its height and width."""


class Reel:
    """The masks of one stretch, in the order in which its frames are walked."""

    def __init__(self, file: IO[bytes]) -> None:
        """An empty one, whose masks go to the end of ``file``; others may share it."""
        self._file = file
        self._places = array("Q")

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: int) -> SoftMask:
        self._file.seek(self._places[number])
        size, height, width = _HEAD.unpack(self._file.read(_HEAD.size))
        values = np.frombuffer(zlib.decompress(self._file.read(size)), np.uint8)
        return values.reshape(height, width)

    def append(self, mask: SoftMask) -> None:
        """Add the next mask."""
        packed = zlib.compress(np.ascontiguousarray(mask).tobytes(), 1)
        self._file.seek(0, 2)
        self._places.append(self._file.tell())
        self._file.write(_HEAD.pack(len(packed), *mask.shape) + packed)

    @property
    def kept(self) -> bool:
        """Whether other runs go on with it, and so with states."""
        return False

    @property
    def due(self) -> bool:
        """Whether it is time for another state."""
        return False

    def mark(self, snapshot: Snapshot) -> None:
        """Keep the state after the mask added last."""
        raise NotImplementedError

    def resume(self) -> Snapshot:
        """The state after the last mask."""
        raise NotImplementedError

    def _find(self, count: int) -> None:
        """Take up the first ``count`` masks of the file; what follows them goes."""
        self._file.seek(0)
        for _ in range(count):
            self._places.append(self._file.tell())
            size, _, _ = _HEAD.unpack(self._file.read(_HEAD.size))
            self._file.seek(size, 1)
        self._file.truncate()
