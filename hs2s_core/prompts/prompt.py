"""What a user gives: masks of objects at frames, checked once, from the reader to the network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sized
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hs2s_core.checked.calls import checked_call
from hs2s_core.errors import HS2SError, InvalidMask, check_choice
from hs2s_core.media.images import RGBImage
from hs2s_core.media.masks import BoolMask, check_prompt, mask_box, read_id_map, split_objects
from hs2s_core.media.source import FrameSource, has_frame
from hs2s_core.prompts.files import placed_files
from hs2s_core.prompts.grabcut import draw, mend
from hs2s_core.prompts.hints import Hint
from hs2s_core.wording import counted

__all__ = ["LARGEST_ID", "ORIGINS", "POLICIES", "PlainPrompts", "Prompt", "Prompts"]

POLICIES = ("all", "first")
"""Which of an object's masks count: every one, or that of its first frame alone."""
ORIGINS = ("mask", "box", "points", "mended")
"""Where a mask comes from: drawn by a person; made from a box or points; predicted, then mended."""
LARGEST_ID = 65535
"""Of an object: what a 16-bit PNG holds."""

PlainPrompts = Mapping[int, Mapping[int, npt.ArrayLike]]
"""Frame (0-based) -> object id -> (H, W) mask: how prompts may be written down by hand."""


def _is_whole(value: object) -> bool:
    """Whether a number is whole, and not a truth value."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


class Prompt:
    """The mask of one object in one frame; the frame thereby is a key frame of the object.

    ``frame`` is 0-based, ``object_id`` positive and stable through the video, ``size`` the mask's
    (H, W), ``origin`` one of :data:`ORIGINS`. Kept packed, as a video may have thousands.
    """

    __slots__ = ("_bits", "_box", "frame", "object_id", "origin", "size")

    def __init__(
        self, frame: int, object_id: int, mask: npt.ArrayLike, *, origin: str = "mask"
    ) -> None:
        """Check what is given: ``mask`` is (H, W), bool or as ``check_prompt`` takes it.

        Raises:
            HS2SError: a frame below 0, an object id outside of 1 to 65535, another origin.
            InvalidMask: a mask that is not (H, W), is not binary or has no pixel.
        """
        if not _is_whole(object_id) or not 0 < object_id <= LARGEST_ID:
            expected = f"expected a whole number from 1 to {LARGEST_ID}"
            raise HS2SError(f"object id {object_id!r}: {expected}")
        if not _is_whole(frame) or frame < 0:
            raise HS2SError(f"prompt at frame {frame!r}; expected a whole number from 0")
        self.object_id, self.frame = int(object_id), int(frame)
        self.origin = check_choice("origin", origin, ORIGINS)
        shape = np.shape(mask)
        checked = check_prompt(mask, shape[:2], name=self.name)
        self.size = (shape[0], shape[1])
        self._box = mask_box(checked)
        self._bits = np.packbits(checked[self._box], axis=1)

    @classmethod
    @checked_call
    def pointed(cls, frame: int, object_id: int, picture: RGBImage, hint: Hint) -> Prompt:
        """The mask that :func:`draw` makes of a box or points in ``picture``, the frame itself."""
        mask = draw(picture, hint, name=f"object {object_id} in frame {frame}")
        return cls(frame, object_id, mask, origin=hint.origin)

    @classmethod
    @checked_call
    def mended(
        cls, frame: int, object_id: int, picture: RGBImage, mask: BoolMask, hint: Hint
    ) -> Prompt:
        """``mask``, as predicted in ``picture``, the frame, put right by :func:`mend`."""
        mask = mend(picture, mask, hint, name=f"object {object_id} in frame {frame}")
        return cls(frame, object_id, mask, origin="mended")

    @property
    def mask(self) -> BoolMask:
        """(H, W) bool, a copy."""
        mask = np.zeros(self.size, bool)
        width = self._box[1].stop - self._box[1].start
        mask[self._box] = np.unpackbits(self._bits, axis=1, count=width)
        return mask

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"object {self.object_id} in frame {self.frame}"


class Prompts(Mapping[int, Mapping[int, BoolMask]]):
    """All prompts of a video. Reads as frame -> object id -> mask, both ascending.

    Immutable: :meth:`put` and :meth:`drop` return others.
    """

    @checked_call
    def __init__(self, prompts: Iterable[Prompt] = (), *, policy: str = "all") -> None:
        """Collect ``prompts``; ``policy`` is one of :data:`POLICIES`.

        Raises:
            HS2SError: two prompts for one object in one frame, or an unknown policy.
        """
        check_choice("policy", policy, POLICIES)
        frames: dict[int, dict[int, Prompt]] = {}
        known: dict[int, int] = {}
        for prompt in sorted(prompts, key=lambda prompt: (prompt.frame, prompt.object_id)):
            first = known.setdefault(prompt.object_id, prompt.frame)
            if policy == "first" and prompt.frame > first:
                continue
            given = frames.setdefault(prompt.frame, {})
            if prompt.object_id in given:
                raise HS2SError(
                    f"{prompt.name}: two prompts; expected one mask per object and frame. Join "
                    "them to one mask, or give the other object an id of its own."
                )
            given[prompt.object_id] = prompt
        self._frames = frames

    @classmethod
    @checked_call
    def of(cls, prompts: PlainPrompts | Prompts) -> Prompts:
        """``prompts`` themselves, or those that a plain mapping writes down."""
        if isinstance(prompts, Prompts):
            return prompts
        return cls(
            Prompt(frame, object_id, mask)
            for frame, masks in prompts.items()
            for object_id, mask in masks.items()
        )

    @classmethod
    def from_files(
        cls, masks: Path, frames: FrameSource, *, frame: int | None = None, policy: str = "all"
    ) -> Prompts:
        """The masks of one PNG, or of a folder of PNGs named after their frames.

        Args:
            masks: a PNG of object ids (or black and white: object 1); or a folder of such files,
                each named after its frame: the stem of the frame's image, or its 0-based number
                in a video file (``00017.png``).
            frames: the clip; every mask must have its size.
            frame: 0-based, only for a single PNG. Without it, a PNG whose name is that of a frame,
                or a number, or holds such a name, belongs to that one, any other to frame 0; a
                name that tells a number, but not surely which frame that is, is refused.
            policy: one of :data:`POLICIES`.

        Raises:
            InvalidMask: a file that is unreadable, of another size, or belongs to no frame; no
                object in any of them.
        """
        found = [
            Prompt(
                index,
                object_id,
                check_prompt(mask, frames.size, name=f"{path}: object {object_id}"),
            )
            for index, path in placed_files(masks, frames, frame)
            for object_id, mask in split_objects(read_id_map(path)).items()
        ]
        if not found:
            raise InvalidMask(
                f"{masks}: no object in it, only background; expected pixels with an object id "
                "from 1."
            )
        return cls(found, policy=policy)

    def __getitem__(self, frame: int) -> Mapping[int, BoolMask]:
        return {object_id: prompt.mask for object_id, prompt in self._frames[frame].items()}

    def __iter__(self) -> Iterator[int]:
        return iter(self._frames)

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Ids of all objects, ascending."""
        return tuple(sorted({object_id for given in self._frames.values() for object_id in given}))

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the masks; there must be one."""
        return next(self.each()).size

    def origins(self, frame: int) -> dict[int, str]:
        """Where the masks of a frame come from, by object id; see :data:`ORIGINS`."""
        return {i: prompt.origin for i, prompt in self._frames.get(frame, {}).items()}

    def key_frames(self, object_id: int) -> tuple[int, ...]:
        """The frames in which an object is given, ascending."""
        return tuple(frame for frame, given in self._frames.items() if object_id in given)

    @checked_call
    def put(self, prompt: Prompt) -> Prompts:
        """These and ``prompt``, which takes the place of another for its object and frame."""
        return Prompts([*self.drop(prompt.frame, prompt.object_id).each(), prompt])

    def drop(self, frame: int, object_id: int) -> Prompts:
        """These without that one, if it is among them."""
        gone = (frame, object_id)
        return Prompts(each for each in self.each() if (each.frame, each.object_id) != gone)

    def check(self, size: tuple[int, int] | None, length: int | None) -> Prompts:
        """These themselves, if they fit a clip of ``length`` frames of ``size`` (H, W).

        None is for what is not known yet.

        Raises:
            HS2SError: no prompt at all, or one beyond the clip's end.
            InvalidMask: a mask of another size.
        """
        if not self._frames:
            raise HS2SError("no prompt: expected at least one mask on one frame")
        late = [frame for frame in self._frames if length is not None and frame >= length]
        if length is not None and late:
            raise HS2SError(
                f"prompts at frames {late}, but the clip has {counted(length, 'frame')}, numbered "
                "from 0"
            )
        for prompt in self.each():
            if size is not None and prompt.size != tuple(size):
                check_prompt(prompt.mask, size, name=prompt.name)
        return self

    def each(self) -> Iterator[Prompt]:
        """One after another, by frame and object."""
        for given in self._frames.values():
            yield from given.values()


def check_clip(prompts: Prompts, frames: Iterable[object]) -> Prompts:
    """``prompts``, checked against as much of a clip as is known before it is read."""
    if isinstance(frames, FrameSource):
        last = max(prompts, default=0)
        return prompts.check(frames.size, None if has_frame(frames, last) else len(frames))
    return prompts.check(None, len(frames) if isinstance(frames, Sized) else None)
