"""Masks from boxes and points, and masks mended by points: GrabCut on colours, nothing learned.

Rother, Kolmogorov and Blake, "GrabCut", SIGGRAPH 2004, as OpenCV has it.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from hs2s_core.media.images import RGBImage, check_rgb
from hs2s_core.media.masks import BoolMask, mask_box
from hs2s_core.prompts.hints import Hint, Point

_SIDE = 320
"""Longest side, in pixels, at which colours are told apart."""
_ROUNDS = 4
_LEAST = 0.1
"""Of a box's area: a smaller mask is taken for a failure."""
_MARGIN = 0.5
"""Of a box's sides: what is seen around it to learn the background's colours."""
_REACH = 0.25
"""Of the frame's shorter side: how far around a point a mask is mended, or searched for."""
_Labels = npt.NDArray[np.uint8]


def draw(frame: RGBImage, hint: Hint, *, name: str = "the prompt") -> BoolMask:
    """A mask (H, W) of what ``hint`` points at in ``frame`` (H, W, 3), made from colours alone.

    Nothing outside of a box is inside the mask; every point inside is, no point outside. Where
    colours do not tell the object from what is around it, the mask is the ellipse in the box. Of
    points alone, the mask is what is connected to one inside.

    Raises:
        HS2SError: a box or point outside of the frame, a box without area, no box and no point
            inside.
    """
    hint.check(check_rgb(frame), name)
    if hint.box is None:
        return _from_points(frame, hint)
    return _from_box(frame, hint)


def mend(frame: RGBImage, mask: BoolMask, hint: Hint, *, name: str = "the mask") -> BoolMask:
    """``mask`` (H, W) with what ``hint`` says put right, changed around its points alone.

    A point inside adds the piece of the object that it lies on, a point outside takes a piece
    away. Several points along a line are a scribble.

    Raises:
        HS2SError: a point outside of the frame, no point at all, a box.
    """
    size = check_rgb(frame)
    hint.check(size, name, mends=True)
    reach = _REACH * min(size)
    near = _disks(size, [*hint.inside, *hint.outside], reach)
    labels = np.where(mask, cv2.GC_FGD, cv2.GC_BGD).astype(np.uint8)
    labels[near] = np.where(mask[near], cv2.GC_PR_FGD, cv2.GC_PR_BGD)
    wanted = _cut(frame, _with_points(labels, hint), near)
    mended = mask | _touching(wanted & ~mask, hint.inside, size)
    mended &= ~_touching(~wanted & mended, hint.outside, size)
    return _obey(mended, hint)


def _from_box(frame: RGBImage, hint: Hint) -> BoolMask:
    assert hint.box is not None
    size = frame.shape[:2]
    x0, y0, x1, y1 = hint.box
    box = np.zeros(size, bool)
    box[int(y0) : max(int(y0) + 1, round(y1)), int(x0) : max(int(x0) + 1, round(x1))] = True
    grown = np.zeros(size, bool)
    down, right = _MARGIN * (y1 - y0) + 4, _MARGIN * (x1 - x0) + 4
    grown[
        max(0, int(y0 - down)) : int(y1 + down) + 1, max(0, int(x0 - right)) : int(x1 + right) + 1
    ] = True
    labels = np.where(box, cv2.GC_PR_FGD, cv2.GC_BGD).astype(np.uint8)
    mask = _cut(frame, _with_points(labels, hint), grown) & box
    if np.count_nonzero(mask) < _LEAST * np.count_nonzero(box):
        round_ = np.zeros(size, np.uint8)
        centre, axes = ((x0 + x1 - 1) / 2, (y0 + y1 - 1) / 2), (x1 - x0, y1 - y0)
        cv2.ellipse(round_, (centre, axes, 0.0), 1, -1)
        mask = (round_ > 0) & box
    return _obey(mask, hint)


def _from_points(frame: RGBImage, hint: Hint) -> BoolMask:
    size = frame.shape[:2]
    near = _disks(size, hint.inside, _REACH * min(size))
    labels = np.full(size, cv2.GC_PR_BGD, np.uint8)
    labels[_disks(size, hint.inside, _REACH * min(size) / 3)] = cv2.GC_PR_FGD
    labels[~near] = cv2.GC_BGD
    mask = _cut(frame, _with_points(labels, hint), np.ones(size, bool))
    return _obey(_touching(mask | _brush(size, hint.inside), hint.inside, size), hint)


def _cut(frame: RGBImage, labels: _Labels, seen: BoolMask) -> BoolMask:
    """What GrabCut takes for the object, looking at the rectangle around ``seen`` alone."""
    part = mask_box(seen)
    image, known = frame[part], labels[part]
    scale = min(1.0, _SIDE / max(known.shape))
    if scale < 1:
        size = tuple(max(1, round(side * scale)) for side in known.shape[::-1])
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
        known = np.asarray(cv2.resize(known, size, interpolation=cv2.INTER_NEAREST))
    known = np.ascontiguousarray(known)
    inside = np.isin(known, (cv2.GC_FGD, cv2.GC_PR_FGD))
    if inside.any() and not inside.all():  # or there are no colours to tell apart
        # It draws its first clusters from OpenCV's generator, which all callers share.
        cv2.setRNGSeed(0)
        blank = np.zeros((1, 65)), np.zeros((1, 65))
        picture = np.ascontiguousarray(image)
        cv2.grabCut(picture, known, None, *blank, _ROUNDS, cv2.GC_INIT_WITH_MASK)
        inside = np.isin(known, (cv2.GC_FGD, cv2.GC_PR_FGD))
    found = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD))
    shape = found[part].shape
    found[part] = (
        cv2.resize(inside.astype(np.float32), shape[::-1], interpolation=cv2.INTER_LINEAR) > 0.5
    )
    return found


def _with_points(labels: _Labels, hint: Hint) -> _Labels:
    size = labels.shape
    labels[_brush(size, hint.inside)] = cv2.GC_FGD
    labels[_brush(size, hint.outside)] = cv2.GC_BGD
    return labels


def _obey(mask: BoolMask, hint: Hint) -> BoolMask:
    """``mask`` with every point on its side, whatever the colours say."""
    mask = mask | _brush(mask.shape, hint.inside)
    return mask & ~_brush(mask.shape, hint.outside) if hint.outside else mask


def _touching(pieces: BoolMask, points: tuple[Point, ...], size: tuple[int, ...]) -> BoolMask:
    """Those connected pieces that lie under a point's brush."""
    _, names = cv2.connectedComponents(pieces.astype(np.uint8), connectivity=4)
    chosen = np.unique(names[_brush(size, points)])
    return np.asarray(np.isin(names, chosen[chosen > 0]))


def _brush(size: tuple[int, ...], points: tuple[Point, ...]) -> BoolMask:
    """The pixels that points stand for: a hundredth of the frame around each."""
    return _disks(size, points, max(1.0, min(size[:2]) / 100))


def _disks(
    size: tuple[int, ...], points: tuple[Point, ...] | list[Point], radius: float
) -> BoolMask:
    picture = np.zeros(size[:2], np.uint8)
    for x, y in points:
        cv2.circle(picture, (int(x), int(y)), round(radius), 1, -1)
    return picture > 0
