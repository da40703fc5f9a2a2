"""Encoding: complete or absent, even sizes, true colours, errors with advice."""

from __future__ import annotations

import mimetypes
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hs2s_core.errors import InvalidMedia
from hs2s_core.media import encode, open_frames
from hs2s_core.media.encode import VideoWriter, even_size
from hs2s_core.media.mp4 import read_comment


def flat(colour: tuple[int, int, int], size: tuple[int, int] = (32, 48)) -> np.ndarray:
    return np.full((*size, 3), colour, np.uint8)


def test_colours_survive(tmp_path: Path) -> None:
    colours = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (128, 128, 128), (250, 250, 250)]
    with VideoWriter(tmp_path / "v.mp4", (32, 48), 12.5) as video:
        for colour in colours:
            video.write(flat(colour))
    frames = open_frames(tmp_path / "v.mp4")
    assert frames.fps == 12.5
    for frame, colour in zip(frames, colours, strict=True):
        assert np.abs(frame.reshape(-1, 3).mean(axis=0) - colour).max() < 5


@pytest.mark.parametrize("size", [(31, 48), (32, 47), (31, 47)])
def test_odd_sizes_repeat_their_last_row_and_column(tmp_path: Path, size: tuple[int, int]) -> None:
    frame = flat((60, 60, 60), size)
    frame[-3:] = 200
    with VideoWriter(tmp_path / "v.mp4", size, 5) as video:
        video.write(frame)
    (decoded,) = open_frames(tmp_path / "v.mp4")
    assert decoded.shape[:2] == even_size(size) == (32, 48)
    assert np.abs(decoded[: size[0], : size[1]].astype(int) - frame).mean() < 6
    assert decoded[-1].mean() > 180


def test_an_existing_file_stays_until_the_new_one_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    path.write_bytes(b"old")

    def fail_half_way() -> None:
        with VideoWriter(path, (32, 48), 5) as video:
            video.write(flat((1, 2, 3)))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_kill_leaves_is_not_taken_for_a_video(tmp_path: Path) -> None:
    """FFmpeg outlives the process that feeds it and completes what it was given."""
    script = f"""
import os, signal, numpy as np
from hs2s_core.media.encode import VideoWriter
with VideoWriter({str(tmp_path / "v.mp4")!r}, (32, 48), 5) as video:
    video.write(np.zeros((32, 48, 3), np.uint8))
    os.kill(os.getpid(), signal.SIGKILL)
"""
    # The pipe is closed by the last of both.
    done = subprocess.run([sys.executable, "-c", script], capture_output=True)
    assert done.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".")
    assert mimetypes.guess_type(left) == (None, None)


def test_two_processes_write_to_files_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "v.mp4"
    with VideoWriter(path, (32, 48), 5) as first:
        monkeypatch.setattr(encode.os, "getpid", lambda: 123456789)
        with VideoWriter(path, (32, 48), 5) as second:
            first.write(flat((1, 2, 3)))
            second.write(flat((1, 2, 3)))
            second.write(flat((1, 2, 3)))
        assert len(open_frames(path)) == 2
    assert len(open_frames(path)) == 1
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("comment", ["made by a test", "größer, 小"])
def test_the_comment_is_read_back(tmp_path: Path, comment: str) -> None:
    for name, given in (("with.mp4", comment), ("without.mp4", "")):
        with VideoWriter(tmp_path / name, (32, 48), 5, given) as video:
            for _ in range(300):
                video.write(flat((1, 2, 3)))
    assert read_comment(tmp_path / "with.mp4") == comment
    assert read_comment(tmp_path / "without.mp4") is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no video at all",
        b"\0\0\0\4moov",
        b"\0\0\0\0moov\xa9cmt",
        b"\0\0\0\1moov",
        b"\0\0\0\1free" + b"\xff" * 8,
        b"\0\0\0\x10free" + bytes(8) + b"\0\0\0\x10moov",
    ],
)
def test_other_files_have_no_comment(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "v.mp4"
    path.write_bytes(content)
    assert read_comment(path) is None
    assert read_comment(tmp_path) is None
    assert read_comment(tmp_path / "gone.mp4") is None


class TestErrors:
    def write(self, path: Path, *frames: np.ndarray, fps: float = 5) -> None:
        with VideoWriter(path, (32, 48), fps) as video:
            for frame in frames:
                video.write(frame)

    @pytest.mark.parametrize("frame", [flat((0, 0, 0), (32, 47)), np.zeros((32, 48, 3))])
    def test_another_size_or_type(self, tmp_path: Path, frame: np.ndarray) -> None:
        with pytest.raises(InvalidMedia, match=r"expected uint8 \(32, 48, 3\)"):
            self.write(tmp_path / "v.mp4", frame)
        assert list(tmp_path.iterdir()) == []

    def test_no_frames(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidMedia, match="no frames to encode"):
            self.write(tmp_path / "v.mp4")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("fps", [0, -1, 1e-9, 1e6, float("nan")])
    def test_frame_rate(self, tmp_path: Path, fps: float) -> None:
        with pytest.raises(InvalidMedia, match="frames per second"):
            self.write(tmp_path / "v.mp4", flat((0, 0, 0)), fps=fps)

    def test_a_folder_that_cannot_be_written(self, tmp_path: Path) -> None:
        # A folder of that name is in the way of the unfinished file.
        (tmp_path / f".v.mp4.{os.getpid()}.part").mkdir()
        with pytest.raises(InvalidMedia, match="folder can be written"):
            self.write(tmp_path / "v.mp4", *[flat((0, 0, 0))] * 200)
        assert not (tmp_path / "v.mp4").exists()
        (tmp_path / "file").touch()
        with pytest.raises(InvalidMedia, match="cannot be made"):
            self.write(tmp_path / "file/deeper/v.mp4", flat((0, 0, 0)))

    def test_an_ffmpeg_that_fails(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        fake = tmp_path / "bin/ffmpeg"
        fake.parent.mkdir()
        fake.write_text("#!/bin/sh\necho \"Unknown encoder 'libx264'\" >&2\nexit 1\n")
        fake.chmod(0o755)
        monkeypatch.setenv("PATH", f"{fake.parent}:/bin:/usr/bin")
        with pytest.raises(InvalidMedia, match=r"Unknown encoder[^$]*no libx264; install"):
            self.write(tmp_path / "v.mp4", *[flat((0, 0, 0))] * 200)

    def test_no_ffmpeg(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setattr(encode, "_ffmpeg_wheel", lambda: None)
        with pytest.raises(InvalidMedia, match=r"ffmpeg was not found.*Install it"):
            self.write(tmp_path / "v.mp4", flat((0, 0, 0)))
