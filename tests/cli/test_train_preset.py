"""``hs2s train --preset``: the paper's recipe on a folder, end to end at a tiny scale."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hs2s_core.cli import build_parser
from hs2s_core.commands import train
from hs2s_core.commands.options import describe_folder
from hs2s_core.training.config import TrainingConfig
from hs2s_core.weights import load_model, read_header

from .conftest import Run
from .vos_folders import make

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = ("--size", 64, 64, "--batch", 1, "--epochs", 1, "--device", "cpu", "--workers", 0)
LAYOUTS = {
    "youtube-vos": "split train",
    "davis": "split 2017/train",
    "plain": "which has no splits",
}


def recipe(out: Path) -> dict[str, Any]:
    """What a run says it is."""
    return json.loads((out / "run.json").read_text())  # type: ignore[no-any-return]


def config(*words: object) -> TrainingConfig:
    """The run that these words make, before anything is built."""
    args = build_parser(["train"]).parse_args(["train", *(str(word) for word in words)])
    return train._from_preset(args)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_is_trained_on_by_its_training_split(layout: str, tmp_path: Path) -> None:
    data = make(layout, tmp_path / "data")
    (folder,) = config("--preset", "hs2s/32", "--data", data).data.folders
    assert describe_folder(folder) == f"3 videos of {data}, {LAYOUTS[layout]}"


def test_only_the_videos_that_a_splits_file_keeps_are_counted(tmp_path: Path) -> None:
    data, splits = make("plain", tmp_path / "data"), tmp_path / "splits.json"
    splits.write_text(json.dumps({"train_video": {"data": ["bear", "goat"]}}))
    run = config("--preset", "hs2s/32", "--data", data, "--set", f"data.splits={splits}")
    said = train._describe_data(run)
    assert said.startswith(f"training on 2 videos of {data}, which has 3; ")


def test_a_preset_is_trained(run: Run, tmp_path: Path) -> None:
    """One step per object and epoch, and a model that loads."""
    data, out = make("davis", tmp_path / "data"), tmp_path / "run"
    status, said, err = run(
        "train", "--preset", "hs2s/32", "--data", data, "--out", out, *TINY, "--seed", 7
    )
    assert status == 0
    assert err.startswith("[####################] step 4 of 4, loss ")
    assert said.startswith("starting: 4 steps on cpu")
    assert f"training on 3 videos of {data}, split 2017/train; 4 steps an epoch" in said
    assert [json.loads(line)["step"] for line in (out / "log.jsonl").open()] == [1, 2, 3, 4]
    weights = out / "hs2s-32.safetensors"
    assert f"--weights {weights}" in said
    assert load_model(weights, device="cpu").config.width == 32
    settings = recipe(out)
    assert settings["seed"] == 7
    assert settings["pretrained_backbone"] is False
    assert settings["data"]["folders"][0]["split"] == "2017/train"
    assert read_header(weights).card["recipe"] == settings


def test_all_options_reach_the_run(tmp_path: Path) -> None:
    data = make("plain", tmp_path / "data")
    found = config(
        *("--preset", "hs2s/32", "--data", data, *TINY, "--seed", 5, "--losses", "paper"),
        *("--precision", "bfloat16", "--checkpointing", "--schedule", "authors", "--epochs", 301),
    )
    assert (found.seed, found.precision, found.checkpointing) == (5, "bfloat16", True)
    assert (found.losses.balanced_bce, found.schedule.kind) == (0.8, "authors")
    assert (found.steps, found.stages[0].size, found.data.workers) == (1204, (64, 64), 0)
    assert found.validation is None


def test_a_hold_out_makes_the_best_model(run: Run, tmp_path: Path) -> None:
    data, out = make("youtube-vos", tmp_path / "data"), tmp_path / "run"
    status, said, err = run(
        *("train", "--preset", "hs2s/32", "--data", data, "--out", out, *TINY),
        *("--validation", "--validate-every", 1),
    )
    assert status == 0
    assert ", J&F " in err
    assert "training on 2 videos" in said
    assert "scored on 1 video" in said
    assert "every 3 steps" in said
    assert (out / "best.pt").exists()
    scores = [json.loads(line).get("jf") for line in (out / "log.jsonl").open()]
    assert scores[:2] == [None, None]
    assert 0 <= scores[2] <= 1
    settings = recipe(out)
    assert settings["validation"]["folders"][0]["names"] == ["owl"]
    assert settings["data"]["folders"][0]["names"] == ["bear", "goat"]


def test_validation_on_a_split(run: Run, tmp_path: Path) -> None:
    data = make("davis", tmp_path / "data")
    words = ("train", "--preset", "hs2s/32", "--data", data, "--out", tmp_path / "run", *TINY)
    status, said, _ = run(*words, "--validation", "val")
    assert status == 0
    assert "scored on 1 video" in said
    assert "split val, every 40 steps" in said
    assert (tmp_path / "run/best.pt").exists()


@pytest.mark.parametrize(
    ("layout", "words", "said"),
    [
        ("davis", ("--validation", "2016/train"), "shares 1 video with the training (bear)"),
        ("davis", ("--validation", "test"), "no list 'test' in ImageSets"),
        ("youtube-vos", ("--validation", "valid"), "no video has two annotated frames"),
        ("youtube-vos", ("--split", "valid"), "no object in two annotated frames"),
        ("plain", ("--split", "val"), "has no split 'val'"),
        ("plain", ("--validate-every", 3), "--validate-every needs --validation"),
        ("plain", ("--validation", "--validate-every", 0), "expected at least 1 epoch"),
        ("plain", ("--epochs", 0), "expected at least 1 each"),
        ("plain", ("--backbone", "imagenet"), "fit encoders of full width (backbone_width 64"),
        ("plain", ("--backbone", "nothing.pth"), "no backbone weights file 'nothing.pth'"),
    ],
)
def test_mistakes_are_told_before_training(
    layout: str, words: tuple[object, ...], said: str, run: Run, tmp_path: Path
) -> None:
    data, out = make(layout, tmp_path / "data"), tmp_path / "run"
    status, _, err = run(
        "train", "--preset", "hs2s/32", "--data", data, "--out", out, *TINY, *words
    )
    assert status == 2
    assert said in err
    assert not out.exists()


def test_validation_videos_are_never_trained_on_unawares(run: Run, tmp_path: Path) -> None:
    data = make("davis", tmp_path / "data")
    for file in (data / "ImageSets").glob("*/train.txt"):
        file.unlink()
    status, _, err = run("train", "--preset", "hs2s/32", "--data", data, *TINY)
    assert status == 2
    assert "has no training split; found 2016/val, 2017/val" in err
    assert "--split" in err


def test_options_of_the_recipe_beside_a_file(run: Run, tmp_path: Path) -> None:
    status, _, err = run("train", "--config", tmp_path / "a.toml", "--epochs", 3, "--seed", 1)
    assert status == 2
    assert "--epochs, --seed would change nothing" in err
    status, _, err = run("train", "--preset", "hs2s")
    assert status == 2
    assert "--preset needs --data" in err


@pytest.mark.usefixtures("offline")
def test_a_machine_offline_is_told_at_once(run: Run, tmp_path: Path) -> None:
    data, out = make("plain", tmp_path / "data"), tmp_path / "run"
    status, _, err = run("train", "--preset", "hs2s", "--data", data, "--out", out, *TINY)
    assert status == 2
    assert "network is unreachable" in err
    assert "--backbone PATH" in err
    assert "--backbone none" in err
    assert not out.exists()


def test_an_encoder_without_published_weights_starts_at_random(run: Run, tmp_path: Path) -> None:
    """hs2s-axial at full width, stopped before it is built: what its run would be."""
    data = make("plain", tmp_path / "data")
    for name, expected in (("hs2s-axial", False), ("hs2s", True), ("hs2s/8", False)):
        assert config("--preset", name, "--data", data).pretrained_backbone is expected
    status, _, err = run(
        "train", "--preset", "hs2s-axial", "--data", data, "--backbone", "imagenet", *TINY
    )
    assert status == 2
    assert "no ImageNet weights are published for the encoder 'axial_s'" in err
