"""Videos and clips that a click asks the App to open.

The App finds a sample only in its present view, and it takes its time to change the view. So what
is to be opened is remembered here until the App tells that the sample is open.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import NamedTuple

import fiftyone as fo
from fiftyone.core.clips import ClipsView
from fiftyone.core.collections import SampleCollection

from ..videos.collection import select_videos

CLIP_FRAMES = 12
"""Frames of a clip, at least: less can hardly be watched."""
PATIENCE = 60.0
"""Seconds after a click in which its view may come: the App takes its time on a busy machine."""
AGAIN = 10.0
"""Seconds in which the App is told once more to open what it has not opened."""
SETTLING = 0.7
"""Seconds after which only a reader closes a sample; before that, a change of the page may have."""
PAUSE = 0.3
"""Seconds between two orders to open the same: one change of the view brings several events."""


class Target(NamedTuple):
    """A video, or a stretch of one."""

    video: str
    """Sample id."""
    support: tuple[int, int] | None = None
    """First and last frame number of the stretch."""

    def find(self, view: SampleCollection) -> str | None:
        """The id to open in this view; None where the view does not have the target."""
        clips = isinstance(view, ClipsView)
        if self.support is None:
            return self.video if not clips and has_sample(view, self.video) else None
        # Any other view of clips may be large.
        if not clips or len(view) != 1:
            return None
        clip = view.first()
        same = (clip.sample_id, tuple(clip.support)) == (self.video, self.support)
        return str(clip.id) if same else None


@dataclass
class _Wish:
    """What is to be opened."""

    target: Target
    until: float
    """Until when the App may be told to open it; times are those of the clock."""
    sample: str | None = None
    """Id that the App was told to open."""
    sent: float = 0.0
    """When it was told so last."""
    opened: float | None = None
    """Since when the App shows it."""


class Opening:
    """What one panel's App is to open: nothing, or the target of the last click.

    The panel's state could not hold this: several events come in for one change of the view, each
    with the state from before. They are handled in several threads.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """``clock`` tells the time in seconds."""
        self._clock = clock
        self._lock = Lock()
        self._wish: _Wish | None = None

    def want(self, target: Target) -> None:
        """Remember a target until the App shows it, in place of an earlier one."""
        with self._lock:
            self._wish = _Wish(target, self._clock() + PATIENCE)

    def forget(self) -> None:
        """Open nothing that was asked for before."""
        with self._lock:
            self._wish = None

    def due(self, find: Callable[[Target], str | None], current: str | None) -> str | None:
        """The id that the App is to be told to open now, if it has come to a view with the target.

        The same id comes again for a while, until the App tells (see :meth:`notice`) that it shows
        it: answers get lost, and a change of its page closes what is open.

        Args:
            find: the id of a target in what the App shows; None where it is not there.
            current: id of the sample that is open in the App, if any.
        """
        self.notice(current)
        with self._lock:
            wish, now = self._wish, self._clock()
            if wish is None or wish.opened is not None or now < wish.sent + PAUSE:
                return None
            if now > wish.until:
                self._wish = None
                return None
            found = find(wish.target)
            if found is None:
                return None
            if wish.sample is None:
                wish.until = now + AGAIN
            wish.sample, wish.sent = found, now
            return found

    def notice(self, current: str | None) -> None:
        """Take note of the sample that is open in the App, None for none.

        Nothing opens by itself any more once the reader has closed the target or opened another
        sample.
        """
        with self._lock:
            wish, now = self._wish, self._clock()
            if wish is None:
                return
            if current is not None and current not in (wish.sample, wish.target.video):
                self._wish = None
            elif current is not None and wish.sample is not None:
                wish.opened = wish.opened or now
            elif current is None and wish.opened is not None:
                if now - wish.opened >= SETTLING:
                    self._wish = None
                wish.opened = None


def stretch_of(dataset: fo.Dataset, video: str, first: int, last: int) -> Target:
    """Frames ``first`` to ``last`` (0-based) of a video, and some more where that is little."""
    view = select_videos(dataset, video)
    count = view.values("metadata.total_frame_count")[0] or view.count("frames")
    return Target(video, (first + 1, max(last + 1, min(first + CLIP_FRAMES, count))))


def clip_view(dataset: fo.Dataset, target: Target) -> fo.DatasetView:
    """The view of one clip."""
    return select_videos(dataset, target.video).to_clips([[target.support]])


def has_sample(samples: SampleCollection, sample_id: str) -> bool:
    """Whether a collection has this sample, also in a slice of a group that is not active."""
    if isinstance(samples, fo.Dataset):
        samples = select_videos(samples, sample_id)
    return len(samples.select(sample_id)) > 0
