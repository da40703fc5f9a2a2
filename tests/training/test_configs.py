"""The files in configs/: each runs, but for its length, on data of its layout made here."""

from __future__ import annotations

import json
import math
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from hs2s_core.cli import main
from hs2s_core.models import build_model
from hs2s_core.training.run_file import read_config
from hs2s_core.weights import DEFAULT, load_model, save_weights
from tests.labelled import write_stills, write_walk

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.toml"))


def make_data(config: dict[str, Any], root: Path) -> None:
    """Data as ``config`` names them: sets of stills, folders, scored videos, and splits."""
    data, scored = config["data"], config["validation"].get("folders", [])
    for name in data.get("stills", []):
        write_stills(root / name, 2)
    kept = {entry["path"]: ["learned", "more"] for entry in data["folders"]}
    held = {entry["path"]: entry.get("names", ["scored"]) for entry in scored}
    for folder in kept.keys() | held.keys():
        for name in kept.get(folder, []) + held.get(folder, []):
            write_walk(root / folder, name, 3)
    stills = {name: ["0", "1"] for name in data.get("stills", [])}
    splits = {"note": "made up", "train_stills": stills, "train_video": kept, "dev_video": held}
    (root / "splits.json").write_text(json.dumps(splits))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_file_trains(path: Path, tmp_path: Path) -> None:
    """Two steps of every one's network, data, losses and schedule, validated and saved."""
    make_data(tomllib.loads(path.read_text()), tmp_path)
    path = Path(shutil.copy(path, tmp_path))
    config = read_config(path)
    if config.start is not None and config.start != DEFAULT:  # what an earlier run made
        save_weights(build_model(config.model), config.start, {})
    out = tmp_path / "run"
    # The least of each: half precision is slow on many a CPU.
    changes = [
        "stages=[{steps = 2, size = [64, 64], frames = 3, clips = 1}]",
        "data.workers=0",
        "schedule.warmup=0",
        "validation.frames=2",
        "model.input_size=[64, 64]",
    ]
    words = [word for change in changes for word in ("--set", change)]
    if path.stem == "ablation":
        words += ["--set", "model.width=32", "--set", "model.backbone_width=4"]
        words += ["--set", "model.fusion_width=32", "--set", "model.decoder_width=64"]
    given = ["--config", str(path), "--root", str(tmp_path), "--out", str(out), "--device", "cpu"]
    assert main(["train", *given, *words]) == 0
    records = [json.loads(line) for line in (out / "log.jsonl").open()]
    assert [record["step"] for record in records] == [1, 2]
    assert all(math.isfinite(record["loss"]) for record in records)
    assert 0 <= records[-1]["jf"] <= 1
    assert load_model(out / f"{path.stem}.safetensors", device="cpu")
