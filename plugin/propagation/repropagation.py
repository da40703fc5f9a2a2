"""Masks made again from what people put right, the way in which they were made first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import fiftyone as fo
from fiftyone.core.collections import SampleCollection

from hs2s_core.checked.calls import checked_call
from hs2s_core.errors import HS2SError
from hs2s_core.jobs import Problem, Progress, Steps, Summary, Watch, retold

from ..jobs import Source, drive, run_info
from ..labels.conversion import LabelField, read_documents
from ..labels.frame_fields import bare
from ..media import mask_sizes
from ..videos.collection import videos_of
from .corrections import read_corrections
from .provenance import LOADED, Made, as_shown, makings_of, run_key
from .runner import DEFAULT_OUTPUT, propagate_steps
from .settings import PropagateSettings
from .video import PropagateJob

if TYPE_CHECKING:
    from hs2s_core.models import VideoSegmenter


_NOTHING = (
    "nobody changed a mask here since it was made, so nothing is to be done; mend one in the App's "
    "Annotate tab, or change a label in a script and save its sample"
)


@checked_call
def repropagate(
    samples: SampleCollection,
    output_field: str = DEFAULT_OUTPUT,
    *,
    model: VideoSegmenter | str | Path | None = None,
    workers: int = 1,
    engine: str | None = None,
    progress: bool | Watch | None = None,
) -> Summary:
    """Propagate anew what people put right in ``output_field``, in the videos where they did.

    Everything else is as :func:`propagate` was told to make these masks. Labels that a person drew
    or changed there stay, and count as prompts. The result is that of :func:`propagate` with all of
    these prompts; what they do not change is read from a cache where that still has it. The
    summary's notes say of each video how much changed.

    Args:
        samples: a dataset or view of videos; those without a correction, and of which none was
            deleted, are left alone.
        output_field: frame field that :func:`propagate` filled.
        model: where that was given a loaded network, the same again; None for what it took.
        workers: as for :func:`propagate`, as are ``engine`` and ``progress``.

    Raises:
        HS2SError: before anything is written, where it is not known how the masks were made.
    """
    steps = repropagate_steps(
        samples, bare(output_field), model=model, workers=workers, engine=engine
    )
    return drive(steps, progress)


def repropagate_steps(
    samples: SampleCollection,
    field: str,
    *,
    model: VideoSegmenter | str | Path | None = None,
    workers: int = 1,
    engine: str | None = None,
    corrected: bool = True,
) -> Steps[Summary]:
    """Like :func:`repropagate`, step by step; unless ``corrected``, in every video."""
    samples = videos_of(samples)
    for made, own in makings_of(samples, field, samples.values("id")):
        _job(samples, field, made, own, model)
    yield Progress(0.0, "Looking for corrections")
    videos = [
        each for each in samples.values("id") if not corrected or _has_any(samples, each, field)
    ]
    if not videos:
        return Summary(f"frames.{field}", notes=[Problem("", f"frames.{field}", _NOTHING)])
    makings, summary = makings_of(samples, field, videos), Summary(f"frames.{field}")
    for place, (made, own) in enumerate(makings):
        job = _job(samples, field, made, own, model)
        steps = propagate_steps(job, skip_invalid=True, workers=workers, engine=engine)
        summary.join((yield from retold(steps, partial(_of_all, place, len(makings)))))
    return summary


def _of_all(place: int, count: int, step: Progress) -> Progress:
    """A step of one of several runs as one of all of them."""
    return replace(step, fraction=(place + step.fraction) / count)


def _has_any(samples: SampleCollection, sample_id: str, field: str) -> bool:
    """Whether people put something right in a video, or took back what they had put right."""
    size = mask_sizes(samples, sample_id).video
    return bool(read_corrections(samples, sample_id, field, size)) or _lacks_a_key_frame(
        samples, sample_id, field
    )


def _lacks_a_key_frame(samples: SampleCollection, sample_id: str, field: str) -> bool:
    """Whether a mask was followed from one that is not there any more."""
    labels = LabelField(field, fo.Detections)
    shown = [f"{labels.items}.{name}" for name in ("index", "distance")]
    far = {
        (raw.get("index"), document["frame_number"]): raw.get("distance")
        for document in read_documents(samples, sample_id, shown, annotated=field)
        for raw in labels.labels(document)
    }
    return any(
        distance and 0 not in (far.get((index, number + way)) for way in (-distance, distance))
        for (index, number), distance in far.items()
    )


def made_fields(samples: SampleCollection) -> list[str]:
    """The output fields of which is known how they were made; not those that are deleted."""
    start = run_key("")
    keys = (key for key in samples._dataset.list_runs() if key.startswith(start))
    made = (key.removeprefix(start) for key in keys if run_info(samples, key).get("made"))
    return [field for field in made if samples._dataset.has_frame_field(field)]


def prompts_of(samples: SampleCollection, field: str, videos: Sequence[str] = ()) -> str:
    """The field with the prompts of which an output field was made; "" where it is not known.

    Of the first of some videos, by their sample ids, that other runs made than the last one; else
    of that.
    """
    made, _ = makings_of(samples, field, videos)[-1]
    return str(made.get("settings", {}).get("prompt_field", ""))


def corrected_fields(samples: SampleCollection) -> list[str]:
    """Those of :func:`made_fields` in which people put something right in these videos."""
    videos = samples.values("id")
    fields = made_fields(samples)
    return [name for name in fields if any(_has_any(samples, each, name) for each in videos)]


def last_corrected(samples: SampleCollection, field: str) -> int | None:
    """The number of the frame of the one video in which somebody put something right last."""
    (sample_id,) = samples.values("id")
    size = mask_sizes(samples, sample_id).video
    found = {each.frame + 1 for each in read_corrections(samples, sample_id, field, size)}
    shown = read_documents(samples, sample_id, ["last_modified_at"], annotated=field)
    when = {
        document["frame_number"]: document.get("last_modified_at")
        for document in shown
        if document["frame_number"] in found
    }
    known = {number: time for number, time in when.items() if time is not None}
    return max(known, key=lambda number: known[number]) if known else min(found, default=None)


def _job(
    samples: SampleCollection,
    field: str,
    made: Made,
    videos: Sequence[str],
    model: VideoSegmenter | str | Path | None = None,
) -> PropagateJob:
    """A run that filled ``field``, to be made again for some videos, by their sample ids.

    Raises HS2SError where nothing is known of it, or of its network.
    """
    if not made:
        known = ", ".join(made_fields(samples)) or "none"
        raise HS2SError(
            f"nothing is known of how the masks in {field!r} were made; expected a field that "
            f"propagate() filled ({known}). Run it, with overwrite=True if there are masks."
        )
    if made["settings"].get("parts"):
        raise HS2SError(
            f"the masks in {field!r} were made clip by clip; run 'Propagate masks' in that view of "
            "clips again, overwriting what is there: corrections stay, and count as prompts"
        )
    if model is None and isinstance(made["model"], dict):
        raise HS2SError(
            f"the masks in {field!r} were made by a network that was given as an object "
            f"({made['model'][LOADED]}); give it again, as model=..."
        )
    source = as_shown(samples, made, videos)
    settings = PropagateSettings(**{**made["settings"], "overwrite": True})
    network = made["model"] if model is None else model
    return PropagateJob(Source(source), settings, network, made["device"], made["speed"])
