"""What a clip is to the rest of the code: frames of one size, streamed and re-iterable."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence

from hs2s_core.errors import InvalidMedia
from hs2s_core.media.images import RGBImage
from hs2s_core.wording import pixels


class FrameSource(ABC):
    """The frames of one clip: re-iterable, streamed, all of one size.

    ``size`` is (H, W). ``names`` are the stems of image files, ``None`` for a video file. ``fps``
    is frames per second where the file tells it. ``turned`` is whether the file holds its frames on
    their side or mirrored, to be turned when shown; here they are upright. ``trimmed`` is whether
    metadata may count frames that are not there, or not to be shown. ``description`` names the
    source in messages.
    Frames are RGB uint8 (H, W, 3); indices are 0-based. Reading raises ``InvalidMedia`` on a
    damaged frame or one whose size differs from ``size``.
    """

    size: tuple[int, int]
    names: Sequence[str] | None = None
    fps: float | None = None
    turned: bool = False
    trimmed: bool = False
    description: str

    @abstractmethod
    def __len__(self) -> int:
        """Frame count; where it is not ``exact``, what the file claims, which no index may be
        checked against."""

    @property
    def exact(self) -> bool:
        """Whether ``len`` is the true count; of a video file only after a full pass."""
        return True

    @property
    def shortfall(self) -> str | None:
        """After a full pass, in words, what the file claimed to hold and did not; else ``None``."""
        return None

    def count(self) -> int:
        """Frame count as decoding finds it; of a video file that takes a full pass, once."""
        return len(self)

    @abstractmethod
    def __iter__(self) -> Iterator[RGBImage]:
        """Frames first to last; each call starts anew and independently of other iterations."""

    @abstractmethod
    def __reversed__(self) -> Iterator[RGBImage]:
        """Frames last to first, in bounded memory."""

    @abstractmethod
    def at(self, index: int) -> RGBImage:
        """Frame ``index``, equal to what iteration yields there. ``IndexError`` if out of range."""

    def reader(self) -> Callable[[int], RGBImage]:
        """``at`` for one other thread: reading there does not move where ``at`` is here."""
        return self.at

    def check_size(self, frame: RGBImage, label: str) -> RGBImage:
        """``frame`` itself; raises ``InvalidMedia`` if it has another size than the first."""
        height, width = frame.shape[:2]
        if (height, width) != self.size:
            raise mixed_sizes(self.description, label, (height, width), self.size)
        return frame


def mixed_sizes(
    description: str, label: str, found: tuple[int, int], expected: tuple[int, int]
) -> InvalidMedia:
    """The error for a frame ``label`` of size ``found`` (H, W) in a clip of size ``expected``."""
    return InvalidMedia(
        f"{description}: {label} is {pixels(found)} pixels, the first frame is {pixels(expected)}; "
        "expected one size for the whole clip. Resize the frames or split the clip."
    )


def out_of_range(description: str, index: int, count: int) -> IndexError:
    """The error for a frame index outside of the clip."""
    return IndexError(f"{description}: frame {index} asked for, frames are 0..{count - 1}.")


def has_frame(frames: FrameSource, index: int) -> bool:
    """Whether a clip has frame ``index``; counts where the container claims less."""
    return index >= 0 and (index < len(frames) or index < frames.count())
