"""J and F in FiftyOne: the numbers, where they are stored, and how runs come and go."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
from bson import ObjectId
from fiftyone.utils.eval.detection import DetectionEvaluationConfig, DetectionResults

from hs2s_core.errors import HS2SError
from hs2s_core.evaluation import evaluate_folders
from hs2s_fiftyone._bootstrap import add_alias
from hs2s_fiftyone.evaluation import (
    EvaluateSettings,
    backend,
    evaluate,
    evaluate_steps,
    list_evaluations,
    load_results,
    load_table,
)
from hs2s_fiftyone.jobs import claims
from hs2s_fiftyone.labels.prompts import read_prompts
from hs2s_fiftyone.operators.metrics import MetricF, MetricJ, MetricJF
from hs2s_fiftyone.propagation import propagate

from ..helpers import SIZE as VIDEO
from ..helpers import CopyNetwork, detection, lock, square, video_sample
from ..made import SIZE, IdMaps, add_video, detections, moving, write_folder


def _videos() -> dict[str, tuple[IdMaps, IdMaps]]:
    """Truth and predictions: shifted, lost from frame 10 on, and annotated in every second frame
    with an object that enters late and one that is predicted although it left."""
    start = {1: (4, 2), 2: (26, 10)}
    lost = moving(30, start)
    for id_map in lost[10:]:
        id_map[id_map == 2] = 0
    sparse = moving(12, start)
    for index, id_map in enumerate(sparse):
        if index < 4:
            id_map[id_map == 2] = 0
        if index > 8:
            id_map[id_map == 1] = 0
    return {
        "shifted": (moving(6, start), moving(6, start, shift=2)),
        "lost": (moving(30, start), lost),
        "sparse": (
            [id_map if index % 2 == 0 else None for index, id_map in enumerate(sparse)],
            moving(12, start, shift=1),
        ),
    }


@pytest.fixture
def videos(dataset: fo.Dataset) -> dict[str, tuple[IdMaps, IdMaps]]:
    made = _videos()
    for name, (truth, predicted) in made.items():
        add_video(dataset, name, truth, predicted)
    return made


@pytest.mark.parametrize("protocol", ["davis2016", "davis2017", "youtube_vos", "all_frames"])
def test_numbers_are_those_of_the_folders(
    dataset: fo.Dataset,
    videos: dict[str, tuple[IdMaps, IdMaps]],
    tmp_path: Path,
    protocol: str,
) -> None:
    truth = {name: maps for name, (maps, _) in videos.items()}
    predicted = {name: maps for name, (_, maps) in videos.items()}
    expected = evaluate_folders(
        write_folder(tmp_path / "predicted", predicted, truth),
        write_folder(tmp_path / "truth", truth, truth),
        protocol,
    )
    results = evaluate(dataset, "frames.pred", "truth", "scores", protocol, progress=False)

    wanted = {(r.video, r.object, r.since_prompt): r for r in expected.rows}
    assert len(results.table.rows) == len(wanted)
    for row in results.table.rows:
        other = wanted[row.video, row.object, row.since_prompt]
        same = {"category", "frame", "frame_name"}
        assert {k: v for k, v in row._asdict().items() if k not in same} == {
            k: v for k, v in other._asdict().items() if k not in same
        }
    overall = expected.summary().overall
    assert overall is not None
    assert results.summary.overall == overall
    assert results.metrics()["jf"] == overall.jf


def test_table_survives_the_database(dataset: fo.Dataset, videos: object) -> None:
    made = evaluate(dataset, "pred", "truth", "scores", progress=False)
    dataset.clear_cache()
    read = load_table(dataset, "scores")
    assert read == made.table
    loaded = load_results(dataset, "scores")
    assert loaded is not made
    assert loaded.sample_ids == {
        Path(path).stem: key for key, path in zip(*dataset.values(["id", "filepath"]), strict=True)
    }
    j, f = loaded.rows.j, loaded.rows.f
    assert j.tolist() == [row.j for row in read.rows]
    assert f.tolist() == [row.f for row in read.rows]
    assert made.rows.records.tobytes() == loaded.rows.records.tobytes()


def test_scores_are_stored_at_every_level(
    dataset: fo.Dataset, videos: dict[str, tuple[IdMaps, IdMaps]]
) -> None:
    results = evaluate(dataset, "pred", "truth", "scores", progress=False)
    rows = {(row.video, row.frame, row.object): row for row in results.table.rows}
    for sample in dataset:
        name = Path(sample.filepath).stem
        video = results.summary.videos[name]
        assert sample["scores_jf"] == pytest.approx(video.jf)
        assert (sample["scores_j"], sample["scores_f"]) == (video.j.mean, video.f.mean)
        annotated = sum(entry is not None for entry in videos[name][0])
        assert sample["scores_num_frames"] == annotated
        for number, frame in sample.frames.items():
            counted = [
                row
                for (v, f, _), row in rows.items()
                if (v, f) == (name, number - 1) and row.counted
            ]
            expected = np.mean([row.j for row in counted]) if counted else None
            assert frame["scores_j"] == (None if expected is None else pytest.approx(expected))
            for label in frame.pred.detections if frame.truth is not None else ():
                row = rows[name, number - 1, label.index]
                assert (label["scores_j"], label["scores_f"]) == (row.j, row.f)
                assert label["scores_jf"] == (row.j + row.f) / 2
                hit = "tp" if row.in_truth and row.j >= 0.5 else "fp"
                assert getattr(label, "scores", None) == (hit if row.counted else None)
    lost = dataset.match(fo.ViewField("filepath").ends_with("lost.mp4")).first()
    assert lost["scores_first_failure"] == 11
    assert lost["scores_drop"] == pytest.approx(lost["scores_early"] - lost["scores_late"])
    assert lost["scores_early"] == pytest.approx(1.0)
    assert lost["scores_late"] == pytest.approx(0.5)
    assert lost["scores_length_bin"] == "21-40"


def _everything(dataset: fo.Dataset, field: str = "pred") -> tuple[list[str], list[str], list[str]]:
    """All fields of a dataset, and all that its documents hold, as far as names go."""
    stored: set[str] = set()
    for collection in (dataset._sample_collection, dataset._frame_collection):
        for document in collection.find():
            stored |= document.keys()
            for label in (document.get(field) or {}).get("detections", []):
                stored |= {f"label.{key}" for key in label}
    schema = [*dataset.get_field_schema(flat=True), *dataset.get_frame_field_schema(flat=True)]
    groups = [group.name for group in dataset.app_config.sidebar_groups or []]
    return schema, sorted(stored), groups


def test_the_session_that_evaluated_can_go_on_working(
    dataset: fo.Dataset, make_video: Callable[..., str], network: CopyNetwork
) -> None:
    """Only some frames have documents, and no new one has a score: each of these saves some."""
    for name in ("a.mp4", "b.mp4"):
        labels = {
            n: detections(entry) for n, entry in enumerate(moving(2, {1: (4, 2)}, size=VIDEO), 1)
        }
        sample = video_sample(make_video(name, frames=4), labels, "truth")
        for frame in sample.frames.values():
            frame["pred"] = frame.truth.copy()
        dataset.add_sample(sample)
    evaluate(dataset, "pred", "truth", "scores", "all_frames", progress=False)

    summary = propagate(dataset, "truth", "found", model=network, progress=False)
    assert (len(summary.done), summary.failed) == (2, [])
    sample = dataset.first()
    sample.frames[9] = fo.Frame(truth=labels[1].copy())
    sample.frames[1].pred.detections.append(
        detections(moving(1, {7: (20, 20)}, size=VIDEO)[0]).detections[0]
    )
    sample.save()
    dataset.add_sample(video_sample(make_video("c.mp4"), {3: labels[1].copy()}))
    stored = fo.load_dataset(dataset.name).last().frames[3]
    assert stored.truth.detections[0].index == 1
    assert stored.scores_jf is None


def test_runs_are_renamed_and_deleted_without_a_trace(dataset: fo.Dataset, videos: object) -> None:
    before = _everything(dataset)
    truth = list(dataset._frame_collection.find({}, {"truth": 1}))
    results = evaluate(dataset, "pred", "truth", "scores", progress=False)
    assert dataset.list_evaluations() == ["scores"]
    assert dataset.get_evaluation_info("scores").config.pred_field == "frames.pred"
    # The truth is as it was, to the byte.
    assert list(dataset._frame_collection.find({}, {"truth": 1})) == truth

    dataset.rename_evaluation("scores", "renamed")
    dataset.clear_cache()
    assert dataset.list_evaluations() == ["renamed"]
    assert load_table(dataset, "renamed") == results.table
    schema, stored, _ = _everything(dataset)
    assert not any("scores" in name for name in [*schema, *stored])
    assert {"renamed_jf", "label.renamed_j", "label.renamed"} <= set(stored)

    dataset.delete_evaluation("renamed")
    after = _everything(dataset)
    assert after[:2] == before[:2]
    assert "renamed" not in after[2]
    assert dataset.list_evaluations() == []


def test_runs_follow_a_field_that_is_renamed(dataset: fo.Dataset, videos: object) -> None:
    """Done again under their key, renamed, and deleted without a trace."""
    evaluate(dataset, "pred", "truth", "scores", progress=False)
    dataset.rename_frame_field("pred", "masks")
    evaluate(dataset, "masks", "truth", "scores", progress=False)
    dataset.rename_frame_field("masks", "best")
    dataset.rename_evaluation("scores", "renamed")
    schema, stored, _ = _everything(dataset, "best")
    assert not any("scores" in name for name in [*schema, *stored])
    assert {"renamed_jf", "label.renamed_j", "label.renamed"} <= set(stored)
    dataset.delete_evaluation("renamed")
    schema, stored, _ = _everything(dataset, "best")
    assert not any("renamed" in name for name in [*schema, *stored])


def test_a_bad_video_is_reported_and_the_others_finish(dataset: fo.Dataset) -> None:
    good = moving(6, {1: (4, 2)})
    add_video(dataset, "good", good, good)
    wrong = add_video(dataset, "no place", good, good)
    wrong.frames[3].pred.detections[0].bounding_box = []
    wrong.save()
    add_video(dataset, "unannotated", good, good)
    add_video(dataset, "nothing predicted", good, [None] * 6)
    boxes = add_video(dataset, "boxes", good, good)
    boxes.frames[2].pred.detections[0].mask = None
    boxes.save()
    nameless = add_video(dataset, "nameless", good, good)
    nameless.frames[2].truth.detections[0].index = None
    nameless.save()
    view = dataset.match(fo.ViewField("filepath") == "/videos/unannotated.mp4")
    view.set_values("frames.truth", [[None] * 6])

    results = evaluate(dataset, "pred", "truth", "scores", progress=False)
    assert list(results.summary.videos) == ["good"]
    reasons = dict(results.failures)
    assert "frame 3" in reasons["no place"]
    assert "bounding box" in reasons["no place"]
    assert "truth" in reasons["unannotated"]
    assert "run the model" in reasons["nothing predicted"]
    assert "frame 2" in reasons["boxes"]
    assert "neither `index` nor `instance`" in reasons["nameless"]
    notes = {
        Path(path).stem: note
        for path, note in zip(*dataset.values(["filepath", "scores_note"]), strict=True)
    }
    assert notes.pop("good") is None
    assert all(notes[name] == f"not evaluated: {reason}" for name, reason in reasons.items())
    assert set(dataset.values("scores_jf")) == {1.0, None}
    loaded = load_results(dataset, "scores")
    assert loaded.failures == results.failures


def test_no_run_is_left_where_nothing_could_be_evaluated(dataset: fo.Dataset) -> None:
    good = moving(3, {1: (4, 2)})
    add_video(dataset, "empty", good, good)
    dataset.set_values("frames.truth", [[None] * 3])
    before = _everything(dataset)
    with pytest.raises(HS2SError, match=r"(?s)not one video.*empty: no frame has labels"):
        evaluate(dataset, "pred", "truth", "scores", progress=False)
    assert dataset.list_evaluations() == []
    assert _everything(dataset)[:2] == before[:2]


def test_a_killed_run_can_be_repeated(
    dataset: fo.Dataset, videos: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = evaluate(dataset, "pred", "truth", "expected", progress=False)
    settings = EvaluateSettings("pred", "truth", "scores")
    steps = evaluate_steps(dataset, settings)
    next(step for step in steps if step.videos == 1)  # one video is written
    stored = dataset.exists("scores_jf")
    assert len(stored) == 1
    assert dataset.list_evaluations() == ["expected", "scores"]
    assert list_evaluations(dataset) == ["expected"]
    with pytest.raises(HS2SError, match="stopped before it was finished"):
        load_table(dataset, "scores")
    with pytest.raises(HS2SError, match="another run is at the evaluation 'scores'"):
        evaluate(dataset, "pred", "truth", "scores", progress=False)
    monkeypatch.setattr(claims, "_held", set())  # as if its process had ended
    again = evaluate(dataset, "pred", "truth", "scores", progress=False)
    assert again.table == expected.table
    assert dataset.count_values("scores_jf") == dataset.count_values("expected_jf")
    steps.close()


def test_closing_a_run_leaves_nothing(dataset: fo.Dataset, videos: object) -> None:
    before = _everything(dataset)
    steps = evaluate_steps(dataset, EvaluateSettings("pred", "truth", "scores"))
    next(step for step in steps if step.videos == 1)
    steps.close()
    assert dataset.list_evaluations() == []
    assert _everything(dataset)[:2] == before[:2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prediction_field": "nowhere"}, "prediction_field: 'nowhere' is not a frame field"),
        ({"prediction_field": "truth"}, "another field than the truth"),
        ({"prediction_field": "locked"}, "'locked' is read-only; choose another, or unlock it"),
        ({"eval_key": "two words"}, "eval_key: 'two words' is no key"),
        ({"eval_key": "taken"}, "fields of that name exist"),
        ({"eval_key": "theirs"}, "of another kind"),
        ({"match": "luck"}, "match: 'luck' is none of"),
        ({"protocol": "mine"}, "protocol is 'mine'"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_written(
    dataset: fo.Dataset, change: dict[str, str], message: str
) -> None:
    maps = moving(3, {1: (4, 2)})
    add_video(dataset, "video", maps, maps)
    dataset.add_sample_field("taken_jf", fo.FloatField)
    dataset.clone_frame_field("pred", "locked")
    lock(dataset, "locked")
    dataset.evaluate_detections("frames.pred", gt_field="frames.truth", eval_key="theirs")
    before = _everything(dataset)
    arguments = {"prediction_field": "pred", "truth_field": "truth", "eval_key": "scores", **change}
    with pytest.raises(HS2SError, match=message):
        evaluate(dataset, **arguments, progress=False)
    assert _everything(dataset) == before


@pytest.mark.parametrize(
    ("key", "named"),
    [
        ("label", "frames.pred.detections.label"),  # the class that was predicted
        ("instance", "frames.pred.detections.instance"),  # set or not
        ("to_dict", "frames.pred.detections.to_dict"),
        ("quality", "frames.pred.detections.quality"),  # in the labels, but not in the schema
        ("sure", "frames.pred.detections.sure_jf"),  # in the schema
        ("once", "frames.once_j"),
    ],
)
def test_a_key_must_not_overwrite_anything(dataset: fo.Dataset, key: str, named: str) -> None:
    maps = moving(3, {1: (4, 2)})
    sample = add_video(dataset, "video", maps, maps)
    sample.frames[2].pred.detections[0]["quality"] = "good"
    sample.frames[2]["once_j"] = "then"
    sample.save()
    dataset.add_frame_field("pred.detections.sure_jf", fo.StringField)
    before = list(dataset._frame_collection.find())
    with pytest.raises(HS2SError, match=rf"eval_key: fields of that name exist \({named}"):
        evaluate(dataset, "pred", "truth", key, progress=False)
    assert list(dataset._frame_collection.find()) == before
    # Nor may a run get that name later, or delete what it did not write.
    evaluate(dataset, "pred", "truth", "scores", progress=False)
    dataset.rename_evaluation("scores", key)
    assert dataset.values("frames.scores_jf") == [[None, 1.0, None]]
    dataset.rename_evaluation(key, "scores")
    dataset.rename_evaluation("scores", key)
    dataset.delete_evaluation(key)
    kept = list(dataset._frame_collection.find({}, {"pred.detections": 1, "once_j": 1}))
    for now, was in zip(kept, before, strict=True):
        assert now.get("once_j") == was.get("once_j")
        assert was["pred"]["detections"][0].items() <= now["pred"]["detections"][0].items()


def test_a_repeated_run_spares_what_another_field_has(dataset: fo.Dataset) -> None:
    maps = moving(3, {1: (4, 2)})
    sample = add_video(dataset, "video", maps, maps)
    for frame in sample.frames.values():
        frame["other"] = frame.pred.copy()
        frame.other.detections[0]["scores"] = "mine"
    sample.save()
    evaluate(dataset, "pred", "truth", "scores", progress=False)
    with pytest.raises(HS2SError, match=r"exist \(frames.other.detections.scores\)"):
        evaluate(dataset, "other", "truth", "scores", progress=False)
    assert dataset.values("frames.other.detections.scores", unwind=True) == ["mine"] * 3
    evaluate(dataset, "pred", "truth", "scores", progress=False)


def test_views_limit_what_is_evaluated(dataset: fo.Dataset) -> None:
    start = {1: (4, 2), 2: (26, 10)}
    truth, predicted = moving(8, start), moving(8, start)
    for id_map in predicted[4:]:
        id_map[id_map == 2] = 0
    add_video(dataset, "video", truth, predicted)
    add_video(dataset, "other", truth, truth)
    F = fo.ViewField
    one = dataset.match(F("filepath") == "/videos/video.mp4")
    whole = evaluate(one, "pred", "truth", "whole", "all_frames", progress=False)
    assert whole.summary.overall.j.mean == pytest.approx(0.75)
    assert dataset.exists("whole_jf").values("filepath") == ["/videos/video.mp4"]
    assert len(dataset.load_evaluation_view("whole")) == 1

    labels = one.filter_labels("frames.truth", F("index") == 1)
    first = evaluate(labels, "pred", "truth", "first", "all_frames", progress=False)
    assert first.summary.overall.j.mean == 1.0
    early = one.match_frames(F("frame_number") <= 4)
    half = evaluate(early, "pred", "truth", "half", "all_frames", progress=False)
    assert half.summary.overall.j.mean == 1.0
    assert len(half.table.rows) == 8


def test_objects_numbered_anew_are_matched_by_overlap(dataset: fo.Dataset) -> None:
    start = {1: (4, 2), 2: (26, 10)}
    truth = moving(8, start)
    add_video(dataset, "video", truth, truth)
    sample = dataset.first()
    for frame in sample.frames.values():
        for label in frame.pred.detections:
            label.index = 2 - label.index  # object 2 becomes 0, as the first of SAM 2's is
    sample.save()
    by_index = evaluate(dataset, "pred", "truth", "by_index", "all_frames", progress=False)
    by_overlap = evaluate(
        dataset, "pred", "truth", "by_overlap", "all_frames", match="overlap", progress=False
    )
    assert by_index.summary.overall.jf < 1
    assert "numbered differently" in by_index.notes[0]
    assert by_overlap.summary.overall.jf == 1.0
    assert by_overlap.notes == []


def test_instances_tell_objects_where_there_is_no_index(dataset: fo.Dataset) -> None:
    truth = moving(6, {1: (4, 2), 2: (26, 10)})
    sample = add_video(dataset, "video", truth, truth)
    instances = {1: fo.Instance(), 2: fo.Instance()}
    for frame in sample.frames.values():
        for field in ("truth", "pred"):
            for label in frame[field].detections:
                label.instance = instances[label.index]
                if field == "truth":
                    label.index = None
    sample.save()
    results = evaluate(dataset, "pred", "truth", "scores", "all_frames", progress=False)
    assert results.summary.overall.jf == 1.0
    assert [score.object for score in results.summary.objects] == [1, 2]


def test_overlapping_predictions_go_to_the_more_confident(dataset: fo.Dataset) -> None:
    truth = moving(4, {1: (4, 2), 2: (26, 10)})
    sample = add_video(dataset, "video", truth, truth)
    everything = np.ones(SIZE, bool)
    for frame in sample.frames.values():
        for label in frame.pred.detections:
            label.confidence = 0.9
        frame.pred.detections.append(
            fo.Detection.from_mask(everything, label="class 1", index=1, confidence=0.2)
        )
    sample.save()
    results = evaluate(dataset, "pred", "truth", "scores", "all_frames", progress=False)
    assert results.summary.objects[1].j.mean == 1.0
    assert results.summary.objects[0].j.mean < 0.2
    assert "overlap in 4 frames" in results.notes[0]


def test_segmentations_and_polylines_can_be_evaluated(dataset: fo.Dataset) -> None:
    truth = moving(4, {1: (4, 2), 2: (26, 10)})
    sample = add_video(dataset, "video", truth, truth)
    height, width = SIZE
    for frame, id_map in zip(sample.frames.values(), truth, strict=True):
        frame["segmented"] = fo.Segmentation(mask=id_map)
        lines = []
        for object_id in (1, 2):
            rows, columns = np.nonzero(id_map == object_id)
            top, bottom = rows.min() / height, rows.max() / height
            left, right = columns.min() / width, columns.max() / width
            corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
            lines.append(fo.Polyline(points=[corners], index=object_id, filled=True, closed=True))
        frame["lines"] = fo.Polylines(polylines=lines)
    sample.save()
    for field in ("segmented", "lines"):
        results = evaluate(dataset, field, "truth", f"of_{field}", "all_frames", progress=False)
        assert results.summary.overall.jf == 1.0
    assert dataset.first().frames[2].lines.polylines[1]["of_lines_jf"] == 1.0
    results = evaluate(dataset, "pred", "segmented", "from_segmented", progress=False)
    assert results.summary.overall.jf == 1.0
    dataset.rename_evaluation("of_segmented", "renamed")
    dataset.delete_evaluations()
    assert not [name for name in dataset.get_field_schema() if name.endswith("_jf")]


def test_an_object_of_a_segmentation_may_enter_late(dataset: fo.Dataset) -> None:
    truth = moving(4, {1: (4, 2), 2: (26, 10)})
    for id_map in truth[:2]:
        id_map[id_map == 2] = 0
    sample = add_video(dataset, "video", truth, truth)
    for frame, id_map in zip(sample.frames.values(), truth, strict=True):
        frame["segmented"] = fo.Segmentation(mask=id_map)
    sample.save()
    results = evaluate(dataset, "pred", "segmented", "scores", "all_frames", progress=False)
    assert [(each.object, each.j.mean) for each in results.summary.objects] == [(1, 1), (2, 1)]
    assert results.notes == []


def test_seen_and_unseen_categories(dataset: fo.Dataset) -> None:
    start = {1: (4, 2), 2: (26, 10)}
    add_video(dataset, "video", moving(6, start), moving(6, start, shift=1))
    results = evaluate(
        dataset,
        "pred",
        "truth",
        "scores",
        "youtube_vos",
        seen_categories=["class 1"],
        progress=False,
    )
    assert set(results.summary.groups) == {"seen", "unseen"}
    assert [score.category for score in results.summary.objects] == ["class 1", "class 2"]
    one = {"seen_categories": "class 1", "progress": False}
    alone = evaluate(dataset, "pred", "truth", "alone", "youtube_vos", **one)
    assert set(alone.summary.groups) == {"seen", "unseen"}, "a text is no list of letters"
    dataset.info["vos"] = {"seen_categories": ["class 1", "class 2"]}
    again = evaluate(dataset, "pred", "truth", "scores", "youtube_vos", progress=False)
    assert set(again.summary.groups) == {"seen"}


def test_metadata_that_is_none_is_refused(dataset: fo.Dataset) -> None:
    maps = moving(4, {1: (4, 2)})
    add_video(dataset, "video", maps, maps)
    with pytest.raises(HS2SError, match=r"meta is 3 \(int\); expected a text or a path"):
        evaluate(dataset, "pred", "truth", "scores", meta=3, progress=False)


def test_partly_known_categories_are_refused_before_the_run(
    dataset: fo.Dataset, tmp_path: Path
) -> None:
    maps = moving(4, {1: (4, 2), 2: (26, 10)})
    add_video(dataset, "video", maps, maps)
    meta = tmp_path / "meta.json"
    objects = {"1": {"category": "dog", "seen": True}, "2": {"category": "cat"}}
    meta.write_text(json.dumps({"videos": {"video": {"objects": objects}}}))
    with pytest.raises(HS2SError, match=r"1 object .*\(video/2\)"):
        evaluate(dataset, "pred", "truth", "scores", "youtube_vos", meta=meta, progress=False)
    assert dataset.list_evaluations() == []
    results = evaluate(dataset, "pred", "truth", "scores", "davis2017", meta=meta, progress=False)
    assert results.summary.overall.jf == 1.0


def test_odd_sizes_are_measured_as_the_frames_are(dataset: fo.Dataset, tmp_path: Path) -> None:
    """The MP4 of an odd-sized clip has a row and a column more than its frames and annotations."""
    size = (47, 63)
    start = {1: (33, 49)}  # touches the lower right corner
    truth, predicted = moving(3, start, step=0, size=size), moving(3, start, step=-2, size=size)
    folders = [
        write_folder(tmp_path / name, {"video": maps}, {"video": truth})
        for name, maps in (("predicted", predicted), ("truth", truth))
    ]
    expected = evaluate_folders(*folders, "all_frames").summary().overall
    padded = [[np.pad(m, ((0, 1), (0, 1))) for m in maps] for maps in (truth, predicted)]
    sample = add_video(dataset, "video", *padded)
    for index, frame in enumerate(sample.frames.values()):
        frame["filepath"] = str(tmp_path / "truth" / "video" / f"{index:05d}.png")
    sample.save()
    results = evaluate(dataset, "pred", "truth", "scores", "all_frames", progress=False)
    assert results.summary.overall == expected


def test_the_panel_and_subsets_get_the_numbers(
    dataset: fo.Dataset, videos: dict[str, tuple[IdMaps, IdMaps]]
) -> None:
    results = evaluate(dataset, "pred", "truth", "scores", progress=False)
    shown = {entry["label"]: entry["value"] for entry in results.custom_metrics.values()}
    assert shown == {
        "J&F": results.summary.overall.jf,
        "J": results.summary.overall.j.mean,
        "F": results.summary.overall.f.mean,
    }
    assert set(results.report()) >= {"class 1", "class 2"}
    F = fo.ViewField
    with results.use_subset({"type": "field", "expr": F("scores_num_frames") == 30}):
        metrics = results.metrics()
        assert metrics["jf"] == pytest.approx(results.summary.videos["lost"].jf)
        assert metrics["recall"] < 1
    with results.use_subset({"type": "attribute", "expr": F("index") == 1}):
        only = [score.jf for score in results.summary.objects if score.object == 1]
        assert results.metrics()["jf"] == pytest.approx(np.mean(only))
    assert results.metrics()["jf"] == results.summary.overall.jf


def test_metric_operators_serve_fiftyones_own_evaluation(
    dataset: fo.Dataset, videos: object
) -> None:
    ours = evaluate(dataset, "pred", "truth", "scores", progress=False)
    theirs = dataset.evaluate_detections(
        "frames.pred", gt_field="frames.truth", eval_key="coco", use_masks=True, progress=False
    )
    for metric, key in ((MetricJF, "jf"), (MetricJ, "j"), (MetricF, "f")):
        operator = metric()
        assert operator.compute(dataset, theirs) == ours.metrics()[key]
        assert operator.config.kwargs["lower_is_better"] is False
    assert MetricJ().compute(dataset, theirs, protocol="all_frames") != ours.metrics()["j"]


def test_an_alias_gives_the_same_modules() -> None:
    add_alias("hs2s_by_another_name", "hs2s_fiftyone")
    other = importlib.import_module("hs2s_by_another_name.evaluation.backend")
    assert other is backend
    assert other.__spec__.name == "hs2s_fiftyone.evaluation.backend"
    config = backend.VOSEvaluationConfig("frames.pred", "frames.truth")
    assert config.cls == "hs2s_fiftyone.evaluation.backend.VOSEvaluationConfig"
    assert config.run_cls is backend.VOSEvaluation


def test_a_run_opens_without_the_plugin(dataset: fo.Dataset, videos: object) -> None:
    """FiftyOne falls back to its own classes, which find what they need."""
    results = evaluate(dataset, "pred", "truth", "scores", progress=False)
    stored = json.loads(json.dumps(results.serialize()))
    config = DetectionEvaluationConfig.from_dict({**results.config.serialize(), "cls": "no.Such"})
    assert type(config) is DetectionEvaluationConfig
    plain = DetectionResults._from_dict(stored, dataset, config, "scores")
    assert plain.metrics()["jf"] == results.summary.overall.jf


def test_results_of_an_earlier_run_are_not_taken_for_new_ones(
    dataset: fo.Dataset, videos: object
) -> None:
    made = evaluate(dataset, "pred", "truth", "scores", progress=False)
    assert load_results(dataset, "scores") is made
    made.run_id = ObjectId()  # as if another process had run it again
    assert load_results(dataset, "scores") is not made
    assert load_results(dataset, "scores").table == made.table


def test_results_print_as_a_report(dataset: fo.Dataset, videos: object) -> None:
    results = evaluate(dataset, "pred", "truth", "scores", progress=False)
    assert str(results).startswith("Protocol davis2017: ")
    assert "overall" in str(results)
    assert repr(results) == str(results)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = results.nothing


@pytest.mark.parametrize("kind", [fo.Detection, fo.Polyline])
def test_the_only_label_of_each_frame_is_one_object(dataset: fo.Dataset, kind: type) -> None:
    """Fields of single labels need no index: the truth here, against Detections of index 1."""
    label = detection(square(8, 8), label="cat")
    given = label if kind is fo.Detection else label.to_polyline(filled=True)
    sample = video_sample("/videos/a.mp4", {n: given.copy() for n in (1, 2, 3)})
    sample.metadata = fo.VideoMetadata(
        total_frame_count=3, frame_width=VIDEO[1], frame_height=VIDEO[0]
    )
    for number in (1, 2, 3):
        found = detection(square(8, 8), label="cat", index=1)
        sample.frames[number]["pred"] = fo.Detections(detections=[found])
    dataset.add_sample(sample)
    results = evaluate(dataset, "pred", "truth", "scores", "all_frames")
    assert list(results.rows.objects) == [("a", 1)]
    assert results.summary.overall.j.mean > 0.85
    assert results.failures == results.notes == []
    prompts = read_prompts(dataset.first(), "truth", VIDEO)
    assert [list(given) for given in prompts.masks.values()] == [[1], [1], [1]]
