"""Benchmarks keep up with the code they measure."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from hs2s_core.weights import read_header, save_weights
from tests.data.builders import plain
from tests.plugin.helpers import tiny_network

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def _beside_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.py")))
def test_imports(name: str) -> None:
    assert importlib.import_module(name).__doc__


def test_what_end_to_end_times_is_there() -> None:
    module = importlib.import_module("end_to_end")
    parts = [(place, name) for _, place, name in module.AROUND] + [(module.command, "load")]
    assert [name for place, name in parts if not hasattr(place, name)] == []


def test_corrections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line per video and policy, and per policy the mean; the first round is a full run."""
    weights, data = tmp_path / "tiny.safetensors", plain(tmp_path / "data")
    save_weights(tiny_network(), weights, {"name": "tiny"})
    line = ["corrections", str(data), "--rounds", "2", "--weights", str(weights)]
    monkeypatch.setattr(sys, "argv", line)
    importlib.import_module("corrections").main()
    lines = capsys.readouterr().out.splitlines()
    for policy in ("worst", "suggested", "middle"):
        *videos, mean = [line for line in lines if line.startswith(policy)]
        assert videos
        assert "MEAN OVER" in mean
        assert all("(100%)" in line for line in (*videos, mean))


def test_means_of_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each tensor is two thirds of the one and one third of the other; the card is the first's."""
    names = [f"{name}.safetensors" for name in ("mean", "one", "two")]
    mean, *paths = [tmp_path / name for name in names]
    for place, path in enumerate(paths):
        network = tiny_network()
        with torch.no_grad():
            for weight in network.parameters():
                weight += 3 * place
        save_weights(network, path, {"name": path.stem})
    words = ["mean_of_weights", str(mean), f"{paths[0]}=2", str(paths[1])]
    monkeypatch.setattr(sys, "argv", words)
    importlib.import_module("mean_of_weights").main()
    one, two, found = map(load_file, (*paths, mean))
    assert any((two[name] - one[name] > 2).all() for name in one)
    for name, value in found.items():
        expected = ((2 * one[name] + two[name]) / 3).to(value.dtype)
        torch.testing.assert_close(value, expected)
    assert read_header(mean).card == {"name": "one"}


def test_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A column per video, with the object that is worst and its score."""
    weights, data, out = tmp_path / "tiny.safetensors", plain(tmp_path / "data"), tmp_path / "f.png"
    save_weights(tiny_network(), weights, {"name": "tiny"})
    monkeypatch.setattr(sys, "argv", ["failures", str(out), str(data), "--weights", str(weights)])
    failures = importlib.import_module("failures")
    failures.main()
    lines = capsys.readouterr().out.splitlines()
    videos = [path.name for path in sorted((data / "JPEGImages").iterdir())]
    assert [line.partition(",")[0] for line in lines] == videos
    with Image.open(out) as picture:
        assert picture.width > len(videos) * failures.HEIGHT
