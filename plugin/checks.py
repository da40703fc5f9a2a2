"""What must be right before a propagation starts, found out without running the model."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import fiftyone as fo
from bson import ObjectId
from fiftyone.core.collections import SampleCollection

from hs2s_core.errors import HS2SError
from hs2s_core.wording import counted

from .labels import mask_fields
from .prompts import OutOfTime, VideoPrompts, read_prompts, visible_labels
from .videos import Clip, open_clip, select_videos, source_info

EXISTING = ("skip", "overwrite", "fail")
"""What to do with a video whose output field already has labels."""

POLICIES = {
    "auto": "Every mask; of the truth that a dataset was loaded with, only the first ones",
    "all": "Every mask: each object is given anew wherever it has one",
    "first": "Only the mask of each object's first frame",
}
"""Which masks of the prompt field are given to the model: name -> description."""

RUNNING, DONE, FAILED = "running", "done", "failed"
FIELD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Settings:
    """What to propagate from where to where; fields are frame-level, without ``frames.``."""

    prompt_field: str
    output_field: str
    existing: str = "skip"
    online_steps: int = 0
    """Training steps on each video's first masks before it is propagated; 0 for none."""
    policy: str = "auto"
    """One of :data:`POLICIES`."""

    @property
    def status_field(self) -> str:
        """Sample field that says ``running``, ``done`` or ``failed``."""
        return f"{self.output_field}_status"

    @property
    def error_field(self) -> str:
        """Sample field that says why a video failed, or what to know about its masks."""
        return f"{self.output_field}_error"


@dataclass(frozen=True)
class Problem:
    """Why one video cannot be propagated."""

    sample_id: str
    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass
class Plan:
    """Which videos a run would process, leave alone, and could not process."""

    todo: list[str] = field(default_factory=list)
    """Sample ids."""
    skipped: list[str] = field(default_factory=list)
    """Sample ids of videos that have their labels already."""
    problems: list[Problem] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)
    """Those of the problems' sample ids whose videos have labels: neither these nor the status
    may change."""
    unchecked: int = 0
    """How many of ``todo`` were not looked at for lack of time."""


def is_ground_truth(samples: SampleCollection, field: str) -> bool:
    """Whether the dataset was loaded with its annotations in this frame field."""
    return source_info(samples).get("label_field") == field


def settings_errors(samples: SampleCollection, settings: Settings) -> dict[str, str]:
    """What is wrong with the settings themselves: parameter name -> message."""
    errors = {}
    fields = mask_fields(samples)
    if not fields:
        errors["prompt_field"] = (
            "no frame field can hold masks; expected Detections with masks, Polylines or a "
            "Segmentation on at least one frame of each video"
        )
    elif settings.prompt_field not in fields:
        errors["prompt_field"] = (
            f"{settings.prompt_field!r} is not a frame field that can hold masks; "
            f"expected one of {', '.join(sorted(fields))}"
        )
    output = _output_error(samples, settings)
    if output is not None:
        errors["output_field"] = output
    if settings.existing not in EXISTING:
        errors["existing"] = f"{settings.existing!r} is none of {', '.join(EXISTING)}"
    if settings.policy not in POLICIES:
        errors["policy"] = f"{settings.policy!r} is none of {', '.join(POLICIES)}"
    if settings.online_steps < 0:
        errors["online_steps"] = (
            f"{settings.online_steps} is no number of steps; expected 0 or more"
        )
    return errors


def make_plan(
    samples: SampleCollection, settings: Settings, *, seconds: float | None = None
) -> Plan:
    """Look at every video: files, prompts, sizes and existing labels. Nothing is written.

    With ``seconds``, videos beyond that time are taken on trust and counted as unchecked, also one
    whose labels take longer to read: a form must answer quickly, and the run checks everything
    again.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    scope = f"{samples._dataset._doc.id} {getattr(samples, '_stages', '')}"
    plan = Plan()
    for sample_id, filepath, status in _rows(samples, settings):
        name = filepath.replace("\\", "/").rpartition("/")[2]
        if has_results(samples, sample_id, status, settings):
            if settings.existing == "skip":
                plan.skipped.append(sample_id)
                continue
            plan.kept.add(sample_id)
            reason = _refusal(status, settings)
            if reason is not None:
                plan.problems.append(Problem(sample_id, name, reason))
                continue
        if deadline is None:
            verdict = _check_again(samples, sample_id, settings)
        elif time.monotonic() > deadline:
            verdict = _UNCHECKED
        else:
            verdict = _check_lately(samples, sample_id, settings, scope, deadline)
        if verdict.reason is None:
            plan.todo.append(sample_id)
            plan.unchecked += not verdict.complete
        else:
            plan.problems.append(Problem(sample_id, name, verdict.reason))
    plan.kept.difference_update(plan.todo)
    return plan


def open_video(
    samples: SampleCollection,
    sample_id: str,
    settings: Settings,
    *,
    deadline: float | None = None,
) -> tuple[fo.Sample, Clip, VideoPrompts]:
    """Everything a run needs of one video; raises HS2SError if it cannot be propagated.

    ``deadline`` is that of ``prompts.read_prompts``, which raises OutOfTime; with one, the length
    of a video is taken on trust.
    """
    sample, prompt_field = samples._dataset[sample_id], settings.prompt_field
    clip = open_clip(sample, exact=deadline is None)
    policy = settings.policy
    if policy == "auto":
        policy = "first" if is_ground_truth(samples, prompt_field) else "all"
    prompts = read_prompts(
        sample,
        prompt_field,
        clip.video_size,
        policy=policy,
        visible=visible_labels(samples, sample_id, prompt_field),
        deadline=deadline,
    )
    if not prompts.objects and prompts.without_mask:
        raise HS2SError(
            f"no mask for {', '.join(prompts.without_mask)}, only boxes or lines, which are no "
            "prompts; draw its mask with the brush or the pen of the App's Annotate tab"
        )
    if not prompts.objects:
        raise HS2SError(f"no prompt mask: no frame has labels in {prompt_field!r}")
    last = max(prompts.masks) + 1
    # Containers may claim too few frames, so the claim alone is no reason.
    if last > len(clip.frames) and last > clip.frames.count():
        raise HS2SError(
            f"a prompt lies on frame {last}, but the video has "
            f"{counted(len(clip.frames), 'frame')}; the labels may belong to another video"
        )
    return sample, clip, prompts


def describe(error: BaseException) -> str:
    """An error as a user should read it; our own say all in their message."""
    return str(error) if isinstance(error, HS2SError) else f"{type(error).__name__}: {error}"


def has_results(
    samples: SampleCollection, sample_id: str, status: str | None, settings: Settings
) -> bool:
    """Whether a video's output is finished, or was put there by someone else."""
    if status in (DONE, RUNNING):
        # What a killed run left behind is no result.
        return status == DONE
    # A run that failed leaves no labels, so these are not from here.
    return has_labels(samples, settings.output_field, sample_id)


def _refusal(status: str | None, settings: Settings) -> str | None:
    """Why the labels that a video has may not be replaced, None if they may."""
    if settings.existing == "fail":
        return f"already has labels in {settings.output_field!r}"
    if status != DONE:
        return (
            f"has labels in {settings.output_field!r} that were not made by this operator; choose "
            "another output field, so that they are not overwritten, or clear them first"
        )
    return None


def _output_error(samples: SampleCollection, settings: Settings) -> str | None:
    output = settings.output_field
    if output == settings.prompt_field:
        return "the output field must differ from the prompt field, which is never overwritten"
    if not FIELD_NAME.fullmatch(output):
        return f"{output!r} is no field name; expected letters, digits and _, a letter first"
    if is_ground_truth(samples, output):
        return f"{output!r} holds the dataset's ground truth, which is never overwritten"
    present = samples._dataset.get_frame_field_schema(include_private=True).get(output)
    if present is None:
        return None
    if getattr(present, "document_type", None) is not fo.Detections:
        return f"the frame field {output!r} exists and does not hold Detections; choose another"
    known = samples._dataset.has_sample_field(settings.status_field)
    if not known and has_labels(samples, output):
        return (
            f"the frame field {output!r} holds labels that were not made by this operator; "
            "choose another name, so that they are not overwritten"
        )
    return None


def has_labels(samples: SampleCollection, path: str, sample_id: str | None = None) -> bool:
    """Whether any frame, or any of one video, has labels in a frame field."""
    dataset = samples._dataset
    if not dataset.has_frame_field(path):
        return False
    query: dict[str, Any] = {path: {"$ne": None}}
    if sample_id is not None:
        query["_sample_id"] = ObjectId(sample_id)
    return dataset._frame_collection.find_one(query, {"_id": 1}) is not None


def _rows(samples: SampleCollection, settings: Settings) -> Iterator[tuple[str, str, str | None]]:
    """(id, filepath, status) of every video."""
    ids, paths = samples.values(["id", "filepath"])
    states: list[str | None] = [None] * len(ids)
    if samples._dataset.has_sample_field(settings.status_field):
        # Of the dataset, because a view may hide the field.
        view = select_videos(samples, ids, ordered=True)
        states = view.values(settings.status_field)
    return zip(ids, paths, states, strict=True)


@dataclass(frozen=True)
class _Verdict:
    """What a look at one video told."""

    reason: str | None = None
    """Why it cannot be propagated; None if nothing is known to be in the way."""
    complete: bool = True
    """Whether there was time to look at everything."""


_UNCHECKED = _Verdict(complete=False)
# A form is resolved again at every keystroke; a verdict this old is still good enough for it.
_KEEP_SECONDS = 20.0
_verdicts: dict[tuple[str, str, str, str], tuple[float, _Verdict]] = {}


def _check_again(
    samples: SampleCollection, sample_id: str, settings: Settings, deadline: float | None = None
) -> _Verdict:
    try:
        open_video(samples, sample_id, settings, deadline=deadline)
    except OutOfTime:
        return _UNCHECKED
    except Exception as error:
        return _Verdict(describe(error))
    return _Verdict()


def _check_lately(
    samples: SampleCollection, sample_id: str, settings: Settings, scope: str, deadline: float
) -> _Verdict:
    """Like ``_check_again``, from memory where that is fresh.

    Also that a video takes too long is remembered, so that the next look gets to the others.
    """
    key = (scope, sample_id, settings.prompt_field, settings.policy)
    now = time.monotonic()
    if key not in _verdicts or now - _verdicts[key][0] > _KEEP_SECONDS:
        if len(_verdicts) > 10_000:
            _verdicts.clear()
        _verdicts[key] = (now, _check_again(samples, sample_id, settings, deadline))
    return _verdicts[key][1]
