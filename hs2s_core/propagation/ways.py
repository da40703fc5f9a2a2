"""All ways through a clip: its frames in order, each with what every stretch says of it."""

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

from hs2s_core.jobs.beside import Give, sharing_threads
from hs2s_core.media.images import RGBImage
from hs2s_core.media.source import FrameSource
from hs2s_core.prompts import Prompts
from hs2s_core.propagation.engine import Engine, SoftMask
from hs2s_core.propagation.reels import Reel
from hs2s_core.propagation.timeline import Stretch
from hs2s_core.propagation.walk import FrameReader, KeyFrames, Lane, Walk, Walked, Window

Keep = Callable[[Stretch], Reel]
"""Where the masks of a stretch are kept."""
_AT_ONCE = 4
"""Ways that are gone at the same time at most: each holds frames of its own."""
_TURN = 4
"""Frames that one of them goes before another may take its place."""


class Way:
    """Stretches of one direction, walked together, and how far that is.

    Its masks may be read while the walk goes on, on another thread.
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
        self.walk: Walk | None = None
        self.reader: FrameReader | None = None
        self._expected = (claimed if high is None else high + 1) - low
        self._gone = 0
        self._latest: Walked | None = None
        self._reels: dict[Stretch, Reel] = {}
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

    def go(self, frames: int) -> list[Walked]:
        """Through the next frames; fewer at the end."""
        assert self.walk is not None, "somebody set out on it"
        found = list(islice(self.walk, frames))
        if found and self._is_last(found[-1][0]):
            next(self.walk, None)  # so that the states of stretches are kept
        return found

    def went(self, walked: Sequence[Walked]) -> None:
        """Take down what :meth:`go` found."""
        self._gone += len(walked)
        self._latest = walked[-1] if walked else self._latest
        self.over = not walked or self._is_last(walked[-1][0])

    def _is_last(self, number: int) -> bool:
        return number == (self.high if self.forward else self.low)

    def shelve(self, stretch: Stretch, keep: Keep | None) -> Reel:
        """Where the masks of a stretch wait until other ways are as far."""
        if keep is not None:
            self._reels[stretch] = keep(stretch)
        else:
            self._file = self._file or tempfile.TemporaryFile()  # noqa: SIM115
            self._reels[stretch] = Reel(self._file, self._using)
        return self._reels[stretch]

    def masks(self, number: int) -> dict[Stretch, SoftMask]:
        """Those in frame ``number``, which it passed."""
        if self._latest is not None and self._latest[0] == number:
            return self._latest[1]
        covering = [each for each in self.stretches if each.covers(number)]
        return {each: self._reels[each][abs(number - each.start) - 1] for each in covering}

    def close(self) -> None:
        """Let go of all that it holds."""
        self.walk = self._latest = None
        self._reels.clear()
        if self._file is not None:
            self._file.close()


class Ways:
    """A walk forwards through a clip, and before it needs them, walks backwards.

    Where that is quicker, several ways are gone at the same time, each on its share of torch's
    threads. Masks of which the frame is not complete wait on disk.
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
            stretches: those to walk.
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
        hands = min(_AT_ONCE, self._threads) if engine.at_once and reread else 1
        forward = _forward_ways(stretches, first, stop, claimed or 0, together=hands == 1)
        backward = _backward_ways(stretches)
        self.begin = forward[0].low
        """The first frame of the way forwards."""
        self.done = 0
        """Frames walked through, in all directions."""
        self._behind = sum(way.left for way in backward)
        self._numbers = count(self.begin) if stop is None else range(self.begin, stop)
        self._ways = [*forward, *backward]
        """Those that are not yet behind the frame that is wanted; forwards first."""
        self._hands = min(hands, len(self._ways))
        self._turns: dict[Future[list[Walked]], Way] = {}
        """What the hands do."""
        self._until = ExitStack()
        self._pictures = KeyFrames(frames)
        self._readers: dict[bool, list[FrameReader]] = {True: [], False: []}
        """Those that ways of either direction are done with."""

    def total(self, stop: int) -> int:
        """How many frames are walked through in all directions, if the last is before ``stop``."""
        return stop - self.begin + self._behind

    def __iter__(self) -> Iterator[Walked | None]:
        """Each frame in order, with all masks of it; None for one on a way that is ahead of it."""
        with self._until:
            self._until.enter_context(self._pictures)
            for way in self._ways:
                self._until.callback(way.close)
            hire = sharing_threads(self._hands)
            give = self._until.enter_context(hire) if self._hands > 1 else None
            for number in self._numbers:
                if give is not None:
                    yield from self._go_on(give)
                while (missing := self._missing(number)) is not None:
                    if missing.over:
                        return  # with the clip
                    if give is None:
                        yield from self._go(missing)
                    else:
                        wait(self._turns, return_when=FIRST_COMPLETED)
                        yield from self._go_on(give)
                yield number, self._complete(number)

    def _missing(self, number: int) -> Way | None:
        """A way that has not come to frame ``number``, which is on it."""
        near = (way for way in self._ways if way.covers(number))
        return next((way for way in near if not way.passed(number)), None)

    def _go(self, way: Way) -> Iterator[None]:
        """One frame of one way."""
        self._set_out(way)
        for ahead in self._note(way, way.go(1)):
            if not way.forward:
                yield ahead

    def _go_on(self, give: Give) -> Iterator[None]:
        """What the hands have done; then all of them go on."""
        for turn in [turn for turn in self._turns if turn.done()]:
            yield from self._note(self._turns.pop(turn), turn.result())
        while len(self._turns) < self._hands and (way := self._next()) is not None:
            self._set_out(way)
            left = sum(not way.over for way in self._ways)
            turn = give(partial(way.go, _TURN), self._threads // min(self._hands, left))
            self._turns[turn] = way

    def _next(self) -> Way | None:
        """Which way a hand takes: the one needed first, unless a longer one would end alone."""
        idle = [way for way in self._ways if not way.over and way not in self._turns.values()]
        if not idle:
            return None
        share = sum(way.left for way in self._ways) / self._hands
        longest = max(idle, key=lambda way: way.left)
        return longest if longest.left >= share else min(idle, key=lambda way: way.needed)

    def _set_out(self, way: Way) -> None:
        if way.walk is not None:
            return
        readers = self._readers[way.forward]
        reader = readers.pop() if readers else self._until.enter_context(FrameReader(self._frames))
        pictures = self._pictures
        window = Window(reader, pictures, forward=way.forward, chunk=self._chunk, lowest=way.low)
        about = self._prompts, pictures
        lanes = [Lane(each, self._engine.sibling(), *about) for each in way.stretches]
        waits = self._hands > 1 or not way.forward

        def shelf(stretch: Stretch) -> Reel | None:
            return way.shelve(stretch, self._keep) if waits or self._keep is not None else None

        way.reader = reader
        way.walk = Walk(lanes, way.numbers, window, shelf, known=self._known or not way.forward)

    def _note(self, way: Way, walked: Sequence[Walked]) -> Iterator[None]:
        """None for each frame of a turn."""
        way.went(walked)
        if way.over and way.reader is not None:
            self._readers[way.forward].append(way.reader)
            way.walk = way.reader = None  # and the frames that they hold
        for _ in walked:
            self.done += 1
            yield None

    def _complete(self, number: int) -> dict[Stretch, SoftMask]:
        """All masks of a frame, those of stretches that go forwards first."""
        found: dict[Stretch, SoftMask] = {}
        for way in self._ways:
            if way.covers(number):
                found |= way.masks(number)
        for way in [way for way in self._ways if way.high is not None and way.high <= number]:
            way.close()
            self._ways.remove(way)
        return found


def _forward_ways(
    stretches: Iterable[Stretch], first: int, stop: int | None, claimed: int, *, together: bool
) -> list[Way]:
    """Ways through all frames, each up to where the next begins; one where they go together."""
    forward = [each for each in stretches if each.forward]
    groups = [forward] if together else _overlapping(forward) or [[]]
    begins = [min([first, *(each.start for each in forward)])]
    begins += [min(each.start for each in group) for group in groups[1:]]
    ends = [begin - 1 for begin in begins[1:]] + [None if stop is None else stop - 1]
    return [Way(*each, claimed) for each in zip(groups, begins, ends, strict=True)]


def _backward_ways(stretches: Iterable[Stretch]) -> list[Way]:
    return [
        Way(group, min(each.end or 0 for each in group), max(each.start for each in group))
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
    """The first and the last frame that a walk of it alone goes through, its key frame included."""
    if stretch.forward:
        return stretch.start, math.inf if stretch.end is None else stretch.end
    return stretch.end or 0, stretch.start
