"""Numbers, sizes and lists of names in messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def counted(number: int, noun: str) -> str:
    """So many of something: "1 video", "2 videos"; ``noun`` is the singular of a regular one."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun}{'es' if noun.endswith(('s', 'x')) else 's'}"


def some(names: Iterable[str], limit: int = 5) -> str:
    """The first few of ``names`` for a message, and how many more there are."""
    listed = list(names)
    rest = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return ", ".join(listed[:limit]) + rest or "none"


def pixels(size: Sequence[int]) -> str:
    """A size (H, W) as people write it, width first: "854x480"."""
    return f"{size[1]}x{size[0]}"
