"""Image files: natural order, listing a folder, reading one picture, reading only its size."""

from __future__ import annotations

import os
import re
import struct
import unicodedata
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from hs2s_core.errors import InvalidMedia

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
"""Of files that are taken as frames, in lower case."""

RGBImage = npt.NDArray[np.uint8]
"""(H, W, 3) uint8."""
_SYSTEM = frozenset(
    {
        *("__MACOSX", "@eaDir", "@Recycle", "#recycle", "#snapshot", "$RECYCLE.BIN"),
        *("System Volume Information", "lost+found"),
    }
)
"""What macOS, Windows, Linux and network storage put into folders."""
_DEPTHS = (8, 10, 12, 14)
"""Bits of what cameras and scanners store in pictures of 16 bits."""
_PROBES = 9
"""Pictures that are asked for their depth, from the first of a clip to the last."""
_DIGITS = re.compile(r"(\d+)", re.ASCII)
_EXIF_ORIENTATION = 0x0112
_TRANSPOSED = (5, 6, 7, 8)
_FLIPPED = {2: (1, -1), 3: (-1, -1), 4: (-1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}
"""Orientations in which rows and columns change places; the steps along them after that."""
DECODE_ERRORS = (
    *(OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error),
    Image.DecompressionBombError,
)
"""What Pillow raises on damaged or hostile files; a truncated JPEG is an OSError."""


def check_rgb(frame: npt.NDArray[Any]) -> tuple[int, int]:
    """The size (H, W) of a frame; raises InvalidMedia if it is no RGB of 8 bits."""
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
        raise InvalidMedia(
            f"a frame is {frame.dtype} of shape {frame.shape}; "
            "expected RGB uint8 of shape (H, W, 3)"
        )
    return int(frame.shape[0]), int(frame.shape[1])


def natural_key(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """Sort key: ``frame2`` before ``frame10``; what is equal so (``1``, ``01``) by spelling."""
    parts = [
        (0, int(part), "") if part.isascii() and part.isdigit() else (1, 0, part.lower())
        for part in _DIGITS.split(name)
        if part
    ]
    return parts, name


def find_name(name: str, names: Collection[str]) -> str | None:
    """The one of ``names`` that is ``name``, or looks the same; None if there is none.

    macOS writes an accented letter as two characters where other systems write one.
    """
    if name in names or name.isascii():
        return name if name in names else None
    composed = unicodedata.normalize("NFC", name)
    alike = (each for each in names if unicodedata.normalize("NFC", each) == composed)
    return next(alike, None)


def find_entry(folder: Path, name: str) -> Path:
    """What is called so in a folder, see :func:`find_name`; its path, whether it exists or not."""
    path = folder / name
    if name.isascii() or path.exists() or not folder.is_dir():
        return path
    return folder / (find_name(name, os.listdir(folder)) or name)


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is the system's, not the user's: dot files, @eaDir."""
    return name.startswith(".") or name in _SYSTEM


def list_files(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """Files of ``folder`` with these suffixes, whatever their case, in natural order.

    Hidden files (such as macOS ``._*``) are left out. Raises ``InvalidMedia`` if the folder cannot
    be listed.
    """
    try:
        with os.scandir(folder) as entries:
            names = [
                entry.name
                for entry in entries
                if Path(entry.name).suffix.lower() in suffixes
                and not is_hidden(entry.name)
                and not entry.is_dir()
            ]
    except OSError as error:
        raise InvalidMedia(
            f"{folder}: the folder cannot be listed ({error.strerror or error}); "
            "give an existing folder that you may read."
        ) from error
    names.sort(key=lambda name: (natural_key(Path(name).stem), name))
    return [folder / name for name in names]


def list_folders(folder: Path) -> list[Path]:
    """Folders in ``folder``, without hidden ones, in natural order."""
    found = [entry for entry in folder.iterdir() if entry.is_dir() and not is_hidden(entry.name)]
    return sorted(found, key=lambda entry: natural_key(entry.name))


def list_images(folder: Path) -> list[Path]:
    """Image files of ``folder``, see :func:`list_files`.

    Raises ``InvalidMedia`` if the folder cannot be listed or two files share one stem.
    """
    files = list_files(folder, IMAGE_SUFFIXES)
    seen: dict[str, Path] = {}
    for file in files:
        other = seen.setdefault(file.stem, file)
        if other is not file:  # 00000.jpg and 00000.png leave the frame's picture undecided
            raise InvalidMedia(
                f"{folder}: '{other.name}' and '{file.name}' both claim frame '{file.stem}'; "
                "expected one image per frame. Move the other files (masks?) to their own folder."
            )
    return files


def read_image(path: Path, bits: int | None = None) -> RGBImage:
    """One picture as RGB uint8 (H, W, 3), its EXIF rotation applied.

    Args:
        path: the file, of up to 16 bits a channel.
        bits: how many of 16 bits the values use, which the pictures of one clip have to share
            (:func:`used_bits`); by default those of this picture. Nothing else is stretched.

    Raises ``InvalidMedia`` if the file is missing, truncated or not an image.
    """
    with open_picture(path) as image:
        if image.mode == "F":
            raise ValueError("floating point values; expected 8 or 16 bits")
        if is_wide(image):
            values = wide_values(path, image)
            narrow = values >> ((_bits(values) if bits is None else bits) - 8)
            shown = Image.fromarray(np.clip(narrow, 0, 255).astype(np.uint8))
        else:
            shown = image
        return np.ascontiguousarray(upright(np.array(shown.convert("RGB")), image))


def upright(values: npt.NDArray[Any], image: Image.Image) -> npt.NDArray[Any]:
    """The pixels ``(H, W, ...)`` of a picture, turned as its EXIF orientation says."""
    orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    if orientation in _TRANSPOSED:
        values = values.swapaxes(0, 1)
    down, right = _FLIPPED.get(orientation, (1, 1))
    return values[::down, ::right]


def used_bits(files: Sequence[Path]) -> int | None:
    """How many bits the pictures of a clip use, if the first has 16; else ``None``.

    12-bit values in files of 16 bits would be nearly black, and 8-bit ones black. A few pictures
    are read, from the first to the last; what cannot be read is not reported here.
    """
    found: list[int] = []
    for place in np.unique(np.linspace(0, len(files) - 1, _PROBES).round().astype(int)):
        with suppress(InvalidMedia), open_picture(files[place]) as image:
            if is_wide(image):
                found.append(_bits(wide_values(files[place], image)))
            elif not place:
                return None
    return max(found, default=None)


def is_wide(image: Image.Image) -> bool:
    """Whether a picture stores more than 8 bits a channel; Pillow shows colours as 8 all the same.

    Of grey ones it would cut off at 255 what is brighter, instead of scaling it.
    """
    return image.mode.startswith("I") or ";16" in str(getattr(image, "tile", ""))


def wide_values(path: Path, image: Image.Image) -> npt.NDArray[np.int64]:
    """What such a picture holds: (H, W) grey or (H, W, 3) RGB."""
    if image.mode.startswith("I"):
        return np.asarray(image).astype(np.int64)
    read = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if read is None or read.dtype != np.uint16:
        return np.asarray(image.convert("RGB")).astype(np.int64) << 8
    colours: npt.NDArray[np.int64] = read[..., 2::-1] if read.ndim == 3 else read
    return colours.astype(np.int64)


def _bits(values: npt.NDArray[np.int64]) -> int:
    """Of :data:`_DEPTHS` the first that holds all values, or 16; so it is where all are zero."""
    highest = int(values.max())
    return next((bits for bits in _DEPTHS if 0 < highest < 2**bits), 16)


@contextmanager
def open_picture(path: Path) -> Iterator[Image.Image]:
    """A picture as Pillow opens it; raises ``InvalidMedia`` where that or the block cannot read."""
    try:
        with Image.open(path) as image:
            yield image
    except DECODE_ERRORS as error:
        raise unreadable(
            path,
            f"not readable as an image ({error}); expected an intact "
            f"{', '.join(sorted(IMAGE_SUFFIXES))} file. Copy it again from its source or convert "
            "it.",
        ) from error


def image_size(path: Path) -> tuple[int, int]:
    """(H, W) of a picture after its EXIF rotation, from the file's header alone.

    Raises ``InvalidMedia`` as ``read_image`` does, as far as the header tells.
    """
    with open_picture(path) as image:
        width, height = image.size
        turned = image.getexif().get(_EXIF_ORIENTATION, 1) in _TRANSPOSED
    return (width, height) if turned else (height, width)


def unreadable(path: Path, wrong: str) -> InvalidMedia:
    """Why a file cannot be read: it is missing, empty, or else what is ``wrong``."""
    if not path.exists():
        wrong = "no such file; check the path or restore the file."
    elif path.stat().st_size == 0:
        wrong = "the file is empty (0 bytes); copy it again from its source."
    return InvalidMedia(f"{path}: {wrong}")
