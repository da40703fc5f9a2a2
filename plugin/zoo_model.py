"""HS2S-lite as a model of FiftyOne's zoo, for ``dataset.apply_model``; ``zoo/`` is its entry."""

from __future__ import annotations

import shutil
from typing import Any

import fiftyone as fo
import fiftyone.core.clips as foc
import fiftyone.core.models as fom
import fiftyone.operators as foo
from fiftyone.operators import types

from hs2s_core.devices import offered_devices
from hs2s_core.errors import HS2SError, check_choice
from hs2s_core.models.inference import SPEEDS
from hs2s_core.propagation.network import NetworkEngine
from hs2s_core.weights import find_weights
from hs2s_core.weights import load_model as load_network

from .labels.frame_fields import bare
from .operators.form import Form
from .propagation import CHOICES, PropagateSettings, settings_errors
from .propagation.video import follow, open_video
from .videos.clips import Part


class ZooModel(fom.SamplesMixin, fom.Model):
    """Propagates the masks of ``prompt_field`` through each video, see :func:`propagate`.

    FiftyOne keeps the labels of a whole video in memory and stores them itself: what the output
    field held is replaced, without the care that the operator takes.
    """

    media_type = "video"
    ragged_batches = False
    transforms = None
    preprocess = False
    config = None

    def __init__(self, weights: str, device: str, speed: str, policy: str) -> None:
        super().__init__()
        self._policy = check_choice("policy", policy, CHOICES["policy"])
        self._engine = NetworkEngine(load_network(weights, device=device, speed=speed))

    def predict(self, _: Any, sample: fo.Sample | None = None) -> dict[int, fo.Detections]:
        """The labels of every frame by its number; frames are read by the package's own reader.

        Raises HS2SError where the sample cannot be propagated.
        """
        prompt_field = self.needs_fields.get("prompt_field")
        if sample is None or prompt_field is None:
            raise HS2SError(
                "no masks to start from; expected the name of their frame field, as in "
                "dataset.apply_model(model, label_field='hs2s', prompt_field='frames.objects')"
            )
        samples, key = getattr(sample, "_view", None) or sample.dataset, sample.id
        if isinstance(sample, foc.ClipView):
            key = Part(sample.sample_id, tuple(sample.support)).key
            samples = samples._source_collection
        settings = PropagateSettings(bare(prompt_field), "", policy=self._policy)
        wrong = settings_errors(samples, settings).get("prompt_field")
        if wrong is not None:
            raise HS2SError(wrong)
        clip, prompts, _ = open_video(samples, key, settings)
        steps = follow(self._engine, clip, prompts, settings)
        # An empty label, so that what an earlier run found in a frame does not stay there.
        return {n: labels or fo.Detections() for _, n, labels in steps if n is not None}


def download_model(_: str, model_path: str) -> None:
    """Put the bundled weights where FiftyOne looks for them."""
    shutil.copyfile(find_weights(), model_path)


def load_model(
    _: str,
    model_path: str,
    *,
    weights: str | None = None,
    device: str = "auto",
    speed: str = "auto",
    policy: str = "auto",
) -> ZooModel:
    """The model; ``weights`` are other weights, the rest is as :func:`propagate` takes it."""
    return ZooModel(weights or model_path, device, speed, policy)


def resolve_input(_: str, ctx: foo.ExecutionContext) -> types.Property:
    """The form of what :func:`load_model` takes."""
    form = Form(ctx)
    form.choice("device", offered_devices(), "Device", default="auto")
    form.choice("speed", SPEEDS, "Speed", default=SPEEDS[0])
    text = "Masks that are given to the model"
    form.choice("policy", CHOICES["policy"], text, default="auto")
    return types.Property(form.inputs)
