"""Write frames as an MP4 that browsers play: H.264, 4:2:0, complete or absent."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np

from hs2s_core.errors import InvalidMedia
from hs2s_core.files import replacing
from hs2s_core.media.images import RGBImage

_INSTALL = {
    "linux": "`sudo apt install ffmpeg` (or your distribution's package)",
    "darwin": "`brew install ffmpeg`",
    "win32": "`winget install Gyan.FFmpeg`",
}


def find_ffmpeg() -> str:
    """Path of the ``ffmpeg`` program; raises ``InvalidMedia`` with the install command."""
    found = shutil.which("ffmpeg") or _ffmpeg_wheel()
    if found is None:
        raise InvalidMedia(
            "the program ffmpeg was not found on the PATH; it is needed to encode videos. "
            f"Install it: {_INSTALL.get(sys.platform, _INSTALL['linux'])}, or without rights to do "
            "so `pip install imageio-ffmpeg`."
        )
    return found


def _ffmpeg_wheel() -> str | None:
    """The program inside the package imageio-ffmpeg (the extra ``ffmpeg``), if there is one."""
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):  # not installed, or a build without the program
        return None


def even_size(size: tuple[int, int]) -> tuple[int, int]:
    """(H, W) of the video that ``VideoWriter`` makes of frames of ``size``: rounded up to even."""
    height, width = size
    return height + height % 2, width + width % 2


def check_fps(path: str | Path, fps: float) -> None:
    """Raise InvalidMedia for a speed that no MP4 has."""
    if not 0.01 <= fps < 1000:
        raise InvalidMedia(f"{path}: {fps} frames per second; expected at least 0.01 and < 1000.")


class VideoWriter:
    """Encode frames one by one: ``with VideoWriter(path, (H, W), fps) as video: video.write(rgb)``.

    The file appears under its name only when it is complete; until then it is a hidden ``*.part``,
    with the process in its name, which an exception removes and which nobody takes for a video if
    the process is killed. ``comment`` is kept in the file (see ``mp4.read_comment``). 4:2:0 needs
    even sizes, so an odd last row or column is repeated once (see ``even_size``): every pixel keeps
    its place, and a mask that is padded with background in the same way fits the video exactly.
    """

    def __init__(
        self, path: str | Path, size: tuple[int, int], fps: float, comment: str = ""
    ) -> None:
        check_fps(path, fps)
        self.path = Path(path)
        self.size = size
        self.count = 0
        self._fps = fps
        self._comment = comment

    def __enter__(self) -> VideoWriter:
        ffmpeg = find_ffmpeg()
        with ExitStack() as stack:
            try:
                part = stack.enter_context(replacing(self.path))
            except OSError as error:
                raise InvalidMedia(
                    f"{self.path.parent}: the folder cannot be made ({error.strerror or error}); "
                    "choose one that you may write to."
                ) from error
            self._log = stack.enter_context(tempfile.TemporaryFile())
            command = _command(ffmpeg, self.size, self._fps, self._comment, part)
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=self._log)
            stack.push(self._end)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *problem: Any) -> None:
        self._stack.__exit__(*problem)

    def write(self, frame: RGBImage) -> None:
        """Append one frame, RGB uint8 (H, W, 3) of the announced size."""
        if frame.shape != (*self.size, 3) or frame.dtype != np.uint8:
            raise InvalidMedia(
                f"{self.path}: frame {self.count} is {frame.dtype} {frame.shape}; expected uint8 "
                f"{(*self.size, 3)}."
            )
        assert self._process.stdin is not None
        rows, columns = (side % 2 for side in self.size)
        if rows or columns:
            frame = np.pad(frame, ((0, rows), (0, columns), (0, 0)), mode="edge")
        try:
            self._process.stdin.write(np.ascontiguousarray(frame).data)
        except BrokenPipeError:
            raise self._failure() from None
        self.count += 1

    def _end(self, kind: type[BaseException] | None, *_: object) -> None:
        """Let ffmpeg complete the file; raises InvalidMedia if it cannot, or has no frame."""
        assert self._process.stdin is not None
        try:
            if kind is not None:
                self._process.kill()
            elif self.count == 0:
                raise InvalidMedia(f"{self.path}: no frames to encode; expected at least one.")
            with suppress(BrokenPipeError):  # the exit status below tells why
                self._process.stdin.close()
            if self._process.wait() != 0 and kind is None:
                raise self._failure()
        finally:
            self._process.kill()
            self._process.wait()

    def _failure(self) -> InvalidMedia:
        self._process.wait()
        self._log.seek(0)
        said = self._log.read().decode(errors="replace").strip()
        hint = "Check the free disk space and that the folder can be written."
        if "Unknown encoder" in said:
            hint = "This ffmpeg has no libx264; install a full build, for example " + _INSTALL.get(
                sys.platform, _INSTALL["linux"]
            )
        return InvalidMedia(f"{self.path}: ffmpeg failed ({said[-500:] or 'no message'}). {hint}")


def _command(ffmpeg: str, size: tuple[int, int], fps: float, comment: str, out: Path) -> list[str]:
    height, width = even_size(size)
    # The default RGB conversion uses BT.601 coefficients; saying so in the file keeps colours right
    # in browsers, which would guess BT.709 for large frames.
    colour = [f"-{name}" for name in ("colorspace", "color_primaries", "color_trc")]
    return [
        *(ffmpeg, "-y", "-nostdin", "-loglevel", "error"),
        *("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{fps:g}"),
        *("-i", "pipe:0", "-vf", "scale=flags=bicubic+accurate_rnd+full_chroma_int"),
        # Short groups of pictures without B-frames: the App seeks to single frames.
        *("-c:v", "libx264", "-preset", "fast", "-crf", "18", "-g", "12", "-bf", "0"),
        *("-pix_fmt", "yuv420p", "-movflags", "+faststart"),
        *(part for flag in colour for part in (flag, "smpte170m")),
        *(("-metadata", f"comment={comment}") if comment else ()),
        # Absolute, or FFmpeg takes what precedes a colon for a protocol and a dash for an option.
        *("-f", "mp4", os.path.abspath(out)),
    ]
