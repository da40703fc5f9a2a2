"""``hs2s ablate --data``: two rows trained and scored, and mistakes told first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hs2s_core.cli import build_parser
from hs2s_core.commands import ablate
from hs2s_core.training.ablation import row_configs
from hs2s_core.training.paper_tables import find_tables

from .conftest import Run
from .vos_folders import make

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = ("--size", 64, 64, "--batch", 2, "--epochs", 1, "--device", "cpu", "--workers", 0)


def test_rows_are_trained_and_scored(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of table 2a on the training split, without the scored videos; with progress."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    data, out = make("davis", tmp_path / "data"), tmp_path / "out"
    status, said, err = run(
        *("ablate", "--tables", "2a", "4", "--rows", "s2s-star", "hs2s", "--data", data),
        *("--out", out, "--divisor", 32, *TINY, "--frames", 6),
    )
    assert status == 0
    assert json.loads((out / "validation.json").read_text()) == ["owl"]
    assert f"training on 2 videos of {data}" in said
    assert "scored on 1 others" in said
    assert "1 step of 2 clips" in said
    for name in ("s2s-star", "hs2s"):
        assert set(json.loads((out / name / "scores.json").read_text())) >= {"J", "F", "J&F"}
        assert f"{name}: training 1 step, logged in {out / name}/log.jsonl" in said
    assert err.count("[####################] step 1 of 1, loss ") == 2
    tables = (out / "tables.md").read_text()
    assert "| HS2S | 76.3 | 77.1 | 64.2 | 65.5 |" in tables
    assert "| ConvLSTM | 73.6 |" in tables
    assert "DeepRNN" not in tables


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--divisor", 3), "cannot divide widths by 3"),
        (("--divisor", 16, "--backbone", "imagenet"), "fit encoders of full width"),
        (("--divisor", 16, "--backbone", "no.pth"), "row hs2s: no backbone weights file 'no.pth'"),
        (("--tables", "5", "--backbone", "."), ".: holds no resnet50-"),
        (("--config", "a.toml"), "not allowed with argument"),
        (
            ("--rows", "hs2s-axial"),
            "no row 'hs2s-axial'; expected some of hs2s, hs2s-",
        ),
    ],
)
def test_mistakes_are_told_before_the_first_row(
    words: tuple[object, ...],
    said: str,
    run: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, out = make("plain", tmp_path / "data"), tmp_path / "out"
    given = ("ablate", "--tables", "5", "--data", data, "--out", out, *TINY, *words)
    try:
        status, _, err = run(*given)
    except SystemExit as error:
        status, err = error.code, capsys.readouterr().err
    assert status == 2
    assert said in err
    assert not list(out.glob("*/last.pt"))
    assert not list(out.glob("*/scores.json"))


@pytest.mark.usefixtures("offline")
def test_offline_is_told_before_the_first_row(run: Run, tmp_path: Path) -> None:
    data, out = make("plain", tmp_path / "data"), tmp_path / "out"
    status, _, err = run("ablate", "--tables", "2b", "--data", data, "--out", out, *TINY)
    assert not list(out.glob("*/*"))
    assert status == 2
    assert "row hs2s-first: the ImageNet weights" in err
    assert "--backbone PATH" in err


def rows(data: Path, *words: object) -> dict[str, Any]:
    """``pretrained_backbone`` of every row that these words would train."""
    given = ["ablate", "--data", data, "--out", data.parent / "out", *TINY, *words]
    args = build_parser(["ablate"]).parse_args([str(word) for word in given])
    recipe, _ = ablate._from_data(args)
    configs = row_configs(find_tables(args.tables), recipe, args.divisor)
    return {name: config.pretrained_backbone for name, config in configs.items()}


def test_each_row_starts_from_imagenet_where_it_can(tmp_path: Path) -> None:
    data = make("plain", tmp_path / "data")
    own = {"hs2s-lite", "s2s-lite", "hs2s-axial"}
    found = rows(data)
    assert {name for name, source in found.items() if source is False} == own
    assert {name for name, source in found.items() if source is True} == found.keys() - own
    assert set(rows(data, "--divisor", 8).values()) == {False}
    assert set(rows(data, "--backbone", "none").values()) == {False}
    found = rows(data, "--divisor", 8, "--backbone", "my.pth")
    assert {name for name, source in found.items() if source == "my.pth"} == found.keys() - own


def test_nothing_held_out(run: Run, tmp_path: Path) -> None:
    data, out = make("plain", tmp_path / "data"), tmp_path / "out"
    for kind in ("JPEGImages", "Annotations"):
        (data / kind / "owl").rename(data / kind / "duck")
    status, _, err = run("ablate", "--data", data, "--out", out, *TINY)
    assert status == 2
    assert "held out: 0 of 3 videos" in err
    assert "--config" in err
