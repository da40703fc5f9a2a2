"""A run's TOML file: what it may say, what is refused, how it is changed and written."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import pytest

from hs2s_core.commands import train as command
from hs2s_core.errors import InvalidConfig
from hs2s_core.training.config import FolderConfig
from hs2s_core.training.recipes import paper_recipe
from hs2s_core.training.run_file import change_config, read_config, write_config

Write = Callable[..., Path]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("stages.0.steps='8'", "stages, number 1: steps is '8'; expected a whole number of at"),
        ("stages.0.steps=0", "steps is 0; expected a whole number of at least 1"),
        ("stages.1.size=[64]", r"stages, number 2: size is \[64\]; expected two whole numbers"),
        ("stages.0.size=[10, 10]", r"size is \[10, 10\]; expected two whole numbers of at least"),
        ("stages.0.size=64", "size is 64; expected two whole numbers"),
        ("stages.0.clips=true", "clips is True; expected a whole number"),
        ("stages.0.frames_from=9", "frames_from is 9; expected at most frames, 3"),
        ("stages.0.pace=1", r"unknown settings \['pace'\]"),
        ("data.real=2.5", r"\[data\]: real is 2.5; expected a number from 0 to 1"),
        ("data.real=nan", "real is nan; expected a number from 0 to 1"),
        ("data.workers=-1", "workers is -1; expected a whole number of at least 0"),
        ("data.stills='stills'", "stills is 'stills'; expected a list of texts"),
        ("data.augmentation=none", "augmentation is 'none'; expected 'crop' or 'paper'"),
        ("data.folders.0.share='all'", "folders, number 1: share is 'all'; expected a number"),
        ("data.folders=[1]", r"folders is .*; expected a list of tables"),
        ("data=1", "data is 1; expected a table"),
        ("stages=[]", "stages is empty"),
        ("learning_rate=0", "learning_rate is 0; expected a number above 0"),
        ("learning_rate=inf", "learning_rate is inf; expected a number above 0"),
        ("precision=float16", "precision is 'float16'; expected 'float32' or 'bfloat16'"),
        ("losses=best", "no losses 'best'; expected one of"),
        ("losses.bce=-1", "bce is -1; expected a number of at least 0"),
        ("losses={bce = 0}", "all losses are 0"),
        ("validation.every=10", "no videos to score on"),
        ("model.width=0", r"\[model\]: .*width is 0; expected a whole number from 1 to 4096"),
        ("model.colour=1", r"\[model\]: .*unknown settings \['colour'\]"),
        ("model.preset=3", r"\[model\]: preset is 3; expected a text"),
        ("schedule.kind=linear", "kind is 'linear'; expected 'cosine' or 'stable' or 'authors'"),
        ("schedule.warmup=1.5", "warmup is 1.5; expected a whole number"),
        ("schedule.steps_per_epoch=2", "steps_per_epoch is 2, which schedule 'cosine' would ign"),
        ("learning_rate", "expected KEY=VALUE"),
        ("stages.7.steps=1", "there is no table '7'"),
        ("seed=9999999999999999999", "seed is 9999999999999999999; expected a whole number from 0"),
        ("learning_rate=1e38", r"learning_rate is 1e\+38; expected .* of at most 1000"),
        ("losses={flow = 1, border = 1}", "none of the losses is one of the masks"),
        ("model.value_width=1", "value_width is 1; expected a whole number from 2"),
        ("model.references=['first', 'first']", "expected each once"),
        ("seed.x=1", "there is no table 'seed'"),
    ],
)
def test_what_does_not_fit_is_refused(write_config: Write, change: str, said: str) -> None:
    """By type and range, naming the place, what was found and what is expected."""
    path = write_config()
    if change == "losses.bce=-1":
        path.write_text("losses = {}\n" + path.read_text())
    with pytest.raises(InvalidConfig, match=said):
        read_config(path, changes=[change])


def test_files_may_come_from_windows(write_config: Write) -> None:
    path = write_config()
    expected, text = read_config(path), path.read_text().replace("\n", "\r\n")
    for encoding in ("utf-8-sig", "utf-16"):
        path.write_bytes(text.encode(encoding))
        assert read_config(path) == expected


def test_schedules_refuse_what_they_do_not_read(write_config: Write) -> None:
    changes = ["schedule.kind=stable", "schedule.warmup=0"]
    stable = read_config(write_config(), changes=changes)
    assert stable.schedule.sampling_top == 0.5  # the paper's
    assert read_config(write_config()).schedule.sampling_top == 1.0
    with pytest.raises(InvalidConfig, match=r"freeze is 0\.5, which schedule 'stable' would ign"):
        read_config(write_config(), changes=[*changes, "schedule.freeze=0.5"])
    # 3 + 3 steps are 6 epochs of one step: the authors' schedule does nothing before epoch 300.
    authors = ["schedule.kind=authors", "schedule.steps_per_epoch=1"]
    with pytest.raises(InvalidConfig, match="changes nothing before epoch 300 and the run has 6"):
        read_config(write_config(), changes=authors)
    assert read_config(write_config(), changes=[*authors, "stages.0.steps=400"]).steps == 403


def test_settings_are_changed_one_by_one(write_config: Write) -> None:
    config = read_config(
        write_config(),
        changes=[
            "learning_rate=5e-4",
            "data.real = 1",
            "stages.1.size=[96, 64]",
            "start=hs2s-lite",
        ],
    )
    assert (config.learning_rate, config.data.real, config.start) == (5e-4, 1.0, "hs2s-lite")
    assert [stage.size for stage in config.stages] == [(64, 80), (96, 64)]
    assert change_config(config, ["model.width=64"]).model.width == 64


def test_the_data_start_at_their_root(write_config: Write, tmp_path: Path) -> None:
    """One rule for all paths of data; ``--root`` takes the place of the file's root."""
    path = write_config()
    text = path.read_text() + '[validation]\nfolders = [{ path = "scored" }]\n'
    path.write_text(text.replace("real = 0.3", 'real = 0.3\nsplits = "splits.json"'))
    for root, expected in ((None, path.parent / "data"), (tmp_path, tmp_path)):
        config = read_config(path, root=root)
        assert config.data.root == expected
        assert config.data.splits == expected / "splits.json"
        assert config.data.folders[0].path == expected / "videos"
        assert config.validation is not None
        assert config.validation.folders[0].path == expected / "scored"


@pytest.mark.parametrize("name", ["hs2s", "raft-hs2s/4", "hs2s-lite", "bi-hs2s"])
def test_recipes_survive_their_file(name: str, training_folder: Path, tmp_path: Path) -> None:
    recipe = paper_recipe(name, FolderConfig((training_folder / "data/videos").resolve()))
    path = tmp_path / "recipe.toml"
    path.write_text(write_config(recipe))
    assert read_config(path) == recipe


def test_a_recipe_is_printed_and_run(
    training_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What ``--preset --print-config`` prints is what ``--config`` takes; nothing is trained."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    words = ["--preset", "hs2s/32", "--data", str(training_folder / "data/videos"), "--seed", "4"]
    words += ["--set", "learning_rate=3e-4", "--out", str(tmp_path / "run"), "--print-config"]
    assert command.run(parser.parse_args(words)) == 0
    printed = capsys.readouterr().out
    (tmp_path / "mine.toml").write_text(printed)
    config = read_config(tmp_path / "mine.toml")
    assert (config.seed, config.learning_rate, config.model.width) == (4, 3e-4, 32)
    assert not (tmp_path / "run").exists()
