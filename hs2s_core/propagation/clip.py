"""Whole clips: prompts at any frame, results frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from itertools import islice

import numpy as np
import numpy.typing as npt

from hs2s_core.errors import HS2SError
from hs2s_core.models.base import VideoSegmenter
from hs2s_core.prompts import PlainPrompts, Prompts, check_clip
from hs2s_core.propagation.propagator import FrameResult, Propagator


def propagate(
    model: VideoSegmenter,
    frames: Iterable[npt.NDArray[np.uint8]],
    prompts: Prompts | PlainPrompts,
    *,
    merge: str = "argmax",
    chunk: int = 16,
    progress: Callable[[int, int | None], None] | None = None,
) -> Iterator[FrameResult]:
    """Segment every frame of a clip, forwards; yields one result per frame, from frame 0.

    Frames before an object's first prompt do not show it. Nothing per frame is kept: memory
    does not grow with the clip.

    Args:
        model: a network from :func:`hs2s_core.weights.load_model`.
        frames: RGB uint8 (H, W, 3) each, e.g. from :func:`hs2s_core.media.open_frames`.
        prompts: at least one mask: :class:`Prompts`, or frame -> object id -> (H, W) mask.
        merge: how objects compete for pixels, see :class:`Propagator`.
        chunk: frames that a network which is not online (Bi-HS2S) sees at once: more help it,
            and need memory in proportion. Online networks see one frame at a time.
        progress: called with the frames done and, where known, the frames in all.

    Raises:
        HS2SError: no prompt, or one beyond the clip's end (at once where the length is known).
        InvalidMask: a prompt that does not fit its frame.
    """
    given = check_clip(Prompts.of(prompts), frames)
    total = len(frames) if isinstance(frames, Sized) else None
    if chunk < 1:
        raise HS2SError(f"chunk is {chunk}; expected at least 1 frame")
    return _run(Propagator(model, merge=merge), frames, given, total, chunk, progress)


def _run(
    propagator: Propagator,
    frames: Iterable[npt.NDArray[np.uint8]],
    prompts: Prompts,
    total: int | None,
    chunk: int,
    progress: Callable[[int, int | None], None] | None,
) -> Iterator[FrameResult]:
    done = 0
    source = iter(frames)
    size = 1 if propagator.model.online else chunk
    while block := list(islice(source, size)):
        if not propagator.model.online:
            propagator.look_ahead(block)
        for frame in block:
            yield propagator.step(frame, prompts.get(done))
            done += 1
            if progress is not None:
                progress(done, total)
    prompts.check(None, done)
