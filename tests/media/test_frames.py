"""Frames from folders, lists and video files: order, exact random access, errors, flat memory."""

from __future__ import annotations

import gc
import subprocess
from collections.abc import Callable
from itertools import islice, pairwise
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from hs2s_core.errors import InvalidMedia
from hs2s_core.media import ImageFrames, VideoFrames, natural_key, open_frames, read_image
from hs2s_core.media.encode import VideoWriter

Frame = npt.NDArray[np.uint8]
SIZE = (36, 64)


def picture(index: int, size: tuple[int, int] = SIZE) -> Frame:
    """A smooth picture that differs from frame to frame by more than encoding does."""
    y, x = np.mgrid[: size[0], : size[1]]
    channels = [y * 3 + index * 11, x * 2 + index * 7, (x + y) + index * 23]
    return np.stack([channel % 256 for channel in channels], axis=-1).astype(np.uint8)


def write_folder(folder: Path, names: list[str], suffix: str = ".png") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(names):
        Image.fromarray(picture(index)).save(folder / f"{name}{suffix}")
    return folder


def write_mp4(path: Path, count: int, size: tuple[int, int] = SIZE) -> Path:
    with VideoWriter(path, size, 10) as video:
        for index in range(count):
            video.write(picture(index, size))
    return path


def ffmpeg(source: Path, out: Path, *options: str) -> Path:
    command = ["ffmpeg", "-y", "-loglevel", "error", "-i", str(source), *options, str(out)]
    subprocess.run(command, check=True)
    return out


def turn(path: Path, *matrix: int) -> None:
    """Mark an MP4 as recorded on its side, as phones do: by the matrix of its track's header.

    ``matrix`` is a, b, c, d of (x, y) -> (a x + c y, b x + d y).
    """
    a, b, c, d = ((value * 65536) % 2**32 for value in matrix or (0, 1, -1, 0))
    content = path.read_bytes()
    header = content.index(b"tkhd")
    upright = b"".join(n.to_bytes(4, "big") for n in (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30))
    aside = b"".join(n.to_bytes(4, "big") for n in (a, b, 0, c, d, 0, 0, 0, 1 << 30))
    assert upright in content[header : header + 96]
    path.write_bytes(content[:header] + content[header:].replace(upright, aside, 1))


class TestImageFrames:
    def test_natural_order_whatever_the_numbering(self, tmp_path: Path) -> None:
        folder = write_folder(tmp_path, ["frame2", "frame10", "frame100"])
        frames = open_frames(folder)
        assert frames.names == ("frame2", "frame10", "frame100")
        assert (frames.size, len(frames)) == (SIZE, 3)
        assert all(np.array_equal(frame, picture(i)) for i, frame in enumerate(frames))

    def test_can_be_read_again_while_it_is_read(self, tmp_path: Path) -> None:
        frames = open_frames(write_folder(tmp_path, ["1", "2", "3"]))
        first = iter(frames)
        next(first)
        assert len(list(frames)) == 3
        assert np.array_equal(next(first), picture(1))

    @pytest.mark.parametrize("suffix", [".jpg", ".JPG", ".bmp", ".webp", ".png", ".tif", ".TIFF"])
    def test_formats(self, tmp_path: Path, suffix: str) -> None:
        frames = open_frames(write_folder(tmp_path, ["a", "b"], suffix))
        frame = frames.at(1)
        assert frame.dtype == np.uint8
        assert frame.flags.writeable
        assert np.abs(frame.astype(int) - picture(1)).mean() < 25

    def test_a_list_keeps_its_own_order(self, tmp_path: Path) -> None:
        folder = write_folder(tmp_path, ["a", "b", "c"])
        frames = open_frames([folder / "c.png", str(folder / "a.png")])
        assert frames.names == ("c", "a")
        assert np.array_equal(frames.at(0), picture(2))
        assert [frame[0, 0, 0] for frame in reversed(frames)] == [picture(0)[0, 0, 0], 22]

    def test_grey_palette_alpha_and_deep_pictures_become_rgb(self, tmp_path: Path) -> None:
        grey = picture(3)[..., 0]
        deep = grey.astype(np.uint16) * 257
        variants = {
            "grey": Image.fromarray(grey),
            "palette": Image.fromarray(grey).convert("P"),
            "alpha": Image.fromarray(grey).convert("RGBA"),
            "deep": Image.fromarray(deep),
        }
        for name, image in variants.items():
            image.save(tmp_path / f"{name}.png")
            assert np.array_equal(read_image(tmp_path / f"{name}.png"), np.stack([grey] * 3, -1))

    @pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
    @pytest.mark.parametrize("suffix", [".png", ".tif"])
    @pytest.mark.parametrize("coloured", [False, True], ids=["grey", "colour"])
    def test_pictures_of_16_bits_use_as_many_as_their_clip(
        self, tmp_path: Path, bits: int, suffix: str, coloured: bool
    ) -> None:
        bright, dark = (picture(3)[..., :: 1 if coloured else 3] + shade for shade in (60, 5))
        bright[0, 0] = 255
        for name, shown in (("1", dark // 4), ("2", bright), ("3", dark // 4)):
            deep = shown.astype(np.uint16) << (bits - 8)
            assert cv2.imwrite(str(tmp_path / f"{name}{suffix}"), deep[..., ::-1])
        frames = open_frames(tmp_path)
        assert np.array_equal(frames.at(1), np.broadcast_to(bright, (*SIZE, 3)))
        assert np.array_equal(frames.at(2), np.broadcast_to(dark // 4, (*SIZE, 3)))

    def test_a_turned_picture_of_16_bits_is_upright(self, tmp_path: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        deep = picture(3)[..., 0].astype(np.uint16) << 8
        Image.fromarray(deep).save(tmp_path / "a.png", exif=exif)
        assert np.array_equal(
            read_image(tmp_path / "a.png", 16)[..., 0], np.rot90(picture(3)[..., 0], -1)
        )

    def test_floating_point_pictures_are_refused(self, tmp_path: Path) -> None:
        Image.fromarray(np.full(SIZE, 0.5, np.float32)).save(tmp_path / "a.tif")
        with pytest.raises(InvalidMedia, match=r"a\.tif: .*floating point"):
            open_frames(tmp_path).at(0)

    def test_what_systems_put_into_folders_is_no_frame(self, tmp_path: Path) -> None:
        folder = write_folder(tmp_path, ["1", "2"])
        for name in (".DS_Store", "._1.png", "Thumbs.db"):
            (folder / name).write_bytes(b"x")
        (folder / "@eaDir" / "1.png").mkdir(parents=True)
        (folder / "3.png").mkdir()  # thumbnails lie in folders named like files
        assert open_frames(folder).names == ("1", "2")

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_a_turned_photo_is_upright(self, tmp_path: Path, orientation: int) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(picture(0)).save(tmp_path / "a.png", exif=exif)
        frames = open_frames(tmp_path)
        assert frames.size == (SIZE if orientation < 5 else SIZE[::-1])
        with Image.open(tmp_path / "a.png") as stored:
            assert np.array_equal(frames.at(0), ImageOps.exif_transpose(stored))

    @pytest.mark.parametrize("index", [-1, 2])
    def test_out_of_range(self, tmp_path: Path, index: int) -> None:
        with pytest.raises(IndexError, match=r"frames are 0\.\.1"):
            open_frames(write_folder(tmp_path, ["a", "b"])).at(index)


@given(st.lists(st.integers(0, 10**12), min_size=1), st.text("ab_-.", max_size=3))
def test_natural_order_is_numeric_order(numbers: list[int], prefix: str) -> None:
    names = sorted((f"{prefix}{number}" for number in numbers), key=natural_key)
    assert names == [f"{prefix}{number}" for number in sorted(numbers)]


@given(st.lists(st.text(max_size=6), max_size=6))
def test_natural_order_is_total(names: list[str]) -> None:
    ordered, backwards = sorted(names, key=natural_key), names[::-1]
    backwards.sort(key=natural_key)
    assert backwards == ordered
    assert all(natural_key(a) <= natural_key(b) for a, b in pairwise(ordered))


class TestVideoFrames:
    def test_what_it_is(self, tmp_path: Path) -> None:
        frames = open_frames(write_mp4(tmp_path / "v.mp4", 12))
        assert isinstance(frames, VideoFrames)
        assert (frames.size, len(frames), frames.names, frames.fps) == (SIZE, 12, None, 10.0)
        decoded = list(frames)
        assert len(decoded) == 12
        errors = [np.abs(frame.astype(int) - picture(i)).mean() for i, frame in enumerate(decoded)]
        assert max(errors) < 6  # RGB, not BGR, and each frame in its place

    @pytest.mark.parametrize(
        ("name", "options"),
        [
            ("short_groups.mp4", ("-c:v", "copy")),
            ("b_frames.mp4", ("-c:v", "libx264", "-bf", "3", "-g", "60")),
            ("open_gop.mp4", ("-c:v", "libx264", "-x264-params", "open-gop=1:keyint=20:bframes=3")),
            ("variable_rate.mkv", ("-vf", "setpts=PTS+floor(N/7)*0.03/TB", "-vsync", "vfr")),
            ("no_stamps.h264", ("-c:v", "libx264", "-bf", "2")),
            ("motion.avi", ("-c:v", "mjpeg")),
            ("no_duration.mkv", ("-c:v", "copy", "-f", "matroska", "-live", "1")),
        ],
    )
    def test_random_access_is_exact(
        self, tmp_path: Path, name: str, options: tuple[str, ...]
    ) -> None:
        path = ffmpeg(write_mp4(tmp_path / "in.mp4", 150), tmp_path / name, *options)
        decoded = list(open_frames(path))
        assert len(decoded) == 150
        fresh, known = open_frames(path), open_frames(path)
        assert sum(1 for _ in known) == 150
        for index in (0, 149, 3, 3, 4, 75, 140, 20, 148, 1):
            assert np.array_equal(known.at(index), decoded[index]), index
            assert np.array_equal(fresh.at(index), decoded[index]), index
        backwards = list(reversed(open_frames(path)))
        assert len(backwards) == 150
        assert all(np.array_equal(a, b) for a, b in zip(backwards, decoded[::-1], strict=True))

    def test_a_wrong_frame_count_is_corrected(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = write_mp4(tmp_path / "v.mp4", 60)
        cut = ffmpeg(path, tmp_path / "v.avi", "-c:v", "mjpeg")
        cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
        frames = open_frames(cut)
        claimed = len(frames)
        seen = sum(1 for _ in frames)
        assert 10 < seen < claimed == 60
        assert len(frames) == seen
        assert f"ended after {seen} of about 60 frames" in caplog.text
        assert frames.shortfall is not None
        assert np.array_equal(frames.at(seen - 1), next(reversed(frames)))
        with pytest.raises(IndexError):
            frames.at(seen)

    @pytest.mark.parametrize(
        ("steps", "claimed_more"),
        [("if(lt(N,4),N*0.1,0.4+(N-4)*0.033)", False), ("N*N*0.01", True)],
    )
    @pytest.mark.parametrize("name", ["v.mkv", "v.webm"])
    def test_a_variable_rate_is_no_damage(
        self, tmp_path: Path, name: str, steps: str, claimed_more: bool
    ) -> None:
        """Containers without a count claim a number that is nobody's, above or below the truth."""
        codec = {"v.mkv": "libx264", "v.webm": "libvpx"}[name]
        options = ("-vf", f"setpts='({steps})/TB'", "-fps_mode", "passthrough")
        stamps = ("-enc_time_base", "1/1000", "-c:v", codec)
        path = ffmpeg(write_mp4(tmp_path / "in.mp4", 20), tmp_path / name, *options, *stamps)
        frames = open_frames(path)
        assert not frames.exact
        assert sum(1 for _ in frames) == len(frames) == 20
        assert frames.exact
        assert frames.shortfall is None

    @pytest.mark.parametrize(
        "name",
        ["12:30:05.mp4", "cam1:front.mp4", "-c.mp4", "50% #1 é.mp4", "a%03d.mp4", "[a]*?.mp4"],
    )
    def test_a_name_is_no_address(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        """FFmpeg reads protocols, options and patterns into the names it is given."""
        monkeypatch.chdir(tmp_path)
        write_mp4(Path(name), 3)
        assert len(list(open_frames(name))) == 3
        assert [entry.name for entry in tmp_path.iterdir()] == [name]

    def test_a_video_that_lies_on_its_side_is_upright(self, tmp_path: Path) -> None:
        path = write_mp4(tmp_path / "v.mp4", 3)
        turn(path)
        upright = open_frames(path)
        assert upright.size == SIZE[::-1]
        assert upright.at(1).shape[:2] == upright.size

    @pytest.mark.parametrize(
        ("matrix", "shown"),
        [
            ((-1, 0, 0, 1), lambda frame: frame[:, ::-1]),
            ((1, 0, 0, -1), lambda frame: frame[::-1]),
            ((0, 1, 1, 0), lambda frame: frame.swapaxes(0, 1)),
            ((0, -1, -1, 0), lambda frame: frame[::-1, ::-1].swapaxes(0, 1)),
            ((-1, 0, 0, -1), lambda frame: frame[::-1, ::-1]),
        ],
    )
    def test_a_mirrored_video_is_as_players_show_it(
        self, tmp_path: Path, matrix: tuple[int, ...], shown: Callable[[Frame], Frame]
    ) -> None:
        path = write_mp4(tmp_path / "v.mp4", 3)
        stored = open_frames(path)
        assert not stored.turned
        expected = list(map(shown, stored))
        turn(path, *matrix)
        frames = open_frames(path)
        assert frames.turned
        for frame, wanted in zip([*frames, frames.at(1)], [*expected, expected[1]], strict=True):
            assert np.array_equal(frame, wanted)

    def test_a_video_trimmed_without_encoding_is_not_damaged(self, tmp_path: Path) -> None:
        """Phones and `-c copy` hide frames by an edit list; OpenCV counts them."""
        path = tmp_path / "v.mp4"
        full = write_mp4(tmp_path / "full.mp4", 30)
        cut = ["ffmpeg", "-y", "-loglevel", "error", "-ss", "1.25", "-i", str(full), "-c", "copy"]
        subprocess.run([*cut, str(path)], check=True)
        frames = open_frames(path)
        assert frames.trimmed
        assert abs(len(frames) - 17) <= 1
        for index, frame in enumerate(frames):
            assert np.array_equal(frame, open_frames(full).at(13 + index))
        assert len(frames) == 17
        assert frames.shortfall is None
        assert not open_frames(full).trimmed

    @pytest.mark.parametrize("name", ["v.mkv", "v.webm", "v.mp4", "v.ts"])
    def test_a_video_that_begins_late_is_not_damaged(self, tmp_path: Path, name: str) -> None:
        """Parts of a recording keep its clock; MKV and WebM count from 0 all the same."""
        codec = "libvpx" if name == "v.webm" else "libx264"
        options = ("-c:v", codec, "-output_ts_offset", "5")
        frames = open_frames(ffmpeg(write_mp4(tmp_path / "in.mp4", 20), tmp_path / name, *options))
        assert abs(len(frames) - 20) <= 1
        assert sum(1 for _ in frames) == 20
        assert frames.shortfall is None

    @pytest.mark.parametrize(
        ("name", "options"),
        [
            ("v.mp4", ["-x264-params", "tff=1"]),
            ("v.mkv", ["-x264-params", "bff=1"]),
            ("v.mpg", ["-r", "25", "-c:v", "mpeg2video", "-flags", "+ilme+ildct"]),
            ("v.avi", ["-r", "25", "-c:v", "dvvideo", "-s", "720x576"]),
            ("one.mp4", ["-x264-params", "tff=1", "-frames:v", "1"]),
        ],
    )
    def test_an_interlaced_video_is_refused(
        self, tmp_path: Path, name: str, options: list[str]
    ) -> None:
        """OpenCV gives pictures of nothing for it, which nobody could tell from the masks."""
        path = ffmpeg(write_mp4(tmp_path / "full.mp4", 4), tmp_path / name, *options)
        with pytest.raises(InvalidMedia, match=r"interlaced.*-vf yadif"):
            open_frames(path)
        assert len(list(open_frames(ffmpeg(path, tmp_path / "out.mp4", "-vf", "yadif"))))

    def test_a_video_that_turns_interlaced_is_refused_there(self, tmp_path: Path) -> None:
        for name, options in (("a", []), ("b", ["-flags", "+ilme+ildct"])):
            encoded = ["-r", "25", "-c:v", "mpeg2video", *options]
            ffmpeg(write_mp4(tmp_path / "full.mp4", 6), tmp_path / f"{name}.ts", *encoded)
        both = tmp_path / "both.ts"
        both.write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
        frames = open_frames(both)
        with pytest.raises(InvalidMedia, match="interlaced"):
            list(frames)

    @pytest.mark.parametrize("count", [1, 5])
    def test_a_picture_that_does_not_move_is_a_video(self, tmp_path: Path, count: int) -> None:
        path = tmp_path / "v.mp4"
        with VideoWriter(path, SIZE, 10) as video:
            for _ in range(count):
                video.write(picture(0))
        assert len(list(open_frames(path))) == count

    def test_beyond_the_end_without_a_pass_before(self, tmp_path: Path) -> None:
        frames = open_frames(write_mp4(tmp_path / "v.mp4", 5))
        for index in (-1, 5, 500):
            with pytest.raises(IndexError, match=r"frames are 0\.\.4"):
                frames.at(index)

    def test_iterations_and_access_do_not_disturb_each_other(self, tmp_path: Path) -> None:
        frames = open_frames(write_mp4(tmp_path / "v.mp4", 8))
        decoded = list(frames)
        one, other = iter(frames), reversed(frames)
        for index in range(8):
            assert np.array_equal(next(one), decoded[index])
            assert np.array_equal(frames.at((index * 5) % 8), decoded[(index * 5) % 8])
            assert np.array_equal(next(other), decoded[7 - index])

    @pytest.mark.parametrize("direction", [iter, reversed])
    def test_memory_is_flat(self, tmp_path: Path, direction: Callable[..., object]) -> None:
        path = write_mp4(tmp_path / "v.mp4", 30, (270, 480))
        long = tmp_path / "long.mp4"
        loop = ["ffmpeg", "-y", "-loglevel", "error", "-stream_loop", "19", "-i", str(path)]
        subprocess.run([*loop, "-c", "copy", str(long)], check=True)
        frames = open_frames(long)
        steps = direction(frames)
        process = psutil.Process()
        count = sum(1 for _ in islice(steps, 100))
        gc.collect()
        before = process.memory_info().rss
        count += sum(1 for _ in steps)
        grown = process.memory_info().rss - before
        assert count == 600  # 233 MB, if they were kept
        assert grown < 30 * 2**20


class TestErrors:
    def check(self, source: object, *words: str) -> None:
        with pytest.raises(InvalidMedia) as caught:
            list(open_frames(source))  # type: ignore[arg-type]
        missing = [word for word in words if word not in str(caught.value)]
        assert not missing, str(caught.value)

    def test_missing(self, tmp_path: Path) -> None:
        self.check(tmp_path / "nowhere.mp4", "no such file or folder", "Check the path")
        self.check([tmp_path / "a.png"], "a.png: no such file")
        self.check([], "expected at least one image file")

    def test_a_folder_without_images(self, tmp_path: Path) -> None:
        (tmp_path / "video_1").mkdir()
        (tmp_path / "notes.txt").write_text("x")
        self.check(tmp_path, "no image files", "notes.txt, video_1", "directly holds the frames")

    def test_a_single_image(self, tmp_path: Path) -> None:
        write_folder(tmp_path, ["a"])
        self.check(tmp_path / "a.png", "single image", "folder")

    def test_mixed_sizes_are_found_before_reading(self, tmp_path: Path) -> None:
        write_folder(tmp_path, ["a", "b"])
        Image.new("RGB", (10, 20)).save(tmp_path / "c.png")
        with pytest.raises(InvalidMedia, match=r"c\.png is 10x20 pixels, the first frame is 64x36"):
            open_frames(tmp_path)
        frames = open_frames(tmp_path, check=False)
        assert len(frames) == 3
        with pytest.raises(InvalidMedia, match=r"c\.png is 10x20"):
            list(frames)

    def test_two_images_for_one_frame(self, tmp_path: Path) -> None:
        write_folder(tmp_path, ["a"])
        write_folder(tmp_path, ["a"], ".jpg")
        self.check(tmp_path, "both claim frame 'a'")

    @pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
    def test_a_truncated_image(self, tmp_path: Path, suffix: str) -> None:
        path = write_folder(tmp_path, ["a", "b"], suffix) / f"b{suffix}"
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
        self.check(tmp_path, f"b{suffix}", "not readable as an image")

    def test_a_text_that_calls_itself_image(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_text("hello")
        self.check(tmp_path, "a.png", "not readable as an image")

    @pytest.mark.parametrize("suffix", [".mp4", ".png"])
    def test_an_empty_file(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"a{suffix}"
        path.touch()
        self.check([path] if suffix == ".png" else path, "empty (0 bytes)", "copy it again")

    def test_a_text_that_calls_itself_video(self, tmp_path: Path) -> None:
        (tmp_path / "a.mp4").write_text("hello" * 100)
        self.check(tmp_path / "a.mp4", "not readable as a video", "ffprobe")

    def test_an_interrupted_recording(self, tmp_path: Path) -> None:
        path = write_mp4(tmp_path / "v.mp4", 30)
        path.write_bytes(path.read_bytes()[:300])
        self.check(path, "v.mp4")

    def test_a_video_without_a_picture(self, tmp_path: Path) -> None:
        sound = tmp_path / "sound.mp4"
        source = ["-f", "lavfi", "-i", "sine=duration=1"]
        subprocess.run(["ffmpeg", "-loglevel", "error", *source, str(sound)], check=True)
        self.check(sound, "not readable as a video")

    def test_a_codec_that_cannot_be_decoded(self, tmp_path: Path) -> None:
        path = ffmpeg(write_mp4(tmp_path / "v.mp4", 5), tmp_path / "v.avi", "-c:v", "mjpeg")
        path.write_bytes(path.read_bytes().replace(b"MJPG", b"QQQQ"))
        self.check(path, "v.avi", "codec", "ffmpeg -i IN")

    def test_a_header_without_pictures(self, tmp_path: Path) -> None:
        path = write_mp4(tmp_path / "v.mp4", 5)
        content = path.read_bytes()
        start = content.index(b"mdat") + 4
        path.write_bytes(content[:start] + bytes(len(content) - start))
        self.check(path, "no frame could be decoded", "ffmpeg -i IN")


def test_explicit_lists_are_image_frames(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, ["a", "b"])
    frames = open_frames(sorted(folder.iterdir()))
    assert isinstance(frames, ImageFrames)
    assert [file.name for file in frames.files] == ["a.png", "b.png"]
