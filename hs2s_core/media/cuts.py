"""Where a video cuts from one shot to another: where colours jump, not where they drift."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import cv2
import numpy as np
import numpy.typing as npt

from hs2s_core.media.images import RGBImage

JUMP = 0.35
"""Least share of a frame's colours, in [0, 1], that must be other ones after a cut."""
_ABOVE = 3.0
"""How many times larger a cut's jump is than those of the frames around it."""
_AROUND = 3
"""Frames before and after that these are."""
_SIDE = 64
_PARTS = 2
"""Rows and columns of parts of a frame whose colours are compared, each with itself."""
_BINS = (8, 4, 4)
"""Of hue, saturation and value."""


def find_cuts(frames: Iterable[RGBImage]) -> Iterator[int]:
    """The first frame, 0-based, of every shot but the first, ascending.

    A frame begins a shot where the colour histograms of its parts differ from those of the frame
    before by :data:`JUMP` in the mean, and by much more than frames around it do: fast motion is
    no cut, nor is a fade or a dissolve, which has no first frame. Memory does not grow with the
    clip. (The comparison with frames around follows PySceneDetect's adaptive detector, which reads
    files itself and so would not see frames as :class:`FrameSource` gives them.)

    Args:
        frames: RGB uint8 (H, W, 3) each.
    """
    finder = CutFinder()
    for frame in frames:
        yield from finder.see(frame)
    yield from finder.end()


class CutFinder:
    """:func:`find_cuts`, told of one frame after another."""

    def __init__(self) -> None:
        self._jumps: deque[float] = deque(maxlen=2 * _AROUND + 1)
        self._before: npt.NDArray[np.float32] | None = None
        self._number = -1

    def see(self, frame: RGBImage) -> Iterator[int]:
        """The cut that is certain now that this frame is seen, if there is one."""
        colours, before = _colours(frame), self._before
        self._before, self._number = colours, self._number + 1
        self._jumps.append(0.0 if before is None else float(np.abs(colours - before).sum()) / 2)
        if len(self._jumps) > _AROUND and _is_cut(self._jumps, len(self._jumps) - 1 - _AROUND):
            yield self._number - _AROUND

    def end(self) -> Iterator[int]:
        """Those among the last frames, which have fewer, or none, after them."""
        for place in range(max(0, len(self._jumps) - _AROUND), len(self._jumps)):
            if _is_cut(self._jumps, place):
                yield self._number - len(self._jumps) + 1 + place


def _colours(frame: RGBImage) -> npt.NDArray[np.float32]:
    """Histograms of all parts of a frame; their sum is 1."""
    small = cv2.resize(frame, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    hsv = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2HSV))
    side = _SIDE // _PARTS
    parts = [
        hsv[row : row + side, column : column + side]
        for row in range(0, _SIDE, side)
        for column in range(0, _SIDE, side)
    ]
    ranges = [0, 180, 0, 256, 0, 256]
    found = [cv2.calcHist([part], [0, 1, 2], None, list(_BINS), ranges).ravel() for part in parts]
    colours: npt.NDArray[np.float32] = np.concatenate(found) / np.float32(_SIDE * _SIDE)
    return colours


def _is_cut(jumps: deque[float], place: int) -> bool:
    others = [jump for other, jump in enumerate(jumps) if other != place]
    usual = float(np.median(others)) if others else 0.0
    return jumps[place] >= JUMP and jumps[place] >= _ABOVE * usual
