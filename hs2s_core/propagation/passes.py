"""All passes over a clip: its frames in order, each with what every stretch says of it."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack
from functools import partial
from itertools import count, islice
from threading import Lock
from typing import IO

import torch

from hs2s_core.jobs.threads import Give, sharing_threads
from hs2s_core.media.images import RGBImage
from hs2s_core.media.source import FrameSource
from hs2s_core.prompts import Prompts
from hs2s_core.propagation.engine import Engine, SoftMask
from hs2s_core.propagation.frame_window import FrameReader, KeyFrames, Window
from hs2s_core.propagation.mask_log import MaskLog
from hs2s_core.propagation.stretch_runner import ActiveStretch, FrameMasks, StretchRunner
from hs2s_core.propagation.timeline import Stretch

Keep = Callable[[Stretch], MaskLog]
"""Where the masks of a stretch are kept."""
_AT_ONCE = 4
"""Passes that run at the same time at most: each holds frames of its own."""
_TURN = 4
"""Frames that one of them runs before another may take its place."""


class Pass:
    """Stretches of one direction, stepped together, and how far that is.

    Its masks may be read while it goes on, on another thread.
    """

    def __init__(
        self, stretches: Sequence[Stretch], low: int, high: int | None, claimed: int = 0
    ) -> None:
        """Through the frames from ``low`` to ``high``; None for the clip's end, after ``claimed``
        frames as far as anybody says. Backwards where the stretches are."""
        self.stretches = stretches
        self.forward = not stretches or stretches[0].forward
        self.low, self.high = low, high
        self.over = False
        """Whether there is no frame to go."""
        self.runner: StretchRunner | None = None
        self.reader: FrameReader | None = None
        self._expected = (claimed if high is None else high + 1) - low
        self._gone = 0
        self._latest: FrameMasks | None = None
        self._logs: dict[Stretch, MaskLog] = {}
        self._file: IO[bytes] | None = None
        self._using = Lock()

    @property
    def numbers(self) -> Iterable[int]:
        """Its frames, in their order."""
        if self.high is None:
            return count(self.low)
        numbers = range(self.low, self.high + 1)
        return numbers if self.forward else reversed(numbers)

    @property
    def left(self) -> int:
        """Frames to go, at least one before the end."""
        return 0 if self.over else max(1, self._expected - self._gone)

    @property
    def needed(self) -> int:
        """The first frame that waits for it; backwards, until it is over."""
        return self.low if self._latest is None or not self.forward else self._latest[0] + 1

    def covers(self, number: int) -> bool:
        """Whether frame ``number`` is on it."""
        return self.low <= number and (self.high is None or number <= self.high)

    def passed(self, number: int) -> bool:
        """Whether it went through frame ``number``, which is on it."""
        if self._latest is None:
            return False
        return number <= self._latest[0] if self.forward else number >= self._latest[0]

    def advance(self, frames: int) -> list[FrameMasks]:
        """Through the next frames; fewer at the end."""
        assert self.runner is not None, "it was started"
        found = list(islice(self.runner, frames))
        if found and self._is_last(found[-1][0]):
            next(self.runner, None)  # so that the states of stretches are kept
        return found

    def record(self, found: Sequence[FrameMasks]) -> None:
        """Take down what :meth:`advance` found."""
        self._gone += len(found)
        self._latest = found[-1] if found else self._latest
        self.over = not found or self._is_last(found[-1][0])

    def _is_last(self, number: int) -> bool:
        return number == (self.high if self.forward else self.low)

    def open_log(self, stretch: Stretch, keep: Keep | None) -> MaskLog:
        """Where the masks of a stretch wait until other passes are as far."""
        if keep is not None:
            self._logs[stretch] = keep(stretch)
        else:
            self._file = self._file or tempfile.TemporaryFile()  # noqa: SIM115
            self._logs[stretch] = MaskLog(self._file, self._using)
        return self._logs[stretch]

    def masks(self, number: int) -> dict[Stretch, SoftMask]:
        """Those in frame ``number``, which it passed."""
        if self._latest is not None and self._latest[0] == number:
            return self._latest[1]
        covering = [each for each in self.stretches if each.covers(number)]
        return {each: self._logs[each][abs(number - each.start) - 1] for each in covering}

    def close(self) -> None:
        """Let go of all that it holds."""
        self.runner = self._latest = None
        self._logs.clear()
        if self._file is not None:
            self._file.close()


class ClipPasses:
    """A pass forwards over a clip and, before it needs them, passes backwards.

    Where that is quicker, several run at the same time, each on its share of torch's threads.
    Masks of which the frame is not complete wait on disk.
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
        claimed: int | None,
        known: bool,
        keep: Keep | None,
    ) -> None:
        """Nothing is read before the first frame is asked for.

        Args:
            engine: what each stretch has a sibling of.
            frames: the clip.
            prompts: all masks that are given.
            stretches: those to follow.
            chunk: frames that an engine looks at together.
            first: the first frame that is wanted.
            stop: one more than the last; None for the clip's end.
            claimed: what that is where it is None, as far as anybody says.
            known: whether the clip has all those frames.
            keep: where masks are kept for other runs; None to keep none.
        """
        self._engine = engine
        self._frames = frames
        self._prompts = prompts
        self._chunk = chunk
        self._known = known
        self._keep = keep
        self._threads = torch.get_num_threads()
        reread = isinstance(frames, (FrameSource, Sequence))
        workers = min(_AT_ONCE, self._threads) if engine.at_once and reread else 1
        forward = _forward_passes(stretches, first, stop, claimed or 0, together=workers == 1)
        backward = _backward_passes(stretches)
        self.begin = forward[0].low
        """The first frame of the pass forwards."""
        self.done = 0
        """Frames passed, in all directions."""
        self._behind = sum(each.left for each in backward)
        self._numbers = count(self.begin) if stop is None else range(self.begin, stop)
        self._passes = [*forward, *backward]
        """Those that are not yet behind the frame that is wanted; forwards first."""
        self._workers = min(workers, len(self._passes))
        self._running: dict[Future[list[FrameMasks]], Pass] = {}
        """What the workers do."""
        self._until = ExitStack()
        self._pictures = KeyFrames(frames)
        self._readers: dict[bool, list[FrameReader]] = {True: [], False: []}
        """Those that passes of either direction are done with."""

    def total(self, stop: int) -> int:
        """How many frames are passed in all directions, if the last is before ``stop``."""
        return stop - self.begin + self._behind

    def __iter__(self) -> Iterator[FrameMasks | None]:
        """Each frame in order, with all masks of it; None for one of a pass that is ahead of it."""
        with self._until:
            self._until.enter_context(self._pictures)
            for each in self._passes:
                self._until.callback(each.close)
            hire = sharing_threads(self._workers)
            give = self._until.enter_context(hire) if self._workers > 1 else None
            for number in self._numbers:
                if give is not None:
                    yield from self._rotate(give)
                while (missing := self._missing(number)) is not None:
                    if missing.over:
                        return  # with the clip
                    if give is None:
                        yield from self._advance(missing)
                    else:
                        wait(self._running, return_when=FIRST_COMPLETED)
                        yield from self._rotate(give)
                yield number, self._complete(number)

    def _missing(self, number: int) -> Pass | None:
        """A pass that has not come to frame ``number``, which is in it."""
        near = (each for each in self._passes if each.covers(number))
        return next((each for each in near if not each.passed(number)), None)

    def _advance(self, one: Pass) -> Iterator[None]:
        """One frame of one pass."""
        self._start(one)
        for ahead in self._record(one, one.advance(1)):
            if not one.forward:
                yield ahead

    def _rotate(self, give: Give) -> Iterator[None]:
        """What the workers have done; then all of them go on."""
        for turn in [turn for turn in self._running if turn.done()]:
            yield from self._record(self._running.pop(turn), turn.result())
        while len(self._running) < self._workers and (one := self._next()) is not None:
            self._start(one)
            left = sum(not each.over for each in self._passes)
            turn = give(partial(one.advance, _TURN), self._threads // min(self._workers, left))
            self._running[turn] = one

    def _next(self) -> Pass | None:
        """Which pass a worker takes: the one needed first, unless a longer one would end alone."""
        running = self._running.values()
        idle = [each for each in self._passes if not each.over and each not in running]
        if not idle:
            return None
        share = sum(each.left for each in self._passes) / self._workers
        longest = max(idle, key=lambda each: each.left)
        return longest if longest.left >= share else min(idle, key=lambda each: each.needed)

    def _start(self, one: Pass) -> None:
        if one.runner is not None:
            return
        readers = self._readers[one.forward]
        reader = readers.pop() if readers else self._until.enter_context(FrameReader(self._frames))
        pictures, forward = self._pictures, one.forward
        window = Window(reader, pictures, forward=forward, chunk=self._chunk, lowest=one.low)
        about = self._prompts, pictures
        active = [ActiveStretch(each, self._engine.sibling(), *about) for each in one.stretches]
        waits = self._workers > 1 or not forward

        def log(stretch: Stretch) -> MaskLog | None:
            return one.open_log(stretch, self._keep) if waits or self._keep is not None else None

        known = self._known or not forward
        one.reader, one.runner = (
            reader,
            StretchRunner(active, one.numbers, window, log, known=known),
        )

    def _record(self, one: Pass, found: Sequence[FrameMasks]) -> Iterator[None]:
        """None for each frame of a turn."""
        one.record(found)
        if one.over and one.reader is not None:
            self._readers[one.forward].append(one.reader)
            one.runner = one.reader = None  # and the frames that they hold
        for _ in found:
            self.done += 1
            yield None

    def _complete(self, number: int) -> dict[Stretch, SoftMask]:
        """All masks of a frame, those of stretches that go forwards first."""
        found: dict[Stretch, SoftMask] = {}
        for each in self._passes:
            if each.covers(number):
                found |= each.masks(number)
        over = [each for each in self._passes if each.high is not None and each.high <= number]
        for each in over:
            each.close()
            self._passes.remove(each)
        return found


def _forward_passes(
    stretches: Iterable[Stretch], first: int, stop: int | None, claimed: int, *, together: bool
) -> list[Pass]:
    """Passes over all frames, each up to where the next begins; one where they go together."""
    forward = [each for each in stretches if each.forward]
    groups = [forward] if together else _overlapping(forward) or [[]]
    begins = [min([first, *(each.start for each in forward)])]
    begins += [min(each.start for each in group) for group in groups[1:]]
    ends = [begin - 1 for begin in begins[1:]] + [None if stop is None else stop - 1]
    return [Pass(*each, claimed) for each in zip(groups, begins, ends, strict=True)]


def _backward_passes(stretches: Iterable[Stretch]) -> list[Pass]:
    return [
        Pass(group, min(each.end or 0 for each in group), max(each.start for each in group))
        for group in _overlapping([each for each in stretches if not each.forward])
    ]


def _overlapping(stretches: Collection[Stretch]) -> list[list[Stretch]]:
    """Stretches of one direction in groups that share frames, so that each is decoded once."""
    groups: list[list[Stretch]] = []
    top = -1.0
    for stretch in sorted(stretches, key=_span):
        low, high = _span(stretch)
        if groups and low <= top:
            groups[-1].append(stretch)
        else:
            groups.append([stretch])
        top = max(top, high)
    return groups


def _span(stretch: Stretch) -> tuple[int, float]:
    """The first and the last frame that a pass of it alone goes through, its key frame included."""
    if stretch.forward:
        return stretch.start, math.inf if stretch.end is None else stretch.end
    return stretch.end or 0, stretch.start
