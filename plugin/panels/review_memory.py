"""What is remembered of each open panel between the App's events, beside the panel's state."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, NamedTuple

import fiftyone as fo
from fiftyone.core.collections import SampleCollection

from .review_clips import Opening

Stages = list[dict[str, Any]]


class _Step(NamedTuple):
    before: Stages
    after: Stages


class WayBack:
    """From where one panel's clicks led to the view that they left; true where there is one."""

    def __init__(self) -> None:
        self._step: _Step | None = None
        self._lock = Lock()
        """The App's events are handled in several threads."""

    def __bool__(self) -> bool:
        return self._step is not None

    def leave(self, view: SampleCollection, target: SampleCollection) -> None:
        """Remember the reader's view, from which a click leads to another.

        From there, further clicks lead on; the way back is to what the reader had.
        """
        now = _stages(view)
        with self._lock:
            known = self._step
            here = known is not None and _plain(known.after) == _plain(now)
            before = known.before if known is not None and here else now
            self._step = _Step(before, _stages(target))

    def go(self, dataset: fo.Dataset) -> SampleCollection | None:
        """The reader's view, once; None without one."""
        with self._lock:
            step, self._step = self._step, None
        return None if step is None else fo.DatasetView._build(dataset, step.before)


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


def _stages(view: SampleCollection) -> Stages:
    return view._serialize() if isinstance(view, fo.DatasetView) else []


def _plain(stages: Stages) -> str:
    """As text, without what FiftyOne adds to a stage on its way through the App."""
    kept = [
        (stage["_cls"], [pair for pair in stage["kwargs"] if not pair[0].startswith("_")])
        for stage in stages
    ]
    return json.dumps(kept, default=str)
