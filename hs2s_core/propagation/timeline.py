"""Which way each object is followed: from key frames to stretches, without a network."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from hs2s_core.errors import HS2SError, check_choice
from hs2s_core.prompts import Prompts

DIRECTIONS = ("both", "forward", "backward")


@dataclass(frozen=True)
class Stretch:
    """One object followed one way, from a key frame to just before the next, or to the end."""

    object_id: int
    start: int
    """The key frame where it begins; it is shown there as given, and followed from there on."""
    end: int | None
    """The last frame it is followed into, later than ``start`` or earlier; None: the clip's."""
    forward: bool
    keys: tuple[int, ...]
    """The object's key frames that it is compared with: ``start``, then the other end's if there
    is one, then others, nearest to the start first."""

    def covers(self, frame: int) -> bool:
        """Whether the object is followed into ``frame``; ``start`` itself does not count."""
        if self.forward:
            return self.start < frame and (self.end is None or frame <= self.end)
        assert self.end is not None, "time begins at frame 0"
        return self.end <= frame < self.start


def timeline(
    prompts: Prompts,
    length: int | None = None,
    *,
    direction: str = "both",
    first: int = 0,
    last: int | None = None,
    objects: Collection[int] | None = None,
    references: int = 1,
    cuts: Sequence[int] = (),
) -> tuple[Stretch, ...]:
    """The stretches that show ``objects`` in the frames from ``first`` to ``last``.

    Between two key frames of an object there is one of each direction that is asked for; before
    the first only backwards, after the last only forwards. Key frames outside of the range count:
    they are where stretches begin.

    Args:
        prompts: where each object is given.
        length: frames of the clip; None where it is not known.
        direction: one of :data:`DIRECTIONS`.
        first: the first frame that is wanted, 0-based.
        last: the last one; None for the clip's.
        objects: the ids wanted; None for all.
        references: how many key frames a stretch is compared with at most, at least 1.
        cuts: the first frames of shots; no object is followed across one.

    Raises:
        HS2SError: another direction, a range without frames, an object that is given nowhere.
    """
    check_choice("direction", direction, DIRECTIONS)
    top = length - 1 if length is not None else None
    if first < 0 or (last is not None and last < first) or (top is not None and first > top):
        frames = "the clip's frames" if top is None else f"frames 0 to {top}"
        raise HS2SError(
            f"frames {first} to {'the end' if last is None else last} are wanted; expected a "
            f"range within {frames}"
        )
    if top is not None and last is not None and last > top:
        raise HS2SError(f"frames to {last} are wanted, but the clip has frames 0 to {top}")
    unknown = sorted(set(objects or ()) - set(prompts.object_ids))
    if unknown:
        raise HS2SError(
            f"objects {unknown} are wanted, but masks are given for {list(prompts.object_ids)}"
        )
    end = top if last is None else last
    found: list[Stretch] = []
    for object_id in prompts.object_ids if objects is None else sorted(set(objects)):
        keys = prompts.key_frames(object_id)
        for before, after in zip((None, *keys), (*keys, None), strict=True):
            for start, stop, other in _sides(before, after, first, end, direction, sorted(cuts)):
                compared = _compared(keys, start, other, references)
                found.append(Stretch(object_id, start, stop, start == before, compared))
    return tuple(found)


def _sides(
    before: int | None,
    after: int | None,
    first: int,
    end: int | None,
    direction: str,
    cuts: Sequence[int],
) -> Iterator[tuple[int, int | None, int | None]]:
    """(start, last frame, key frame at the other end) of each stretch in a gap of the range."""
    low = first if before is None else max(first, before + 1)
    high = end if after is None else after - 1 if end is None else min(end, after - 1)
    if before is not None and direction != "backward":
        cut = bisect_right(cuts, before)
        last = high
        if cut < len(cuts):
            last = cuts[cut] - 1 if high is None else min(high, cuts[cut] - 1)
        if last is None or low <= last:
            yield before, last, after
    if after is not None and direction != "forward":
        cut = bisect_right(cuts, after)
        lowest = max(low, cuts[cut - 1]) if cut else low
        if high is None or lowest <= min(high, after - 1):
            yield after, lowest, before


def _compared(
    keys: tuple[int, ...], start: int, other: int | None, references: int
) -> tuple[int, ...]:
    chosen = [start] if other is None else [start, other]
    rest = sorted((key for key in keys if key not in chosen), key=lambda key: abs(key - start))
    return tuple([*chosen, *rest][:references])
