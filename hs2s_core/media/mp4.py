"""What the header of an MP4 or MOV says that OpenCV does not tell: mirrored, cut short, a comment.

A file is boxes of a size and a type, one in another (ISO/IEC 14496-12, section 4.2). Players show
a track as the matrix in its header says (section 8.3.2). OpenCV reads an angle from it, and turns
frames by that, but does not mirror them. An edit list (section 8.6.6) hides frames, as programs do
that trim without encoding anew: OpenCV decodes those that are left, but counts all.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

_MATRIX = struct.Struct(">9i2I")
"""a, b, u, c, d, v, x, y, w, and the width and height that the track is shown at."""
_Span = tuple[int, int]


class Track(NamedTuple):
    """The first track that has a size."""

    mirrored: bool = False
    shown: float = 1.0
    """The share of its time that an edit list leaves; 1 where nothing is known."""


def read_track(path: Path) -> Track:
    """What the header says; nothing of files of another kind, or whose header is damaged."""
    try:
        with path.open("rb") as file:
            for movie in _boxes(file, (0, path.stat().st_size), b"moov"):
                for track in _boxes(file, movie, b"trak"):
                    found = _read(file, movie, track)
                    if found is not None:
                        return found
    except (OSError, struct.error):
        pass  # cut short: what can be decoded of it is said elsewhere
    return Track()


def read_comment(path: str | Path) -> str | None:
    """The comment that ``VideoWriter`` left in an MP4; None if there is none, or no such file.

    It is an item of iTunes' metadata in the header: its name, then a box of the type ``data``.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            start, end = next(_boxes(file, (0, path.stat().st_size), b"moov"), (0, 0))
            file.seek(start)
            header = file.read(end - start)
    except (OSError, struct.error):
        return None
    _, found, item = header.rpartition(b"\xa9cmt")
    if not found or item[4:8] != b"data":
        return None
    # The text follows the type of the value and the language, four bytes each.
    return item[16 : int.from_bytes(item[:4], "big")].decode("utf-8", "replace")


def _read(file: BinaryIO, movie: _Span, track: _Span) -> Track | None:
    """What is said of a track; None if it has no size."""
    for start, _ in _boxes(file, track, b"tkhd"):
        file.seek(start)
        header = file.read(52 + _MATRIX.size)
        late = header[:1] == b"\1"  # version 1, whose dates and durations have 64 bits
        a, b, _, c, d, *_, width, height = _MATRIX.unpack_from(header, 52 if late else 40)
        if width and height:
            (edited,) = struct.unpack_from(">Q" if late else ">I", header, 28 if late else 20)
            return Track(a * d < b * c, _share(file, movie, track, edited))
    return None


def _share(file: BinaryIO, movie: _Span, track: _Span, edited: int) -> float:
    """The part of a track's time that is shown; ``edited`` is that in units of the movie."""
    whole = [_clock(file, span) for span in _boxes(file, movie, b"mvhd")]
    own = [_clock(file, span) for span in _boxes(file, track, b"mdia", b"mdhd")]
    if not (whole and own and edited and whole[0][0] and all(own[0])):
        return 1.0
    return min(1.0, edited / whole[0][0] / (own[0][1] / own[0][0]))


def _clock(file: BinaryIO, span: _Span) -> tuple[int, int]:
    """Units a second, and the duration in these, of a ``mvhd`` or ``mdhd``."""
    file.seek(span[0])
    header = file.read(32)
    late = header[:1] == b"\1"
    scale, duration = struct.unpack_from(">IQ" if late else ">II", header, 20 if late else 12)
    return scale, duration


def _boxes(file: BinaryIO, span: _Span, wanted: bytes, *inner: bytes) -> Iterator[_Span]:
    """Start and end of the contents of the boxes of a kind in a span of the file.

    Of those ``inner`` in them, kind by kind, where any are named.
    """
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
            content = place + head, min(place + size, end)
            yield from _boxes(file, content, *inner) if inner else [content]
        place += size
