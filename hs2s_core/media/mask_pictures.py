"""What a picture of masks means: object ids by value, by palette or by colour, whatever its mode.

The same mask comes as palette, grey, RGB or RGBA, by the program that saved it. What it says
is told by its values: 0 and white alone are one object in black and white; a palette of DAVIS's
colours, and these colours themselves, are ids; other values are ids too, unless they run along
the edges of others as smoothing (antialiasing, JPEG, dithering) makes them.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from hs2s_core.errors import InvalidMask
from hs2s_core.media.images import is_wide, wide_values
from hs2s_core.wording import some

IdMap = npt.NDArray[Any]
"""(H, W) unsigned integers: an object id per pixel, 0 is background."""

VOID = 255
"""The value of pixels that are not annotated, in 8-bit files."""
_MAX_ID = np.iinfo(np.uint16).max
# Pillow spreads the values of grey files of few bits over a byte; ids are what was spread.
_SPREAD = {"L;2": 85, "L;4": 17}
_SPECK, _AREA = 16, 64
"""Pixels from which values along edges, or a region of nothing else, are no accident."""
_MANY = 20
"""Values, each along edges only, that no numbering of objects explains."""


@lru_cache(maxsize=1)
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
    palette.flags.writeable = False
    return palette


def picture_ids(image: Image.Image, name: object) -> tuple[IdMap, bool]:
    """Return the values that stand for ids, ``(H, W)`` uint8 or uint16, and if they surely do.

    Args:
        image: the open picture, of any of Pillow's modes.
        name: of the file, for messages.

    Raises:
        InvalidMask: several colours that are no ids, or values beyond 16 bits.
    """
    if image.mode == "P":
        return _palette_ids(image, name)
    if image.mode in ("1", "L"):
        tiles = getattr(image, "tile", None)
        packing = str(tiles[0][3]) if tiles else ""
        return np.array(image).astype(np.uint8) // np.uint8(_SPREAD.get(packing, 1)), False
    if image.mode.startswith("I"):
        return wide_ids(np.array(image), name), False
    if is_wide(image):  # of which Pillow gives the upper 8 bits alone
        values = wide_values(Path(image.filename), image)  # type: ignore[attr-defined]
        if (values % 257).any() and (values == values[..., :1]).all():
            return wide_ids(values[..., 0], name), False
    cut = _cut_out(image)
    return (cut, True) if cut is not None else _colour_ids(_flatten(image), name)


def _cut_out(image: Image.Image) -> IdMap | None:
    """What is opaque in a photo on nothing, as programs that remove backgrounds save an object."""
    rgba = np.array(image.convert("RGBA"))
    alpha = rgba[..., 3]
    if not np.array_equal(np.unique(alpha), [0, VOID]):
        return None
    # Objects in colours of their own are fewer, and are refused rather than merged.
    photo = len(np.unique(_codes(rgba[..., :3][alpha > 0]))) > VOID
    return (alpha > 0).astype(np.uint8) if photo else None


def wide_ids(values: npt.NDArray[Any], name: object) -> IdMap:
    """Bring values of more than 8 bits, whatever integer type holds them, to uint16."""
    if values.size and (values.min() < 0 or values.max() > _MAX_ID):
        raise InvalidMask(
            f"{name}: ids run from {values.min()} to {values.max()}; expected 0 to {_MAX_ID}."
        )
    return values.astype(np.uint16)


def _palette_ids(image: Image.Image, name: object) -> tuple[IdMap, bool]:
    """Indices are the ids, unless the colours say otherwise.

    They do where another index than 0 is black or transparent, and where several objects have
    DAVIS's colours at other indices than DAVIS: editors make a palette anew when they save.
    """
    indices = np.array(image)
    clear = np.isin(indices, _clear_indices(image))
    if indices[clear].any():
        if (indices[~clear] == 0).any():
            return _colour_ids(_flatten(image), name)
        indices = np.where(clear, np.uint8(0), indices)
    listed = image.getpalette() or []
    colours = np.zeros((256, 3), np.uint8)
    colours.reshape(-1)[: len(listed)] = listed[: colours.size]
    used = np.unique(indices)
    black = ~colours[used].any(axis=1)
    if len(used) > 1 and black.any() and not black[0]:
        return _colour_ids(colours[indices], name)
    as_davis = bool((colours[used] == davis_palette()[used]).all())
    if not as_davis and len(used) > 2 and _are_davis_colours(colours[used]):
        return _colour_ids(colours[indices], name)
    return indices, as_davis


def _clear_indices(image: Image.Image) -> list[int]:
    """Indices of a palette that show nothing."""
    clear = image.info.get("transparency", ())
    if isinstance(clear, int):
        return [clear]
    return [index for index, alpha in enumerate(clear) if not alpha]


def _are_davis_colours(colours: npt.NDArray[np.uint8]) -> bool:
    """Whether each of these (n, 3) is another of DAVIS's colours, and not all are greys."""
    codes = _codes(colours)
    known = np.isin(codes, _codes(davis_palette())).all()
    return bool(known) and len(set(codes)) == len(codes) and bool((colours != colours[:, :1]).any())


def _flatten(image: Image.Image) -> npt.NDArray[np.uint8]:
    """Colours (H, W, 3) on black; what is painted in black on nothing becomes white.

    Colours that all let the same of the picture below through, as overlays do, are as opaque ones.
    """
    rgba = np.array(image.convert("RGBA"))
    alpha = rgba[..., 3:]
    if len(np.unique(alpha[alpha > 0])) == 1:
        alpha = np.where(alpha > 0, np.uint8(255), np.uint8(0))
    colours: npt.NDArray[np.uint8] = (rgba[..., :3].astype(np.uint16) * alpha // 255).astype("u1")
    if not colours.any() and not alpha.all():
        colours = alpha.repeat(3, axis=2)
    return colours


def _colour_ids(colours: npt.NDArray[np.uint8], name: object) -> tuple[IdMap, bool]:
    """Ids of a picture ``(H, W, 3)``: DAVIS's colours, grey levels, or one colour on black."""
    codes = _codes(colours)
    found, places = np.unique(codes, return_inverse=True)
    shown = found[found != 0]
    grey = bool((colours == colours[..., :1]).all())
    known = _codes(davis_palette())
    if np.isin(found, known).all() and not (grey and len(shown) > 1):
        order = np.argsort(known)
        ids: IdMap = order[np.searchsorted(known, found, sorter=order)].astype(np.uint8)
        return ids[places].reshape(codes.shape), True
    if grey:
        return np.ascontiguousarray(colours[..., 0]), False
    if len(shown) == 1:
        return (codes != 0).astype(np.uint8), True
    raise InvalidMask(
        f"{name}: has {len(shown)} colours that are not those of object ids, as a photo or a mask "
        "with soft edges has; expected a palettised or grey PNG with one integer per object, or "
        "one colour on black."
    )


def _codes(colours: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
    """One number for each colour."""
    weights = np.array([1 << 16, 1 << 8, 1], np.uint32)
    codes: npt.NDArray[np.uint32] = colours.astype(np.uint32) @ weights
    return codes


def is_black_and_white(values: IdMap, present: list[int]) -> bool:
    """Whether the only value besides 0 is white: a mask of one object, not an id."""
    return present == [np.iinfo(values.dtype).max]


def check_levels(present: list[int], name: object) -> None:
    """Refuse greys that are spread evenly up to white: white would be void, and an object lost.

    Args:
        present: the values of an 8-bit picture but 0, ascending.
        name: of the file, for messages.

    Raises:
        InvalidMask: 127 and 255, say, or 85, 170 and 255.
    """
    count = len(present)
    even = all(abs(value - VOID * (i + 1) / count) <= 1 for i, value in enumerate(present))
    if 2 <= count <= _MANY and even:
        raise InvalidMask(
            f"{name}: its values {', '.join(map(str, present))} are greys spread evenly, as a "
            f"program makes them to show {count} objects, and {VOID} stands for void here; "
            f"expected the numbers themselves, 1 to {count}. Save the mask so, or divide its "
            f"values by {VOID // count}."
        )


def check_edges(values: IdMap, present: list[int], name: object) -> None:
    """Refuse values that only smoothing explains.

    An object has, as a rule, some pixel whose eight neighbours are its own. The values that
    smoothing makes have none: they lie between a solid region and the background, or among each
    other. Objects of a few pixels have none either, but lie by themselves.

    Args:
        values: ``(H, W)`` uint8 or uint16.
        present: its values but 0.
        name: of the file, for messages.

    Raises:
        InvalidMask: soft edges, or dithered colours.
    """
    soft = _soft_values(values, present) if len(present) > 1 else []
    if soft:
        raise InvalidMask(
            f"{name}: looks like a picture of a mask with soft edges, not like object ids: "
            f"{len(soft)} of its {len(present)} values ({some(map(str, soft))}) lie only along "
            "edges of others; expected one value per object. Save the mask without smoothing "
            "(antialiasing, dithering, JPEG), or cut it at half its brightness."
        )


def _soft_values(values: IdMap, present: list[int]) -> list[int]:
    """The values that smoothing has made; none where these may be objects."""
    around, most = np.ones((3, 3), np.uint8), int(np.iinfo(values.dtype).max)
    filled = np.where(values == 0, most, values).astype(values.dtype)
    high, low, least = (
        change(array, around, borderType=cv2.BORDER_REPLICATE)
        for change, array in ((cv2.dilate, values), (cv2.erode, values), (cv2.erode, filled))
    )
    solid = {int(value) for value in np.unique(values[(low == high) & (values > 0)])}
    thin = [value for value in present if value not in solid and value != most]
    table = np.zeros(most + 1, np.bool_)
    table[thin] = True
    edges = table[values]
    area = int(edges.sum())
    if area < _SPECK:
        return []
    rim = (values > 0) & (low == 0)
    touching = 2 * int((edges & ((high > values) | (least < values))).sum()) >= area
    between = 2 * int((edges & (high > values)).sum()) >= area
    lines_regions = between and 3 * int((edges & rim).sum()) > int(rim.sum())
    lines_white = between and solid == {most}
    speckled = touching and not solid and area >= _AREA
    # Objects are numbered from 1, mostly; grey levels are not.
    sparse = len(thin) > _MANY or max(thin) > 2 * len(present)
    many = touching and sparse and len(thin) >= 4 and 3 * len(thin) >= 2 * len(present)
    return thin if lines_regions or lines_white or speckled or many else []
