"""Training on a view's labels: what is learned is stored, named and offered, or it is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import fiftyone as fo
import fiftyone.operators as foo
import numpy as np
import pytest
from fiftyone import ViewField
from fiftyone.operators.executor import Executor
from torch import get_num_threads

from hs2s_core.cli import main
from hs2s_core.errors import HS2SError, InvalidDataset
from hs2s_core.jobs import Progress
from hs2s_core.own_weights import FOLDER
from hs2s_core.propagation.network import NetworkEngine
from hs2s_core.training.held_out import score_known
from hs2s_core.weights import fill_model, find_weights, load_model, read_header, save_weights
from hs2s_fiftyone import finetune
from hs2s_fiftyone.drawing import draws_on_videos, prepare_drawing
from hs2s_fiftyone.operators import Finetune, PropagateMasks
from hs2s_fiftyone.training import labelled_videos, only_given

from ..labelled import copy_demo
from ..threads import threads
from .helpers import SIZE, detection, square, video_sample


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where models are stored, for this test alone."""
    monkeypatch.setenv(FOLDER, str(tmp_path / "own"))
    return tmp_path / "own"


@pytest.fixture
def start(tmp_path: Path) -> str:
    """The bundled network for small frames, and with a flaw: it shows too little."""
    path = tmp_path / "start.safetensors"
    bundled = load_model(device="cpu")
    config = replace(bundled.config, input_size=SIZE, keep_aspect=False)
    network = fill_model(config, bundled.state_dict())
    network.get_parameter("decoder.logits.bias").data -= 6
    save_weights(network, path, {"name": "flawed"})
    return str(path)


@pytest.fixture
def brief(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the bundled clip only the first frames: scoring all takes most of a test's time."""
    copy_demo(tmp_path, 3)
    monkeypatch.setattr("hs2s_core.training.held_out.asset", tmp_path.joinpath)


@pytest.fixture
def labelled(dataset: fo.Dataset, tmp_path: Path) -> fo.Dataset:
    """Two videos of eight frames: a white square that walks over a dark ground."""
    for name, top in (("one", 8), ("two", 30)):
        masks = [square(top, 4 + 6 * index, side=24) for index in range(8)]
        path = str(tmp_path / f"{name}.mp4")
        writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"mp4v"), 10, SIZE[::-1])
        for mask in masks:
            writer.write(np.repeat(np.where(mask, 230, 30).astype(np.uint8)[..., None], 3, 2))
        writer.release()
        labels = {
            number: fo.Detections(detections=[detection(mask, label="a", index=1)])
            for number, mask in enumerate(masks, start=1)
        }
        dataset.add_sample(video_sample(path, labels))
    return dataset


def learn(dataset: fo.Dataset, name: str, start: str, **settings: Any) -> Any:
    settings = {"steps": 8, "learning_rate": 2e-3, "device": "cpu", **settings}
    return finetune(dataset, "frames.truth", name, start=start, **settings)


@pytest.mark.usefixtures("brief")
def test_what_is_better_is_stored_and_offered(
    labelled: fo.Dataset, start: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []

    def score(engine: NetworkEngine) -> float:
        # The first is the network before, the second what all of the training made of it.
        seen.append(score_known(engine))
        return seen[-1] if len(seen) != 2 else seen[0] - 0.1

    monkeypatch.setattr("hs2s_core.training.finetune.score_known", score)
    told: list[Progress] = []
    tuning = learn(labelled, "walker", start, progress=told.append)
    shares = [each.fraction for each in told]
    assert shares == sorted(shares)
    # Four networks are scored, each on both videos, frame by frame.
    for label in ("Scoring what is there", "Scoring what was learned, 3 of 3"):
        assert len({each.fraction for each in told if each.label == label}) >= 2 * 3
    assert tuning.held_out == "4 held-out frames of 2 videos"
    assert tuning.after > tuning.before + 0.02
    assert tuning.known_after > tuning.known_before - 0.01
    assert tuning.share == 0.5  # all of it would be forgetful
    assert tuning.path == folder / "walker.safetensors"
    assert find_weights("walker") == tuning.path
    card = read_header(tuning.path).card
    assert card["start"] == "flawed"
    assert card["data"]["videos"] == ["one", "two"]
    assert card["tuning"]["jf"]["after"] == round(100 * tuning.after, 2)
    trained, before = load_model("walker", device="cpu"), load_model(start, device="cpu")
    assert trained.config == before.config
    choices = form(PropagateMasks(), labelled)["model"].view.choices
    assert "J&F" in next(each.label for each in choices if each.value == "walker")
    with pytest.raises(HS2SError, match="'walker' exists"):
        learn(labelled, "walker", start)


@pytest.mark.usefixtures("brief")
def test_what_is_not_better_is_not_stored(labelled: fo.Dataset, start: str, folder: Path) -> None:
    tuning = learn(labelled, "walker", start, steps=1, learning_rate=1e-12)
    assert tuning.path is None
    assert tuning.after == tuning.before
    assert "nothing is stored" in str(tuning)
    assert not folder.exists()


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize(
    ("held", "known", "said"),
    [
        ([0.8, 0.5, 0.7, 0.6], [0.9] * 4, "80.0% before, 70.0% after"),
        ([0.8, 0.9, 0.7, 0.6], [0.9, 0.7, 0.9, 0.9], "lost on the bundled clip"),
    ],
)
def test_what_was_tried_is_told_though_it_is_not_stored(
    labelled: fo.Dataset,
    weights: str,
    held: list[float],
    known: list[float],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same number before and after would say that training changes nothing."""

    def score(*_: Any) -> Any:
        yield 1.0
        return held.pop(0)

    monkeypatch.setattr("hs2s_core.training.finetune.score_held", score)
    monkeypatch.setattr("hs2s_core.training.finetune.score_known", lambda _: known.pop(0))
    tuning = learn(labelled, "walker", weights, steps=1)
    assert tuning.path is None
    assert said in str(tuning)


@pytest.mark.usefixtures("brief")
def test_busy_cores_are_left_alone(
    labelled: fo.Dataset, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads that share a core with another program wait for each other, twenty times as long."""
    monkeypatch.setattr("hs2s_core.devices.cores", lambda: 4)
    monkeypatch.setattr("hs2s_core.devices._running", lambda: 3.0)
    seen = set()
    with threads(4):
        learn(labelled, "walker", weights, steps=1, progress=lambda _: seen.add(get_num_threads()))
        assert get_num_threads() == 4
    assert min(seen) == 1


def test_a_mistake_is_told_before_anything_is_trained(labelled: fo.Dataset, weights: str) -> None:
    for name, said in (("no/name", "is no name"), ("hs2s-lite", "name of a preset")):
        with pytest.raises(HS2SError, match=said):
            learn(labelled, name, weights)
    with pytest.raises(HS2SError, match="0 is no number of steps"):
        learn(labelled, "walker", weights, steps=0)
    with pytest.raises(HS2SError, match=r"learning_rate is 0\.0; expected a number"):
        learn(labelled, "walker", weights, learning_rate=0.0)
    with pytest.raises(HS2SError, match="start: no weights file"):
        learn(labelled, "walker", "nowhere.safetensors")
    few = labelled.match_frames(fo.ViewField("frame_number") < 3)
    few.keep_frames()
    with pytest.raises(InvalidDataset, match="expected three labelled frames in one video"):
        learn(labelled, "walker", weights)


@pytest.mark.usefixtures("brief")
def test_the_command_trains_on_a_saved_view(
    labelled: fo.Dataset, weights: str, capsys: pytest.CaptureFixture[str]
) -> None:
    labelled.save_view("first", labelled.limit(1))
    words = ["train", "--from-fiftyone", f"{labelled.name}:first", "--field", "truth"]
    words += ["--start", weights, "--steps", "1", "--device", "cpu", "--quiet"]
    assert main([*words, "--name", "walker"]) in (0, 1)
    assert "J&F on 2 held-out frames of 1 video: " in capsys.readouterr().out
    for more, said in (
        ([], "needs --field and --name"),
        (["--name", "walker", "--half"], "--half would change nothing"),
    ):
        assert main([*words, *more]) == 2
        assert said in capsys.readouterr().err
    words[2] = f"{labelled.name}:last"
    assert main([*words, "--name", "walker"]) == 2
    assert "has no saved view 'last'; found first" in capsys.readouterr().err
    assert main(["train", "--preset", "hs2s", "--field", "truth"]) == 2
    assert "--field would change nothing: expected with --from-f" in capsys.readouterr().err


@pytest.mark.skipif(not draws_on_videos(), reason="FiftyOne before 1.18 has no Annotate tab")
def test_the_form_proposes_a_result_before_its_prompts(labelled: fo.Dataset) -> None:
    assert form(Finetune(), labelled)["label_field"].default == "truth"
    prepare_drawing(labelled, "truth")
    labelled.clone_frame_field("truth", "result")
    labelled.add_sample_field("result_status", fo.StringField)
    assert form(Finetune(), labelled)["label_field"].default == "result"
    labelled.clone_frame_field("truth", "imported")
    assert form(Finetune(), labelled)["label_field"].default == "imported"
    first = labelled.first()
    first.frames[1].result.detections[0]["corrected"] = True
    first.save()
    assert form(Finetune(), labelled)["label_field"].default == "result", "somebody mended it"


def test_the_form_says_what_it_takes_and_what_is_left_out(labelled: fo.Dataset) -> None:
    two = labelled.last()
    for number in range(3, 9):
        two.frames[number]["truth"] = None
    two.frames[3]["truth"] = fo.Detections(detections=[fo.Detection(bounding_box=[0, 0, 1, 1])])
    two.save()
    shown = form(Finetune(), labelled)
    assert shown["plan"].view.label == "1 video to train on: 8 labelled frames"
    reason = shown["problems"].view.description
    assert "two: 2 frames with masks in 'truth', each with an `index` or an `instance`;" in reason
    assert "expected 3 or more" in reason
    assert not shown["problems"].invalid
    one = labelled.first()
    one.frames[5].truth.detections.append(detection(square(2, 2), label="a"))  # of whom?
    one.save()
    assert form(Finetune(), labelled)["plan"].view.label.endswith(": 7 labelled frames")
    assert len(next(iter(labelled_videos(labelled, "truth")))) == 7, "a run counts the same"
    labelled.match_frames(ViewField("frame_number") < 3).keep_frames()
    assert "one: 2 frames with masks" in form(Finetune(), labelled)["problems"].error_message


def test_of_a_result_only_frames_with_given_masks_are_learned_from(labelled: fo.Dataset) -> None:
    """The others are what the network says itself, which would only confirm it."""
    first = labelled.first()
    for frame in first.frames.values():
        (label,) = frame.truth.detections
        label["distance"], label["corrected"] = frame.frame_number - 1, frame.frame_number == 4
        label["keyframe"] = frame.frame_number == 7
    first.save()
    shown = form(Finetune(), labelled, frames="given")
    assert shown["plan"].view.label == "1 video to train on: 3 labelled frames"
    assert "two: 0 frames with a given or corrected mask" in shown["problems"].view.description
    (video,) = labelled_videos(labelled, "truth", given=True)
    assert video.indices == [0, 3, 6]
    assert not only_given(labelled, "truth", "auto")
    assert "2 videos" in form(Finetune(), labelled)["plan"].view.label
    labelled.add_sample_field("truth_status", fo.StringField)
    assert "3 labelled frames" in form(Finetune(), labelled)["plan"].view.label
    assert "16 labelled frames" in form(Finetune(), labelled, frames="all")["plan"].view.label
    with pytest.raises(HS2SError, match="frames is 'some'; expected one of auto, all, given"):
        learn(labelled, "walker", "hs2s-lite", frames="some")
    for frame in first.frames.values():
        frame.truth.detections[0]["origin"] = "box"
        frame.truth.detections[0]["corrected"] = frame.truth.detections[0]["keyframe"] = False
    first.save()
    assert list(labelled_videos(labelled, "truth", given=True)) == []


@pytest.mark.usefixtures("brief")
def test_the_operator_does_the_same(labelled: fo.Dataset, weights: str) -> None:
    shown = form(Finetune(), labelled, name="no/name")
    assert "is no name" in shown["name"].error_message
    assert not form(Finetune(), labelled, name="walker")["name"].invalid
    params = {"model": "file", "weights": weights, "name": "walker", "steps": 1, "device": "cpu"}
    context = foo.ExecutionContext(
        request_params={"dataset_name": labelled.name, "params": params}, executor=Executor()
    )
    result = Finetune().execute(context)
    assert result["held_out"] == "4 held-out frames of 2 videos"


def form(operator: Any, samples: fo.Dataset, **params: Any) -> dict[str, Any]:
    request = {"dataset_name": samples.name, "params": params}
    context = foo.ExecutionContext(request_params=request, executor=Executor())
    properties: dict[str, Any] = operator.resolve_type(context, "inputs").type.properties
    return properties
