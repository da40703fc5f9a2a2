"""What to propagate from where to where, and what can be wrong with that."""

from __future__ import annotations

from dataclasses import dataclass

import fiftyone as fo
from fiftyone.core.collections import SampleCollection

from ..labels.frame_fields import has_labels, mask_field_error, output_error, prompt_fields
from ..videos.clips import THE_END, Span

CHOICES = {
    "policy": {  # which masks of the prompt field are given to the model
        "auto": "Every mask; of the truth that a dataset was loaded with, only the first ones",
        "all": "Every mask: each object is given anew wherever it has one",
        "first": "Only the mask of each object's first frame",
    },
    "merge": {  # which of several objects gets a pixel
        "argmax": "The one that is most probable there",
        "soft": "The one whose odds, normalised over all objects, are best",
    },
    "direction": {  # which way objects are followed from the given masks
        "both": "Both ways; between two given masks what both say is blended",
        "forward": "Forwards only; a further mask of an object starts it anew",
        "backward": "Backwards only",
    },
    "cuts": {  # what to do about cuts between shots
        "ignore": "Do not look for them",
        "report": "Say where they are",
        "stop": "Follow no object across one, and say where they are",
    },
}
"""Of the settings that are one of some words: name -> word -> description."""

RUNNING, DONE, FAILED = "running", "done", "failed"
CLIPS = "clips"
"""Status of a video of which clips are done, and maybe not all of it."""


@dataclass(frozen=True)
class PropagateSettings:
    """What to propagate from where to where; fields are frame-level, without ``frames.``."""

    prompt_field: str
    output_field: str
    overwrite: bool = False
    """Whether masks that an earlier run made are made again; without, their videos are skipped."""
    online_steps: int = 0
    """Training steps on each video's given masks before it is propagated; 0 for none."""
    policy: str = "auto"
    merge: str = "argmax"
    direction: str = "both"
    cuts: str = "ignore"
    """Each one of its :data:`CHOICES`, as are those above."""
    hints: bool = False
    """Whether objects that have only boxes or points get a mask made of the first of them."""
    first_frame: int = 1
    last_frame: int | None = None
    """Numbers of the first and the last frame to write; None for each video's last."""
    parts: tuple[str, ...] | None = None
    """Keys of the clips to propagate within (:func:`..videos.clips.clips_of`); None: all."""

    @property
    def span(self) -> Span | None:
        """The frames to write in every video; None for all, or those of :attr:`parts`."""
        if self.first_frame == 1 and self.last_frame is None:
            return None
        return self.first_frame, THE_END if self.last_frame is None else self.last_frame

    @property
    def status_field(self) -> str:
        """Sample field that says ``running``, ``done``, ``clips`` or ``failed``."""
        return f"{self.output_field}_status"

    @property
    def error_field(self) -> str:
        """Sample field that says why a video failed, or what to know about its masks."""
        return f"{self.output_field}_error"


def settings_errors(
    samples: SampleCollection, settings: PropagateSettings, *, at_most: int | None = None
) -> dict[str, str]:
    """What is wrong with the settings themselves: parameter name -> message.

    ``at_most`` is that of ``has_labels``.
    """
    errors = {}
    known = prompt_fields(samples)
    if not known:
        hidden = ", ".join(sorted(prompt_fields(samples._dataset)))
        errors["prompt_field"] = (
            f"the view hides the frame fields that can hold masks: {hidden}; expected one that "
            "shows them"
            if hidden
            else "no frame field can hold masks; expected Detections with masks, Polylines or a "
            "Segmentation on at least one frame of each video; 'Prepare for drawing' adds a field "
            "for them"
        )
    elif settings.prompt_field not in known:
        errors["prompt_field"] = mask_field_error(samples, settings.prompt_field) or ""
    output = _output_error(samples, settings, at_most)
    if output is not None:
        errors["output_field"] = output
    for name, choices in CHOICES.items():
        if getattr(settings, name) not in choices:
            errors[name] = f"{getattr(settings, name)!r} is none of {', '.join(choices)}"
    errors |= _range_errors(settings)
    steps = settings.online_steps
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 0:
        errors["online_steps"] = (
            f"{steps!r} is no number of steps; expected a whole number, 0 or more"
        )
    return errors


def _range_errors(settings: PropagateSettings) -> dict[str, str]:
    first, last = settings.first_frame, settings.last_frame
    for name, number in (("first_frame", first), ("last_frame", 1 if last is None else last)):
        if not isinstance(number, int) or number < 1:
            return {name: f"{number} is no frame number; expected 1 or more"}
    if last is not None and last < first:
        return {"last_frame": f"frame {last} lies before frame {first}, the first that is wanted"}
    if settings.span is not None and settings.parts is not None:
        return {"first_frame": "the view of clips says already which frames are wanted"}
    return {}


def _output_error(
    samples: SampleCollection, settings: PropagateSettings, at_most: int | None
) -> str | None:
    output = settings.output_field
    if output == settings.prompt_field:
        return "the output field must differ from the prompt field, which is never overwritten"
    if error := output_error(samples, output):
        return error
    if taken := _taken_by_others(samples, settings):
        return (
            f"the results of {output!r} are told in sample fields, and {taken!r} is somebody "
            "else's; choose another name, so that it is not overwritten"
        )
    known = samples._dataset.has_sample_field(settings.status_field)
    if not known and has_labels(samples, output, at_most=at_most):
        return (
            f"the frame field {output!r} holds labels that were not made by this operator; "
            "choose another name, so that they are not overwritten"
        )
    return None


def _taken_by_others(samples: SampleCollection, settings: PropagateSettings) -> str | None:
    """Which of the sample fields that a run writes is there and holds something else."""
    dataset, status, error = samples._dataset, settings.status_field, settings.error_field
    field = dataset.get_field(status)
    if field is None:
        return error if dataset.has_sample_field(error) else None
    if not isinstance(field, fo.StringField):
        return status
    ours = {None, RUNNING, DONE, FAILED, CLIPS}
    return None if ours.issuperset(dataset.distinct(status)) else status
