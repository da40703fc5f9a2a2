"""Every script of examples/, run on the demo clip."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from hs2s_core import load_model, open_frames, read_id_map
from hs2s_core.media.encode import VideoWriter
from hs2s_core.models import VideoSegmenter

from .labelled import copy_demo
from .scripts import load_script

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "assets/demo"
FIRST = DEMO / "Annotations/stefan_001/00000.png"
FRAMES = 4


def example(name: str) -> ModuleType:
    """The script as a module; its ``main`` takes the command line."""
    return load_script(ROOT / "examples" / f"{name}.py")


def for_small_frames(name: str, device: str) -> VideoSegmenter:
    """As ``load_model``; a step and a score then take a tenth of the time."""
    model = load_model(name, device=device)
    model.config = replace(model.config, input_size=(96, 160))
    return model


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """The first frames of the demo clip as an MP4."""
    frames = open_frames(DEMO / "JPEGImages/stefan_001")
    path = tmp_path / "videos/a clip.mp4"
    path.parent.mkdir()
    with VideoWriter(path, frames.size, 12.0) as writer:
        for index in range(FRAMES):
            writer.write(frames.at(index))
    return path


@pytest.fixture
def dataset(video: Path, tmp_path: Path) -> Iterator[str]:
    """Name of a dataset of that video, with truth."""
    import fiftyone as fo

    import hs2s_fiftyone as hs2s

    masks = tmp_path / "truth" / video.stem
    masks.mkdir(parents=True)
    for number in range(FRAMES):
        shutil.copy(FIRST.with_name(f"{number:05d}.png"), masks)
    dataset = fo.Dataset.from_videos([str(video)], name="examples")
    hs2s.read_predictions(dataset, masks.parent, "ground_truth", progress=False)
    yield dataset.name
    fo.delete_dataset(dataset.name)


def test_batch_folder(video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    masks, results = tmp_path / "masks", tmp_path / "results"
    (masks / video.stem).mkdir(parents=True)
    shutil.copyfile(FIRST, masks / video.stem / "00000.png")
    shutil.copyfile(video, video.with_name("without masks.mp4"))
    arguments = [str(video.parent), str(masks), str(results)]
    assert example("batch_folder").main(arguments) == 1
    assert "without masks" in capsys.readouterr().err
    assert [path.name for path in results.iterdir()] == [video.stem]
    written = sorted((results / video.stem).iterdir())
    assert [path.name for path in written] == [f"{number:05d}.png" for number in range(FRAMES)]
    np.testing.assert_array_equal(read_id_map(written[0]), read_id_map(FIRST))
    example("batch_folder").main(arguments)
    assert f"{video.name}: done already" in capsys.readouterr().out


def test_live_stream(video: Path, tmp_path: Path) -> None:
    out = tmp_path / "overlay.mp4"
    assert example("live_stream").main([str(video), str(FIRST), "--out", str(out)]) == FRAMES
    assert open_frames(out).count() == FRAMES


def test_curate(dataset: str) -> None:
    import fiftyone as fo

    whole = fo.load_dataset(dataset)
    steady, jumping = whole.first(), whole.first().copy()
    whole.add_sample(jumping)
    label = jumping.frames[2].ground_truth.detections[0]
    label.mask = np.zeros_like(label.mask)
    label.mask[0, 0] = True
    jumping.save()
    view = example("curate").main([dataset, "--field", "ground_truth", "--worst", "1"])
    assert view.values("id") == [jumping.id]
    steady.reload()
    assert jumping.ground_truth_doubt > steady.ground_truth_doubt > 0
    assert whole.load_saved_view("check masks").values("id") == [jumping.id]


def test_compare_models(dataset: str) -> None:
    import fiftyone as fo

    scores = example("compare_models").main([dataset, "hs2s-lite"])
    assert 0.5 < scores["masks_hs2s_lite"] <= 1
    assert fo.load_dataset(dataset).list_evaluations() == ["eval_masks_hs2s_lite"]


def test_finetune_corrected(
    dataset: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Only the video with a corrected mask is trained on; of the bundled clip two frames count."""
    import fiftyone as fo

    copy_demo(tmp_path, 2)
    monkeypatch.setattr("hs2s_core.training.held_out.asset", tmp_path.joinpath)
    monkeypatch.setenv("HS2S_WEIGHTS", str(tmp_path / "own"))
    monkeypatch.setattr("hs2s_core.training.finetune.load_model", for_small_frames)
    whole, line = fo.load_dataset(dataset), [dataset, "mine", "--field", "ground_truth"]
    with pytest.raises(SystemExit):
        example("finetune_corrected").main(line)
    assert "was put right yet" in capsys.readouterr().err
    other = whole.first().copy()
    other.filepath = str(Path(other.filepath).with_name("other.mp4"))
    whole.add_sample(other)
    mended = whole.first()
    for label in mended.frames[2].ground_truth.detections:
        label["corrected"] = True
    mended.save()
    tuning = example("finetune_corrected").main([*line, "--steps", "1"])
    assert tuning.videos == [Path(mended.filepath).stem]
    assert "before" in capsys.readouterr().out
    assert tuning.path is None or tuning.path == tmp_path / "own" / "mine.safetensors"
