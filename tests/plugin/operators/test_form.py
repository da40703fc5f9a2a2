"""The form of "Propagate masks", resolved as the App does, and its runs."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from functools import partial
from math import nan
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import pytest
from fiftyone import ViewField
from fiftyone.operators import types

from hs2s_core.errors import HS2SError
from hs2s_core.models import build_model
from hs2s_core.weights import save_weights
from hs2s_fiftyone.drawing import draws_on_videos, prepare_drawing
from hs2s_fiftyone.labels import prompts
from hs2s_fiftyone.labels.conversion import LabelField
from hs2s_fiftyone.operators import OPERATORS, propagate_masks
from hs2s_fiftyone.operators.base import BaseOperator
from hs2s_fiftyone.operators.evaluate_vos import EvaluateVos
from hs2s_fiftyone.operators.propagate_corrections import PropagateCorrections
from hs2s_fiftyone.operators.propagate_masks import PropagateMasks
from hs2s_fiftyone.propagation import PropagateSettings, Summary, plan

from ..forms import context, wrong
from ..forms import form as operator_form
from ..helpers import CopyNetwork, detection, square, tiny_network, video_sample

MakeVideo = Callable[..., str]


@pytest.fixture(autouse=True)
def _forget_verdicts() -> None:
    plan._verdicts.clear()


@pytest.fixture
def videos(dataset: fo.Dataset, make_video: MakeVideo) -> fo.Dataset:
    for name in ("a.mp4", "b.mp4"):
        labels = fo.Detections(detections=[detection(square(8, 8), index=1)])
        dataset.add_sample(video_sample(make_video(name, frames=3), {1: labels}))
    return dataset


form = partial(operator_form, PropagateMasks)


@pytest.fixture(autouse=True)
def _shipped_weights(weights: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The form is the same whatever weights ship."""
    monkeypatch.setattr("hs2s_core.weights.asset", lambda name: Path(weights))


def test_a_sound_dataset_gives_a_form_that_can_be_sent(videos: fo.Dataset) -> None:
    shown = form(videos)
    assert wrong(shown) == {}
    assert shown["prompt_field"].default == "truth"
    assert shown["output_field"].default == "hs2s"
    assert shown["model"].default == "hs2s-lite"
    assert shown["plan"].view.label == "2 videos to propagate"


def test_the_target_can_be_chosen(videos: fo.Dataset) -> None:
    chosen = videos.first().id
    shown = form(videos, selected=[chosen], view_target="SELECTED_SAMPLES")
    assert "SELECTED_SAMPLES" in shown["view_target"].type.values
    assert shown["plan"].view.label == "1 video to propagate"
    assert form(videos[:1])["plan"].view.label == "1 video to propagate"


def test_the_open_video_is_meant_else_what_is_selected(videos: fo.Dataset) -> None:
    """Nobody has to say so, nor to leave out those that wait to be drawn in."""
    first, last = videos.values("id")
    videos.select(last).clear_frame_field("truth")  # nobody has drawn in it yet
    assert list(wrong(form(videos))) == ["problems"]
    for place, given in enumerate(({"selected": [first]}, {"opened": first})):
        shown = form(videos, **given)
        assert wrong(shown) == {}
        assert shown["plan"].view.label == "1 video to propagate"
        assert shown["view_target"].default == ("SELECTED_SAMPLES", "OPEN_VIDEO")[place]
        assert not isinstance(shown["view_target"].view, types.HiddenView)
    both = form(videos, selected=[last], opened=first)
    assert both["view_target"].default == "OPEN_VIDEO"
    assert both["view_target"].type.values == ["DATASET", "SELECTED_SAMPLES", "OPEN_VIDEO"]
    assert "b.mp4" in wrong(form(videos, opened=first, view_target="DATASET"))["problems"]
    assert "b.mp4" in wrong(form(videos, opened=last))["problems"]


def test_an_open_video_counts_as_the_view_shows_it(videos: fo.Dataset) -> None:
    first, last = videos.values("id")
    hidden = videos.filter_labels("frames.truth", ViewField("label") == "none", only_matches=False)
    assert "the view's filters leave" in wrong(form(hidden, opened=first))["problems"]
    assert wrong(form(videos.select(last), opened=first)) == {}, "the App shows others, too"


def test_what_is_about_all_videos_takes_them_all(videos: fo.Dataset) -> None:
    """An evaluation, or a training, of the one video that is open is rarely meant."""
    for sample in videos:
        sample.frames[1]["found"] = sample.frames[1].truth.copy()
        sample.save()
    opened = videos.first().id
    shown = operator_form(EvaluateVos, videos, opened=opened)
    assert shown["plan"].view.label == "2 videos to evaluate"
    assert shown["view_target"].default == "DATASET"
    asked = {"opened": opened, "view_target": "OPEN_VIDEO"}
    shown = operator_form(EvaluateVos, videos, **asked)
    assert shown["plan"].view.label == "1 video to evaluate"


def test_the_prompts_of_the_last_run_are_proposed_where_the_videos_have_them(
    videos: fo.Dataset, weights: str
) -> None:
    """So that a run that was stopped goes on; a video in which only another field has masks waits
    for that."""
    first, last = videos.values("id")
    videos.clone_frame_field("truth", "drawn")
    videos.select(last).clear_frame_field("truth")
    assert form(videos)["prompt_field"].default == "drawn"
    PropagateMasks()(videos.select(first), "truth", "hs2s", model=CopyNetwork())
    assert form(videos)["prompt_field"].default == "truth"
    assert form(videos, opened=last)["prompt_field"].default == "drawn"


def test_prompt_fields_are_those_that_hold_masks_or_points(videos: fo.Dataset) -> None:
    sample = videos.first()
    sample.frames[1]["lines"] = fo.Polylines()
    sample.frames[1]["areas"] = fo.Segmentation()
    sample.frames[1]["points"] = fo.Keypoints()
    sample.frames[1]["score"] = 1.0
    sample.save()
    assert sorted(form(videos)["prompt_field"].type.values) == ["areas", "lines", "points", "truth"]


def test_no_videos(dataset: fo.Dataset) -> None:
    dataset.add_sample(fo.Sample(filepath="/nowhere/image.png"))
    assert "no video" in wrong(form(dataset))["no_video"]


def test_no_mask_fields(dataset: fo.Dataset, make_video: MakeVideo) -> None:
    dataset.add_sample(fo.Sample(filepath=make_video()))
    said = wrong(form(dataset))["no_field"]
    assert "no frame field can hold masks" in said
    assert "'Prepare for drawing'" in said, "the way of those who have none yet"


def test_problems_are_named_per_video(videos: fo.Dataset) -> None:
    Path(videos.last().filepath).unlink()
    shown = form(videos)
    assert list(wrong(shown)) == ["problems"]
    assert "b.mp4: " in shown["problems"].view.description
    assert "no such file" in shown["problems"].view.description
    assert "a.mp4" not in shown["problems"].view.description
    # In sight, above the inputs: they disable the button.
    assert list(shown)[:3] == ["help", "view_target", "skip_invalid"]
    assert list(shown).index("problems") < list(shown).index("prompt_field")
    # They can be left out, which lets the form be sent.
    shown = form(videos, skip_invalid=True)
    assert wrong(shown) == {}
    assert isinstance(shown["problems"].view, types.Warning)


def test_the_output_field_must_differ(videos: fo.Dataset) -> None:
    shown = form(videos, output_field="truth", prompt_field="truth")
    assert "must differ" in wrong(shown)["output_field"]


def test_nothing_to_do_says_so(videos: fo.Dataset, weights: str) -> None:
    PropagateMasks()(videos, "truth", "hs2s", model=CopyNetwork())
    shown = form(videos)
    assert "2 done already" in wrong(shown)["nothing"]
    assert f"Tick '{shown['overwrite'].view.label}'" in wrong(shown)["nothing"]
    assert f"'{PropagateCorrections.title}'" in wrong(shown)["nothing"], "with a mask painted since"
    assert wrong(form(videos, overwrite=True)) == {}


def test_weights_files_are_checked(videos: fo.Dataset, weights: str, tmp_path: Path) -> None:
    assert wrong(form(videos, model="file")) == {}  # nothing typed yet
    assert wrong(form(videos, model="file", weights=weights)) == {}
    missing = wrong(form(videos, model="file", weights=str(tmp_path / "gone.safetensors")))
    assert "no weights file" in missing["weights"]
    (tmp_path / "bad.safetensors").write_bytes(b"nonsense")
    bad = wrong(form(videos, model="file", weights=str(tmp_path / "bad.safetensors")))
    assert "not a complete safetensors file" in bad["weights"]


def test_missing_devices_are_refused_and_the_cpu_announced(
    videos: fo.Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    large = str(tmp_path / "large.safetensors")
    save_weights(build_model("hs2s/16"), Path(large), {"note": "random"})
    monkeypatch.setattr("hs2s_core.devices._available_devices", lambda: ["cpu"])
    assert "cpu" not in form(videos), "the small network is made for it"
    assert isinstance(form(videos, model="file", weights=large)["cpu"].view, types.Warning)
    assert "available here: cpu" in wrong(form(videos, device="cuda"))["device"]
    monkeypatch.setattr("hs2s_core.devices._available_devices", lambda: ["cuda:0", "cpu"])
    assert "cpu" not in form(videos, model="file", weights=large)


def test_the_speed_says_what_it_means_for_this_model_and_device(videos: fo.Dataset) -> None:
    shown = form(videos)["speed"]
    assert shown.type.values == ["auto", "exact", "fast"]
    assert re.match("auto is (exact|fast): ", shown.view.description)
    assert form(videos, model="file", weights="gone")["speed"].view.description == ""


def test_a_slow_check_leaves_the_rest_to_the_run(
    videos: fo.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(propagate_masks, "_CHECK_SECONDS", 0)
    assert "2 of them will be checked when the run starts" in form(videos)["plan"].view.label


def test_a_slow_video_leaves_time_for_the_others(
    videos: fo.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a Segmentation holds is only known by decoding it in every frame."""
    for sample in videos:
        for number in (1, 2, 3) if sample.filepath.endswith("a.mp4") else (1,):
            sample.frames[number]["areas"] = fo.Segmentation(mask=square(8, 8).astype("uint8"))
        sample.save()
    clock, decode, decoded = [0.0], LabelField.parts, []

    def slow(field: LabelField, document: Any, *rest: Any) -> Any:
        clock[0] += 1.5
        decoded.append(document)
        return decode(field, document, *rest)

    monkeypatch.setattr(LabelField, "parts", slow)
    for module in (prompts, plan):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    answer = form(videos, prompt_field="areas")["plan"].view.label
    assert answer == "2 videos to propagate; 2 of them will be checked when the run starts"
    assert len(decoded) == 2  # not the third frame, not the second video
    answer = form(videos, prompt_field="areas")["plan"].view.label
    assert answer == "2 videos to propagate; 1 of them will be checked when the run starts"
    assert len(decoded) == 3
    # A run looks at everything.
    assert plan.make_plan(videos, PropagateSettings("areas", "hs2s")).unchecked == 0
    assert len(decoded) == 7


# ---------------------------------------------------------------- running


def messages(videos: fo.Dataset, **params: Any) -> list[Any]:
    return list(PropagateMasks().execute(context(videos, **params)))


def names(steps: list[Any]) -> list[str]:
    return [step.body.operator_uri.rpartition("/")[2] for step in steps]


def test_the_app_sees_progress_and_a_summary(videos: fo.Dataset, weights: str) -> None:
    steps = messages(videos, prompt_field="truth", model="file", weights=weights)
    called = names(steps)
    assert called[0] == "set_progress"
    assert called[-2:] == ["reload_dataset", "show_output"]
    assert steps[-1].body.params["results"]["done"] == 2
    videos.reload()
    assert videos.values("hs2s_status") == ["done", "done"]


def test_an_open_video_is_closed_as_it_would_not_show_the_new_masks(
    videos: fo.Dataset, weights: str
) -> None:
    opened = context(videos, prompt_field="truth", model="file", weights=weights)
    opened.request_params["current_sample"] = videos.first().id
    called = names(list(PropagateMasks().execute(opened)))
    assert called[-3:] == ["close_sample", "reload_dataset", "show_output"]


def test_an_open_video_shows_masks_in_a_field_that_the_app_knows(
    videos: fo.Dataset, weights: str
) -> None:
    """As those of the second video that is drawn in."""
    PropagateMasks()(videos[:1], "truth", model=CopyNetwork())
    params = {"prompt_field": "truth", "model": "file", "weights": weights}
    opened = context(videos, opened=videos.last().id, **params)
    opened.request_params["active_fields"] = ["frames.hs2s"]
    called = names(list(PropagateMasks().execute(opened)))
    assert called[-4:] == ["reload_samples", "open_sample", "renew_first_frame", "show_output"]
    videos.reload()
    assert videos.values("hs2s_status") == ["done", "done"]


@pytest.mark.skipif(not draws_on_videos(), reason="FiftyOne before 1.18 has no Annotate tab")
@pytest.mark.parametrize("offered", [True, False])
def test_drawn_masks_give_way_to_the_result(
    videos: fo.Dataset, weights: str, offered: bool
) -> None:
    """The Annotate tab would show them in its place; a truth, which it does not offer, may stay."""
    if offered:
        prepare_drawing(videos, "truth")
    asked = context(videos, prompt_field="truth", model="file", weights=weights)
    asked.request_params["active_fields"] = ["frames.truth", "uniqueness"]
    steps = list(PropagateMasks().execute(asked))
    shown = [step.body.params for step in steps if "show_fields" in step.body.operator_uri]
    stays = [] if offered else ["frames.truth"]
    assert shown == [{"fields": [*stays, "uniqueness", "frames.hs2s"]}]


@pytest.mark.parametrize("given", ["selected", "opened"])
def test_a_run_takes_what_its_form_showed(videos: fo.Dataset, weights: str, given: str) -> None:
    """Also where the App sends no choice: the form showed a default."""
    first = videos.first().id
    target = {given: [first] if given == "selected" else first}
    params = {"prompt_field": "truth", "model": "file", "weights": weights}
    steps = messages(videos, **target, **params)
    assert steps[-1].body.params["results"]["done"] == 1
    videos.reload()
    assert videos.values("hs2s_status") == ["done", None]


def test_videos_that_wait_to_be_drawn_in_have_not_failed(videos: fo.Dataset, weights: str) -> None:
    params = {"prompt_field": "truth", "model": "file", "weights": weights, "skip_invalid": True}
    videos[1:].clear_frame_field("truth")
    result = messages(videos, **params)[-1].body.params["results"]
    assert (result["done"], result["left_out"]) == (1, 1)
    assert "no prompt mask" in result["reasons"]
    videos.reload()
    assert videos.values("hs2s_status") == ["done", None]
    assert videos.values("hs2s_error") == [None, None]


def test_videos_left_out_as_wished_are_no_failures(videos: fo.Dataset, weights: str) -> None:
    Path(videos.last().filepath).unlink()
    params = {"prompt_field": "truth", "model": "file", "weights": weights, "skip_invalid": True}
    steps = messages(videos, **params)
    assert "notify" not in names(steps)
    result = steps[-1].body.params["results"]
    assert (result["done"], result["failed"], result["left_out"]) == (1, 0, 1)
    assert "no such file" in result["reasons"]


def test_the_app_hears_of_errors(videos: fo.Dataset) -> None:
    """An error that left the generator would freeze the App's dialog."""
    (*_, last) = messages(videos, prompt_field="truth", model="file", weights="/nowhere")
    assert names([last]) == ["notify"]
    assert "no weights file" in last.body.params["message"]


def test_closing_the_browser_undoes_the_current_video(videos: fo.Dataset, weights: str) -> None:
    params = {"prompt_field": "truth", "model": "file", "weights": weights}
    steps = PropagateMasks().execute(context(videos, **params))
    for step in steps:
        if "2/2" in step.body.params["label"]:
            steps.close()
    videos.reload()
    assert videos.values("hs2s_status") == ["done", None]


@pytest.fixture
def registered() -> Iterator[PropagateMasks]:
    """The operator as FiftyOne finds it, in the plugins folder of the tests."""
    link = Path(fo.config.plugins_dir, "hs2s")
    link.symlink_to(Path(__file__).resolve().parents[3])
    yield foo.get_operator("@hs2s/vos/propagate_masks")
    link.unlink()


def test_scripts_call_the_operator(registered: PropagateMasks, videos: fo.Dataset) -> None:
    summary = registered(
        videos, prompt_field="frames.truth", output_field="frames.found", model=CopyNetwork()
    )
    assert type(summary).__name__ == Summary.__name__
    assert summary.done == ["a.mp4", "b.mp4"]
    assert videos.count("frames.found.detections") == 6


def test_scripts_get_validation_errors(registered: PropagateMasks, videos: fo.Dataset) -> None:
    with pytest.raises(HS2SError, match="must differ from the prompt field"):
        registered(videos, prompt_field="truth", output_field="truth")


def test_delegated_runs_store_their_summary(
    registered: PropagateMasks, videos: fo.Dataset, weights: str
) -> None:
    from fiftyone.operators.delegated import DelegatedOperationService

    registered(videos[:1], "truth", "found", model=weights, delegate=True)
    service = DelegatedOperationService()
    (queued,) = service.get_queued_operations(operator="@hs2s/vos/propagate_masks")
    service.execute_operation(queued)
    ended = service.get(queued.id)
    assert ended.run_state == "completed"
    assert ended.result.result["done"] == 1
    videos.reload()
    assert videos.values("found_status") == ["done", None]


def test_loaded_networks_cannot_be_delegated(
    registered: PropagateMasks, videos: fo.Dataset
) -> None:
    with pytest.raises(HS2SError, match="cannot be handed to another process"):
        registered(videos, "truth", model=CopyNetwork(), delegate=True)


def test_operators_are_executed_by_name_with_what_has_no_default(
    registered: PropagateMasks, videos: fo.Dataset, weights: str, tmp_path: Path
) -> None:
    """FiftyOne's own call for scripts: defaults are applied, and the result comes back."""
    for name, params in (
        ("propagate_masks", {}),
        ("evaluate_vos", {"prediction_field": "hs2s", "truth_field": "truth"}),
        ("export_vos", {"field": "truth", "out_dir": str(tmp_path / "masks")}),
        ("read_vos_predictions", {"folder": str(tmp_path / "masks")}),
    ):
        ended = foo.execute_operator(f"@hs2s/vos/{name}", {"dataset": videos}, params=params)
        assert ended.result["done"] == 2


def test_fields_are_given_by_name_as_fiftyone_calls_them(
    registered: PropagateMasks, videos: fo.Dataset, weights: str, tmp_path: Path
) -> None:
    of = {"prediction_field": "frames.found", "truth_field": "frames.truth"}
    masks = str(tmp_path / "masks")
    back = {"folder": masks, "field": "frames.back"}
    for name, params in (
        ("propagate_masks", {"prompt_field": "frames.truth", "output_field": "frames.found"}),
        ("evaluate_vos", of),
        ("export_vos", {"field": "frames.found", "out_dir": masks}),
        ("read_vos_predictions", {**back, "truth_field": "frames.truth"}),
        ("suggest_frame", {"output_field": "frames.found"}),
        ("propagate_corrections", {"output_field": "frames.found"}),
    ):
        foo.execute_operator(f"@hs2s/vos/{name}", {"dataset": videos}, params=params)
    assert videos.count("frames.found.detections") == videos.count("frames.back.detections") > 0


def test_steps_are_whole_numbers(videos: fo.Dataset) -> None:
    assert "whole number" in wrong(form(videos, online_steps=2.5))["online_steps"]
    assert "online_steps" not in wrong(form(videos, online_steps=2))
    with pytest.raises(HS2SError, match=r"online_steps is 2\.5 .*expected a whole number"):
        PropagateMasks()(videos, "truth", "found", online_steps=2.5)


def test_only_devices_that_are_there_are_offered(
    videos: fo.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hs2s_core.devices._available_devices", lambda: ["cpu"])
    assert form(videos)["device"].type.values == ["auto", "cpu"]


def test_models_are_offered_with_their_size(videos: fo.Dataset) -> None:
    (label,) = [choice.label for choice in form(videos)["model"].view.choices][:1]
    assert re.match(r"hs2s-lite: \d+\.\d MiB", label)


OWN = {"finetune": {"start": "model"}}
"""What the SDK and the forms call differently."""


@pytest.mark.parametrize("made", [m for m in OPERATORS if issubclass(m, BaseOperator)])
def test_whatever_the_sdk_takes_can_be_given_by_name(made: type[BaseOperator]) -> None:
    _, *asked = inspect.signature(made.call).parameters
    if made.key == "load_vos_dataset":
        asked.append("root")
    renamed = OWN.get(made.key, {})
    assert {renamed.get(name, name) for name in asked} - {"progress"} <= set(made.takes())


MISFITS: dict[str, tuple[dict[str, Any], str]] = {
    "a field that is no text": ({"prompt_field": 3}, "found 3; expected a text"),
    "a field that is a list": ({"output_field": ["a"]}, r"found \['a'\]; expected a text"),
    "steps in words": ({"online_steps": "2"}, "found '2'; expected a whole number"),
    "steps that are true": ({"online_steps": True}, "found True; expected a whole number"),
    "steps that are no number": ({"online_steps": nan}, "found nan; expected a whole number"),
    "half a worker": ({"workers": 1.5}, "1.5 was given; expected a whole number, 1 or more"),
    "no worker": ({"workers": 0}, "0 was given; expected a whole number, 1 or more"),
    "yes in words": ({"overwrite": "no"}, "found 'no'; expected true or false"),
    "a model by number": ({"model": 3}, "found 3; expected a text"),
    "no such model": ({"model": "sam"}, "no weights file"),
    "no such device": ({"device": "gpu"}, "device"),
    "no such speed": ({"speed": "slow"}, "'slow' is none of auto, exact, fast"),
    "no such engine": ({"engine": "slurm"}, "engine is 'slurm'"),
    "a name that is none": ({"overwite": True}, "no parameter of this name; .*overwrite"),
}


@pytest.mark.parametrize("case", MISFITS)
def test_what_is_executed_by_name_is_checked_like_a_form(
    case: str, registered: PropagateMasks, videos: fo.Dataset
) -> None:
    params, said = MISFITS[case]
    with pytest.raises(foo.executor.ExecutionError, match=said):
        foo.execute_operator(registered.uri, {"dataset": videos}, params=params)
    videos.reload()
    assert not videos.has_frame_field("hs2s")


@pytest.mark.parametrize(
    ("name", "params", "said"),
    [
        ("evaluate_vos", {"seen_categories": 3}, "found 3; expected a list of texts"),
        ("evaluate_vos", {"meta": 3}, "found 3; expected a text"),
        ("export_vos", {"out_dir": 3}, "found 3; expected a text"),
        ("export_vos", {"folder": "masks"}, "no parameter of this name; .*out_dir"),
        ("read_vos_predictions", {"folder": ".", "field": "a b"}, "'a b' is no field name"),
        ("read_vos_predictions", {"folder": ".", "field": "filepath"}, "cannot hold labels"),
        ("read_vos_predictions", {"folder": ".", "field": "truth"}, "holds labels already"),
        ("read_vos_predictions", {"folder": ".", "truth_field": "x"}, "expected one of truth"),
        ("load_vos_dataset", {"root": 3}, "found 3; expected a text"),
        ("load_vos_dataset", {"root": ".", "videos": [1]}, r"found \[1\]; expected a list"),
        ("load_vos_dataset", {"root": ".", "max_samples": "2"}, "expected a whole number"),
        ("finetune", {"name": 3}, "found 3; expected a text"),
        ("prepare_drawing", {"classes": {"a": 1}}, "expected a list of texts"),
        ("prepare_drawing", {"field": "image_id"}, "cannot hold labels"),
        ("suggest_frame", {"count": "all"}, "found 'all'; expected a whole number"),
    ],
)
def test_every_operator_checks_what_it_is_given(
    registered: PropagateMasks,
    videos: fo.Dataset,
    name: str,
    params: dict[str, Any],
    said: str,
) -> None:
    with pytest.raises(foo.executor.ExecutionError, match=said):
        foo.execute_operator(f"@hs2s/vos/{name}", {"dataset": videos}, params=params)


def test_whole_numbers_may_be_written_with_a_point(
    registered: PropagateMasks, videos: fo.Dataset
) -> None:
    params = {"online_steps": 0.0, "workers": 1.0}
    ended = foo.execute_operator(registered.uri, {"dataset": videos}, params=params)
    assert ended.result["done"] == 2


@pytest.mark.parametrize("given", [{"weights": "FILE"}, {"model": "FILE"}])
def test_a_weights_file_alone_is_a_choice(
    registered: PropagateMasks, videos: fo.Dataset, given: dict[str, str], tmp_path: Path
) -> None:
    """Left out in silence, the bundled ones would have made these masks."""
    own = tmp_path / "own.safetensors"
    save_weights(tiny_network(), own, {"note": "random"})
    params = {name: str(own) for name in given}
    foo.execute_operator(registered.uri, {"dataset": videos}, params=params)
    videos.reload()
    assert videos.get_run_info("propagate_hs2s").config.made["model"] == str(own)


def test_a_queued_run_takes_what_has_no_default(
    registered: PropagateMasks, videos: fo.Dataset
) -> None:
    from fiftyone.operators.delegated import DelegatedOperationService

    service = DelegatedOperationService()
    for name in ("propagate_masks", "propagate_corrections", "evaluate_vos"):
        uri = f"@hs2s/vos/{name}"
        foo.execute_operator(uri, {"dataset": videos}, request_delegation=True, params={})
        (queued,) = service.get_queued_operations(operator=uri)
        service.execute_operation(queued)
        ended = service.get(queued.id)
        assert ended.run_state == "completed", ended.result
        assert ended.result.result["failed"] == 0
        videos.reload()


def test_somebody_elses_status_is_not_overwritten(videos: fo.Dataset) -> None:
    """The sample field is called like that in which a run tells how a video ended."""
    videos.set_values("hs2s_status", ["approved", "to do"])
    assert "'hs2s_status' is somebody else's" in wrong(form(videos))["output_field"]
    with pytest.raises(HS2SError, match="somebody else's"):
        PropagateMasks()(videos, "truth", model=CopyNetwork())
    assert videos.values("hs2s_status") == ["approved", "to do"]
    videos.set_values("found_error", ["blurred", None])
    with pytest.raises(HS2SError, match="'found_error' is somebody else's"):
        PropagateMasks()(videos, "truth", "found", model=CopyNetwork())
    videos.add_sample_field("far_status", fo.IntField)
    with pytest.raises(HS2SError, match="'far_status' is somebody else's"):
        PropagateMasks()(videos, "truth", "far", model=CopyNetwork())


@pytest.mark.parametrize("given", [3, None, ["truth"]])
def test_a_field_that_is_no_text_is_named(videos: fo.Dataset, given: Any) -> None:
    with pytest.raises(HS2SError, match=r"prompt_field is .*; expected a text"):
        PropagateMasks()(videos, given, model=CopyNetwork())
