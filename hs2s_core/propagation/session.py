"""Whole clips: prompts at any frame, results frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from itertools import islice

import numpy as np
import numpy.typing as npt

from hs2s_core.errors import HS2SError
from hs2s_core.models.base import VideoSegmenter
from hs2s_core.propagation.propagator import FrameResult, Propagator

Prompts = Mapping[int, Mapping[int, npt.ArrayLike]]
"""Frame index (0-based) -> object id -> (H, W) mask."""


def propagate(
    model: VideoSegmenter,
    frames: Iterable[npt.NDArray[np.uint8]],
    prompts: Prompts,
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
        prompts: at least one mask; see :data:`Prompts`.
        merge: how objects compete for pixels, see :class:`Propagator`.
        chunk: frames that a network which is not online (Bi-HS2S) sees at once: more help it,
            and need memory in proportion. Online networks see one frame at a time.
        progress: called with the frames done and, where known, the frames in all.

    Raises:
        HS2SError: no prompt, or one beyond the clip's end (at once where the length is known).
        InvalidMask: a prompt that does not fit its frame.
    """
    given = {index: masks for index, masks in prompts.items() if masks}
    if not given:
        raise HS2SError("no prompt: expected at least one mask on one frame")
    total = len(frames) if isinstance(frames, Sized) else None
    _check_indices(given, total)
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
    _check_indices(prompts, done)


def _check_indices(prompts: Prompts, total: int | None) -> None:
    wrong = [i for i in prompts if i < 0 or (total is not None and i >= total)]
    if wrong:
        raise HS2SError(
            f"prompts at frames {sorted(wrong)}, but the clip has frames 0 to "
            f"{total - 1 if total is not None else '?'}"
        )
