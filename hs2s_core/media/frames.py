"""Frames of a clip as one iterator, whether they come from a video file or from image files.

Nothing is kept: every iteration streams from disk again, so a two-hour video needs the memory of a
ten-second one. The only per-frame memory is 8 bytes of time stamp per frame of a *video file*,
which make random access exact (see ``VideoFrames``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from hs2s_core.checked.calls import checked_call
from hs2s_core.errors import InvalidMedia
from hs2s_core.media.images import (
    IMAGE_SUFFIXES,
    RGBImage,
    image_size,
    list_images,
    read_image,
    used_bits,
)
from hs2s_core.media.source import FrameSource, mixed_sizes, out_of_range
from hs2s_core.media.video import VideoFrames
from hs2s_core.wording import some

__all__ = ["FrameSource", "ImageFrames", "VideoFrames", "open_frames"]


@checked_call
def open_frames(source: str | Path | Sequence[str | Path], *, check: bool = True) -> FrameSource:
    """Open a video file, a folder of frames (natural order) or an explicit list of image files.

    ``check`` looks at the header of every image file at once, so that a missing file or mixed sizes
    are reported before any work starts (about 0.1 ms a file); ``False`` looks at the first only,
    and the rest are checked as they are read. Raises ``InvalidMedia`` saying what was found.
    """
    if not isinstance(source, (str, Path)):
        files = [Path(entry) for entry in source]
        listed = f"list of {len(files)} image files" + (f" from {files[0]}" if files else "")
        return ImageFrames(files, description=listed, check=check)
    path = Path(source)
    if path.is_dir():
        files = list_images(path)
        if not files:
            found = some(sorted(entry.name for entry in path.iterdir()))
            raise InvalidMedia(
                f"{path}: no image files in this folder (found {found}); expected frames as "
                f"{', '.join(sorted(IMAGE_SUFFIXES))}. Give the folder that directly holds the "
                "frames."
            )
        return ImageFrames(files, description=str(path), check=check)
    if not path.exists():
        raise InvalidMedia(
            f"{path}: no such file or folder; expected a video file or a folder of frames. "
            "Check the path."
        )
    if path.suffix.lower() in IMAGE_SUFFIXES:
        raise InvalidMedia(
            f"{path}: a single image is not a clip; give its folder, or a list of image files."
        )
    return VideoFrames(path)


class ImageFrames(FrameSource):
    """Frames from image files, in the order given; each file is opened when its turn comes."""

    def __init__(self, files: Sequence[Path], *, description: str, check: bool = True) -> None:
        if not files:
            raise InvalidMedia(f"{description}: no frames; expected at least one image file.")
        self.files = tuple(files)
        """The image file of each frame."""
        self.description = description
        self.names = tuple(file.stem for file in self.files)
        self.size = image_size(self.files[0])
        for file in self.files[1:] if check else ():
            size = image_size(file)
            if size != self.size:
                raise mixed_sizes(description, file.name, size, self.size)

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[RGBImage]:
        return (self.at(index) for index in range(len(self.files)))

    def __reversed__(self) -> Iterator[RGBImage]:
        return (self.at(index) for index in reversed(range(len(self.files))))

    def at(self, index: int) -> RGBImage:
        if not 0 <= index < len(self.files):
            raise out_of_range(self.description, index, len(self.files))
        file = self.files[index]
        return self.check_size(read_image(file, self._bits), file.name)

    @cached_property
    def _bits(self) -> int | None:
        return used_bits(self.files)
