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

from hs2s_core.errors import HS2SError
from hs2s_fiftyone.evaluation import evaluate
from hs2s_fiftyone.export import export
from hs2s_fiftyone.operators import OPERATORS
from hs2s_fiftyone.operators.base import BaseOperator
from hs2s_fiftyone.propagation import propagate
from hs2s_fiftyone.training import labelled_videos

from .helpers import CopyNetwork, detection, square, video_sample, write_noise

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
    folder = {"out_dir": str(tmp_path / "new")} if made.key == "export_vos" else {}
    shown = form(made, make(videos), **folder)
    if refusal is None:
        assert "no_video" not in shown
        assert len(shown) > 2
    else:
        text = shown["no_video"].error_message
        assert refusal in text
        assert "lear" in text  # "clear the view", "change or clear them"


FRAMES = 3


def two_objects(folder: Path, place: str, **fields: Any) -> fo.Sample:
    """A video with a truth in each frame; it gives a dog and a cat."""
    sample = video_sample(write_noise(folder / f"{place}.mp4", frames=FRAMES), {})
    for number in range(1, FRAMES + 1):
        dog, cat = square(8, 8), square(40, 40)
        sample.frames[number]["truth"] = fo.Detections(
            detections=[detection(dog, index=1, label="dog"), detection(cat, index=2, label="cat")]
        )
    sample["place"] = place
    for name, value in fields.items():
        sample[name] = value
    sample.compute_metadata()
    return sample


@pytest.fixture
def flat(tmp_path: Path) -> Iterator[fo.Dataset]:
    """Three videos; anew for each run, as FiftyOne is slow where there are many fields."""
    dataset, folder = fo.Dataset(), tmp_path
    places = enumerate(("beach", "moon", "town"))
    dataset.add_samples([two_objects(folder, place, number=i) for i, place in places])
    yield dataset
    dataset.delete()


@pytest.fixture
def sliced(tmp_path: Path) -> Iterator[fo.Dataset]:
    """Two groups of a video from the left, one from the right, and an image."""
    dataset, folder = fo.Dataset(), tmp_path
    dataset.add_group_field("group", default="left")
    for number in range(2):
        group = fo.Group()
        for side in ("left", "right"):
            sample = two_objects(folder, f"{side}{number}", number=number)
            sample["group"] = group.element(side)
            dataset.add_sample(sample)
        image = fo.Sample(filepath=f"/nowhere/{number}.png", group=group.element("image"))
        dataset.add_sample(image)
    yield dataset
    dataset.delete()


def saved(dataset: fo.Dataset, view: fo.DatasetView) -> fo.DatasetView:
    dataset.save_view("saved", view, overwrite=True)
    return dataset.load_saved_view("saved")


def without_images(dataset: fo.Dataset) -> SampleCollection:
    """FiftyOne 1.14 has no such stage."""
    if hasattr(dataset, "exclude_group_slices"):
        return dataset.exclude_group_slices("image")
    return dataset.select_group_slices(["left", "right"])


DOGS = ("frames.truth", F("label") == "dog")
RUNS: dict[str, tuple[str, Callable[[fo.Dataset], SampleCollection], int, int, int]] = {
    "shuffled": ("flat", lambda d: d.shuffle(seed=1).skip(1), 2, 2, 6),
    "joined": ("flat", lambda d: d.limit(1).concat(d.skip(2)), 2, 2, 6),
    "twice": ("flat", lambda d: d.view().concat(d.view()), 3, 2, 9),
    "dogs": ("flat", lambda d: d.filter_labels(*DOGS), 3, 1, 9),
    "dogs, saved": ("flat", lambda d: saved(d, d.filter_labels(*DOGS)), 3, 1, 9),
    "first frames": ("flat", lambda d: d.match_frames(F("frame_number") < 3), 3, 2, 6),
    "fields": ("flat", lambda d: d.exclude_fields("place"), 3, 2, 9),
    "groups": ("flat", lambda d: d.group_by("place"), 3, 2, 9),
    "ordered groups": ("flat", lambda d: d.group_by("place", order_by="number"), 3, 2, 9),
    "flat groups": ("flat", lambda d: d.group_by("place", flat=True), 3, 2, 9),
    "groups, flattened": ("flat", lambda d: d.group_by("place").flatten(), 3, 2, 9),
    "one group": ("flat", lambda d: d.group_by("place").limit(1), 1, 2, 3),
    "groups, saved": ("flat", lambda d: saved(d, d.skip(1).group_by("place")), 2, 2, 6),
    "dogs in groups": ("flat", lambda d: d.filter_labels(*DOGS).group_by("place"), 3, 1, 9),
    "groups of dogs": ("flat", lambda d: d.group_by("place").filter_labels(*DOGS), 3, 1, 9),
    "slices": ("sliced", lambda d: d, 4, 2, 12),
    "one scene": ("sliced", lambda d: d.match(F("number") == 1), 2, 2, 6),
    "dogs of all slices": ("sliced", lambda d: d.filter_labels(*DOGS), 4, 1, 12),
    "a slice": ("sliced", lambda d: d.select_group_slices("right"), 2, 2, 6),
    "a chosen group": ("sliced", lambda d: d.select_groups([d.first().group.id]), 2, 2, 6),
    "dogs of all groups but one": (
        "sliced",
        lambda d: d.exclude_groups([d.first().group.id]).filter_labels(*DOGS),
        2,
        1,
        6,
    ),
    "all slices but one": ("sliced", without_images, 4, 2, 12),
    "groups of slices": ("sliced", lambda d: d.group_by("number"), 4, 2, 12),
    "groups of a slice": (
        "sliced",
        lambda d: d.select_group_slices("left").group_by("number"),
        2,
        2,
        6,
    ),
    "dogs of a slice": (
        "sliced",
        lambda d: d.select_group_slices("left").filter_labels(*DOGS),
        2,
        1,
        6,
    ),
}
"""Of what dataset, how the view is made, how many videos, objects in each, and frames it has."""


@pytest.mark.parametrize("kind", RUNS)
def test_what_a_view_shows_is_worked_on(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    name, make, videos, objects, frames = RUNS[kind]
    dataset = request.getfixturevalue(name)
    view, field = make(dataset), "run"
    for expected in ((videos, 0), (0, videos)):  # again, there is nothing left to do
        summary = propagate(view, "truth", field, model=CopyNetwork())
        assert (len(summary.done), summary.skipped, summary.failed) == (*expected, [])
    whole = dataset
    if name == "sliced":
        whole = dataset.select_group_slices(media_type="video")
    assert whole.count(f"frames.{field}.detections") == videos * objects * FRAMES
    shown = make(dataset)
    results = evaluate(shown, field, "truth", f"of_{field}", "all_frames")
    assert len(results.sample_ids) == videos
    assert results.summary.overall.jf == 1
    assert len(export(shown, field, tmp_path / "out").done) == videos
    taught = list(labelled_videos(shown, "truth"))
    assert (len(taught), sum(map(len, taught))) == (videos, frames)
    assert {int(each.id_map(0).max()) for each in taught} == {objects}


def test_views_that_show_other_labels_are_not_joined(flat: fo.Dataset) -> None:
    """The filters of one of them would be those of both."""
    joined = flat.filter_labels(*DOGS).limit(1).concat(flat.skip(1))
    with pytest.raises(HS2SError, match=r"joined.*same filters of labels in each"):
        propagate(joined, "truth", "run", model=CopyNetwork())
    same = flat.filter_labels(*DOGS).limit(1).concat(flat.filter_labels(*DOGS).skip(1))
    assert propagate(same, "truth", "run", model=CopyNetwork()).objects == 3


@pytest.mark.parametrize(
    "shown",
    [
        lambda d: d.map_labels("frames.truth", {"dog": "animal"}),
        lambda d: d.set_field("frames.truth.detections.label", F("label").upper()).limit(2),
        lambda d: d.set_field("frames.truth.detections.label", F("label").upper()).group_by(
            "place"
        ),
    ],
)
def test_labels_that_are_shown_otherwise_than_stored(
    flat: fo.Dataset, shown: Callable[[fo.Dataset], SampleCollection]
) -> None:
    """What is read is the database's, so a view that shows other values would be passed over."""
    with pytest.raises(HS2SError, match=r"other values .*view\.save\('frames\.truth'\)"):
        propagate(shown(flat), "truth", "run", model=CopyNetwork())
    assert not flat.has_frame_field("run")


def test_labels_shown_otherwise_can_be_stored(flat: fo.Dataset) -> None:
    view = flat.map_labels("frames.truth", {"dog": "animal"})
    view.save("frames.truth")
    assert propagate(flat, "truth", "run", model=CopyNetwork()).objects == 6
    assert "animal" in flat.distinct("frames.run.detections.label")


def test_a_hidden_field_is_said_to_be_hidden(flat: fo.Dataset, tmp_path: Path) -> None:
    view = flat.exclude_fields("frames.truth")
    with pytest.raises(HS2SError, match=r"view hides .*truth"):
        propagate(view, "truth", "run", model=CopyNetwork())
    with pytest.raises(HS2SError, match=r"view hides .*'truth'"):
        export(view, "truth", tmp_path / "out")


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
