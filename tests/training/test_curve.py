"""Learning curves: the log as it is after a resumption, averages, a picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hs2s_core.errors import HS2SError
from hs2s_core.media.images import image_size
from hs2s_core.training.curve import draw_curve, moving_average, read_log


def write(path: Path, records: list[dict[str, float]]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_steps_that_were_repeated_count_once(tmp_path: Path) -> None:
    """A run that stops between two checkpoints does some steps again."""
    steps = [1, 2, 3, 2, 3, 4]
    log = write(tmp_path / "log.jsonl", [{"step": s, "loss": i} for i, s in enumerate(steps)])
    assert [(r["step"], r["loss"]) for r in read_log(log)] == [(1, 0), (2, 3), (3, 4), (4, 5)]


def test_a_line_that_breaks_off_is_passed_over(tmp_path: Path) -> None:
    log = write(tmp_path / "log.jsonl", [{"step": 1, "loss": 2.0}])
    with log.open("a") as file:
        file.write('{"step": 2, "lo')
    assert read_log(log) == [{"step": 1, "loss": 2.0}]


def test_averages_need_a_step(tmp_path: Path) -> None:
    with pytest.raises(HS2SError, match="smooth is 0; expected at least 1"):
        draw_curve([{"step": 1, "loss": 1.0}], tmp_path / "curve.png", smooth=0)


def test_averages_leave_out_what_was_not_measured() -> None:
    values = np.array([np.nan, 1.0, 3.0, np.nan, 5.0, 7.0])
    found = moving_average(values, 3)
    assert np.isnan(found[0])
    assert found[1:].tolist() == [1.0, 2.0, 2.0, 4.0, 6.0]


@pytest.mark.parametrize("steered", [False, True])
def test_a_picture(tmp_path: Path, steered: bool) -> None:
    records = [{"step": s, "loss": 1 / s, "bce": 0.5 / s} for s in range(1, 40)]
    if steered:
        records = [record | {"rate": 1.0, "sampling": 0.1} for record in records]
        records[-1]["jf"] = 0.7
    draw_curve(records, tmp_path / "curve.png", smooth=5)
    height, width = image_size(tmp_path / "curve.png")
    assert (width, height) == (720, 450 if steered else 315)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has not finished a step"),
        ('{"step": 1}\n', "line 1"),
        ("1\n", "line 1"),
        ('{"step": 1, "loss": 1, "iou": "x"}\n', "line 1"),
    ],
)
def test_what_is_no_log_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "log.jsonl").write_text(text)
    with pytest.raises(HS2SError, match=said):
        read_log(tmp_path / "log.jsonl")
    with pytest.raises(HS2SError, match="cannot be read"):
        read_log(tmp_path / "none.jsonl")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    with pytest.raises(HS2SError, match=r"cannot be read \(no text\); expected the log.jsonl"):
        read_log(tmp_path / "picture.png")
