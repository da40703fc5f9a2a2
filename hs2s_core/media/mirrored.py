"""Whether an MP4 or MOV says that its frames are to be mirrored, which OpenCV does not tell.

Players show a track as the matrix in its header says (ISO/IEC 14496-12, section 8.3.2). OpenCV
reads an angle from it, and turns frames by that, but does not mirror them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_MATRIX = struct.Struct(">9i2I")
"""a, b, u, c, d, v, x, y, w, and the width and height that the track is shown at."""


def is_mirrored(path: Path) -> bool:
    """Whether the first track that has a size is mirrored; false of files of another kind."""
    try:
        with path.open("rb") as file:
            for start, _ in _tracks(file, path.stat().st_size):
                file.seek(start)
                header = file.read(52 + _MATRIX.size)
                place = 52 if header[:1] == b"\1" else 40  # behind dates, of 64 bits in version 1
                a, b, _, c, d, *_, width, height = _MATRIX.unpack_from(header, place)
                if width and height:
                    return bool(a * d < b * c)
    except (OSError, struct.error):
        pass  # cut short: what can be decoded of it is said elsewhere
    return False


def _tracks(file: BinaryIO, size: int) -> Iterator[tuple[int, int]]:
    """Where the headers of tracks lie."""
    for movie in _boxes(file, (0, size), b"moov"):
        for track in _boxes(file, movie, b"trak"):
            yield from _boxes(file, track, b"tkhd")


def _boxes(file: BinaryIO, span: tuple[int, int], wanted: bytes) -> Iterator[tuple[int, int]]:
    """Start and end of the contents of the boxes of a kind in a span of the file."""
    place, end = span
    while place + 8 <= end:
        file.seek(place)
        size, kind = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1:
            head, (size,) = 16, struct.unpack(">Q", file.read(8))
        size = size or end - place
        if size < head:
            return
        if kind == wanted:
            yield place + head, min(place + size, end)
        place += size
