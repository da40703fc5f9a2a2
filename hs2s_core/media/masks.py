"""Object masks in memory and on disk: palettised PNG, id maps; and what ails a bad one.

An *id map* is an array ``(H, W)`` of uint8 or uint16 whose values are object ids, 0 = background.
DAVIS and YouTube-VOS store one id map per frame as a palettised PNG; in those files 255 marks
void pixels (not annotated), which belong to no object.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from hs2s_core.checked.calls import checked_call
from hs2s_core.errors import InvalidMask
from hs2s_core.files import replacing
from hs2s_core.media.images import DECODE_ERRORS, list_files, upright
from hs2s_core.media.mask_pictures import (
    VOID,
    IdMap,
    check_edges,
    check_levels,
    davis_palette,
    is_black_and_white,
    picture_ids,
    wide_ids,
)

__all__ = [
    "VOID",
    "BoolMask",
    "IdMap",
    "MaskFile",
    "array_ids",
    "check_prompt",
    "davis_palette",
    "id_dtype",
    "list_masks",
    "mask_box",
    "object_ids",
    "read_id_map",
    "read_mask_file",
    "split_objects",
    "write_id_map",
]

BoolMask = npt.NDArray[np.bool_]
"""(H, W) bool, true inside the object."""


_EXACT = ("PNG", "BMP", "TIFF")
"""Formats of a single mask; others may change its values. Folders of masks have PNGs."""


def list_masks(folder: Path) -> list[Path]:
    """PNG files of a folder in natural order, without hidden ones; InvalidMedia if unlistable."""
    return list_files(folder, (".png",))


class MaskFile(NamedTuple):
    """What one mask file holds."""

    ids: IdMap
    """``(H, W)`` uint8, or uint16 from a 16-bit file."""
    only_void: bool
    """Whether void pixels, read as background, were its whole foreground."""


@checked_call
def read_id_map(path: str | Path, *, void: int | None = VOID) -> IdMap:
    """Read the id map of one frame from a PNG, BMP or TIFF of any mode.

    A palettised or grey file holds the ids themselves; one of 0 and white alone is a mask of one
    object, which gets id 1; colours are read by :mod:`hs2s_core.media.mask_pictures`.

    Args:
        path: the file, of 1 to 16 bits.
        void: the value of pixels without annotation in 8-bit files, read as background;
            ``None`` takes every value for an id. 16-bit files have no void value.

    Returns:
        ``(H, W)`` uint8, or uint16 from a 16-bit file.

    Raises:
        InvalidMask: the file is missing, broken or of another format, has soft edges or several
            colours.
    """
    return read_mask_file(path, void=void).ids


def read_mask_file(path: str | Path, *, void: int | None = VOID) -> MaskFile:
    """Like :func:`read_id_map`, and say whether all that the file shows is void."""
    path = Path(path)
    with open_mask(path, str(path)) as image:
        if image.format not in _EXACT:
            raise InvalidMask(
                f"{path}: is a {image.format} file; expected a PNG, because other formats may "
                "change the ids."
            )
        ids, sure = picture_ids(image, path)
        ids = upright(ids, image)
    return MaskFile(ids, only_void=False) if void is None else _clean(ids, sure, void, path)


@contextmanager
def open_mask(path: Path, name: str) -> Iterator[Image.Image]:
    """A mask's file as Pillow opens it; InvalidMask, naming it so, where it cannot be read."""
    if not path.is_file():
        raise InvalidMask(f"{name}: no such mask file; expected a palettised PNG with object ids.")
    try:
        with Image.open(path) as image:
            yield image
    except InvalidMask:
        raise
    except DECODE_ERRORS as error:
        raise InvalidMask(
            f"{name}: cannot be read as an image ({error}); expected a PNG id map. "
            "Write the file again: it may be cut short."
        ) from error


def array_ids(values: npt.NDArray[Any], *, name: object, void: int | None = VOID) -> IdMap:
    """The id map that an array in memory holds, by the rules of :func:`read_id_map`.

    Args:
        values: ``(H, W)``, bool or whole numbers; or ``(H, W, 3 or 4)`` uint8, RGB or RGBA.
        name: what a message calls it.
        void: as there, of arrays of 8 bits.

    Raises:
        InvalidMask: another shape or type, soft edges, several colours, or values beyond 16 bits.
    """
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    coloured = values.ndim == 3 and values.shape[2] in (3, 4) and values.dtype == np.uint8
    if values.ndim == 2 and values.dtype.kind == "f" and np.array_equal(values, np.rint(values)):
        values = values.astype(np.int64)
    if not coloured and (values.ndim != 2 or values.dtype.kind not in "bui"):
        raise InvalidMask(
            f"{name} has shape {values.shape} and type {values.dtype}; expected one integer per "
            "pixel. Turn colours or probabilities into object ids first."
        )
    if coloured:
        ids, sure = picture_ids(Image.fromarray(values), name)
    else:
        narrow = values.dtype in (np.bool_, np.uint8)
        ids, sure = (values.astype(np.uint8) if narrow else wide_ids(values, name)), False
    return ids if void is None else _clean(ids, sure, void, name).ids


def _clean(ids: IdMap, sure: bool, void: int, name: object) -> MaskFile:
    """Take white alone for object 1 and void for background, and refuse soft edges."""
    present = object_ids(ids)
    if not sure:
        if is_black_and_white(ids, present):
            return MaskFile((ids != 0).astype(np.uint8), only_void=False)
        check_edges(ids, present, name)
        if ids.dtype == np.uint8 and void == VOID:
            check_levels(present, name)
    if ids.dtype == np.uint8 and void in present:
        ids = np.where(ids == void, np.uint8(0), ids)
    return MaskFile(ids, only_void=ids.dtype == np.uint8 and present == [void])


@checked_call
def write_id_map(path: str | Path, id_map: npt.NDArray[Any]) -> None:
    """Write an id map as PNG, completely or not at all; missing folders are made.

    uint8 maps become a palettised PNG in :func:`davis_palette` (255 then means void). Maps of other
    integer types become one too while their ids stay below 255, and a 16-bit grey PNG above.

    Args:
        path: the file to write; an existing one is replaced.
        id_map: ``(H, W)`` bool or integers from 0 to 65535.

    Raises:
        InvalidMask: not a two-dimensional map of ids in that range.
    """
    path = Path(path)
    id_map = np.asarray(id_map)
    if id_map.ndim != 2 or id_map.size == 0 or id_map.dtype.kind not in "bui":
        raise InvalidMask(
            f"{path}: cannot write an array of shape {id_map.shape} and type {id_map.dtype}; "
            "expected an id map (H, W) of integers."
        )
    if id_map.dtype in (np.bool_, np.uint8):
        narrow = True
    else:
        id_map = wide_ids(id_map, path)
        narrow = bool(id_map.max() < VOID)
    image = Image.fromarray(np.ascontiguousarray(id_map, dtype=np.uint8 if narrow else np.uint16))
    if narrow:
        image.putpalette(davis_palette().tobytes())
    with replacing(path) as part:
        image.save(part, format="PNG")


def id_dtype(highest: int) -> type[np.unsignedinteger[Any]]:
    """Return the type of an id map with ids up to ``highest``: uint8, or uint16 from 255 on.

    In maps of type uint8, 255 is void wherever they are written or read as files.
    """
    return np.uint8 if highest < VOID else np.uint16


def object_ids(id_map: npt.NDArray[Any]) -> list[int]:
    """Return the object ids of an id map ``(H, W)``, ascending, without the background 0."""
    if id_map.dtype not in (np.uint8, np.uint16) or not id_map.size:
        return [int(value) for value in np.unique(id_map) if value != 0]
    # A histogram over all possible ids is over ten times faster than sorting the pixels.
    bins = np.iinfo(id_map.dtype).max + 1
    histogram = cv2.calcHist([id_map], [0], None, [bins], [0, bins])
    return [int(value) for value in np.flatnonzero(histogram) if value != 0]


@checked_call
def split_objects(id_map: npt.NDArray[Any]) -> dict[int, BoolMask]:
    """Return one mask ``(H, W)`` bool per object of an id map, by ascending id."""
    return {object_id: id_map == object_id for object_id in object_ids(id_map)}


def mask_box(mask: npt.NDArray[Any]) -> tuple[slice, slice]:
    """Rows and columns of the smallest box around the pixels of a mask (H, W), at least one."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def check_prompt(mask: npt.ArrayLike, frame_size: tuple[int, int], *, name: str) -> BoolMask:
    """Return a prompt as ``(H, W)`` bool, or say why it cannot be one.

    Args:
        mask: ``(H, W)``: bool, or numbers that are 0 and one other value out of 1 and 255.
        frame_size: ``(H, W)`` of the frame the prompt belongs to, pixels.
        name: what the user calls this prompt, for example ``"object 2 in frame 0"``.

    Raises:
        InvalidMask: wrong dimensions, not binary, another size than the frame, or empty.
    """
    array = np.asarray(mask)
    if array.ndim != 2:
        raise InvalidMask(
            f"{name}: the mask has shape {array.shape}; expected (H, W) = {tuple(frame_size)}. "
            "Give one channel, and one mask per object."
        )
    if array.shape != tuple(frame_size):
        found, expected = (f"{height} x {width}" for height, width in (array.shape, frame_size))
        hint = "Resize the mask to the frame (nearest neighbour)."
        if array.shape == tuple(frame_size)[::-1]:
            hint = "Height and width look swapped: transpose the mask."
        raise InvalidMask(
            f"{name}: the mask is {found} pixels (height x width); the frame is {expected}. {hint}"
        )
    if array.dtype.kind not in "buif":
        raise InvalidMask(f"{name}: the mask holds {array.dtype} values; expected bool or 0 and 1.")
    if not array.any():
        raise InvalidMask(
            f"{name}: the mask is empty; expected at least one object pixel. "
            "Give the prompt in a frame in which the object can be seen."
        )
    if array.dtype.kind != "b":
        _check_binary(array, name)
    return array.astype(np.bool_)


def _check_binary(array: npt.NDArray[Any], name: str) -> None:
    """Refuse soft masks, id maps and not-a-number, each with its own advice."""
    foreground = array[array != 0]
    low, high = foreground.min(), foreground.max()
    if low == high and low in (1, VOID):
        return
    if array.dtype.kind != "f" and low >= 0 and high <= np.iinfo(np.uint16).max:
        check_edges(array.astype(np.uint16), np.unique(foreground).tolist(), name)
    if low < 0 or not (np.isfinite(high) and float(low).is_integer()):
        hint = "It looks like a soft mask: cut it at a threshold, for example mask > 0.5."
    else:
        hint = "It looks like an id map: take its objects with split_objects."
    raise InvalidMask(
        f"{name}: the mask is not binary: its foreground runs from {low} to {high}; "
        f"expected only 0 and 1 (or 0 and 255). {hint}"
    )
