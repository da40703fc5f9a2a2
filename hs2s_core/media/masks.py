"""Object masks in memory and on disk: palettised PNG, id maps, RLE; and what ails a bad one.

An *id map* is an array ``(H, W)`` of uint8 or uint16 whose values are object ids, 0 = background.
DAVIS and YouTube-VOS store one id map per frame as a palettised PNG; in those files 255 marks
void pixels (not annotated), which belong to no object.
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image
from pycocotools import mask as coco_mask

from hs2s_core.errors import InvalidMask

BoolMask = npt.NDArray[np.bool_]
IdMap = npt.NDArray[Any]

VOID = 255
_MAX_ID = np.iinfo(np.uint16).max
# Everything Pillow is known to raise on a truncated or damaged file.
_BROKEN_FILE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def davis_palette() -> npt.NDArray[np.uint8]:
    """Return the 256 colours ``(256, 3)`` uint8 RGB in which VOC, DAVIS and YouTube-VOS draw ids.

    The three lowest bits of an id become the highest bits of red, green and blue, the next three
    the second highest, and so on; neighbouring ids therefore get clearly different colours.
    """
    ids = np.arange(256)
    palette = np.zeros((256, 3), dtype=np.uint8)
    for level in range(3):
        for channel in range(3):
            bit = (ids >> (3 * level + channel)) & 1
            palette[:, channel] |= (bit << (7 - level)).astype(np.uint8)
    return palette


def read_id_map(
    path: str | Path, *, void: int | None = VOID, black_and_white: bool = False
) -> IdMap:
    """Read the id map of one frame from a palettised or grey PNG.

    Args:
        path: the PNG file, of 1 to 8 bits (palettised or grey) or 16 bits (grey).
        void: the value of pixels without annotation in 8-bit files, read as background;
            ``None`` keeps it as an id. 16-bit files have no void value.
        black_and_white: accept a grey file of 0 and 255 (DAVIS-2016) as one object with id 1.

    Returns:
        ``(H, W)`` uint8, or uint16 from a 16-bit file.

    Raises:
        InvalidMask: the file is missing, broken, not a PNG, coloured, or black and white
            without ``black_and_white``.
    """
    path = Path(path)
    if not path.is_file():
        raise InvalidMask(f"{path}: no such mask file; expected a palettised PNG with object ids.")
    try:
        with Image.open(path) as image:
            kind, mode = image.format, image.mode
            # Grey levels or palette indices are the ids; no conversion may touch them.
            values = np.array(image) if mode in ("P", "L", "1") or mode.startswith("I") else None
    except _BROKEN_FILE as error:
        raise InvalidMask(
            f"{path}: cannot be read as an image ({error}); expected a PNG id map. "
            "Write the file again: it may be cut short."
        ) from error
    if kind != "PNG":
        raise InvalidMask(
            f"{path}: is a {kind} file; expected a PNG, because other formats may change the ids."
        )
    if values is None:
        raise InvalidMask(
            f"{path}: has colours (mode {mode}), not object ids; expected a palettised or grey "
            "PNG. Save the id map itself (one integer per pixel) instead of a picture of it."
        )
    if mode not in ("P", "L", "1"):
        return _as_ids(values, path)
    ids: IdMap = values.astype(np.uint8)
    if mode == "L" and void == VOID:
        ids = _grey_ids(ids, path, black_and_white)
    if void is not None:
        ids[ids == void] = 0
    return ids


def _grey_ids(ids: IdMap, path: Path, black_and_white: bool) -> IdMap:
    """Catch the black and white mask, which would otherwise read as nothing but void."""
    if ids.max(initial=0) != VOID or object_ids(ids) != [VOID]:
        return ids
    if not black_and_white:
        raise InvalidMask(
            f"{path}: holds only 0 and 255, a black and white mask; expected object ids 1, 2, ... "
            "Save the object's pixels as 1, or read it with black_and_white=True as one object."
        )
    objects: IdMap = (ids == VOID).astype(np.uint8)
    return objects


def _as_ids(values: npt.NDArray[Any], name: object) -> IdMap:
    """Bring 16-bit values, whatever integer type holds them, to uint16."""
    if values.size and (values.min() < 0 or values.max() > _MAX_ID):
        raise InvalidMask(
            f"{name}: ids run from {values.min()} to {values.max()}; expected 0 to {_MAX_ID}."
        )
    return values.astype(np.uint16)


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
        id_map = _as_ids(id_map, path)
        narrow = bool(id_map.max() < VOID)
    image = Image.fromarray(np.ascontiguousarray(id_map, dtype=np.uint8 if narrow else np.uint16))
    if narrow:
        image.putpalette(davis_palette().tobytes())
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        image.save(part, format="PNG")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


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


def split_objects(id_map: npt.NDArray[Any]) -> dict[int, BoolMask]:
    """Return one mask ``(H, W)`` bool per object of an id map, by ascending id."""
    return {object_id: id_map == object_id for object_id in object_ids(id_map)}


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
    if array.dtype.kind == "f" and not float(low).is_integer():
        hint = "It looks like a soft mask: cut it at a threshold, for example mask > 0.5."
    else:
        hint = "It looks like an id map: take its objects with split_objects."
    raise InvalidMask(
        f"{name}: the mask is not binary: its foreground runs from {low} to {high}; "
        f"expected only 0 and 1 (or 0 and 255). {hint}"
    )


def encode_rle(mask: npt.ArrayLike) -> dict[str, Any]:
    """Encode a mask ``(H, W)`` bool as COCO RLE, ``{"size": [H, W], "counts": str}``."""
    array = np.asarray(mask)
    if array.ndim != 2:
        raise InvalidMask(f"cannot encode an array of shape {array.shape}; expected (H, W).")
    rle = coco_mask.encode(np.asfortranarray(array.astype(np.bool_), dtype=np.uint8))
    return {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode("ascii")}


def decode_rle(rle: dict[str, Any]) -> BoolMask:
    """Decode COCO RLE to ``(H, W)`` bool; counts may be a string, bytes or a list of run lengths.

    Raises:
        InvalidMask: no size, no counts, or counts that do not fill the size.
    """
    try:
        height, width = (int(side) for side in rle["size"])
        counts = rle["counts"]
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidMask('RLE needs "size": [H, W] and "counts"; one is missing.') from error
    runs = counts if isinstance(counts, list) else _run_lengths(counts)
    if height < 0 or width < 0 or min(runs, default=0) < 0 or sum(runs) != height * width:
        raise InvalidMask(
            f"the RLE's runs cover {sum(runs)} pixels; expected {height} x {width} "
            f"= {height * width}."
        )
    values = np.arange(len(runs)) % 2 == 1
    columns = np.repeat(values, np.asarray(runs, dtype=np.int64))
    return np.ascontiguousarray(columns.reshape(width, height).T)


def _run_lengths(counts: str | bytes) -> list[int]:
    """Unpack COCO's compressed counts: base-32 digits with a sign, differences to two runs back.

    Unpacked here rather than by pycocotools, whose older releases write out of bounds when the
    runs of a damaged file exceed the size.
    """
    text = counts.encode("ascii", errors="replace") if isinstance(counts, str) else counts
    runs: list[int] = []
    value = shift = 0
    for byte in text:
        digit = byte - 48
        if not 0 <= digit < 64:
            raise InvalidMask(f"the RLE's counts hold {chr(byte)!r}, which no RLE does.")
        value |= (digit & 31) << shift
        shift += 5
        if digit & 32:
            continue
        if digit & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise InvalidMask("the RLE's counts are cut short.")
    return runs
