"""What must be right before a propagation starts, found out without running the model."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from fiftyone.core.collections import SampleCollection

from hs2s_core.errors import HS2SError
from hs2s_core.jobs import Item, Plan, Problem, describe, require
from hs2s_core.wording import counted

from ..labels.frame_fields import has_labels
from ..labels.prompts import OutOfTime
from ..videos.clips import Part
from ..videos.collection import select_videos
from .corrections import is_drawn
from .hints import Preview, preview_frame
from .settings import CLIPS, DONE, RUNNING, PropagateSettings, settings_errors
from .video import NothingGiven, open_video


def make_plan(
    samples: SampleCollection,
    settings: PropagateSettings,
    *,
    seconds: float | None = None,
    videos: int = sys.maxsize,
) -> Plan:
    """Look at every video: files, prompts, sizes and existing labels. Nothing is written.

    With ``seconds``, it looks into ``videos`` of them at most, as long as the time lasts. The rest
    is taken on trust and counted as unchecked, also one whose labels take longer to read: a form
    must answer quickly, and the run checks everything again.
    """
    look: Callable[[Part, str | None], _Verdict] = partial(_look, samples, settings)
    if seconds is not None:
        look = _Glances(samples, settings, time.monotonic() + seconds, videos).look
    plan, skips = Plan(), not settings.overwrite
    for part, filepath, status in _rows(samples, settings):
        name = part.named(filepath.replace("\\", "/").rpartition("/")[2])
        verdict = look(part, status)
        if verdict.done and skips:
            plan.skipped.append(part.key)
        elif verdict.reason is None:
            plan.todo.append(Item(part.key, name))
            plan.unchecked += not verdict.complete
        else:
            plan.problems.append(Problem(part.key, name, verdict.reason))
            if verdict.done or verdict.waits:
                plan.kept.add(part.key)
    return plan


def checked_plan(
    samples: SampleCollection, settings: PropagateSettings, *, skip_invalid: bool
) -> Plan:
    """The plan of a run that may start; raises HS2SError with all that is in its way."""
    require(settings_errors(samples, settings))
    plan = make_plan(samples, settings)
    if plan.problems and not (skip_invalid and (plan.todo or plan.skipped)):
        listed = "\n".join(f"  {problem}" for problem in plan.problems)
        advice = "Mend them, or leave them out with skip_invalid=True."
        if skip_invalid:
            advice = "Without them nothing is left to do: mend them, or choose other videos."
        raise HS2SError(
            f"{counted(len(plan.problems), 'video')} cannot be propagated, and nothing was "
            f"changed:\n{listed}\n{advice}"
        )
    return plan


def preview(
    samples: SampleCollection,
    settings: PropagateSettings,
    items: Iterable[Item],
    *,
    seconds: float,
) -> tuple[Item, Preview] | None:
    """The first of some videos in which masks would be made of boxes and points, and how.

    None where there is none, or none was found in time. Nothing is written.
    """
    deadline = time.monotonic() + seconds
    for item in items:
        try:
            clip, prompts, _ = open_video(samples, item.key, settings, deadline=deadline)
            found = preview_frame(clip, prompts, deadline)
        except (HS2SError, OutOfTime):  # which the plan tells, or the run
            continue
        if found is not None:
            return item, found
    return None


def has_results(
    samples: SampleCollection, part: Part, status: str | None, settings: PropagateSettings
) -> bool:
    """Whether a video's output is finished, or was put there by someone else.

    What a person drew there are prompts, not results.
    """
    if part.span is None and status == RUNNING:  # what a killed run left behind is no result
        return False
    # A run that failed leaves no labels, so these are not from here; a status is left where
    # somebody deletes labels.
    field = settings.output_field
    return has_labels(samples, field, *part) and not is_drawn(samples, field, *part)


def _rows(
    samples: SampleCollection, settings: PropagateSettings
) -> Iterator[tuple[Part, str, str | None]]:
    """Every video, or every clip of them; with its file and the video's status."""
    ids, paths = samples.values(["id", "filepath"])
    states: list[str | None] = [None] * len(ids)
    dataset = samples._dataset
    # The status stays where somebody deletes or renames the field: then nothing is done.
    fields = dataset.get_frame_field_schema(include_private=True)
    if dataset.has_sample_field(settings.status_field) and settings.output_field in fields:
        # Of the dataset, because a view may hide the field.
        view = select_videos(samples, ids, ordered=True)
        states = view.values(settings.status_field)
    rows = dict(zip(ids, zip(paths, states, strict=True), strict=True))
    if settings.parts is None:
        parts = [Part(sample_id, settings.span) for sample_id in ids]
    else:
        parts = [Part.of(key) for key in settings.parts]
    for part in parts:
        if part.sample_id in rows:
            yield part, *rows[part.sample_id]


@dataclass(frozen=True)
class _Verdict:
    """What a look at one video told."""

    reason: str | None = None
    """Why it cannot be propagated; None if nothing is known to be in the way."""
    done: bool = False
    """Whether it has results already."""
    waits: bool = False
    """Whether nothing but a mask to start from is missing."""
    complete: bool = True
    """Whether there was time to look at everything."""


def _look(
    samples: SampleCollection,
    settings: PropagateSettings,
    part: Part,
    status: str | None,
    deadline: float | None = None,
) -> _Verdict:
    done = has_results(samples, part, status, settings)
    if done and not settings.overwrite:
        return _Verdict(done=True)
    reason, waits = None, False
    if done and status not in (DONE, CLIPS):
        reason = (
            f"has labels in {settings.output_field!r} that were not made by this operator; choose "
            "another output field, so that they are not overwritten, or clear them first"
        )
    else:
        try:
            open_video(samples, part.key, settings, deadline=deadline)
        except OutOfTime:
            return _UNCHECKED
        except Exception as error:
            reason, waits = describe(error), isinstance(error, NothingGiven)
    return _Verdict(reason, done, waits)


_UNCHECKED = _Verdict(complete=False)
# A form is resolved again at every keystroke; a verdict this old is still good enough for it.
_KEEP_SECONDS = 20.0
_verdicts: dict[tuple[object, ...], tuple[float, _Verdict]] = {}


class _Glances:
    """Looks at some videos, and remembers what they told.

    Also that a video takes too long is remembered, so that the next look gets to the others.
    """

    def __init__(
        self, samples: SampleCollection, settings: PropagateSettings, deadline: float, videos: int
    ) -> None:
        self._what, self._deadline, self._left = (samples, settings), deadline, videos
        self._trusts = not settings.overwrite
        scope = (str(samples._dataset._doc.id), str(getattr(samples, "_stages", "")))
        self._scope = (*scope, replace(settings, parts=None))

    def look(self, part: Part, status: str | None) -> _Verdict:
        """:func:`_look`, as far as time and number allow it; a status that says done is trusted."""
        if self._trusts and part.span is None and status in (DONE, CLIPS):
            return _Verdict(done=True)
        key, now = (*self._scope, part.key, status), time.monotonic()
        if key in _verdicts and now - _verdicts[key][0] <= _KEEP_SECONDS:
            return _verdicts[key][1]
        if now > self._deadline or not self._left:
            return _UNCHECKED
        self._left -= 1
        if len(_verdicts) > 10_000:
            _verdicts.clear()
        _verdicts[key] = (now, _look(*self._what, part, status, self._deadline))
        return _verdicts[key][1]
