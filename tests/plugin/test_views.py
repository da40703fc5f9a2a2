"""Views that lead to where an evaluation found trouble."""

from __future__ import annotations

from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest

from hs2s_core.errors import HS2SError
from hs2s_fiftyone import views
from hs2s_fiftyone.evaluation import evaluate

from .made import IdMaps, add_video, moving

START = {1: (4, 2), 2: (26, 10)}


def _without(maps: IdMaps, object_id: int, frames: range) -> IdMaps:
    """The same, without an object in some frames."""
    changed = [entry.copy() for entry in maps]
    for index in frames:
        changed[index][changed[index] == object_id] = 0
    return changed


@pytest.fixture
def scored(dataset: fo.Dataset) -> fo.Dataset:
    """Four videos of known trouble, evaluated as "scores"."""
    short, long = moving(8, START), moving(34, START)
    add_video(dataset, "fine", short, short)
    add_video(dataset, "gap", short, _without(short, 1, range(2, 6)))
    add_video(dataset, "late", long, _without(long, 2, range(24, 34)))
    gone = _without(short, 2, range(4, 8))
    add_video(dataset, "ghost", gone, short)
    evaluate(
        dataset, "pred", "truth", "scores", seen_categories=["class 1", "class 2"], progress=False
    )
    return dataset


def _names(view: fo.DatasetView) -> list[str]:
    return [Path(path).stem for path in view.values("filepath")]


def _clips(view: fo.DatasetView) -> list[tuple[str, tuple[int, int]]]:
    return [
        (Path(path).stem, tuple(support))
        for path, support in zip(*view.values(["filepath", "support"]), strict=True)
    ]


def test_worst_come_first(scored: fo.Dataset) -> None:
    scores = {
        Path(p).stem: v for p, v in zip(*scored.values(["filepath", "scores_jf"]), strict=True)
    }
    assert _names(views.worst_sequences(scored, "scores")) == sorted(scores, key=scores.get)
    assert len(views.worst_sequences(scored, "scores", limit=2)) == 2


def test_late_failures_of_long_videos(scored: fo.Dataset) -> None:
    assert _names(views.late_failures(scored, "scores")) == ["late"]
    assert _names(views.late_failures(scored, "scores", min_frames=35)) == []


def test_failing_clips_are_the_frames_that_fail(scored: fo.Dataset) -> None:
    found = dict(_clips(views.failing_clips(scored, "scores")))
    assert found == {"gap": (3, 6), "late": (25, 34), "ghost": (5, 8)}


def test_lost_objects_do_not_come_back(scored: fo.Dataset) -> None:
    assert _clips(views.lost_objects(scored, "scores")) == [("late", (25, 34))]


def test_false_positives_are_predicted_out_of_sight(scored: fo.Dataset) -> None:
    view = views.false_positives(scored, "scores")
    assert _clips(view) == [("ghost", (5, 8))]
    assert sorted(view.first().frames) == [5, 6, 7, 8]


def test_seen_against_unseen(scored: fo.Dataset) -> None:
    assert len(views.seen_sequences(scored, "scores")) == 4
    assert len(views.unseen_sequences(scored, "scores")) == 0
    evaluate(scored, "pred", "truth", "half", seen_categories=["class 1"], progress=False)
    assert len(views.unseen_sequences(scored, "half")) == 4
    evaluate(scored, "pred", "truth", "unknown", progress=False)
    with pytest.raises(HS2SError, match="does not know which categories were seen"):
        views.seen_sequences(scored, "unknown")


def test_views_of_annotations_in_few_frames(dataset: fo.Dataset) -> None:
    """Annotated frames count, not frames: 3 annotated failures are 7 frames here."""
    maps = moving(16, START)
    sparse = [entry if index % 3 == 0 else None for index, entry in enumerate(maps)]
    add_video(dataset, "sparse", sparse, _without(maps, 1, range(4, 11)))
    evaluate(dataset, "pred", "truth", "scores", progress=False)
    assert len(views.failing_clips(dataset, "scores", frames=3)) == 0
    assert _clips(views.failing_clips(dataset, "scores", frames=2)) == [("sparse", (7, 10))]


def test_views_are_saved_and_follow_their_evaluation(scored: fo.Dataset) -> None:
    scored.save_view("mine", scored.limit(1), description="Evaluation of something else")
    saved = views.save_views(scored, "scores")
    assert saved == {
        "scores: worst sequences": 4,
        "scores: long, failing late": 1,
        "scores: failing clips": 3,
        "scores: lost objects": 1,
        "scores: false positives": 1,
        "scores: seen categories": 4,
    }
    assert views.save_views(scored, "scores", ["lost"]) == {"scores: lost objects": 1}
    assert sorted(scored.list_saved_views()) == sorted(["mine", *saved])
    assert _clips(scored.load_saved_view("scores: lost objects")) == [("late", (25, 34))]

    scored.rename_evaluation("scores", "other")
    assert "other: failing clips" in scored.list_saved_views()
    assert not [name for name in scored.list_saved_views() if name.startswith("scores")]
    assert len(scored.load_saved_view("other: failing clips")) == 3
    scored.delete_evaluation("other")
    assert scored.list_saved_views() == ["mine"]


def test_deleted_samples_do_not_break_views(scored: fo.Dataset) -> None:
    scored.delete_samples(scored.match(fo.ViewField("filepath").ends_with("gap.mp4")))
    assert {name for name, _ in _clips(views.failing_clips(scored, "scores"))} == {"late", "ghost"}
    assert len(views.worst_sequences(scored, "scores")) == 3


def test_unknown_names_are_refused(scored: fo.Dataset) -> None:
    with pytest.raises(HS2SError, match="there is no view 'best'"):
        views.save_views(scored, "scores", ["best"])
    with pytest.raises(HS2SError, match="there is no evaluation 'nothing'"):
        views.save_views(scored, "nothing")
    assert np.all([entry.name("k").startswith("k: ") for entry in views.VIEWS.values()])
