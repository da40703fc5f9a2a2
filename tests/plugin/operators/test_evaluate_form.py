"""The operators around evaluation, review and export, resolved and run as the App does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import pytest

from hs2s_core.errors import HS2SError
from hs2s_core.evaluation import PROTOCOLS, Protocol
from hs2s_fiftyone.evaluation import VOSEvaluationResults, list_evaluations, load_results
from hs2s_fiftyone.operators import (
    OPERATORS,
    EvaluateVos,
    ExportVos,
    ReadVosPredictions,
    ReviewViews,
)

from ..forms import context, form, wrong
from ..made import add_video, moving

START = {1: (4, 2), 2: (26, 10)}


@pytest.fixture
def videos(dataset: fo.Dataset) -> fo.Dataset:
    maps = moving(8, START)
    lost = [entry.copy() for entry in maps]
    for entry in lost[3:]:
        entry[entry == 2] = 0
    add_video(dataset, "fine", maps, maps)
    add_video(dataset, "lost", maps, lost)
    return dataset


def run_in_app(operator: type[foo.Operator], ctx: foo.ExecutionContext) -> list[Any]:
    """What an operator asks the App to do, in order."""
    return [message.body for message in operator().execute(ctx)]


def params_of(request: Any) -> dict[str, Any]:
    params: dict[str, Any] = request.params or {}
    return params


def test_the_form_proposes_sensible_fields(videos: fo.Dataset) -> None:
    shown = form(EvaluateVos, videos)
    assert wrong(shown) == {}
    assert shown["truth_field"].default == "truth"
    assert shown["prediction_field"].default == "pred"
    assert "empty: 'eval_pred'" in shown["eval_key"].view.description
    assert shown["protocol_text"].view.label == PROTOCOLS["davis2017"].description
    assert shown["plan"].view.label == "2 videos to evaluate"
    other = form(EvaluateVos, videos, protocol="youtube_vos")
    assert other["protocol_text"].view.label == PROTOCOLS["youtube_vos"].description


def test_other_predictions_are_another_evaluation(videos: fo.Dataset) -> None:
    """The App keeps a default that it has shown: the second would have replaced the first."""
    videos.clone_frame_field("pred", "other")
    run_in_app(EvaluateVos, context(videos, prediction_field="pred"))
    shown = form(EvaluateVos, videos, prediction_field="other")
    assert shown["eval_key"].default is None
    assert "empty: 'eval_other'" in shown["eval_key"].view.description
    run_in_app(EvaluateVos, context(videos, prediction_field="other", eval_key=""))
    assert sorted(videos.list_evaluations()) == ["eval_other", "eval_pred"]


def test_the_form_knows_loaded_and_propagated_fields(videos: fo.Dataset) -> None:
    for name in ("annotations", "hs2s"):
        videos.clone_frame_field("truth", name)
    videos.info["vos"] = {"label_field": "annotations"}
    videos.add_sample_field("hs2s_status", fo.StringField)
    shown = form(EvaluateVos, videos)
    assert shown["truth_field"].default == "annotations"
    assert shown["prediction_field"].default == "hs2s"


def test_the_form_shows_what_would_stop_a_run(videos: fo.Dataset) -> None:
    assert (
        "another field"
        in wrong(form(EvaluateVos, videos, prediction_field="truth"))["prediction_field"]
    )
    assert "no key" in wrong(form(EvaluateVos, videos, eval_key="a b"))["eval_key"]
    assert "protocol" in wrong(form(EvaluateVos, videos, protocol="mine"))["unusable"]
    EvaluateVos()(videos, "pred", "truth", "scores", progress=False)
    shown = form(EvaluateVos, videos, eval_key="scores")
    assert "replace" in list(shown)[:4], "in sight"
    assert "'frames.pred'" in shown["replace"].view.description
    videos.delete_frame_field("pred")
    assert "found truth" in wrong(form(EvaluateVos, videos))["no_field"]


def test_the_form_names_videos_that_cannot_be_evaluated(videos: fo.Dataset) -> None:
    one = videos.match(fo.ViewField("filepath").ends_with("lost.mp4"))
    one.set_values("frames.pred", [[None] * 8])
    shown = form(EvaluateVos, videos)
    assert wrong(shown) == {}
    assert "lost: no frame has labels in the prediction field" in shown["problems"].view.description
    assert shown["plan"].view.label == "1 video to evaluate"
    assert "1 video cannot be evaluated" in wrong(form(EvaluateVos, one))["problems"]


def test_no_video_no_form() -> None:
    dataset = fo.Dataset()
    dataset.add_sample(fo.Sample(filepath="/images/1.jpg"))
    try:
        for operator in (EvaluateVos, ExportVos, ReadVosPredictions):
            assert "no video" in wrong(form(operator, dataset))["no_video"]
    finally:
        dataset.delete()


def test_the_app_gets_progress_and_numbers(videos: fo.Dataset) -> None:
    messages = run_in_app(EvaluateVos, context(videos, eval_key="scores"))
    names = [message.operator_uri for message in messages]
    assert names[:2] == ["set_progress", "set_progress"]
    assert names[-2:] == ["reload_dataset", "show_output"]
    shown = params_of(messages[-1])["results"]
    results = load_results(videos, "scores")
    assert shown["jf"] == f"{100 * results.summary.overall.jf:.1f}"
    assert shown["protocol"].startswith("davis2017: ")
    assert (shown["done"], shown["failed"]) == (2, 0)


def test_the_app_is_told_about_failures(videos: fo.Dataset) -> None:
    one = videos.match(fo.ViewField("filepath").ends_with("lost.mp4"))
    one.set_values("frames.pred", [[None] * 8])
    messages = run_in_app(EvaluateVos, context(videos, eval_key="scores"))
    warnings = [params_of(m) for m in messages if m.operator_uri == "notify"]
    assert warnings[0]["message"] == "1 video not evaluated; see the field 'scores_note'"
    messages = run_in_app(EvaluateVos, context(one, eval_key="alone"))
    assert params_of(messages[-1])["variant"] == "error"
    assert "not one video" in params_of(messages[-1])["message"]


def test_delegated_runs_return_the_numbers(videos: fo.Dataset) -> None:
    ctx = context(videos, eval_key="scores", protocol="all_frames")
    ctx.request_params["delegated"] = True
    shown = EvaluateVos().execute(ctx)
    assert shown["protocol"].startswith("all_frames: ")
    assert list_evaluations(videos) == ["scores"]


def test_calls_from_scripts(videos: fo.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    results = EvaluateVos()(videos, "frames.pred", "frames.truth", "scores", progress=False)
    assert isinstance(results, VOSEvaluationResults)
    asked: dict[str, Any] = {}
    monkeypatch.setattr(foo, "execute_operator", lambda uri, ctx, **rest: asked.update(rest))
    EvaluateVos()(videos, "frames.pred", "truth", "scores", "youtube_vos", delegate=True)
    assert asked["request_delegation"] is True
    assert asked["params"]["prediction_field"] == "pred"
    assert asked["params"]["protocol"] == "youtube_vos"
    with pytest.raises(HS2SError, match="cannot be handed to another process"):
        EvaluateVos()(videos, "pred", "truth", "scores", Protocol("mine"), delegate=True)


def test_review_before_and_after_an_evaluation(videos: fo.Dataset) -> None:
    assert "Evaluate masks" in wrong(form(ReviewViews, videos))["none"]
    EvaluateVos()(videos, "pred", "truth", "scores", progress=False)
    shown = form(ReviewViews, videos)
    assert wrong(shown) == {}
    assert "unseen" not in shown["show"].type.values
    ctx = context(videos, eval_key="scores", show="lost")
    said = ReviewViews().execute(ctx)
    assert "scores: lost objects: 1" in said["views"]
    sent = [request.operator_uri for request in ctx.executor._requests]
    assert sent == ["set_view"]
    assert ReviewViews()(videos, "scores", ["worst"]) == {"scores: worst sequences": 2}


def test_export_and_reading_back(videos: fo.Dataset, tmp_path: Path) -> None:
    assert wrong(form(ExportVos, videos)) == {}
    folder = tmp_path / "out"
    messages = run_in_app(ExportVos, context(videos, field="pred", out_dir=str(folder)))
    shown = params_of(messages[-1])["results"]
    assert (shown["done"], shown["speed"].split()[0]) == (2, "16")
    assert Path(shown["zip_file"]).is_file()
    assert (
        "overwrite them"
        in wrong(form(ExportVos, videos, field="pred", out_dir=str(folder)))["out_dir"]
    )

    assert wrong(form(ReadVosPredictions, videos, folder=str(tmp_path / "no")))["folder"]
    found = form(ReadVosPredictions, videos, folder=str(folder))
    assert found["found"].view.label == "2 videos in this folder"
    ctx = context(videos, folder=str(folder), field="back", truth_field="truth")
    ctx.request_params["active_fields"] = ["uniqueness"]
    *_, told, last = run_in_app(ReadVosPredictions, ctx)
    assert told.params == {"fields": ["uniqueness", "frames.back"]}
    shown = params_of(last)["results"]
    assert (shown["done"], shown["speed"].split()[0]) == (2, "16")
    assert videos.count("frames.back.detections") == videos.count("frames.pred.detections")
    again = run_in_app(ReadVosPredictions, ctx)
    assert "holds labels already" in params_of(again[-1])["message"]


def test_the_export_proposes_a_result(videos: fo.Dataset) -> None:
    assert form(ExportVos, videos)["field"].default == "pred"
    videos.clone_frame_field("pred", "result")
    videos.add_sample_field("result_status", fo.StringField)
    assert form(ExportVos, videos)["field"].default == "result"


def test_videos_without_masks_are_named_and_asked_about(videos: fo.Dataset, tmp_path: Path) -> None:
    for frame in videos.first().frames.values():
        frame.pred = None
        frame.save()
    name = Path(videos.first().filepath).stem
    given = {"field": "pred", "out_dir": str(tmp_path / "out")}
    shown = form(ExportVos, videos, **given)
    assert name in wrong(shown)["unlabelled"]
    order = list(shown)
    assert order.index("unlabelled") < order.index("field"), "seen without scrolling"
    assert wrong(form(ExportVos, videos, **given, empty=True)) == {}
    shown = params_of(run_in_app(ExportVos, context(videos, **given, empty=True))[-1])["results"]
    assert f"{name}: its masks are empty" in shown["notes"]
    told = wrong(form(ExportVos, videos, field="nowhere", out_dir=str(tmp_path / "new")))
    assert told.keys() == {"field"}


def test_every_operator_says_what_it_is() -> None:
    for operator in OPERATORS:
        config = operator().config
        assert config.label
        assert config.description
