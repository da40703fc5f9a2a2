"""Whole clips: stretches are walked forwards and backwards, blended, and settled frame by frame."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from itertools import count
from typing import NamedTuple

from hs2s_core.checked.calls import checked_call
from hs2s_core.errors import HS2SError, check_choice
from hs2s_core.media.images import RGBImage
from hs2s_core.media.masks import BoolMask
from hs2s_core.media.source import FrameSource
from hs2s_core.models.base import VideoSegmenter
from hs2s_core.prompts import PlainPrompts, Prompts, check_clip
from hs2s_core.propagation.blending import Side, blend, disagreement, to_logits, to_soft
from hs2s_core.propagation.engine import Engine, SoftMask
from hs2s_core.propagation.network import NetworkEngine
from hs2s_core.propagation.propagator import MERGES, FrameResult, settle
from hs2s_core.propagation.reels import Reel
from hs2s_core.propagation.timeline import Stretch, timeline
from hs2s_core.propagation.walk import FrameReader, Lane, Window, walk

REFERENCES = 4
"""Key frames that a stretch is compared with at most."""
Watch = Callable[[int, int | None], None]
"""Told of the frames done and, where it is known, how many those will be."""
Keep = Callable[[Stretch], Reel]
"""Where the masks of a stretch are kept."""


class Step(NamedTuple):
    """One frame walked through, in one direction."""

    done: int
    """Frames so far, in all directions."""
    total: int | None
    """How many those will be, where that is known."""
    result: FrameResult | None
    """Of the frames that are wanted, in their order; None on a way backwards."""


@dataclass(frozen=True)
class ClipSettings:
    """How a clip is propagated: arguments of :func:`propagate`, which says what they mean."""

    direction: str = "both"
    first: int = 0
    last: int | None = None
    objects: Collection[int] | None = None
    merge: str = "argmax"
    chunk: int = 16
    soft: bool = False
    cuts: Sequence[int] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "cuts", tuple(self.cuts))
        check_choice("merge", self.merge, MERGES)
        if self.chunk < 1:
            raise HS2SError(f"chunk is {self.chunk}; expected at least 1 frame")

    def check_range(self, length: int) -> None:
        """Raise HS2SError if frames beyond those of a clip are wanted."""
        for word, frame in (("from", self.first), ("to", self.last)):
            if frame is not None and frame >= max(1, length):
                raise HS2SError(
                    f"frames {word} {frame} are wanted, but the clip has frames 0 to {length - 1}"
                )


@checked_call
def propagate(
    model: VideoSegmenter | Engine,
    frames: Iterable[RGBImage],
    prompts: Prompts | PlainPrompts,
    *,
    direction: str = "both",
    first: int = 0,
    last: int | None = None,
    objects: Collection[int] | None = None,
    merge: str = "argmax",
    chunk: int = 16,
    soft: bool = False,
    cuts: Sequence[int] = (),
    progress: Watch | None = None,
) -> Iterator[FrameResult]:
    """Segment the frames of a clip; yields one result per frame, in order.

    Every prompt makes its frame a key frame of its object. Between two of them an object is
    followed from both, and the two results are blended; before the first and after the last it is
    followed from that one. Objects then compete for pixels. Memory does not grow with the clip:
    what is followed backwards waits on disk, in a temporary file.

    Args:
        model: a network from :func:`hs2s_core.weights.load_model`, or another engine.
        frames: RGB uint8 (H, W, 3) each, e.g. from :func:`hs2s_core.media.open_frames`. What can
            be read only once, such as a generator, can only be followed forwards.
        prompts: at least one mask: :class:`Prompts`, or frame -> object id -> (H, W) mask.
        direction: ``both``, ``forward`` or ``backward``. Forwards alone, an object is not shown
            before its first prompt, and a later prompt starts it anew.
        first: the first frame that is wanted, 0-based.
        last: the last one; None for the clip's.
        objects: ids of the objects that are wanted; None for all.
        merge: how objects compete for pixels, see :class:`Propagator`.
        chunk: frames that a network which is not online (Bi-HS2S) sees at once: more help it, and
            need memory in proportion. Online networks see one frame at a time.
        soft: whether results carry soft masks.
        cuts: first frames of shots, as :func:`hs2s_core.media.cuts.find_cuts` finds them: no
            object is followed across one.
        progress: called with the frames done, in all directions, and how many those will be where
            that is known.

    Raises:
        HS2SError: no prompt, or one beyond the clip's end (at once where the length is known).
        InvalidMask: a prompt that does not fit its frame.
    """
    settings = ClipSettings(direction, first, last, objects, merge, chunk, soft, cuts)
    engine = NetworkEngine(model) if isinstance(model, VideoSegmenter) else model
    return _results(walk_clip(engine, frames, Prompts.of(prompts), settings), progress)


def _results(steps: Iterator[Step], progress: Watch | None) -> Iterator[FrameResult]:
    for done, total, result in steps:
        if progress is not None:
            progress(done, total)
        if result is not None:
            yield result


def walk_clip(
    engine: Engine,
    frames: Iterable[RGBImage],
    prompts: Prompts,
    settings: ClipSettings,
    *,
    keep: Keep | None = None,
    length: int | None = None,
) -> Iterator[Step]:
    """:func:`propagate` step by step, so that it can be watched and stopped on every way.

    Raises at once what that raises before work. ``keep`` says where the masks of a stretch are
    kept for other runs, and ``length`` is the true number of frames where it is known.
    """
    check_clip(prompts, frames)
    furthest = max(settings.first, settings.last or 0)
    if isinstance(frames, Sized) and furthest >= len(frames):
        settings.check_range(frames.count() if isinstance(frames, FrameSource) else len(frames))
    reader = FrameReader(frames)
    claimed = len(frames) if isinstance(frames, Sized) else None
    stretches = timeline(
        prompts,
        direction=settings.direction,
        first=settings.first,
        last=settings.last,
        objects=settings.objects,
        references=REFERENCES if engine.references else 1,
        cuts=settings.cuts,
    )
    alone = all(each.forward and len(each.keys) == 1 for each in stretches)
    if not reader.turns and not alone:
        raise HS2SError(
            "these frames can be read only once, forwards; give a list of frames or a clip from "
            "open_frames, or one prompt per object at its first frame and direction='forward'"
        )
    return _Clip(engine, reader, prompts, settings, stretches, length).run(keep, claimed)


@dataclass
class _Clip:
    """One pass over a clip."""

    engine: Engine
    reader: FrameReader
    prompts: Prompts
    settings: ClipSettings
    stretches: Sequence[Stretch]
    length: int | None

    def __post_init__(self) -> None:
        self._forward = [stretch for stretch in self.stretches if stretch.forward]
        self._groups = _overlapping([stretch for stretch in self.stretches if not stretch.forward])
        self._begin = min([self.settings.first, *(stretch.start for stretch in self._forward)])

    def run(self, keep: Keep | None, claimed: int | None) -> Iterator[Step]:
        """Every step of every direction; ``claimed`` is how many frames the clip says to have."""
        total, done = self._walked(claimed), 0
        end = self._begin
        reels: dict[Stretch, Reel] = {}
        groups = list(self._groups)
        with tempfile.TemporaryFile() as file, self.reader:
            back: Keep = keep or (lambda stretch: Reel(file))
            for number, masks in self._walk_forward(keep or (lambda stretch: None)):
                end = number + 1
                while groups and _frames(groups[0])[-1] <= number:
                    for _ in self._walk_backward(groups.pop(0), back, reels):
                        done += 1
                        yield Step(done, total, None)
                done += 1
                wanted = number >= self.settings.first
                result = self._settle(number, masks, reels) if wanted else None
                yield Step(done, None if total is None else max(total, done), result)
                for stretch in [each for each in reels if each.start <= end]:
                    del reels[stretch]
                if not reels:
                    file.truncate(0)
        self.settings.check_range(end)
        if self.settings.last is None:
            self.prompts.check(None, end)

    def _walked(self, claimed: int | None) -> int | None:
        """How many frames are walked through in all directions, as far as the clip claims."""
        last = self.settings.last
        if last is None and claimed is None:
            return None
        stop = claimed if last is None else last + 1
        assert stop is not None
        return stop - self._begin + sum(len(_frames(group)) for group in self._groups)

    def _walk_forward(
        self, keep: Callable[[Stretch], Reel | None]
    ) -> Iterator[tuple[int, dict[Stretch, SoftMask]]]:
        stop = self.length if self.settings.last is None else self.settings.last + 1
        numbers = count(self._begin) if stop is None else range(self._begin, stop)
        window = Window(self.reader, forward=True, chunk=self._chunk)
        lanes = self._lanes(self._forward)
        return walk(lanes, numbers, window, keep, known=self.length is not None)

    def _walk_backward(
        self, group: Sequence[Stretch], keep: Keep, reels: dict[Stretch, Reel]
    ) -> Iterator[object]:
        """Follow a group backwards to its end, frame by frame; puts its masks in ``reels``."""
        reels |= {stretch: keep(stretch) for stretch in group}
        frames = _frames(group)
        window = Window(self.reader, forward=False, chunk=self._chunk, lowest=frames[-1])
        return walk(self._lanes(group), frames, window, reels.__getitem__, known=True)

    def _lanes(self, stretches: Iterable[Stretch]) -> list[Lane]:
        return [
            Lane(stretch, self.engine.sibling(), self.prompts, self.reader) for stretch in stretches
        ]

    @property
    def _chunk(self) -> int:
        return 1 if self.engine.online else self.settings.chunk

    def _settle(
        self, number: int, masks: dict[Stretch, SoftMask], reels: dict[Stretch, Reel]
    ) -> FrameResult:
        wanted = self.settings.objects
        given = {
            object_id: mask
            for object_id, mask in self.prompts.get(number, {}).items()
            if wanted is None or object_id in wanted
        }
        sides: dict[int, list[Side]] = {}
        for stretch, mask in masks.items():
            sides.setdefault(stretch.object_id, []).append(Side(mask, number - stretch.start))
        for stretch, reel in reels.items():
            if stretch.covers(number):
                distance = stretch.start - number
                sides.setdefault(stretch.object_id, []).append(Side(reel[distance - 1], distance))
        return self._blended(number, sides, given)

    def _blended(
        self, number: int, sides: Mapping[int, Sequence[Side]], given: Mapping[int, BoolMask]
    ) -> FrameResult:
        """Blend what each object's sides say, then let objects compete."""
        ids = sorted(sides)
        blended = [blend(sides[object_id]) for object_id in ids]
        logits = to_logits(blended).to(self.engine.device) if ids else None
        result = settle(number, self.prompts.size, ids, logits, given, self.settings.merge)
        soft = dict(zip(ids, map(to_soft, blended), strict=True))
        pairs = {i: each for i, each in sides.items() if len(each) == 2}
        origins = self.prompts.origins(number)
        return replace(
            result,
            origins={i: origins[i] for i in given},
            disagreement={i: disagreement(a.mask, b.mask) for i, (a, b) in pairs.items()},
            distance={i: min(each.distance for each in sides[i]) for i in ids}
            | dict.fromkeys(given, 0),
            soft=soft if self.settings.soft else None,
        )


def _overlapping(stretches: Sequence[Stretch]) -> list[list[Stretch]]:
    """Backward stretches in groups that share frames, so that each frame is decoded once."""
    groups: list[list[Stretch]] = []
    for stretch in sorted(stretches, key=lambda each: each.end or 0):
        if groups and (stretch.end or 0) <= _frames(groups[-1])[0]:
            groups[-1].append(stretch)
        else:
            groups.append([stretch])
    return groups


def _frames(group: Sequence[Stretch]) -> range:
    """The frames of a group of backward stretches, in the order in which they are walked."""
    return range(max(each.start for each in group), min(each.end or 0 for each in group) - 1, -1)
