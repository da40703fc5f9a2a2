"""Frames of a video file: streamed forwards, exact at random access, chunked backwards."""

from __future__ import annotations

import logging
import os
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Lock

import cv2

from hs2s_core.errors import InvalidMedia
from hs2s_core.media.images import RGBImage, unreadable
from hs2s_core.media.interlaced import are_alike, is_interlaced
from hs2s_core.media.mp4 import read_track
from hs2s_core.media.source import FrameSource, out_of_range
from hs2s_core.wording import counted

_log = logging.getLogger(__name__)

# Backward iteration decodes forward in chunks; this bounds what one chunk holds.
_CHUNK_BYTES = 64 * 2**20
_CHUNK_FRAMES = 64
# Below this distance, decoding on is cheaper than seeking (typical keyframe interval).
_NEAR = 48
_COMPLETE = 0.9
"""Least share of the claimed time that a file must hold not to be called damaged."""
_MATROSKA = b"\x1a\x45\xdf\xa3"
"""How MKV and WebM begin."""
_CONVERT = "ffmpeg -i IN -c:v libx264 -pix_fmt yuv420p OUT.mp4"
_DEINTERLACE = _CONVERT.replace("IN ", "IN -vf yadif ")


class VideoFrames(FrameSource):
    """Frames of a video file, decoded by OpenCV's FFmpeg.

    Containers may claim a wrong frame count, too low or too high, so iteration ends where decoding
    ends and ``len`` is corrected then; until then ``exact`` is false. Where decoding ends long
    before the time that the file claims, it is damaged, which ``shortfall`` says.

    OpenCV's seeking is inexact on variable frame rates, so every frame's time stamp is noted when
    it is first passed (8 bytes each), a seek is verified against these notes, and where they cannot
    tell (stamps missing or repeated) the file is decoded from its start: slower, never wrong.

    Raises InvalidMedia, here or at the first such frame, for an interlaced file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.description = str(path)
        capture = _open_capture(path)
        claimed = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        fps = capture.get(cv2.CAP_PROP_FPS)
        angle = capture.get(cv2.CAP_PROP_ORIENTATION_META) % 360
        # Of a mirrored file, what OpenCV's turn by that angle leaves to be done.
        track = read_track(path)
        self.flip = int(angle % 180 == 90) if track.mirrored else None
        self.turned = angle != 0 or self.flip is not None
        self.trimmed = track.shown < 1
        ok, first = capture.read()
        if not ok or first is None:
            raise _undecodable(path, capture)
        self.size = (int(first.shape[0]), int(first.shape[1]))
        self.fps = float(fps) if 0 < fps < 1000 else None
        # Broken headers claim absurd counts (INT64_MIN, 2**31); those say nothing.
        self._claimed = int(claimed * track.shown + 0.01) if 0 < claimed < 2**31 - 1 else None
        late = _late(path, capture)
        if self._claimed is not None and late:
            self._claimed = self._claimed - late if late < self._claimed else None
            self.trimmed = True
        self._stills = False  # whether frames may be alike
        again, second = capture.read()
        if not again or second is None or are_alike(first, second):
            self.check_scan(2)
        self._length: int | None = None  # set by the first pass that reached the end
        self._stamps = array("d")  # milliseconds of frames 0, 1, ... as far as any pass got
        self._stamps_increase = True
        self._noting = Lock()
        self._cursor: _Cursor | None = None

    def __len__(self) -> int:
        if self._length is None and self._claimed is None:
            self.count()
        length = self._length if self._length is not None else self._claimed
        assert length is not None
        return length

    def count(self) -> int:
        """The true frame count, found by passing through the file once without keeping frames."""
        if self._length is None:
            cursor = _Cursor(self)
            while cursor.advance():
                pass
        assert self._length is not None
        return self._length

    @property
    def exact(self) -> bool:
        return self._length is not None

    @property
    def shortfall(self) -> str | None:
        if self._length is None or self._claimed is None or not self._ended_early():
            return None
        return (
            f"{self.description}: ended after {self._length} of about "
            f"{counted(self._claimed, 'frame')}; the file may be damaged: copy or record it again."
        )

    def _ended_early(self) -> bool:
        """Whether the file claims more than a tenth longer than what could be decoded of it.

        Counted in time, because the claimed number of frames is an estimate for variable rates.
        """
        assert self._length is not None
        assert self._claimed is not None
        share = self._length / self._claimed
        if self.fps and len(self._stamps) > 1 and self._stamps_increase:
            last = (self._stamps[-1] - self._stamps[0]) / 1000 + 1 / self.fps
            share = max(share, last * self.fps / self._claimed)
        return share < _COMPLETE

    def __iter__(self) -> Iterator[RGBImage]:
        cursor = _Cursor(self)
        while cursor.advance():
            yield cursor.frame()

    def __reversed__(self) -> Iterator[RGBImage]:
        end = self.count()
        height, width = self.size
        chunk = max(4, min(_CHUNK_FRAMES, _CHUNK_BYTES // (height * width * 3)))
        cursor = _Cursor(self)
        while end > 0:
            start = max(0, end - chunk)
            frames = [self._read(cursor, index) for index in range(start, end)]
            while frames:
                yield frames.pop()
            end = start

    def at(self, index: int) -> RGBImage:
        if self._cursor is None:
            self._cursor = _Cursor(self)
        return self._at(self._cursor, index)

    def reader(self) -> Callable[[int], RGBImage]:
        return partial(self._at, _Cursor(self))

    def _at(self, cursor: _Cursor, index: int) -> RGBImage:
        if index < 0 or (self._length is not None and index >= self._length):
            raise out_of_range(self.description, index, len(self))
        return self._read(cursor, index)

    def close(self) -> None:
        """Release the file handle that ``at`` keeps between calls; the source stays usable."""
        self._cursor = None

    def check_scan(self, count: int) -> None:
        """Of frames that are alike: raise InvalidMedia if one of the first is interlaced."""
        if not self._stills and is_interlaced(self.path, count):
            raise InvalidMedia(
                f"{self.description}: is interlaced (two half pictures in each frame), which "
                "OpenCV does not decode; expected whole pictures. Convert it, for example: "
                f"{_DEINTERLACE}"
            )
        self._stills = True

    def note(self, index: int, stamp: float) -> None:
        """Remember the time stamp (ms) of frame ``index`` when a pass sees it first."""
        with self._noting:
            if index == len(self._stamps):
                if self._stamps and stamp <= self._stamps[-1]:
                    self._stamps_increase = False
                self._stamps.append(stamp)

    def end_at(self, count: int) -> None:
        """A pass from the first frame found the end after ``count`` frames."""
        if self._length is None:
            self._length = count
            if self.shortfall is not None:
                _log.warning(self.shortfall)

    def index_of(self, stamp: float) -> int | None:
        """Which frame carries this time stamp (ms), if the notes can tell."""
        if not self._stamps_increase:
            return None
        index = bisect_left(self._stamps, stamp - 1e-3)
        if index < len(self._stamps) and abs(self._stamps[index] - stamp) <= 1e-3:
            return index
        return None

    def knows(self, index: int) -> bool:
        """Whether a seek to frame ``index`` could be verified."""
        return self._stamps_increase and index < len(self._stamps)

    def _read(self, cursor: _Cursor, index: int) -> RGBImage:
        if not cursor.move_to(index):
            raise out_of_range(self.description, index, len(self))
        return cursor.frame()


class _Cursor:
    """One open decoder and the index of the frame it grabbed last (-1 before the first)."""

    def __init__(self, video: VideoFrames) -> None:
        self._video = video
        self._seen: tuple[int, RGBImage | None] = (-1, None)  # what was retrieved last, BGR
        self._rewind()

    def advance(self) -> bool:
        """Grab the next frame; ``False`` at the end."""
        if not self._capture.grab():
            self._video.end_at(self._index + 1)
            return False
        self._index += 1
        self._video.note(self._index, float(self._capture.get(cv2.CAP_PROP_POS_MSEC)))
        return True

    def move_to(self, index: int) -> bool:
        """Grab frame ``index``: by decoding on where that is near, else by a verified seek."""
        if not 0 <= index - self._index <= _NEAR:
            self._seek(index)
        return all(self.advance() for _ in range(index - self._index))

    def frame(self) -> RGBImage:
        """The grabbed frame, RGB uint8 (H, W, 3)."""
        ok, bgr = self._capture.retrieve()
        if not ok or bgr is None:
            raise InvalidMedia(
                f"{self._video.description}: frame {self._index} cannot be decoded; re-encode the "
                f"video, for example: {_CONVERT}"
            )
        before, last = self._seen
        if last is not None and before != self._index and are_alike(last, bgr):
            self._video.check_scan(self._index + 1)
        self._seen = self._index, bgr
        rgb: RGBImage = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        if self._video.flip is not None:
            rgb = cv2.flip(rgb, self._video.flip)
        return self._video.check_size(rgb, f"frame {self._index}")

    def _rewind(self) -> None:
        self._capture = _open_capture(self._video.path)
        self._index = -1

    def _seek(self, index: int) -> None:
        """Land on a frame at or before ``index``; the start of the file always is one."""
        backs = (0, 16, 250) if self._video.knows(index) else ()
        for back in backs:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, max(0, index - back))
            if not self._capture.grab():
                break  # some containers cannot seek at all
            landed = self._video.index_of(float(self._capture.get(cv2.CAP_PROP_POS_MSEC)))
            if landed is not None and landed <= index:
                self._index = landed
                return
        if backs or index <= self._index:
            self._rewind()


def _open_capture(path: Path) -> cv2.VideoCapture:
    # Named explicitly: with CAP_ANY a damaged `clip0001.mp4` would be tried as an image sequence.
    ffmpeg = cv2.CAP_FFMPEG in cv2.videoio_registry.getBackends()
    # Absolute, because FFmpeg takes what precedes a colon in a relative name for a protocol.
    capture = cv2.VideoCapture(os.path.abspath(path), cv2.CAP_FFMPEG if ffmpeg else cv2.CAP_ANY)
    if not capture.isOpened():
        raise unreadable(
            path,
            "not readable as a video; expected an intact MP4, MOV, MKV, AVI or WebM in a codec "
            "that OpenCV's FFmpeg knows, or a folder of frames. `ffprobe` on it tells which: "
            f"record or download a damaged file again; convert an unknown codec: {_CONVERT}",
        )
    return capture


def _late(path: Path, capture: cv2.VideoCapture) -> int:
    """How many frames a file claims that would be before its first one, which was just read.

    MKV and WebM count their time from 0, also where the first picture is later: of a recording
    that was cut in parts.
    """
    with path.open("rb") as file:
        if file.read(len(_MATROSKA)) != _MATROSKA:
            return 0
    return max(0, int(capture.get(cv2.CAP_PROP_PTS))) if hasattr(cv2, "CAP_PROP_PTS") else 0


def _undecodable(path: Path, capture: cv2.VideoCapture) -> InvalidMedia:
    code = int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF
    letters = code.to_bytes(4, "little").decode("latin-1")
    codec = f"'{letters}'" if letters.isprintable() and letters.strip() else "unknown"
    return InvalidMedia(
        f"{path}: no frame could be decoded (codec {codec}); expected at least one frame in a "
        f"codec that OpenCV's FFmpeg decodes. Convert it, for example: {_CONVERT}"
    )
