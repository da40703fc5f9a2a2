"""Films the parts of a synthetic clip: a camera over a still, and layers in front of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hs2s_core.data.motion import (
    FloatArray,
    Matrix,
    Motion,
    draw_bend,
    draw_path,
    draw_tilt,
    place,
    turn_about,
)
from hs2s_core.data.photometry import line_kernel
from hs2s_core.data.resampling import shrink
from hs2s_core.data.stills import Cutout
from hs2s_core.media.images import RGBImage


@dataclass
class Scene:
    """A synthetic clip in the making: layer after layer, each in front of what is there."""

    rng: np.random.Generator
    motion: Motion
    frames: NDArray[np.uint8]
    """(T, H, W, 3) uint8 RGB"""
    id_maps: NDArray[np.uint8]
    """(T, H, W) uint8, 0 = background"""
    shake: FloatArray | None = None
    """(T, 2), added to every path, in pixels."""

    @classmethod
    def empty(
        cls,
        rng: np.random.Generator,
        motion: Motion,
        size: tuple[int, int],
        length: int,
        shake: FloatArray | None = None,
    ) -> Scene:
        """``length`` black frames of ``size`` (H, W)."""
        frames = np.zeros((length, *size, 3), np.uint8)
        return cls(rng, motion, frames, np.zeros((length, *size), np.uint8), shake)

    def film(self, rgb: RGBImage, objects: NDArray[np.uint8], *, pace: float, zoom: float) -> None:
        """Move a camera over a still, on which ``objects`` (H, W) are.

        ``zoom`` is relative to the scale at which the still just covers the frame.
        """
        height, width = self.id_maps.shape[1:]
        path = self._path(pace)
        cover = max(height / rgb.shape[0], width / rgb.shape[1])
        path[:, 0] = np.exp(path[:, 0] - path[0, 0]) * cover * zoom
        tilt = draw_tilt(self.rng, len(path), self.motion)
        home = np.array([width / 2, height / 2])
        small, back = shrink(rgb, float(path[:, 0].max()))
        for t in range(len(path)):
            matrix = place(path[t], tilt[t], rgb.shape, home)
            self.frames[t] = cv2.warpPerspective(
                small,
                matrix @ back,
                (width, height),
                flags=cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REFLECT_101,
            )
            if objects.any():
                self.id_maps[t] = cv2.warpPerspective(
                    objects, matrix, (width, height), flags=cv2.INTER_NEAREST
                )

    def paste(
        self,
        cutout: Cutout,
        object_id: int,
        home: NDArray[Any],
        target: float,
        *,
        pace: float,
        jointed: bool = False,
        smear: bool = False,
    ) -> None:
        """Move ``cutout`` over the frames, in front of what is there.

        It starts near ``home`` (x, y) with the square root of its area at ``target`` pixels. A
        ``jointed`` layer folds at a line through it, so that one part swings over the other; a
        ``smear``ed one is blurred along its own motion.
        """
        rng, path = self.rng, self._path(pace)
        grown = np.exp(path[:, 0] - path[0, 0])
        cutout = _shrink_to(cutout, float(grown.max()) * target)
        path[:, 0] = grown * target / _side(cutout)
        tilt = draw_tilt(rng, len(path), self.motion)
        bend = draw_bend(rng, len(path), self.motion.bend * target)
        parts = _fold(rng, cutout.alpha, len(path)) if jointed else [(cutout.alpha, None)]
        for t, (frame, id_map) in enumerate(zip(self.frames, self.id_maps, strict=True)):
            pose = place(path[t], tilt[t], cutout.alpha.shape, home)
            step = path[t, 2:] - path[max(t - 1, 0), 2:]
            for alpha, turns in parts:
                matrix = pose if turns is None else pose @ turns[t]
                box = _box(matrix, alpha.shape, id_map.shape, margin=3 + 0.3 * target)
                if box is None:
                    continue
                map_x, map_y = _source_maps(matrix, None if bend is None else bend[t], box)
                layer = cv2.remap(
                    cutout.rgb, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
                )
                seen = cv2.remap(alpha, map_x, map_y, cv2.INTER_LINEAR)
                _blend(frame, id_map, box, layer, seen, object_id, step if smear else None)

    def _path(self, pace: float) -> FloatArray:
        length, height, width = self.id_maps.shape
        path = draw_path(self.rng, (height, width), length, self.motion, pace)
        if self.shake is not None:
            path[:, 2:] += self.shake
        return path


def _side(cutout: Cutout) -> float:
    """Square root of a region's area, in pixels."""
    return float(np.sqrt((cutout.alpha > 127).sum()))


def _shrink_to(cutout: Cutout, side: float) -> Cutout:
    """``cutout`` with the square root of its area at about ``side``, if it is larger."""
    scale = side / _side(cutout)
    alpha, _ = shrink(cutout.alpha, scale)
    # A region of thin lines may vanish where it is averaged.
    return Cutout(shrink(cutout.rgb, scale)[0], alpha) if (alpha > 127).any() else cutout


def _blend(
    frame: NDArray[np.uint8],
    id_map: NDArray[np.uint8],
    box: tuple[slice, slice],
    layer: NDArray[Any],
    alpha: NDArray[Any],
    object_id: int,
    step: FloatArray | None,
) -> None:
    """Put one layer into one frame; ``step`` (x, y) is its motion in pixels, to be seen as blur."""
    soft = cv2.blur(alpha, (3, 3)).astype(np.float32)[..., None] / 255
    below = frame[box]
    kernel = None if step is None else _streak(0.5 * step)
    if kernel is not None:
        soft = cv2.filter2D(soft, -1, kernel)[..., None]
        layer = cv2.filter2D(layer, -1, kernel)
    frame[box] = (below * (1 - soft) + layer * soft).astype(np.uint8)
    id_map[box][alpha > 127] = object_id


def _streak(step: FloatArray) -> FloatArray | None:
    """A line as long as ``step``, summing to 1; None if it is shorter than two pixels."""
    reach = int(min(np.ceil(np.abs(step).max() / 2), 9))
    if reach < 1:
        return None
    return line_kernel(reach, np.clip(step / 2, -reach, reach))


def _fold(
    rng: np.random.Generator, alpha: NDArray[np.uint8], length: int
) -> list[tuple[NDArray[np.uint8], list[Matrix] | None]]:
    """Two parts of a region: one that stays, and one that swings about a joint before it."""
    ys, xs = np.nonzero(alpha > 127)
    low, high = np.quantile(np.stack([xs, ys]), [0.3, 0.7], axis=1)
    joint = rng.uniform(low, high + 1e-6)
    direction = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[: alpha.shape[0], : alpha.shape[1]]
    beyond = (x - joint[0]) * np.cos(direction) + (y - joint[1]) * np.sin(direction)
    # The parts overlap a little, so that no gap opens at the joint.
    overlap = 0.08 * np.sqrt(len(xs))
    stays = np.where(beyond < overlap, alpha, 0).astype(np.uint8)
    swings = np.where(beyond >= -overlap, alpha, 0).astype(np.uint8)
    reach, rate, phase = rng.uniform(0.4, 1.4), rng.uniform(0.2, 0.9), rng.uniform(0, 2 * np.pi)
    angles = reach * (np.sin(phase + rate * np.arange(length)) - np.sin(phase))
    return [(stays, None), (swings, [turn_about(joint, float(angle)) for angle in angles])]


def _box(
    matrix: Matrix, source: tuple[int, ...], size: tuple[int, ...], margin: float
) -> tuple[slice, slice] | None:
    """Rows and columns of the frame that the moved layer can touch; None if outside."""
    height, width = source[:2]
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]]) @ matrix.T
    if (corners[:, 2] < 0.2).any():  # too near to be filmed
        return None
    corners = corners[:, :2] / corners[:, 2:]
    low = np.floor(corners.min(0) - margin).astype(int).clip(0)
    high = np.minimum(np.ceil(corners.max(0) + margin).astype(int), (size[1], size[0]))
    if (high <= low).any():
        return None
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def _source_maps(
    matrix: Matrix, bend: FloatArray | None, box: tuple[slice, slice]
) -> tuple[FloatArray, FloatArray]:
    """Where each pixel of ``box`` comes from in the layer, for :func:`cv2.remap`."""
    rows, columns = box
    x, y = np.meshgrid(
        np.arange(columns.start, columns.stop, dtype=np.float32),
        np.arange(rows.start, rows.stop, dtype=np.float32),
    )
    if bend is not None:
        x += cv2.resize(bend[0], x.shape[::-1], interpolation=cv2.INTER_CUBIC)
        y += cv2.resize(bend[1], y.shape[::-1], interpolation=cv2.INTER_CUBIC)
    inverse = np.linalg.inv(matrix).astype(np.float32)
    depth = inverse[2, 0] * x + inverse[2, 1] * y + inverse[2, 2]
    # Points behind the camera come from nowhere.
    depth = np.where(depth > 1e-3, depth, np.float32(np.nan)).astype(np.float32)
    map_x = (inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 2]) / depth
    map_y = (inverse[1, 0] * x + inverse[1, 1] * y + inverse[1, 2]) / depth
    return np.nan_to_num(map_x, nan=-1e4), np.nan_to_num(map_y, nan=-1e4)
