"""OpenCV's trackers as baselines: a box is followed, and the first mask is stretched into it."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from hs2s_core.prompts import PlainPrompts
from hs2s_core.propagation.propagator import FrameResult

Image = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Box = tuple[int, int, int, int]
"""x, y, width, height in pixels."""

SMALLEST_MIL_BOX = 8
"""Shorter side, pixels."""
HUE_BINS, SATURATION_BINS = 30, 32


class BoxTracker(Protocol):
    """Follows one box."""

    def update(self, frame: Image) -> Box | None:
        """The box in the next frame (H, W, 3) RGB; None where the object is lost."""
        ...


def track_mil(frames: Iterable[Image], prompts: PlainPrompts) -> Iterator[FrameResult]:
    """Each object follows OpenCV's MIL tracker. Arguments and results as in ``propagate``."""
    return _track(frames, prompts, _Mil)


def track_camshift(frames: Iterable[Image], prompts: PlainPrompts) -> Iterator[FrameResult]:
    """Each object follows OpenCV's CamShift on its colours, likewise."""
    return _track(frames, prompts, _CamShift)


class _Mil:
    """Multiple-instance learning of the box's appearance; the box keeps its size.

    A box that is too small for the tracker stays where it was given.
    """

    def __init__(self, frame: Image, mask: Mask, box: Box) -> None:
        _seed()
        self._box = box
        self._tracker = cv2.TrackerMIL.create()
        # The tracker never comes back from the smallest boxes, and refuses somewhat larger ones.
        self._stays = min(box[2:]) < SMALLEST_MIL_BOX
        if not self._stays:
            try:
                self._tracker.init(frame, box)
            except cv2.error:
                self._stays = True

    def update(self, frame: Image) -> Box | None:
        if self._stays:
            return self._box
        found, box = self._tracker.update(frame)
        x, y, width, height = box
        return (int(x), int(y), int(width), int(height)) if found else None


class _CamShift:
    """The peak of the object's hue and saturation; the box grows and shrinks with it."""

    def __init__(self, frame: Image, mask: Mask, box: Box) -> None:
        colours = self._colours(frame)
        own = self._histogram(colours, mask)
        everything = self._histogram(colours, np.ones_like(mask))
        # Colours that the surroundings share say little.
        self._ratio = (255 * own / np.maximum(everything, 1)).astype(np.float32)
        self._box = box

    def update(self, frame: Image) -> Box | None:
        chance = cv2.calcBackProject(
            [self._colours(frame)], [0, 1], self._ratio, [0, 180, 0, 256], scale=1
        )
        stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 10, 1.0)
        _, box = cv2.CamShift(chance, self._box, stop)
        x, y, width, height = (int(value) for value in box)
        if min(width, height) < 1:
            return None
        self._box = (x, y, width, height)
        return self._box

    @staticmethod
    def _colours(frame: Image) -> npt.NDArray[Any]:
        return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2HSV))

    @staticmethod
    def _histogram(colours: npt.NDArray[Any], mask: Mask) -> npt.NDArray[Any]:
        bins = [HUE_BINS, SATURATION_BINS]
        histogram = cv2.calcHist([colours], [0, 1], mask.astype(np.uint8), bins, [0, 180, 0, 256])
        return np.asarray(histogram)


def _seed() -> None:
    """The tracker draws its samples with OpenCV's generator, its features with C's ``rand``."""
    cv2.setRNGSeed(0)
    if os.name == "posix":
        ctypes.CDLL(None).srand(0)


def _track(
    frames: Iterable[Image], prompts: PlainPrompts, start: Callable[[Image, Mask, Box], BoxTracker]
) -> Iterator[FrameResult]:
    tracked: dict[int, tuple[BoxTracker, Mask]] = {}
    for index, frame in enumerate(frames):
        id_map = np.zeros(frame.shape[:2], np.uint16)
        scores = {}
        for object_id, (tracker, cut) in tracked.items():
            box = tracker.update(frame)
            if box is not None:
                _stretch_into(id_map, cut, box, object_id)
            scores[object_id] = float(box is not None)
        for object_id, given in prompts.get(index, {}).items():
            mask = np.asarray(given, bool)
            x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
            cut = mask[y : y + height, x : x + width]
            tracked[object_id] = start(frame, mask, (x, y, width, height)), cut
            id_map[mask] = object_id
            scores[object_id] = 1.0
        yield FrameResult(index, id_map, tuple(sorted(tracked)), scores)


def _stretch_into(id_map: npt.NDArray[np.uint16], cut: Mask, box: Box, object_id: int) -> None:
    """Draw ``cut`` at the size and place of ``box``, as far as that is inside the frame."""
    x, y, width, height = box
    stretched = cv2.resize(
        cut.astype(np.uint8), (max(width, 1), max(height, 1)), interpolation=cv2.INTER_NEAREST
    )
    top, left = max(y, 0), max(x, 0)
    inside = stretched[top - y :, left - x :][: id_map.shape[0] - top, : id_map.shape[1] - left]
    if inside.size:
        region = id_map[top : top + inside.shape[0], left : left + inside.shape[1]]
        region[inside > 0] = object_id
