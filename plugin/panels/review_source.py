"""The panel's way to evaluation runs: which there are, and what they say."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock

import fiftyone as fo

from hs2s_core.evaluation import Protocol, Rows

from ..evaluation import list_evaluations
from ..evaluation.stored import from_text
from ..videos import select_videos
from .review_data import Evaluated

_KEPT = 4
"""Runs kept in memory: a table of 500 videos takes a few megabytes."""
_cache: OrderedDict[tuple[str, str, str], Source] = OrderedDict()
_lock = Lock()


@dataclass(frozen=True, eq=False)
class Source:
    """One evaluation run, ready to be looked at."""

    evaluated: Evaluated
    names: Mapping[str, str]
    """What a video is called, by sample id."""


def list_runs(dataset: fo.Dataset) -> list[str]:
    """Keys of this plugin's finished evaluation runs, the latest first."""
    keys = list_evaluations(dataset)
    return sorted(keys, key=lambda key: dataset.get_evaluation_info(key).timestamp, reverse=True)


def load_run(dataset: fo.Dataset, eval_key: str) -> Source:
    """Load a run, from memory where it was loaded before and not evaluated again since."""
    timestamp = dataset.get_evaluation_info(eval_key).timestamp
    key = (str(dataset._doc.id), eval_key, str(timestamp))
    with _lock:
        if key in _cache:
            _cache.move_to_end(key)
            return _cache[key]
    source = _read(dataset, eval_key)
    with _lock:
        _cache[key] = source
        while len(_cache) > _KEPT:
            _cache.popitem(last=False)
    return source


def _read(dataset: fo.Dataset, eval_key: str) -> Source:
    protocol = Protocol(**dataset.get_evaluation_info(eval_key).config.protocol)
    rows, sample_ids = _read_rows(dataset, eval_key)
    paths = ["id", "metadata.frame_width", "metadata.frame_height"]
    sizes = zip(*select_videos(dataset, sample_ids).values(paths), strict=True)
    pixels = {sample: width * height for sample, width, height in sizes if width and height}
    return Source(
        evaluated=Evaluated(
            rows, sample_ids, protocol, [pixels.get(sample) for sample in sample_ids]
        ),
        names={sample: v.name for sample, v in zip(sample_ids, rows.videos, strict=True)},
    )


def _read_rows(dataset: fo.Dataset, eval_key: str) -> tuple[Rows, tuple[str, ...]]:
    """The stored rows alone: FiftyOne's results object takes twenty times as long to build."""
    stored = dataset._root_dataset._doc.evaluations[eval_key].results
    stored.seek(0)
    return from_text(json.loads(stored.read())["columns"])
