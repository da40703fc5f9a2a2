"""What is remembered of each open panel between the App's events, beside the panel's state."""

from __future__ import annotations

from dataclasses import dataclass, field

from .review_clips import Opening
from .review_undo import WayBack


@dataclass
class Memory:
    """Of one panel."""

    opening: Opening = field(default_factory=Opening)
    way_back: WayBack = field(default_factory=WayBack)
    drawn: frozenset[str] | None = None
    """The videos that were shown last, where only the view's were asked for."""


_memories: dict[str, Memory] = {}


def memory_of(panel_id: str) -> Memory:
    """That of the panel with this id."""
    return _memories.setdefault(panel_id, Memory())
