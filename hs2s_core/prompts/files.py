"""Which frame a mask file belongs to, by its name."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from hs2s_core.errors import InvalidMask
from hs2s_core.media.images import IMAGE_SUFFIXES, find_name, list_files
from hs2s_core.media.masks import list_masks
from hs2s_core.media.source import FrameSource, has_frame
from hs2s_core.wording import some

_NO_FRAMES = re.compile(r"\d{4}([-_.])\d\d\1\d\d|\d+x\d+", re.ASCII)
"""Dates and sizes in names."""
_NUMBER = re.compile(
    r"(?<![a-z])(?:frame|frm|image|img|f)[ _.-]*(?P<said>\d+)"
    r"|(?<!\d)(?P<padded>0\d+)|(?P<last>\d\d+)$",
    re.ASCII | re.IGNORECASE,
)
"""What may be the number of a frame in a name: after such a word, with zeros before it, or last."""


def placed_files(masks: Path, frames: FrameSource, frame: int | None) -> Iterator[tuple[int, Path]]:
    """(frame, file) of one PNG or of a folder of them, each at the 0-based frame it belongs to.

    See :meth:`hs2s_core.prompts.Prompts.from_files`. Raises InvalidMask for what belongs to none.
    """
    names = None if frames.names is None else {name: i for i, name in enumerate(frames.names)}
    if not masks.is_dir():
        named = _place(masks.stem, names, frames)
        if frame is None and named is None and _is_number(masks.stem):
            raise InvalidMask(
                f"{masks}: named after a frame that {frames.description} does not have; expected "
                f"{_known(names, frames)}. Rename it, or say its frame: --frame N"
            )
        if frame is None and named and names is None and masks.stem == _own_name(frames):
            raise _unsure(masks, masks.stem, names, frames)
        if frame is None and named is None:
            named = _hinted(masks, names, frames)
        place = named or 0 if frame is None else frame
        if not has_frame(frames, place):
            raise InvalidMask(
                f"{masks}: given for frame {place}, but {frames.description} has frames 0 to "
                f"{len(frames) - 1}."
            )
        yield place, masks
        return
    if frame is not None:
        raise InvalidMask(
            f"{masks}: a folder of masks, each named after its frame, with frame {frame} given "
            "beside it. Give one of its PNGs, or leave the frame out."
        )
    files = list_masks(masks)
    if not files:
        raise InvalidMask(f"{masks}: no PNG files in this folder; expected one mask per key frame.")
    _refuse_other_formats(
        masks, {_place(path.stem, names, frames) for path in files}, names, frames
    )
    for path in files:
        named = _place(path.stem, names, frames)
        if named is None:
            raise InvalidMask(
                f"{path}: belongs to no frame of {frames.description}; expected as its name "
                f"{_known(names, frames)}. Rename it, or give one PNG and its --frame."
            )
        yield named, path


def _refuse_other_formats(
    masks: Path, given: Collection[int | None], names: Mapping[str, int] | None, frames: FrameSource
) -> None:
    """A picture named after a frame for which there is no PNG would be left out without a word."""
    for path in list_files(masks, IMAGE_SUFFIXES - {".png"}):
        place = _place(path.stem, names, frames)
        if place is not None and place not in given:
            raise InvalidMask(
                f"{path}: named after frame {place}, but no PNG; expected masks as PNG, because "
                "other formats may change the ids. Save it as one, or move it to another folder."
            )


def _place(stem: str, names: Mapping[str, int] | None, frames: FrameSource) -> int | None:
    """The frame that a mask file called ``stem`` belongs to, by its name alone.

    Zeros before a number say nothing, unless names of frames differ in them alone.
    """
    own = None if names is None else find_name(stem, names)
    if names is not None and own is not None:
        return names[own]
    if not _is_number(stem):
        return None
    if names is None:
        return int(stem) if has_frame(frames, int(stem)) else None
    alike = [at for name, at in names.items() if _is_number(name) and int(name) == int(stem)]
    return alike[0] if len(alike) == 1 else None


def _hinted(masks: Path, names: Mapping[str, int] | None, frames: FrameSource) -> int | None:
    """The frame that the name of a mask holds, beside other words; None if it tells of none.

    Raises InvalidMask if it tells a number of which it is not sure what frame is meant.
    """
    # The number of a clip is none of its frames: take_02.png for take_02.mp4.
    stem = masks.stem.replace(_own_name(frames), " ")
    held = [
        name
        for name in names or ()
        if len(name) > 1
        and re.search(rf"(?<![^\W_]){re.escape(name)}(?![^\W_])", stem)  # as a word of its own
    ]
    if names is not None and held:
        return names[max(held, key=len)]
    found = [
        (match.lastgroup, match[match.lastgroup or 0])
        for match in _NUMBER.finditer(_NO_FRAMES.sub(" ", stem))
    ]
    places = {_place(number, names, frames) for _, number in found} if names is not None else set()
    if len(places) == 1 and None not in places:
        return places.pop()
    for kind, number in found:
        if int(number) and (kind != "last" or has_frame(frames, int(number))):
            raise _unsure(masks, number, names, frames)
    return None


def _own_name(frames: FrameSource) -> str:
    """What the file or folder of a clip is called."""
    path = Path(frames.description)
    return path.stem if frames.names is None else path.name


def _unsure(
    masks: Path, number: str, names: Mapping[str, int] | None, frames: FrameSource
) -> InvalidMask:
    return InvalidMask(
        f"{masks}: its name tells a number ({number}), but not surely of which frame of "
        f"{frames.description}; expected {_known(names, frames)}. Rename it, or say its frame, "
        "counted from 0: --frame N"
    )


def _is_number(stem: str) -> bool:
    return stem.isascii() and stem.isdigit()


def _known(names: Mapping[str, int] | None, frames: FrameSource) -> str:
    if names is None:
        return f"the number of a frame, 0 to {len(frames) - 1}"
    return f"the name of a frame, such as {some(names, 3)}"
