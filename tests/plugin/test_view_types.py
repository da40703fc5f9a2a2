"""Every operator on every kind of view: it works on the videos, or says what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import pytest
from fiftyone import ViewField as F
from fiftyone.core.collections import SampleCollection
from fiftyone.operators.executor import Executor

from hs2s_fiftyone.operators import OPERATORS
from hs2s_fiftyone.operators.base import BaseOperator

from .helpers import detection, square, video_sample, write_noise

TARGETED = [made for made in OPERATORS if issubclass(made, BaseOperator) and made.action]
"""The operators that work on videos that are chosen in their form."""
VIEWS: dict[str, tuple[Callable[[fo.Dataset], SampleCollection], str | None]] = {
    "dataset": (lambda dataset: dataset, None),
    "view": (lambda dataset: dataset.limit(1), None),
    "sorted": (lambda dataset: dataset.sort_by("place", reverse=True), None),
    "filtered labels": (
        lambda dataset: dataset.filter_labels("frames.truth", F("index") == 1),
        None,
    ),
    "selected fields": (lambda dataset: dataset.select_fields("frames.truth"), None),
    "dynamic groups": (lambda dataset: dataset.group_by("place"), None),
    "nothing": (lambda dataset: dataset.match(F("place") == "moon"), "filters leave nothing"),
    "clips": (lambda dataset: dataset.to_clips([[[1, 2]]] * len(dataset)), "view of clips"),
    "trajectories": (lambda dataset: dataset.to_trajectories("frames.truth"), "view of clips"),
    "frames": (lambda dataset: dataset.to_frames(), "view of frames"),
}
"""How a view is made, and what the forms say of it if they do not take it."""


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[fo.Dataset]:
    """Two videos of three frames; forms only read them."""
    dataset, folder = fo.Dataset(), tmp_path_factory.mktemp("videos")
    for place in ("beach", "town"):
        labels = fo.Detections(detections=[detection(square(8, 8), index=1, label="dog")])
        sample = video_sample(write_noise(folder / f"{place}.mp4", frames=3), {1: labels})
        sample.frames[2]["found"] = labels.copy()
        for number in range(1, 4):
            sample.frames[number]["filepath"] = f"/nowhere/{place}/{number}.jpg"
        sample["place"] = place
        sample.compute_metadata()
        dataset.add_sample(sample)
    yield dataset
    dataset.delete()


def form(made: type[BaseOperator], samples: SampleCollection, **params: Any) -> dict[str, Any]:
    """The form's properties as the App receives them."""
    request: dict[str, Any] = {"dataset_name": samples._root_dataset.name, "params": params}
    if isinstance(samples, fo.DatasetView):
        request["view"] = samples._serialize()
    context = foo.ExecutionContext(request_params=request, executor=Executor())
    resolved = made().resolve_type(context, "inputs")
    assert resolved.to_json()
    found: dict[str, Any] = resolved.type.properties
    return found


@pytest.mark.parametrize("made", TARGETED, ids=lambda made: made.key)
@pytest.mark.parametrize("kind", VIEWS)
def test_a_form_takes_the_view_or_says_what_to_do(
    kind: str, made: type[BaseOperator], videos: fo.Dataset, tmp_path: Path
) -> None:
    make, refusal = VIEWS[kind]
    if kind in ("clips", "frames") and made.takes_clips:
        refusal = None
    shown = form(made, make(videos), out_dir=str(tmp_path / "new"))
    if refusal is None:
        assert "no_video" not in shown
        assert len(shown) > 2
    else:
        text = shown["no_video"].error_message
        assert refusal in text
        assert "lear" in text  # "clear the view", "change or clear them"


def test_icons_differ_and_take_the_themes_colour() -> None:
    icons = [made().config.icon for made in OPERATORS if issubclass(made, BaseOperator)]
    assert len(set(icons)) == len(icons) > 5
    # A path would be drawn as a picture, in its own colours.
    assert not any("/" in icon or "." in icon for icon in icons)


@pytest.mark.parametrize("word", ["segment", "track", "train", "mask", "evaluate", "draw"])
def test_operators_are_found_by_what_they_do(word: str) -> None:
    """The App looks for a word in the operators' labels and descriptions."""
    listed = [made().config for made in OPERATORS if not made().config.unlisted]
    assert any(word in f"{each.label} {each.description}".lower() for each in listed)
