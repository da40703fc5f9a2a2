"""How the masks of an output field were made, kept with the dataset: so they can be made again.

All videos share that of the last run, but for those that still have masks of earlier runs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import fiftyone as fo
from bson.json_util import dumps, loads
from fiftyone.core.collections import SampleCollection

from hs2s_core.jobs import Item

from ..jobs import run_info
from ..videos.clips import Part
from ..videos.collection import all_videos, label_filters, select_videos
from .settings import CLIPS, DONE, PropagateSettings
from .video import PropagateJob

LOADED = "loaded"
"""Stands for a network that was given as an object: nothing can find it again."""
Made = dict[str, Any]
"""All that a run needs to be made again, as the database can hold it."""
_UNLIKE = ("overwrite", "parts")
"""Settings that say nothing of the masks of a whole video."""


def run_key(field: str) -> str:
    """The dataset's run that fills an output field."""
    return f"propagate_{field}"


def how_made(job: PropagateJob) -> Made:
    """How a job makes masks."""
    samples = job.source.samples
    model: Any = job.model
    if isinstance(model, Path):
        model = str(model.absolute())
    elif model is not None and not isinstance(model, str):
        model = {LOADED: type(model).__name__}
    view = label_filters(samples)  # which videos it showed is no matter
    return {
        "settings": asdict(job.settings),
        "model": model,
        "device": job.device,
        "speed": job.speed,
        # As text, because the database would take stages for documents of its own.
        "view": None if view is None else dumps(view._serialize()),
    }


def earlier_makings(
    samples: SampleCollection, settings: PropagateSettings, made: Made
) -> list[dict[str, Any]]:
    """How the masks are made that others than ``made`` are there: each such way, and of which."""
    known = run_info(samples, run_key(settings.output_field))
    makings = list(known.get("earlier") or [])
    if known.get("made") and not _same(known["made"], made):
        has = fo.ViewField(settings.status_field).is_in([DONE, CLIPS])
        done = all_videos(samples).match(has).values("id")
        others = {each for making in makings for each in making["videos"]}
        makings.append({"made": known["made"], "videos": sorted({*done} - others)})
    return [making for making in makings if making["videos"] and not _same(making["made"], made)]


def without_video(makings: Iterable[Mapping[str, Any]], item: Item) -> list[dict[str, Any]]:
    """:func:`earlier_makings` once a video is made anew."""
    sample_id = Part.of(item.key).sample_id
    left = [
        {**making, "videos": [each for each in making["videos"] if each != sample_id]}
        for making in makings
    ]
    return [making for making in left if making["videos"]]


def makings_of(
    samples: SampleCollection, field: str, videos: Collection[str]
) -> list[tuple[Made, list[str]]]:
    """How the masks of videos were made: each such way to make them, with its videos' ids."""
    known = run_info(samples, run_key(field))
    makings, left = [], dict.fromkeys(videos)
    for making in known.get("earlier") or []:
        own = [each for each in making["videos"] if each in left]
        if own:
            makings.append((dict(making["made"]), own))
        for each in own:
            del left[each]
    if left or not makings:
        makings.insert(0, (dict(known.get("made") or {}), list(left)))
    return makings


def as_shown(samples: SampleCollection, made: Made, videos: Collection[str]) -> SampleCollection:
    """Videos with the labels that the view of a run showed, if it shows them all."""
    source = select_videos(samples, list(videos), ordered=True)
    if not made["view"]:
        return source
    view = fo.DatasetView._build(samples._dataset, loads(made["view"]))
    view = view.select(videos, ordered=True)
    return view if len(view) == len(videos) else source


def _same(one: Made, other: Made) -> bool:
    """Whether they make the same masks of a video."""

    def told(made: Made) -> tuple[Any, ...]:
        settings = {k: v for k, v in dict(made["settings"]).items() if k not in _UNLIKE}
        return settings, made["model"], made["speed"], made["view"]

    return told(one) == told(other)
