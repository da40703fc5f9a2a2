"""Recipes, hold-outs, and tables trained and printed end to end at a tiny scale."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hs2s_core.commands import ablate
from hs2s_core.data.folders import open_folder
from hs2s_core.errors import HS2SError
from hs2s_core.models import build_model
from hs2s_core.models.presets import PRESETS, preset
from hs2s_core.training.ablation import _row_config, check_rows, format_tables, row_configs
from hs2s_core.training.paper_tables import SCORES, TABLES, find_tables
from hs2s_core.training.run_file import read_config
from hs2s_core.training.sources import hold_out
from hs2s_core.training.validation import scored_whole
from tests.models.tiny import tiny_once

pytestmark = pytest.mark.usefixtures("one_thread")

VALIDATION = """
[validation]
folders = [{ path = "videos" }]
"""


def test_every_row_names_a_preset_and_has_its_columns() -> None:
    for table in TABLES.values():
        for row in table.rows:
            assert row.preset in PRESETS
            assert len(row.paper) in (0, len(table.columns))
    # The paper's overall is the mean of its four scores, within its rounding.
    for name in ("1", "3", "4", "5", "2b"):
        assert TABLES[name].columns == SCORES
        for row in TABLES[name].rows:
            if row.paper:
                assert sum(row.paper[:4]) / 4 == pytest.approx(row.paper[4], abs=0.11)
    with pytest.raises(HS2SError, match="no table '7'"):
        find_tables(["7"])


def test_hold_outs_depend_on_names_alone(training_folder: Path) -> None:
    videos = list(open_folder(training_folder / "data" / "videos"))
    assert hold_out(videos, share=1.0) == []
    assert hold_out(videos, share=1.0, longer_than=5) == ["one"]
    assert hold_out(videos, share=0.0, longer_than=5) == []


def test_tables_are_trained_scored_and_printed(
    write_config: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Table 2a: S2S* and HS2S at a thirty-second of their width, then again from what is there."""
    config = write_config(9)
    config.write_text(config.read_text().replace("steps = 3", "steps = 1") + VALIDATION)
    parser = argparse.ArgumentParser()
    ablate.add_arguments(parser)
    given = ["--tables", "2a", "--config", str(config), "--out", str(tmp_path), "--divisor", "32"]
    assert ablate.run(parser.parse_args([*given, "--device", "cpu"])) == 0
    printed = capsys.readouterr().out
    assert "| S2S* | 73.7 | 74.4 | 54.6 | 54.5 |" in printed
    assert "2 steps" in printed
    assert "Training took " in printed
    held = next(line for line in printed.splitlines() if line.startswith("| copy-first |"))
    assert "-" not in held.split("|")[2:5]
    scores = json.loads((tmp_path / "hs2s" / "scores.json").read_text())
    assert set(scores) >= {"J", "F", "J&F", "J early"}
    assert all(0 <= value <= 1 for value in scores.values())
    assert (tmp_path / "tables.md").read_text() in printed + "\n"
    (tmp_path / "s2s-star" / "scores.json").rename(tmp_path / "elsewhere.json")
    assert ablate.run(parser.parse_args([*given, "--device", "cpu", "--report"])) == 0
    assert "| S2S* | 73.7 | 74.4 | 54.6 | 54.5 | - | - | - | - |" in capsys.readouterr().out
    (tmp_path / "elsewhere.json").rename(tmp_path / "s2s-star" / "scores.json")
    trained = (tmp_path / "hs2s" / "last.pt").stat().st_mtime_ns
    assert ablate.run(parser.parse_args([*given, "--device", "cpu"])) == 0
    assert (tmp_path / "hs2s" / "last.pt").stat().st_mtime_ns == trained
    with pytest.raises(HS2SError, match=r"holds a run with other settings \(seed\)"):
        ablate.run(parser.parse_args([*given, "--device", "cpu", "--seed", "1"]))


def test_rows_share_all_but_their_parts(write_config: Callable[..., Path]) -> None:
    recipe = read_config(write_config(8))
    recipe = dataclasses.replace(recipe, model=dataclasses.replace(preset("hs2s/8"), init="fan_in"))
    size = recipe.stages[-1].size
    for name in PRESETS:
        row = _row_config(recipe, name, 8)
        assert row.model.input_size == size
        if row.model.system != "lite":
            assert row.model == dataclasses.replace(
                preset(f"{name}/8"), init="fan_in", input_size=size
            )
        assert dataclasses.replace(row, model=recipe.model, losses=recipe.losses) == recipe


def test_rows_are_checked_before_they_are_trained(write_config: Callable[..., Path]) -> None:
    """Here for the file that its encoder should start from; which row it is, is told."""
    recipe = dataclasses.replace(
        read_config(write_config(8)), pretrained_backbone="nowhere.pth", model=preset("hs2s/32")
    )
    check_rows({"hs2s-lite": _row_config(recipe, "hs2s-lite", 32)})
    with pytest.raises(HS2SError, match=r"row s2s-star: no backbone weights file 'nowhere\.pth'"):
        check_rows({"s2s-star": _row_config(recipe, "s2s-star", 32)})
    with pytest.raises(HS2SError, match="row s2s-star: cannot divide widths by 3"):
        row_configs(find_tables(["2a"]), recipe, 3)


def test_missing_scores_are_dashes() -> None:
    text = format_tables(find_tables(["1"]), {"hs2s": {"J": 0.5, "F": 0.25, "J&F": 0.375}}, "x")
    assert "| HS2S | 73.6 | 58.5 | 77.4 | 66.0 | 68.9 | 50.0 | 25.0 | 37.5 |" in text
    assert "| S2S* | - | - | - | - | - | - | - | - |" in text


def test_networks_that_read_ahead_are_scored_on_whole_videos() -> None:
    """They are trained on whole clips; 20 frames would be two chunks of propagation's 16."""
    model = build_model(dataclasses.replace(tiny_once("bi-hs2s"), input_size=(64, 64))).eval()
    frames = np.zeros((20, 64, 64, 3), np.uint8)
    mask = np.zeros((64, 64), np.uint8)
    mask[8:40, 8:40] = 1
    seen = []
    unchanged = model.look_ahead

    def look_ahead(features: list[object], *others: object) -> object:
        seen.append(len(features))
        return unchanged(features, *others)  # type: ignore[arg-type]

    model.look_ahead = look_ahead  # type: ignore[method-assign, assignment]
    results = list(scored_whole(model)(frames, {0: {1: mask > 0}}))
    assert len(results) == 20
    assert max(seen) >= 19
