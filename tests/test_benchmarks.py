"""Benchmarks keep up with the code they measure."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from hs2s_core.weights import save_weights
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
