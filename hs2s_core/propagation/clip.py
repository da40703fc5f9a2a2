"""Whole clips: stretches are followed forwards and backwards, blended, settled frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
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
from hs2s_core.propagation.passes import ClipPasses, Keep
from hs2s_core.propagation.propagator import MERGES, FrameResult, settle
from hs2s_core.propagation.timeline import Stretch, timeline

REFERENCES = 4
"""Key frames that a stretch is compared with at most."""
Watch = Callable[[int, int | None], None]
"""Told of the frames done and, where it is known, how many those will be."""


class Step(NamedTuple):
    """One frame passed, in one direction."""

    done: int
    """Frames so far, in all directions."""
    total: int | None
    """How many those will be, where that is known."""
    result: FrameResult | None
    """Of the frames that are wanted, in their order; None in a pass backwards."""


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
    return _results(clip_steps(engine, frames, Prompts.of(prompts), settings), progress)


def _results(steps: Iterator[Step], progress: Watch | None) -> Iterator[FrameResult]:
    for done, total, result in steps:
        if progress is not None:
            progress(done, total)
        if result is not None:
            yield result


def clip_steps(
    engine: Engine,
    frames: Iterable[RGBImage],
    prompts: Prompts,
    settings: ClipSettings,
    *,
    keep: Keep | None = None,
    length: int | None = None,
) -> Iterator[Step]:
    """:func:`propagate` step by step, so that it can be watched and stopped in every pass.

    Raises at once what that raises before work. ``keep`` says where the masks of a stretch are
    kept for other runs, and ``length`` is the true number of frames where it is known.
    """
    check_clip(prompts, frames)
    furthest = max(settings.first, settings.last or 0)
    if isinstance(frames, Sized) and furthest >= len(frames):
        settings.check_range(frames.count() if isinstance(frames, FrameSource) else len(frames))
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
    if not isinstance(frames, (FrameSource, Sequence)) and not alone:
        raise HS2SError(
            "these frames can be read only once, forwards; give a list of frames or a clip from "
            "open_frames, or one prompt per object at its first frame and direction='forward'"
        )
    stop = None if settings.last is None else settings.last + 1
    claimed = len(frames) if isinstance(frames, Sized) else None
    passes = ClipPasses(
        engine,
        frames,
        prompts,
        stretches,
        chunk=1 if engine.online else settings.chunk,
        first=settings.first,
        stop=length if stop is None else stop,
        claimed=claimed,
        known=length is not None,
        keep=keep,
    )
    return _settled(passes, _Settling(engine, prompts, settings), claimed if stop is None else stop)


def _settled(passes: ClipPasses, settling: _Settling, stop: int | None) -> Iterator[Step]:
    """Every step of every direction; ``stop`` is how many frames the clip says to have."""
    settings = settling.settings
    total = None if stop is None else passes.total(stop)
    end = passes.begin
    for found in passes:
        result = None
        if found is not None:
            end = found[0] + 1
            result = settling.settle(*found) if end > settings.first else None
        yield Step(passes.done, None if total is None else max(total, passes.done), result)
    settings.check_range(end)
    if settings.last is None:
        settling.prompts.check(None, end)


@dataclass(frozen=True)
class _Settling:
    """What is shown of a frame, from what every stretch says of it."""

    engine: Engine
    prompts: Prompts
    settings: ClipSettings

    def settle(self, number: int, masks: Mapping[Stretch, SoftMask]) -> FrameResult:
        """Frame ``number``; objects that are not wanted are left out."""
        wanted = self.settings.objects
        given = {
            object_id: mask
            for object_id, mask in self.prompts.get(number, {}).items()
            if wanted is None or object_id in wanted
        }
        sides: dict[int, list[Side]] = {}
        for stretch, mask in masks.items():
            side = Side(mask, abs(number - stretch.start))
            sides.setdefault(stretch.object_id, []).append(side)
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
