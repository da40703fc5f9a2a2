"""Frames of a clip by number, in either direction: read once, in blocks, ahead of their use."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from threading import Lock

from hs2s_core.media.images import RGBImage
from hs2s_core.media.source import FrameSource

_KEY_FRAMES = 8
_BLOCK_BYTES = 64 * 2**20
_BLOCK_FRAMES = 32


class FrameReader:
    """A clip, whatever holds it, as frames by number; files are read on a thread of their own.

    That thread lives as long as the block of the reader's ``with``.
    """

    def __init__(self, frames: Iterable[RGBImage]) -> None:
        self._frames = frames
        self._thread: ThreadPoolExecutor | None = None
        self._at: Callable[[int], RGBImage | None]
        if isinstance(frames, FrameSource):
            self._at = frames.at
        elif isinstance(frames, Sequence):
            self._at = frames.__getitem__
        else:
            self._stream, self._passed = iter(frames), 0
            self._at = self._next

    def __enter__(self) -> FrameReader:
        if isinstance(self._frames, FrameSource):
            self._at = self._frames.reader()
            self._thread = ThreadPoolExecutor(1)
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)
            self._thread = None

    def at(self, number: int) -> RGBImage | None:
        """Frame ``number``, None after the clip's end; cheapest for the frame after the last."""
        return self.read(range(number, number + 1))().get(number)

    def read(self, numbers: range) -> Callable[[], dict[int, RGBImage]]:
        """Begin to read frames; the call waits for them, as far as the clip has them."""
        if self._thread is None:
            return partial(self._read, numbers)
        return self._thread.submit(self._read, numbers).result

    def _read(self, numbers: range) -> dict[int, RGBImage]:
        found = ((number, self._one(number)) for number in numbers)
        return {number: frame for number, frame in found if frame is not None}

    def _one(self, number: int) -> RGBImage | None:
        try:
            return self._at(number)
        except IndexError:
            return None

    def _next(self, number: int) -> RGBImage | None:
        assert number >= self._passed, "a stream is read forwards only"
        for frame in self._stream:
            self._passed += 1
            if self._passed > number:
                return frame
        return None


class KeyFrames:
    """The pictures of key frames, of which those used last are at hand.

    Several stretches are compared with each, and in a video they lie far from one another.
    """

    def __init__(self, frames: Iterable[RGBImage]) -> None:
        self._frames = frames
        self._until = ExitStack()
        self._reader: FrameReader | None = None
        self._found: OrderedDict[int, RGBImage | None] = OrderedDict()
        self._finding = Lock()

    def __enter__(self) -> KeyFrames:
        return self

    def __exit__(self, *_: object) -> None:
        self._until.close()

    def at(self, number: int) -> RGBImage | None:
        """Frame ``number``, None after the clip's end."""
        with self._finding:
            if self._reader is None:
                self._reader = self._until.enter_context(FrameReader(self._frames))
            found = self._found.pop(number) if number in self._found else self._reader.at(number)
            self._found[number] = found
            while len(self._found) > _KEY_FRAMES:
                self._found.popitem(last=False)
            return found

    def read(self, numbers: range) -> Callable[[], dict[int, RGBImage]]:
        """As :meth:`FrameReader.read`, for few frames."""
        found = {number: frame for number in numbers if (frame := self.at(number)) is not None}
        return lambda: found


class Window:
    """The frames around the one where a pass is: a block of them, read when one is wanted.

    Backwards, a video is decoded forwards block by block. Once a pass goes on to a second block,
    the one after it is read meanwhile. A network that looks ahead sees whole blocks, which begin at
    multiples of ``chunk``, so that what it says of a stretch does not depend on where a pass
    begins.
    """

    def __init__(
        self,
        reader: FrameReader,
        pictures: KeyFrames,
        *,
        forward: bool,
        chunk: int,
        lowest: int = 0,
    ) -> None:
        """``lowest`` is the last frame of a pass backwards, which begins with one of ``pictures``,
        as that is the last of a block that is not wanted."""
        self._reader = reader
        self._first = None if forward else pictures
        self._forward = forward
        self._chunk = chunk
        self._lowest = lowest
        self._frames: dict[int, RGBImage] = {}
        self._block = 1
        self._next = -1
        """Where the next block begins, as the pass goes."""
        self._coming: Callable[[], dict[int, RGBImage]] | None = None

    def at(self, number: int) -> RGBImage | None:
        """A frame, None after the clip's end; the next one asked for is in the pass's order."""
        if number not in self._frames:
            chunk = number // self._chunk if self._chunk > 1 else None
            kept = {n: frame for n, frame in self._frames.items() if n // self._chunk == chunk}
            self._frames = kept | self._take(number)
        return self._frames.get(number)

    def _take(self, number: int) -> dict[int, RGBImage]:
        """The block that begins with frame ``number``, as the pass goes."""
        goes_on, numbers = number == self._next, self._numbers(number)
        coming = self._coming if goes_on else None
        found = (coming or (self._first or self._reader).read(numbers))()
        self._first = None
        for frame in found.values():
            self._block = max(1, min(_BLOCK_FRAMES, _BLOCK_BYTES // max(1, frame.nbytes)))
        self._next = number + 1 if self._forward else numbers[0] - 1
        self._coming = self._reader.read(self._numbers(self._next)) if goes_on else None
        return found

    def _numbers(self, number: int) -> range:
        low = number if self._forward else max(self._lowest, number - self._block + 1)
        return range(min(low, number), number + 1)

    def ahead(self, number: int) -> list[RGBImage]:
        """Frame ``number`` and those after it, as the pass goes, that are looked at together."""
        low = number // self._chunk * self._chunk
        order = range(number, low + self._chunk) if self._forward else range(number, low - 1, -1)
        found = []
        for other in order:  # which may be as long as any clip
            frame = self.at(other)
            if frame is None:
                break
            found.append(frame)
        return found

    def enters(self, number: int) -> bool:
        """Whether a block of ``chunk`` frames begins with frame ``number``, as the pass goes."""
        return (number if self._forward else number + 1) % self._chunk == 0
