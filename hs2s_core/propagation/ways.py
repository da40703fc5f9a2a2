"""Both ways through a clip: its frames in order, each with what every stretch says of it."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import count

import torch

from hs2s_core.jobs.beside import Abreast
from hs2s_core.media.images import RGBImage
from hs2s_core.prompts import Prompts
from hs2s_core.propagation.engine import Engine, SoftMask
from hs2s_core.propagation.reels import Reel
from hs2s_core.propagation.timeline import Stretch
from hs2s_core.propagation.walk import FrameReader, Lane, Walk, Walked, Window

Keep = Callable[[Stretch], Reel]
"""Where the masks of a stretch are kept."""


class Ways:
    """A walk forwards through a clip, and before it needs them, walks backwards.

    Where that is quicker, the way forwards goes on meanwhile. Masks of which the frame is not
    complete wait on disk.
    """

    def __init__(
        self,
        engine: Engine,
        frames: Iterable[RGBImage],
        prompts: Prompts,
        stretches: Collection[Stretch],
        *,
        chunk: int,
        first: int,
        stop: int | None,
        known: bool,
        keep: Keep | None,
    ) -> None:
        """Nothing is read before the first frame is asked for.

        Args:
            engine: what each stretch has a sibling of.
            frames: the clip.
            prompts: all masks that are given.
            stretches: those to walk.
            chunk: frames that an engine looks at together.
            first: the first frame that is wanted.
            stop: one more than the last; None for the clip's end.
            known: whether the clip has all those frames.
            keep: where masks are kept for other runs; None to keep none.
        """
        self._engine = engine
        # Each way has a place of its own in a video.
        self._reader, self._behind = FrameReader(frames), FrameReader(frames)
        self._prompts = prompts
        self._chunk = chunk
        self._stop = stop
        self._known = known
        self._keep = keep
        self._forward = [each for each in stretches if each.forward]
        self._groups = deque(_overlapping([each for each in stretches if not each.forward]))
        self.begin = min([first, *(each.start for each in self._forward)])
        """The first frame of the way forwards."""
        self._behind_frames = sum(len(_frames(group)) for group in self._groups)
        self._reels: dict[Stretch, Reel] = {}
        """Of stretches with frames that are not complete."""
        self._ahead = 0
        """Frames walked forwards, but not complete."""
        self.done = 0
        """Frames walked through, in all directions."""

    def total(self, stop: int) -> int:
        """How many frames are walked through in all directions, if the last is before ``stop``."""
        return stop - self.begin + self._behind_frames

    def __iter__(self) -> Iterator[Walked | None]:
        """Each frame in order, with all masks of it; None for one on a way that is ahead of it."""
        with ExitStack() as open_until:
            before, after = (open_until.enter_context(tempfile.TemporaryFile()) for _ in range(2))
            for reader in (self._reader, self._behind):
                open_until.enter_context(reader)
            abreast = open_until.enter_context(Abreast()) if self._at_once() else None
            shelf = (lambda stretch: Reel(after)) if abreast else None
            forward = self._walk_forward(self._keep or shelf, waits=abreast is not None)
            for number in count(self.begin):
                if (masks := self._next(forward)) is None:
                    return
                while self._groups and _frames(self._groups[0])[-1] <= number:
                    backward = self._walk_backward(self._keep or (lambda stretch: Reel(before)))
                    yield from self._follow(backward, forward, abreast)
                    del backward  # and the frames it holds
                yield number, self._complete(number, masks)
                self._forget(number)
                if not any(not stretch.forward for stretch in self._reels):
                    before.truncate(0)

    def _at_once(self) -> bool:
        return bool(self._groups) and self._engine.at_once and torch.get_num_threads() > 1

    def _next(self, forward: Walk) -> dict[Stretch, SoftMask] | None:
        """The masks in the next frame, but for those that wait on disk; None after the last."""
        if self._ahead:
            self._ahead -= 1
            return {}
        number, masks = next(forward, (None, None))
        self.done += number is not None
        return masks

    def _follow(self, backward: Walk, forward: Walk, abreast: Abreast | None) -> Iterator[None]:
        """The way backwards to its end, with the one forwards where both take a network."""
        found: Walked | None
        while True:
            if abreast is not None and forward.computes and backward.computes:
                ahead, found = abreast.both(*(partial(next, w, None) for w in (forward, backward)))
                self._ahead += ahead is not None
                self.done += ahead is not None
            else:
                found = next(backward, None)
            if found is None:
                return
            self.done += 1
            yield None

    def _walk_forward(self, keep: Keep | None, *, waits: bool) -> Walk:
        def begin(stretch: Stretch) -> Reel | None:
            reel = keep(stretch) if keep else None
            if waits and reel is not None:
                self._reels[stretch] = reel
            return reel

        numbers = count(self.begin) if self._stop is None else range(self.begin, self._stop)
        window = Window(self._reader, forward=True, chunk=self._chunk)
        lanes = self._lanes(self._forward, self._reader)
        return Walk(lanes, numbers, window, begin, known=self._known)

    def _walk_backward(self, keep: Keep) -> Walk:
        """Through the frames of the next group, to its end."""
        group = self._groups.popleft()
        self._reels |= {stretch: keep(stretch) for stretch in group}
        frames = _frames(group)
        window = Window(self._behind, forward=False, chunk=self._chunk, lowest=frames[-1])
        lanes = self._lanes(group, self._behind)
        return Walk(lanes, frames, window, self._reels.__getitem__, known=True)

    def _lanes(self, stretches: Iterable[Stretch], reader: FrameReader) -> list[Lane]:
        return [Lane(each, self._engine.sibling(), self._prompts, reader) for each in stretches]

    def _complete(self, number: int, masks: dict[Stretch, SoftMask]) -> dict[Stretch, SoftMask]:
        """All masks of a frame, those of stretches that go forwards first."""
        kept = [each for each in self._reels if each.covers(number) and each not in masks]
        kept.sort(key=lambda stretch: not stretch.forward)
        return masks | {each: self._reels[each][abs(number - each.start) - 1] for each in kept}

    def _forget(self, number: int) -> None:
        """Reels of which frame ``number`` was the last to be complete."""
        for stretch in [each for each in self._reels if _is_over(each, number)]:
            del self._reels[stretch]


def _is_over(stretch: Stretch, number: int) -> bool:
    """Whether no frame after ``number`` shows it."""
    last = stretch.end if stretch.forward else stretch.start - 1
    return last is not None and last <= number


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
