"""The paper's recipe as a config, and what starts from ImageNet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hs2s_core.errors import HS2SError
from hs2s_core.models.presets import PRESETS
from hs2s_core.models.pretrained import has_published_weights
from hs2s_core.training.config import FolderConfig
from hs2s_core.training.losses import LOSS_PRESETS
from hs2s_core.training.recipes import paper_recipe


@pytest.fixture
def folder(training_folder: Path) -> FolderConfig:
    """One video with one object."""
    return FolderConfig(training_folder / "data/videos")


def test_the_papers_recipe(folder: FolderConfig) -> None:
    recipe = paper_recipe("hs2s", folder, batch=1)
    (stage,) = recipe.stages
    assert (stage.steps, stage.clips, stage.size) == (750, 1, (256, 448))
    assert (stage.frames_from, stage.frames, stage.grow_every) == (6, 6, 10)  # as long as it is
    assert (recipe.schedule.kind, recipe.schedule.sampling_top) == ("stable", 0.5)
    assert (recipe.learning_rate, recipe.weight_decay, recipe.clip_norm) == (1e-4, 0.0, 10.0)
    assert recipe.average == 0  # neither paper nor code average the weights
    assert (recipe.data.augmentation, recipe.data.objects) == ("paper", 1)
    assert recipe.losses == LOSS_PRESETS["authors"]
    small = paper_recipe("hs2s", folder, size=(128, 224))
    assert small.stages[0].size == small.model.input_size == (128, 224)
    assert paper_recipe("hs2s", folder, losses="paper").losses == LOSS_PRESETS["paper"]
    assert paper_recipe("hs2s-lite", folder).losses == LOSS_PRESETS["lite"]


def touch_video(root: Path, video: str, names: list[str]) -> None:
    """Empty files for the frames and masks of a video: to count, they are not even opened."""
    for kind, suffix in (("JPEGImages", "jpg"), ("Annotations", "png")):
        (root / kind / video).mkdir(parents=True)
        for name in names:
            (root / kind / video / f"{name}.{suffix}").touch()


def test_clips_grow_to_ten_predictions(tmp_path: Path) -> None:
    """Unless the longest object ends before."""
    for length, expected in ((4, (4, 4)), (8, (6, 8)), (30, (6, 11))):
        names = [f"{t:02d}" for t in range(length)]
        root = tmp_path / str(length)
        touch_video(root, "a", names)
        listed = {"objects": {"1": {"category": "x", "frames": names}}}
        (root / "meta.json").write_text(json.dumps({"videos": {"a": listed}}))
        (stage,) = paper_recipe("hs2s", FolderConfig(root), batch=1).stages
        assert (stage.frames_from, stage.frames) == expected


def test_an_epoch_counts_objects(tmp_path: Path) -> None:
    """Listed objects, not videos; 22 of them in batches of 4 are 5 steps."""
    listed = {"objects": {str(i): {"category": "x", "frames": ["0", "1"]} for i in range(1, 12)}}
    for name in ("a", "b"):
        touch_video(tmp_path, name, ["0", "1"])
    (tmp_path / "meta.json").write_text(json.dumps({"videos": {"a": listed, "b": listed}}))
    recipe = paper_recipe("hs2s", FolderConfig(tmp_path), batch=4, epochs=3)
    assert recipe.schedule.steps_per_epoch == 5
    assert recipe.steps == 15
    assert recipe.stages[0].grow_every == 50


@pytest.mark.parametrize("name", PRESETS)
def test_imagenet_where_it_exists(name: str, folder: FolderConfig) -> None:
    expected = name not in ("hs2s-axial", "hs2s-lite", "s2s-lite")
    assert has_published_weights(PRESETS[name]) is expected
    assert paper_recipe(name, folder).pretrained_backbone is expected
    if PRESETS[name].system == "lite":  # has a start of its own, which has to be asked for
        given = paper_recipe(name, folder, pretrained_backbone="efficientnet-lite1")
        assert given.pretrained_backbone == "efficientnet-lite1"
        return
    assert paper_recipe(f"{name}/8", folder).pretrained_backbone is False
    assert paper_recipe(name, folder, divisor=8).pretrained_backbone is False
    if expected:
        given = paper_recipe(f"{name}/8", folder, pretrained_backbone="a.pth")
        assert given.pretrained_backbone == "a.pth"
        assert paper_recipe(name, folder, pretrained_backbone=True).pretrained_backbone is True
        with pytest.raises(HS2SError, match="full width"):
            paper_recipe(f"{name}/8", folder, pretrained_backbone=True)
    elif name == "hs2s-axial":
        with pytest.raises(HS2SError, match="no ImageNet weights are published"):
            paper_recipe(name, folder, pretrained_backbone=True)
    else:  # those of a package, where it is installed
        assert paper_recipe(name, folder, pretrained_backbone=True).pretrained_backbone is True
    assert paper_recipe(name, folder, pretrained_backbone=False).pretrained_backbone is False


def test_mistakes(folder: FolderConfig) -> None:
    for changes, said in (
        ({"epochs": 0}, "expected at least 1 each"),
        ({"workers": -1}, "workers not below 0"),
        ({"losses": "lite"}, "no losses 'lite'"),
        ({"schedule": "never"}, "kind is 'never'; expected 'cosine' or"),
        ({"precision": "float8"}, "precision is 'float8'"),
    ):
        with pytest.raises(HS2SError, match=said):
            paper_recipe("hs2s", folder, **changes)  # type: ignore[arg-type]
