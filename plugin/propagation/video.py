"""One video: what has to be right about it, and its propagation."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fiftyone as fo
import numpy as np
from fiftyone.core.collections import SampleCollection

from hs2s_core.errors import HS2SError
from hs2s_core.jobs import Done, Item, Tick, Work
from hs2s_core.jobs.threads import in_turn
from hs2s_core.media.cuts import CutFinder
from hs2s_core.media.source import FrameSource
from hs2s_core.prompts import Prompt, Prompts
from hs2s_core.wording import counted, some

from ..jobs import FrameWriter, VideoJob
from ..labels.conversion import to_detections
from ..labels.frame_fields import has_labels, is_ground_truth
from ..labels.masks import Size
from ..labels.prompts import NO_MASKS, OR_MADE, VideoPrompts, read_prompts, visible_labels
from ..media import Clip, check_upright, open_clip
from ..videos.clips import THE_END, Part, Span
from ..videos.collection import select_videos
from .changes import Changes
from .corrections import Correction, adopt, is_drawn, read_corrections, sign
from .hints import check_hinted, draw_hinted
from .sessions import kept_steps
from .settings import CLIPS, DONE, FAILED, RUNNING, PropagateSettings

if TYPE_CHECKING:
    from hs2s_core.models import VideoSegmenter
    from hs2s_core.propagation.network import NetworkEngine


class NothingGiven(HS2SError):
    """Nobody gave a mask in a video yet: it waits to be drawn in, and nothing is wrong with it."""


@dataclass(frozen=True)
class PropagateJob(VideoJob[Done]):
    """Propagation, as each process can open it."""

    settings: PropagateSettings
    model: VideoSegmenter | NetworkEngine | str | Path | None = None
    device: str = "auto"
    speed: str = "auto"

    def start(self) -> Callable[[Item], Work[Done]]:
        """Load the network, and prepare it for every video."""
        return partial(propagate_video, self.source.samples, self.settings, self.load())

    def video(self, item: Item) -> Work[Done]:
        """One video alone; of several, :meth:`start` loads the network once."""
        return self.start()(item)

    def load(self) -> NetworkEngine:
        """The network that was given, or asked for; small ones of a CPU stay for the next run."""
        from hs2s_core.devices import pick_device
        from hs2s_core.models.config import LiteConfig
        from hs2s_core.propagation.network import NetworkEngine
        from hs2s_core.weights import find_weights, load_model, read_header

        if isinstance(self.model, NetworkEngine):
            return self.model
        if self.model is not None and not isinstance(self.model, (str, Path)):
            return NetworkEngine(self.model)
        file = find_weights(self.model)
        small = isinstance(read_header(file).config, LiteConfig)
        if small and pick_device(self.device).type == "cpu":
            about = file.stat()
            return _kept_engine(file.resolve(), about.st_mtime_ns, about.st_size, self.speed)
        return NetworkEngine(load_model(file, device=self.device, speed=self.speed))


@lru_cache(maxsize=1)
def _kept_engine(file: Path, _mtime_ns: int, _size: int, speed: str) -> NetworkEngine:
    """A network on the CPU that was used last, with what it saw of the frames it was shown last.

    What is put right in a video is mostly propagated next. Other weights take its place.
    """
    from hs2s_core.propagation.network import NetworkEngine
    from hs2s_core.weights import load_model

    return NetworkEngine(load_model(file, device="cpu", speed=speed))


def propagate_video(
    samples: SampleCollection, settings: PropagateSettings, engine: NetworkEngine, item: Item
) -> Work[Done]:
    """One video, all or nothing: of what fails or is stopped, no label changes."""
    part, field = Part.of(item.key), settings.output_field
    with (
        FrameWriter(samples._dataset, part.sample_id, field, item.name, part.span) as writer,
        in_turn() as give,
    ):
        clip, prompts, corrections = open_video(samples, item.key, settings)
        draw_hinted(clip, prompts)
        cuts: tuple[int, ...] = ()
        if settings.cuts != "ignore":
            cuts = yield from _find_cuts(clip, settings)
            if within := [cut + 1 for cut in cuts if clip.covers(cut + 1)]:
                begins = some(map(str, within), 20)
                prompts.remarks.append(f"another shot begins at frame {begins}.")
        if settings.online_steps:
            from hs2s_core.propagation.network import NetworkEngine
            from hs2s_core.training.online import adapt

            yield Tick(0.0, "learning its masks")
            engine = NetworkEngine(
                adapt(engine.given, clip.frames, _masks(clip, prompts), settings.online_steps)
            )
        length, frames, size = clip.length, 0, clip.video_size
        changes = None
        if has_labels(samples, field, *part) and not is_drawn(samples, field, *part):
            changes = Changes(samples, part.sample_id, field, size)
        # What a network learnt from the masks of now is another network than the one before.
        key = None if settings.online_steps else f"{part.sample_id}.{field}"
        for share, number, labels in follow(engine, clip, prompts, settings, key, cuts):
            if number is not None:
                frames += 1
                kept = list(chain.from_iterable(prompts.kept.pop(number - 1, {}).values()))
                give(partial(_write, writer, changes, number, labels, kept, size))
            yield Tick(share, f"frame {frames} of {length}", frames)
        for index, left in prompts.kept.items():  # boxes beyond the last frame that is readable
            boxes = list(chain.from_iterable(left.values()))
            give(partial(_write, writer, None, index + 1, None, boxes, size))
        now = read_corrections(samples, part.sample_id, field, size)
        if [each.raw for each in now] != [each.raw for each in corrections]:
            raise HS2SError(
                f"labels in {field!r} were changed while it ran, so nothing was written; run again"
            )
        notes = filter(None, [*prompts.remarks, clip.remark(frames)])
        note = " ".join(notes)
        writer.values = {settings.status_field: DONE, settings.error_field: note or None}
        if part.span is not None and _status(samples, part, settings) != DONE:
            writer.values[settings.status_field] = CLIPS
    note = " ".join(filter(None, [note, str(changes or "")]))
    return Done(frames, len(prompts.objects), note or None)


def _write(
    writer: FrameWriter,
    changes: Changes | None,
    number: int,
    found: fo.Detections | None,
    kept: Sequence[dict[str, Any]],
    size: Size,
) -> None:
    """Give a frame what a run found in it, signed, beside the labels that stay."""
    found = found or fo.Detections()
    for label in found.detections:
        sign(label, size)
    if changes is not None:
        changes.see(number, found, kept)
    if found.detections or kept:
        writer.add(number, found, kept)


def follow(
    engine: NetworkEngine,
    clip: Clip,
    prompts: VideoPrompts,
    settings: PropagateSettings,
    key: str | None = None,
    cuts: tuple[int, ...] = (),
) -> Iterator[tuple[float, int | None, fo.Detections | None]]:
    """Propagate step by step: what share is done, and the number and labels of a finished frame.

    Where a step finishes no frame, its number is None; where a frame shows no object, its labels.
    Objects of which a person's label stays in a frame have no other there. What is computed is
    kept for later runs under ``key``, see :func:`kept_steps`. ``cuts`` are the first frames of
    shots, from 0.
    """
    from hs2s_core.propagation.clip import ClipSettings

    stops = cuts if settings.cuts == "stop" else ()
    wanted = ClipSettings(settings.direction, merge=settings.merge, cuts=stops)
    if clip.span is not None:
        first, last = clip.span
        wanted = replace(wanted, first=first - 1, last=None if last == THE_END else last - 1)
    masks = _masks(clip, prompts)
    with kept_steps(engine.sibling(), clip.frames, masks, wanted, key) as steps:
        for done, total, result in steps:
            number, labels = None, None
            if result is not None:
                number = result.index + 1
                if result.ids:
                    kept = list(prompts.kept.get(result.index, ()))
                    id_map = np.where(np.isin(result.id_map, kept), 0, result.id_map)
                    labels = to_detections(
                        clip.to_video(id_map),
                        prompts.objects,
                        result.scores,
                        disagreement=result.disagreement,
                        distance=result.distance,
                        origin={i: each for i, each in result.origins.items() if each != "mask"},
                    )
            yield done / (total or done), number, labels


def _find_cuts(clip: Clip, settings: PropagateSettings) -> Generator[Tick, None, tuple[int, ...]]:
    """The first frames of shots, from 0, as far as objects may be followed."""
    finder, found = CutFinder(), list[int]()
    for number, frame in enumerate(clip.frames, 1):
        if not settings.span and clip.span is not None and number > clip.span[1]:
            break
        found += finder.see(frame)
        yield Tick(0.0, f"looking for cuts, frame {number} of {clip.length}")
    found += finder.end()
    return tuple(cut for cut in found if settings.span or clip.covers(cut + 1))


def _masks(clip: Clip, prompts: VideoPrompts) -> Prompts:
    return Prompts(
        Prompt(each.frame, each.object_id, clip.to_frame(each.mask), origin=each.origin)
        for each in prompts.masks.each()
    )


def note_failure(
    samples: SampleCollection, key: str, settings: PropagateSettings, reason: str
) -> None:
    """Say of a video why it has no masks, or only those of an earlier run."""
    part = Part.of(key)
    video, status = select_videos(samples, part.sample_id), _status(samples, part, settings)
    if part.span is not None:
        reason = f"{part.named('of the clip')}: {reason}"
    elif status == DONE:
        reason = f"the masks are of an earlier run; the last one failed: {reason}"
    elif status == RUNNING:  # of a run of an earlier version that was killed
        video.clear_frame_field(settings.output_field)
    video.set_values(settings.status_field, [status if status in (DONE, CLIPS) else FAILED])
    video.set_values(settings.error_field, [reason])


def _status(samples: SampleCollection, part: Part, settings: PropagateSettings) -> str | None:
    found: list[str | None] = select_videos(samples, part.sample_id).values(settings.status_field)
    return found[0]


def _span_of(frames: FrameSource, span: Span, settings: PropagateSettings) -> Span:
    """The frames of a part; of a clip, all have to be there, of a range, one."""
    first, last = span
    if max(first, last if last < THE_END else 0) <= len(frames):
        return span
    length = frames.count()
    if last > length and not settings.span:
        raise HS2SError(
            f"the clip is of frames {first} to {last}, but the video has "
            f"{counted(length, 'frame')}; mend where it ends, and make the view again"
        )
    if first > length:
        raise HS2SError(
            f"frames from {first} on are wanted, but the video has {counted(length, 'frame')}"
        )
    return first, min(last, length)


def open_video(
    samples: SampleCollection,
    key: str,
    settings: PropagateSettings,
    *,
    deadline: float | None = None,
) -> tuple[Clip, VideoPrompts, list[Correction]]:
    """Everything a run needs of one :class:`Part`; raises HS2SError if it cannot be propagated.

    What people put right in the output field is among the prompts, and told apart.

    ``deadline`` is that of ``prompts.read_prompts``, which raises OutOfTime; with one, the length
    of a video is taken on trust.
    """
    (sample_id, span), prompt_field = Part.of(key), settings.prompt_field
    sample = samples._dataset[sample_id]
    clip = open_clip(sample, exact=deadline is None)
    if span is not None:
        clip = replace(clip, span=_span_of(clip.frames, span, settings))
    policy, visible = settings.policy, visible_labels(samples, sample_id, prompt_field)
    if policy == "auto":
        policy = "first" if is_ground_truth(samples, prompt_field) else "all"
    prompts = read_prompts(
        sample,
        prompt_field,
        clip.video_size,
        policy=policy,
        visible=visible,
        span=None if settings.span else span,
        hints=settings.hints,
        deadline=deadline,
    )
    corrections = []
    if settings.output_field:
        corrections = read_corrections(
            samples, sample_id, settings.output_field, clip.video_size, deadline=deadline
        )
    check_upright(samples, sample_id, prompt_field)
    if corrections:
        check_upright(samples, sample_id, settings.output_field)
    adopt(prompts, [each for each in corrections if settings.span or clip.covers(each.frame + 1)])
    prompts.kept = {index: kept for index, kept in prompts.kept.items() if clip.covers(index + 1)}
    if not prompts.objects and prompts.without_mask:
        raise HS2SError(
            f"no mask for {', '.join(prompts.without_mask)}, only {NO_MASKS}; draw its mask with "
            "the brush or the pen of the App's Annotate tab"
            f"{'' if settings.hints else f', {OR_MADE}'}"
        )
    if not prompts.objects:
        of = "" if span is None or settings.span else " of the clip"
        hidden = " that the view's filters leave" if visible is not None else ""
        looked = None if settings.span else span
        if not hidden and has_labels(samples, prompt_field, sample_id, looked):
            raise NothingGiven(f"no prompt mask: the labels{of} in {prompt_field!r} show no object")
        raise NothingGiven(f"no prompt mask: no frame{of} has labels in {prompt_field!r}{hidden}")
    check_hinted(clip, prompts)
    last = max([*prompts.masks, *(each.frame for each in prompts.hinted.values())]) + 1
    # Containers may claim too few frames, so the claim alone is no reason.
    if last > len(clip.frames) and last > clip.frames.count():
        raise HS2SError(
            f"a prompt lies on frame {last}, but the video has "
            f"{counted(len(clip.frames), 'frame')}; the labels may belong to another video"
        )
    return clip, prompts, corrections
