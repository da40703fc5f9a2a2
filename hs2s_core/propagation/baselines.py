"""What any method must beat: the first mask held still, and the first mask carried by flow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
import numpy.typing as npt

from hs2s_core.media.images import RGBImage
from hs2s_core.media.masks import IdMap
from hs2s_core.prompts import PlainPrompts
from hs2s_core.propagation.propagator import FrameResult


def copy_first(frames: Iterable[RGBImage], prompts: PlainPrompts) -> Iterator[FrameResult]:
    """Each object stays where it was given. Arguments and results as in ``propagate``."""
    id_map: IdMap | None = None
    for index, frame in enumerate(frames):
        id_map = np.zeros(frame.shape[:2], np.uint16) if id_map is None else id_map.copy()
        yield _result(index, _give(id_map, prompts, index), prompts)


def warp_with_flow(frames: Iterable[RGBImage], prompts: PlainPrompts) -> Iterator[FrameResult]:
    """Each id map is the one before, moved by OpenCV's DIS flow (preset medium).

    The flow goes from frame t to t - 1, so that each pixel of frame t looks up where it was
    (nearest neighbour). Arguments and results as in ``propagate``.
    """
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    previous: RGBImage | None = None
    id_map: IdMap | None = None
    for index, frame in enumerate(frames):
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.uint8)
        if previous is None or id_map is None:
            id_map = np.zeros(grey.shape, np.uint16)
        else:
            id_map = _look_up(id_map, np.asarray(flow.calc(grey, previous, None), np.float32))
        yield _result(index, _give(id_map, prompts, index), prompts)
        previous = grey


def _look_up(id_map: IdMap, flow: npt.NDArray[np.float32]) -> IdMap:
    height, width = id_map.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    moved = cv2.remap(id_map, x + flow[..., 0], y + flow[..., 1], cv2.INTER_NEAREST)
    return np.asarray(moved, np.uint16)


def _give(id_map: IdMap, prompts: PlainPrompts, index: int) -> IdMap:
    for object_id, mask in prompts.get(index, {}).items():
        id_map[np.asarray(mask, bool)] = object_id
    return id_map


def _result(index: int, id_map: IdMap, prompts: PlainPrompts) -> FrameResult:
    ids = sorted({i for start, masks in prompts.items() if start <= index for i in masks})
    # A baseline has no opinion of how sure it is.
    scores = {object_id: float((id_map == object_id).any()) for object_id in ids}
    return FrameResult(index, id_map.copy(), tuple(ids), scores)
