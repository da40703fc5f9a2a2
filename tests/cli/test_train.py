"""``hs2s train``: from a TOML file to weights that load, on made-up data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from hs2s_core.weights import load_model, read_header

from ..labelled import write_stills
from .conftest import Run

CONFIG = """
seed = {seed}
checkpoint_minutes = 0
model = {{ preset = "hs2s-lite", width = 16 }}
data = {{ root = "data", stills = ["stills"], workers = 0 }}
stages = [{{ steps = 2, size = [64, 64], frames = 2, clips = 1 }}]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A run of two steps on two made-up stills."""
    write_stills(tmp_path / "data" / "stills", 2)
    path = tmp_path / "tiny.toml"
    path.write_text(CONFIG.format(seed=0))
    return path


def test_train_and_go_on(config: Path, run: Run, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ("train", "--config", config, "--out", out, "--device", "cpu")
    status, said, _ = run(*words)
    assert status == 0
    assert said.startswith("starting: 2 steps on cpu")
    weights = out / "tiny.safetensors"
    first = load_model(weights, device="cpu").state_dict()
    card = read_header(weights).card
    assert card["data"]["stills"] == ["stills"]
    assert card["recipe"]["seed"] == 0
    assert len((out / "log.jsonl").read_text().splitlines()) == 2
    # A finished run that is repeated trains no further and writes the same weights.
    status, said, _ = run(*words)
    assert status == 0
    assert said.startswith("going on")
    again = load_model(weights, device="cpu").state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_half_precision(config: Path, run: Run, tmp_path: Path) -> None:
    words = ("train", "--config", config, "--device", "cpu", "--out")
    run(*words, tmp_path / "full")
    run(*words, tmp_path / "half", "--half")
    full, half = (tmp_path / kind / "tiny.safetensors" for kind in ("full", "half"))
    assert half.stat().st_size < 0.6 * full.stat().st_size


def test_another_run_is_not_continued(config: Path, run: Run, tmp_path: Path) -> None:
    words = ("train", "--config", config, "--out", tmp_path / "run", "--device", "cpu")
    run(*words)
    config.write_text(CONFIG.format(seed=1))
    status, _, err = run(*words)
    assert status == 2
    assert "other settings (seed)" in err
    # Where data lies and how it is read may change.
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    moved = CONFIG.format(seed=0).replace('"data"', '"elsewhere"')
    config.write_text(moved.replace("checkpoint_minutes = 0", "checkpoint_minutes = 9"))
    assert run(*words)[0] == 0
    json.loads((tmp_path / "run" / "run.json").read_text())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed = = 1", "TOML"),
        ("seed = 1", "expected [model], [data] and [[stages]]"),
        ("model = 1\ndata = 2\nstages = 3", "[model] is 1; expected a table of settings"),
        (CONFIG.format(seed=0) + "speed = 9", "unknown settings ['speed']"),
        (CONFIG.format(seed=0).replace('"data"', '"nowhere"'), "nowhere; set the paths"),
        (CONFIG.format(seed=0).replace('"hs2s-lite"', '"hs3s"'), "no preset 'hs3s'"),
    ],
)
def test_mistakes_in_the_file(text: str, said: str, config: Path, run: Run, tmp_path: Path) -> None:
    config.write_text(text)
    status, _, err = run("train", "--config", config, "--out", tmp_path / "run")
    assert status == 2
    assert said in err
    assert not (tmp_path / "run").exists()


def test_no_file(run: Run, tmp_path: Path) -> None:
    status, _, err = run("train", "--config", tmp_path / "no.toml")
    assert status == 2
    assert "no such file" in err
